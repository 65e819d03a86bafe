"""Each source of a recording is played by its own clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from poses import frame

from stream.pace import MAX_GAP_S, MAX_LATE_S, Pacer
from stream.types import NANOSECONDS

UNIX = 1_700_000_000 * NANOSECONDS


def at(seconds: float, source: str = "a") -> object:
    return frame(round(seconds * NANOSECONDS), source=source)


@pytest.mark.parametrize(("speed", "wait"), [(1.0, 2.0), (4.0, 0.5), (0.5, 4.0), (None, 0.0)])
def test_a_frame_is_due_as_much_later_as_its_capture_time_says(speed: float | None, wait: float) -> None:
    pacer = Pacer(speed)
    assert pacer.due(at(7), 100.0) == 0
    assert pacer.due(at(9), 100.0) == wait
    assert pacer.due(at(9), 101.0) == (wait - 1 if speed else 0.0), "below 0: overdue"
    assert pacer.due(at(8.99), 200.0) <= 0
    assert (pacer.media_s, pacer.jumps) == (2.0, 0)


def test_sources_with_other_clocks_do_not_wait_for_each_other() -> None:
    pacer = Pacer(1.0)
    assert pacer.due(at(0), 10.0) == 0
    assert pacer.due(frame(UNIX, source="b"), 10.0) == 0
    assert pacer.due(at(1), 10.0) == 1
    assert pacer.due(frame(UNIX + 2 * NANOSECONDS, source="b"), 11.0) == 1
    assert (pacer.media_s, pacer.jumps) == (2.0, 0)


@pytest.mark.parametrize("seconds_for_one", [0.5, 1.0, 3.0])
def test_the_pace_is_what_was_played_over_the_time_that_it_took(seconds_for_one: float) -> None:
    pacer = Pacer(1.0)
    for number in range(300):
        now = number / 25 * seconds_for_one
        pacer.due(at(number / 25), now)
        assert pacer.pace == (pytest.approx(1 / seconds_for_one) if now >= 2.2 else pytest.approx(pacer.pace))
        assert not (now < 1.9 and pacer.pace)
    pacer.due(at(5000.0), now + 0.1)  # what is skipped was not played
    assert 0 < pacer.pace <= 1 / seconds_for_one
    for number in range(300):
        pacer.due(at(5000 + number), now + 1 + number * 4)
    assert pacer.pace == pytest.approx(0.25)


@pytest.mark.parametrize("to", [-3600.0, 0.0, 3600.0])
def test_after_a_jump_a_source_starts_anew(to: float) -> None:
    pacer = Pacer(1.0)
    pacer.due(at(100), 0.0)
    pacer.due(at(101), 1.0)
    assert pacer.due(at(to), 1.0) == 0
    assert pacer.due(at(to + 2), 1.0) == 2
    assert (pacer.media_s, pacer.jumps) == (3.0, 1)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(-8, 8), st.floats(0, 1)), max_size=60),
    st.sampled_from([None, 0.5, 1.0, 3.0]),
)
def test_waits_jumps_and_played_time_are_those_of_the_plain_form(
    steps: list[tuple[str, float, float]], speed: float | None
) -> None:
    pacer = Pacer(speed)
    clocks: dict[str, tuple[int, float, int]] = {}
    played = {"a": 0, "b": 0}
    jumps, now, times = 0, 0.0, {"a": UNIX, "b": 0}
    for source, step, took in steps:
        now += took
        times[source] += round(step * NANOSECONDS)
        t = times[source]
        wait = pacer.due(frame(t, source=source), now)
        start, moment, newest = clocks.get(source, (t, now, t))
        if not -MAX_LATE_S * NANOSECONDS <= t - newest <= MAX_GAP_S * NANOSECONDS:
            jumps += 1
            start, moment, newest = t, now, t
        played[source] += max(t - newest, 0)
        clocks[source] = start, moment, max(t, newest)
        assert wait == (moment + (t - start) / NANOSECONDS / speed - now if speed else 0.0)
        assert (pacer.jumps, pacer.media_s) == (jumps, max(played.values()) / NANOSECONDS)


def test_a_late_frame_moves_no_clock() -> None:
    pacer = Pacer(1.0)
    pacer.due(at(0), 0.0)
    pacer.due(at(1), 1.0)
    assert pacer.due(at(0.5), 1.0) == -0.5
    assert pacer.due(at(2), 1.0) == 1
    assert (pacer.media_s, pacer.jumps) == (2.0, 0)
