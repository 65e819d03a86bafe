"""The memory of the last minutes: bounded, in order, thinned where nothing happens."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.history import MAX_SOURCES, THIN, Ended, Featured, History, Hole, Unseen
from stream.types import NANOSECONDS, EndReason, Space, Tracked


def tracked(t: int, *ids: int, source: str = "cam") -> Tracked:
    people = len(ids)
    return Tracked(
        source,
        t,
        Space.CAMERA3D,
        np.array(ids, np.int64),
        np.zeros((people, 25, 3), np.float32),
        np.ones((people, 25), np.float32),
    )


def featured(t: int, track: int = 1, size: int = 8) -> Featured:
    return Featured(track, t, 1.0, np.zeros(size, np.float32))


def test_what_is_older_is_forgotten_by_the_clock_of_its_source() -> None:
    history = History(seconds=10)
    for second in range(20):
        history.add("a", featured(second * NANOSECONDS))
    history.add("b", featured(0))
    times = {source: [moment.t for name, moment in history.moments() if name == source] for source in "ab"}
    assert times == {"a": [second * NANOSECONDS for second in range(9, 20)], "b": [0]}
    assert history.forgotten == 0


def test_a_recording_that_is_played_over_and_over_does_not_stay_for_ever() -> None:
    history = History(seconds=25)
    for _ in range(10):
        for second in range(20):
            history.add("a", featured(second * NANOSECONDS))
        history.add("a", Ended(None, EndReason.GAP))
    assert sum(isinstance(moment, Featured) for _, moment in history.moments()) <= 28


def test_room_is_bounded_and_what_has_none_is_counted() -> None:
    history = History(max_bytes=100_000)
    for number in range(1000):
        history.add("a", featured(number))
        history.add(f"b{number % 3}", featured(number))
    assert history.size <= 100_000
    kept = sum(1 for _ in history.moments())
    assert kept + history.forgotten == 2000
    for number in range(3 * MAX_SOURCES):
        history.add(f"s{number}", featured(0))
    assert len({source for source, _ in history.moments()}) == MAX_SOURCES


def test_frames_of_the_same_people_are_thinned_but_for_those_before_something_happens() -> None:
    history = History()
    step = THIN // 10
    for number in range(25):
        history.add("a", tracked(number * step, 1))
    history.add("a", featured(24 * step))
    history.add("a", tracked(25 * step, 1, 2))
    history.add("a", tracked(26 * step, 1, 2))
    moments = [moment for _, moment in history.moments()]
    assert [moment.t // step for moment in moments] == [0, 10, 20, 24, 24, 25]


@given(
    st.lists(
        st.one_of(
            st.integers(0, 10**11).map(featured),
            st.integers(0, 10**11).map(lambda t: tracked(t, 1)),
            st.integers(0, 10**11).map(lambda t: Unseen(1, t)),
            st.just(Hole(1)),
            st.just(Ended(None, EndReason.GAP)),
            st.just(Ended(1, EndReason.TRACK_LOST)),
        ),
        max_size=60,
    )
)
def test_its_size_is_that_of_what_it_holds(moments: list) -> None:
    history = History(seconds=20, max_bytes=12_000)
    for number, moment in enumerate(moments):
        history.add("ab"[number % 2], moment)
        assert 0 <= history.size <= 12_000
    assert (history.size == 0) == (not list(history.moments()))


def test_a_frame_that_is_kept_does_not_keep_the_turn_that_it_came_in() -> None:
    history = History()
    turn = np.zeros((500, 25, 3), np.float32)
    for number in range(3):
        part = slice(number, number + 1)
        ids, confidence = np.arange(500)[part], np.ones((500, 25), np.float32)[part]
        history.add("a", Tracked("a", number * THIN * 2, Space.CAMERA3D, ids, turn[part], confidence))
    history.add("a", featured(9 * THIN))
    frames = [moment for _, moment in history.moments() if isinstance(moment, Tracked)]
    assert len(frames) == 3
    for kept in frames:
        for array in (kept.track_ids, kept.joints, kept.confidence):
            assert array.base is None
