from pathlib import Path

import numpy as np
import pytest
from train_oracle import ACTIONS, Oracle, embed, stream_file

from stream.config import Config
from stream.pipeline import Pipeline
from stream.prompts import Prompt, PromptSet
from stream.types import NANOSECONDS
from train.datasets.labelled import Recording, Tag, read_recordings
from train.judging.streaming import POINT_LAG_S, Found, frames_of, judge, name_frames, tally_frames, truth_of, watch
from train.stream_metrics import StreamScores


def pipeline(oracle: Oracle | None = None) -> Pipeline:
    encoder = oracle or Oracle()
    prompts = PromptSet(
        [Prompt(name, name) for name in ACTIONS], [], [], embed, head=encoder.head, model_digest="oracle"
    )
    return Pipeline(encoder, prompts, Config().pipeline(frames=50, rate_hz=25.0, enter=0.6, exit=0.4))


@pytest.mark.parametrize("frames", [False, True])
def test_who_knows_everything_is_right(tmp_path: Path, frames: bool) -> None:
    recordings = read_recordings(stream_file(tmp_path / "a.npz", frames=frames))
    figures = judge(recordings, pipeline, seeds=5)
    assert set(figures) >= set(StreamScores.__dataclass_fields__)
    assert (figures["event_f1"], figures["event_precision"], figures["event_recall"]) == (1.0, 1.0, 1.0)
    assert figures["false_alarms_per_hour"] == 0.0
    assert 0 < figures["delay_ms_median"] < 2000
    assert figures["recordings"] == 2
    assert figures["events"] == 6
    assert figures["hours"] == pytest.approx(2 * 599 / 30 / 3600)
    assert figures["per_label"]["raise"] == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "found": 4, "true": 4}
    assert figures["spread"]["event_f1"] == 0.0
    if frames:
        assert 0.5 < figures["frame_f1"] <= 1.0  # an event is a little longer than its action
        assert figures["overlap_f1"]["0.3"] == 1.0
    else:
        assert figures["frame_f1"] is None
        assert figures["overlap_f1"] is None


def test_who_knows_nothing_finds_nothing(tmp_path: Path) -> None:
    class Blind(Oracle):
        def encode_clips(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
            return super().encode_clips(x, mask) * 0

    figures = judge(read_recordings(stream_file(tmp_path / "a.npz", frames=True)), lambda: pipeline(Blind()), seeds=2)
    assert (figures["event_f1"], figures["event_precision"], figures["event_recall"]) == (0.0, None, 0.0)
    assert (figures["frame_f1"], figures["delay_ms_median"], figures["false_alarms_per_hour"]) == (0.0, None, 0.0)


def test_an_event_is_found_half_a_window_before_its_surest_one(tmp_path: Path) -> None:
    (recording, _) = read_recordings(stream_file(tmp_path / "a.npz", frames=False))
    found = watch(recording, pipeline())
    assert [event.label for event in found] == ["raise", "duck", "raise"]
    for event, tag in zip(found, recording.tags, strict=True):
        assert event.point == pytest.approx(tag.time, abs=0.17)
        first, last, _ = event.interval
        assert first <= event.point <= last
        assert event.times[0] <= event.decided <= event.times[-1]


def test_all_bodies_of_a_frame_are_given(tmp_path: Path) -> None:
    (recording, _) = read_recordings(stream_file(tmp_path / "a.npz", frames=False))
    both = Recording(recording.bodies * 2, recording.times, "s", "r", recording.tags, None)
    frame = frames_of(both)[3]
    assert (frame.joints.shape, frame.confidence.shape) == ((2, 25, 3), (2, 25))
    assert frame.track_ids.tolist() == [0, 1]
    assert frame.t == round(0.1 * NANOSECONDS)


def test_truth_leaves_background_and_slips_out(tmp_path: Path) -> None:
    (recording, _) = read_recordings(stream_file(tmp_path / "a.npz", frames=True))
    points, intervals = truth_of(recording)
    assert [label for _, label in points] == ["raise", "duck", "raise"]
    assert points[0][0] == pytest.approx(157 / 30)
    assert intervals[0] == (pytest.approx(5.0), pytest.approx(164 / 30), "raise")
    tagged = Recording(recording.bodies, recording.times, "s", "r", (Tag(1.0, "raise"), Tag(2.0, "Other")), None)
    assert truth_of(tagged) == ([(1.0, "raise")], [])


def test_a_frame_is_called_by_the_likeliest_event() -> None:
    times = np.arange(6.0)
    found = [
        Found("a", 0.0, np.array([1.0, 2.0, 3.0]) + POINT_LAG_S, np.array([0.5, 0.5, 0.5])),
        Found("b", 0.0, np.array([2.0, 3.0, 4.0]) + POINT_LAG_S, np.array([0.4, 0.6, 0.6])),
    ]
    names = name_frames(found, times)
    assert names == ("none", "a", "a", "b", "b", "none")
    tally = tally_frames(names, ("none", "a", "b", "b", "none", "b"))
    assert (tally.right.total(), tally.found.total(), tally.true.total()) == (2, 4, 4)
