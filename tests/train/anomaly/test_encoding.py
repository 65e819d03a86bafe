"""Windows of scenes, and features that are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from anomaly_oracle import Heights, clips, scene
from hypothesis import given
from hypothesis import strategies as st

from train.anomaly.encoding import Cut, encode


@given(st.integers(1, 200), st.floats(0.1, 5), st.floats(0.05, 2), st.booleans())
def test_windows_are_inside_and_reach_the_end(frames: int, length: float, step: float, causal: bool) -> None:
    windows = Cut(length, step, causal).windows(frames, 30.0)
    assert windows
    assert all(0 <= start < end <= frames for start, end in windows)
    assert len(set(windows)) == len(windows)
    longest = max(round(length * 30), 1)
    if causal:
        assert all(end - start == min(longest, end) for start, end in windows)
    else:
        assert (windows[0][0], windows[-1][1]) == (0, frames)
        assert {end - start for start, end in windows} == {min(longest, frames)}


def test_whole() -> None:
    assert Cut().windows(7, 30.0) == [(0, 7)]


def test_windows_belong_to_their_scenes() -> None:
    scenes = [scene("hit", "a", 0, frames=60), scene("hit", "a", 1, frames=20)]
    windows = encode(scenes, Heights(), Cut(1.0, 0.5))
    assert windows.clip.tolist() == [0, 0, 0, 1]
    assert windows.first.tolist() == [0, 15, 30, 0]
    assert windows.last.tolist() == [29, 44, 59, 19]
    assert windows.persons.shape == (4, 1, 6)
    best = windows.highest(np.array([1.0, 3.0, 2.0, 0.5]), 3)
    assert best.tolist() == [3.0, 0.5, -np.inf]


def test_features_are_kept_for_the_same_scenes_only(tmp_path: Path) -> None:
    encoder, cut, scenes = Heights(), Cut(1.0, 0.5), clips()[:3]
    first = encode(scenes, encoder, cut, cache=tmp_path)
    seen = encoder.windows
    again = encode(scenes, encoder, cut, cache=tmp_path)
    assert encoder.windows == seen
    for name in first.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    encode(clips()[3:6], encoder, cut, cache=tmp_path)
    encode(scenes, encoder, Cut(0.5, 0.5), cache=tmp_path)
    assert encoder.windows > 2 * seen
    assert len(list(tmp_path.iterdir())) == 3


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    encode(clips()[:2], Heights(), Cut(), report=lambda total, done: told.append((total, done)))
    assert told == [(2, 1), (2, 2)]


def test_half_written_features_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", broken)
    with pytest.raises(OSError, match="disk full"):
        encode(clips()[:1], Heights(), Cut(), cache=tmp_path)
    assert not list(tmp_path.iterdir())
