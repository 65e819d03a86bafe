"""Which frames are kept for the event engine to be told again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.history import History, Unseen
from stream.thinning import FrameThinner
from stream.types import Space, Tracked


def tracked(t: int, *ids: int) -> Tracked:
    joints = np.zeros((len(ids), 25, 3), np.float32)
    return Tracked("cam", t, Space.CAMERA3D, np.array(ids, np.int64), joints, joints[..., 0])


def kept(frames: list[Tracked], apart: int = 10) -> list[int]:
    thinner = FrameThinner(apart)
    return [one.t for frame in frames for one in thinner.take(frame)] + [one.t for one in thinner.flush()]


def test_the_frames_on_both_sides_of_a_change_stay() -> None:
    assert kept([tracked(t, *([1] if t < 4 else [1, 2])) for t in range(7)]) == [0, 3, 4, 6]


def test_a_change_after_a_flush_stays_too() -> None:
    thinner = FrameThinner(10)
    thinner.take(tracked(0, 1))
    assert [one.t for one in thinner.flush()] == [0]
    assert thinner.flush() == []
    assert thinner.take(tracked(1, 1, 2)) == []
    assert [one.t for one in thinner.take(tracked(2, 1, 2))] == [1]


def test_a_pause_of_the_source_stays_as_long_as_it_was() -> None:
    times = [0, 9, 18, 19, 40]
    assert kept([tracked(t, 1) for t in times]) == [0, 9, 19, 40]
    history = History()
    unit = 15_000_000
    for t in times:
        history.add("cam", tracked(t * unit, 1))
    history.add("cam", Unseen(1, 40 * unit))
    assert [moment.t // unit for _, moment in history.moments()] == [0, 9, 19, 40, 40]


@given(st.lists(st.tuples(st.integers(-2, 8), st.sets(st.integers(0, 1)), st.booleans()), max_size=60))
def test_a_frame_stays_where_the_one_before_or_after_it_tells_something_else(
    steps: list[tuple[int, set[int], bool]],
) -> None:
    """What the class says, frame by frame: of frames that come with flushes between them, and clocks that go back."""
    thinner, t = FrameThinner(10), 20
    last: Tracked | None = None  # that was kept
    held: Tracked | None = None
    for step, ids, flushed in steps:
        t += step
        frame = tracked(t, *sorted(ids))
        stays = held is not None and (
            last is None
            or list(last.track_ids) != list(held.track_ids)
            or list(held.track_ids) != list(frame.track_ids)
            or frame.t < held.t
            or frame.t - last.t > 10
        )
        assert thinner.take(frame) == ([held] if stays else [])
        last, held = held if stays else last, frame
        if flushed:
            assert thinner.flush() == [frame]
            last, held = frame, None


@given(st.lists(st.tuples(st.integers(1, 30), st.sets(st.integers(0, 2))), min_size=1, max_size=60))
def test_thinned_pauses_are_no_longer_than_before(steps: list[tuple[int, set[int]]]) -> None:
    times = np.cumsum([step for step, _ in steps]).tolist()
    frames = [tracked(t, *sorted(ids)) for t, (_, ids) in zip(times, steps, strict=True)]
    found = kept(frames)
    assert (found[0], found[-1]) == (times[0], times[-1])
    longest = max(np.diff(times), default=0)
    assert max(np.diff(found), default=0) <= max(10, longest)
