"""The pipeline with a model that is stepped: whose rows it gets, and what becomes of the streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from poses import frame, person
from raised_hand import hand_features, hand_prompts

from models.track_states import TrackStates
from stream.config_file import parse_config
from stream.pipeline import Pipeline, PipelineSettings
from stream.service import Service, load_service
from stream.sources.files import open_source
from stream.types import NANOSECONDS, Scores, SkeletonFrame
from stream.window import WindowSettings

FPS25 = NANOSECONDS // 25
DEMO = Path(__file__).parents[2] / "stream" / "demo"


class Rows:
    """Remembers the heights of the right hand in the rows of each stream; features tell of the last ten."""

    def __init__(self, stride: int = 8) -> None:
        self.stride = stride
        self.evicted = 0
        self.streams: dict[int, list[float]] = {}
        self.over: list[int] = []
        self.batches: list[list[int]] = []

    def encode(self, _x: np.ndarray, _mask: np.ndarray) -> np.ndarray:
        raise AssertionError("expected windows of a model that is stepped to be stepped")

    def step(self, keys: Sequence[int], x: np.ndarray, _mask: np.ndarray) -> np.ndarray:
        assert len(set(keys)) == len(keys)
        self.batches.append(list(keys))
        height = np.zeros((len(keys), x.shape[1] // self.stride))
        for row, (key, rows) in enumerate(zip(keys, x, strict=True)):
            seen = self.streams.setdefault(key, [])
            for group in range(height.shape[1]):
                part = rows[group * self.stride : (group + 1) * self.stride]
                seen.extend((part[:, 11, 1] - part[:, 0, 1]).tolist())
                height[row, group] = np.mean(seen[-10:])
        return hand_features(height)

    def clear(self, key: int) -> None:
        self.over.append(key)


def make(rows: Rows, max_batch: int = 32) -> Pipeline:
    settings = PipelineSettings(window=WindowSettings(stride=rows.stride), max_batch=max_batch)
    return Pipeline(rows, hand_prompts(), settings, states=rows)


def waving(frames: int, source: str = "cam", first: int = 0, x: float = 0.0) -> list[SkeletonFrame]:
    """One person whose right hand goes up and down, at the model's rate."""
    found = []
    for n in range(first, first + frames):
        pose = person(x)
        pose[[9, 10, 11], 1] += 0.5 * np.sin(n / 5)
        found.append(frame(n * FPS25, pose, seq=n, source=source))
    return found


def heights(frames: Sequence[SkeletonFrame]) -> np.ndarray:
    return np.array([one.joints[0, 11, 1] - one.joints[0, 0, 1] for one in frames])


@pytest.mark.parametrize("stride", [1, 8])
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_a_stream_gets_each_row_once_whatever_the_batches(stride: int, batch: int) -> None:
    rows, frames = Rows(stride), waving(96)
    pipeline = make(rows)
    outputs = [one for at in range(0, 96, batch) for one in pipeline.push(frames[at : at + batch])]
    (stream,) = rows.streams
    np.testing.assert_allclose(rows.streams[stream], heights(frames), atol=1e-6)
    scores = [one for one in outputs if isinstance(one, Scores)]
    enough = 20  # rows, with which 40 % of a window were seen: until then it is stepped and not scored
    assert [round(one.t / FPS25) + 1 for one in scores] == [n for n in range(stride, 97, stride) if n >= enough]
    pipeline.finish()
    assert rows.over == [stream]


def test_tracks_of_all_sources_are_stepped_at_once_within_the_largest_batch() -> None:
    rows = Rows()
    pipeline = make(rows, max_batch=6)
    mixed = [one for at in zip(*(waving(24, f"cam{n}") for n in range(5)), strict=True) for one in at]
    pipeline.push(mixed[:45])  # nine frames of each
    pipeline.push(mixed[45:])
    assert [len(batch) for batch in rows.batches] == [5, 3, 2]  # one window of each, and then two
    assert {len(heights) for heights in rows.streams.values()} == {24}


def test_a_gap_begins_another_stream_and_a_shorter_hole_does_not() -> None:
    rows = Rows()
    pipeline = make(rows)
    pipeline.push([*waving(40), *waving(40, first=50)])  # 0.4 s
    assert len(rows.streams) == 1
    pipeline.push(waving(40, first=120))  # 1.2 s: too long for a window, and not for the track
    first, second = rows.streams
    assert rows.over == [first]
    np.testing.assert_allclose(rows.streams[second], heights(waving(40, first=120)), atol=1e-6)
    assert pipeline.counts["gaps"] == 1
    pipeline.push([frame(200 * FPS25 + n * FPS25) for n in range(50)])  # nobody
    assert rows.over == [first, second]


def test_a_stream_goes_on_with_the_track_that_takes_anothers_place() -> None:
    rows = Rows()
    pipeline = make(rows)
    outputs = pipeline.push([*waving(40), *waving(40, first=40, x=0.8)])  # as far as nobody moves in a frame
    tracks = [one.track for one in outputs if isinstance(one, Scores)]
    assert sorted(set(tracks)) == [1, 2]
    assert list(map(len, rows.streams.values())) == [80]
    pipeline = make(apart := Rows())
    pipeline.push([*waving(40), *waving(40, first=40, x=2.5)])  # somebody else
    assert list(map(len, apart.streams.values())) == [40, 40]
    pipeline.finish()
    assert sorted(apart.over) == sorted(apart.streams)


def test_a_source_that_ends_and_a_clock_that_starts_anew_end_their_streams() -> None:
    rows = Rows()
    pipeline = make(rows)
    pipeline.push([*waving(16, "a"), *waving(16, "b")])
    pipeline.end_source("a")
    assert len(rows.over) == 1
    pipeline.push(waving(16, "b", first=300))
    pipeline.push(waving(16, "b"))  # 12 s earlier
    assert len(rows.over) == 3
    assert len(rows.streams) == 4
    pipeline.finish()
    assert sorted(rows.over) == sorted(rows.streams)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("service")
    return load_service(parse_config({"model": {"device": "cpu"}, "examples": {"path": ""}}, folder / "posewire.toml"))


def test_the_shipped_model_says_the_same_of_streams_as_of_windows(service: Service) -> None:
    """Not to the last digit: a stream's features know what was before the window."""
    with open_source(DEMO / "Seq1_10.csv", "cam") as source:
        frames = list(source)
    recogniser = service.recogniser
    windows = Pipeline(recogniser, service.prompts, service.settings)
    expected = [one for one in windows.push(frames) if isinstance(one, Scores)]
    streamed = [one for one in service.pipeline.push(frames) if isinstance(one, Scores)]
    states = service.pipeline.states
    assert isinstance(states, TrackStates)
    assert len(states) == 1
    service.pipeline.finish()
    assert len(states) == 0
    assert [(one.track, one.t, one.coverage) for one in streamed] == [
        (one.track, one.t, one.coverage) for one in expected
    ]
    difference = [np.abs(a.probability - b.probability).max() for a, b in zip(streamed, expected, strict=True)]
    assert np.median(difference) < 0.2
    again = [one for at in range(0, len(frames), 5) for one in service.pipeline.push(frames[at : at + 5])]
    for one, other in zip([one for one in again if isinstance(one, Scores)], streamed, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-5)
