"""The life of an event, by hand-made scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import EventEngine, EventSettings
from stream.prompts import Prompt
from stream.types import NANOSECONDS, EndReason, Event, Phase, Scores, Severity

FALL = Prompt("fall", "a person falls to the floor", Severity.CRITICAL)
WAVE = Prompt("wave", "a person waves a hand")
STEP = NANOSECONDS // 2
SETTINGS = EventSettings(enter=0.6, exit=0.4, margin=0.0, needed=2, of=3, hold_s=1.0, update_s=2.0, cooldown_s=3.0)


def scores(i: int, *probability: float, track: int = 1, source: str = "cam", margin: float = 0.1) -> Scores:
    values = np.array(probability, np.float32)
    margins = np.full_like(values, margin)
    return Scores(source, track, i * STEP, values, values, margins, None, 1.0, "digest")


def play(values: list[float], **changes: object) -> list[Event]:
    engine = EventEngine([FALL], replace(SETTINGS, **changes))
    return [event for i, value in enumerate(values) for event in engine.push(scores(i, value))]


def phases(events: list[Event]) -> list[str]:
    return [event.phase.value for event in events]


def test_a_start_needs_two_of_three_windows() -> None:
    assert play([0.9, 0.1, 0.1, 0.9, 0.1, 0.1]) == []
    start = play([0.1, 0.9, 0.1, 0.9])[0]
    assert start.phase is Phase.START
    assert start.t_start == 1 * STEP  # the first of the windows that counted
    assert start.t == 3 * STEP
    assert (start.name, start.severity, start.track) == ("fall", Severity.CRITICAL, 1)


def test_hysteresis_holds_an_event_up_between_exit_and_enter() -> None:
    events = play([0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert phases(events) == ["start", "update", "update"]


def test_an_event_ends_when_its_score_stays_below_exit_for_the_hold_time() -> None:
    events = play([0.9, 0.9, 0.8, 0.1, 0.8, 0.1, 0.1, 0.1, 0.1])
    assert phases(events) == ["start", "update", "end"]
    end = events[-1]
    assert end.reason is EndReason.BELOW_EXIT
    assert end.t_end == 4 * STEP  # the last window at or above exit
    assert end.t == 6 * STEP
    assert end.peak == pytest.approx(0.9)
    assert len({event.id for event in events}) == 1


def test_updates_are_rate_limited_by_data_time() -> None:
    events = play([0.9] * 21)
    updates = [event.t for event in events if event.phase is Phase.UPDATE]
    assert updates == [STEP * i for i in (5, 9, 13, 17)]


def test_margin_over_the_background_is_needed() -> None:
    engine = EventEngine([FALL], SETTINGS)
    assert [e for i in range(9) for e in engine.push(scores(i, 0.9, margin=-0.01))] == []


def test_the_cool_down_counts_from_a_published_event_and_its_suppressions_are_counted_once() -> None:
    engine = EventEngine([FALL], SETTINGS)
    values = [0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9]
    events = [event for i, value in enumerate(values) for event in engine.push(scores(i, value))]
    assert phases(events) == ["start", "end", "start"]
    assert engine.suppressed == {"cooldown": 1}
    # Pending windows that never became an event start no cool-down.
    assert phases(play([0.9, 0.1, 0.1, 0.1, 0.9, 0.9])) == ["start"]


@pytest.mark.parametrize("reason", list(EndReason))
def test_a_track_that_ends_ends_its_events(reason: EndReason) -> None:
    engine = EventEngine([FALL, WAVE], SETTINGS)
    for i in range(3):
        engine.push(scores(i, 0.1, 0.9))
        engine.push(scores(i, 0.9, 0.1, track=2))
    (end,) = engine.end_track("cam", 1, reason)
    assert (end.phase, end.name, end.reason, end.t_end) == (Phase.END, "wave", reason, 2 * STEP)
    assert engine.end_track("cam", 1, reason) == []
    assert [event.track for event in engine.end_all(EndReason.SHUTDOWN)] == [2]


def test_a_window_that_saw_too_little_holds_nothing_up() -> None:
    engine = EventEngine([FALL], SETTINGS)
    for i in range(3):
        engine.push(scores(i, 0.9))
    events = [event for i in range(3, 7) for event in engine.abstain("cam", 1, i * STEP)]
    assert phases(events) == ["end"]
    assert EventEngine([FALL], SETTINGS).abstain("cam", 9, 0) == []


def test_a_prompts_own_thresholds_win() -> None:
    engine = EventEngine([replace(FALL, enter=0.95, exit=0.9)], SETTINGS)
    assert [e for i in range(5) for e in engine.push(scores(i, 0.9))] == []


def test_a_prompt_that_enters_below_the_general_exit_does_not_flap() -> None:
    engine = EventEngine([replace(FALL, enter=0.2)], replace(SETTINGS, cooldown_s=0.0))
    assert phases([e for i in range(20) for e in engine.push(scores(i, 0.3))]) == ["start", *["update"] * 4]


def test_the_window_that_ends_an_event_updates_nothing() -> None:
    # The end falls on a window at which an update is due too.
    engine = EventEngine([FALL], replace(SETTINGS, update_s=0.0))
    values = [0.9, 0.9, 0.9, 0.1, 0.1, 0.1]
    sent = [[event.phase.value for event in engine.push(scores(i, value))] for i, value in enumerate(values)]
    assert sent == [[], ["start"], ["update"], ["update"], ["end"], []]


def test_ids_of_other_runs_differ_by_their_salt() -> None:
    def first_id(salt: str) -> str:
        engine = EventEngine([FALL], SETTINGS, salt=salt)
        return next(event for i in range(3) for event in engine.push(scores(i, 0.9))).id

    assert len({first_id(salt) for salt in ("", "a", "b", "a")}) == 3


def test_ids_tell_events_apart_and_are_the_same_in_every_replay() -> None:
    def ids() -> list[str]:
        engine = EventEngine([FALL, WAVE], SETTINGS)
        return [
            event.id
            for source in ("a", "b")
            for track in (1, 2)
            for i in range(3)
            for event in engine.push(scores(i, 0.9, 0.9, track=track, source=source))
            if event.phase is Phase.START
        ]

    assert len(set(ids())) == 8
    assert ids() == ids()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), max_size=60))
def test_whatever_comes_every_event_has_one_start_and_one_end(steps: list[tuple[float, float, bool]]) -> None:
    engine = EventEngine([FALL, WAVE], SETTINGS)
    events: list[Event] = []
    for i, (first, second, lost) in enumerate(steps):
        events += engine.push(scores(i, first, second))
        if lost:
            events += engine.end_track("cam", 1, EndReason.TRACK_LOST)
    events += engine.end_all(EndReason.SHUTDOWN)
    lives: dict[str, list[Event]] = {}
    for event in events:
        lives.setdefault(event.id, []).append(event)
    for life in lives.values():
        assert [event.phase for event in life] == [Phase.START, *[Phase.UPDATE] * (len(life) - 2), Phase.END]
        assert life[-1].peak >= max(event.score for event in life)
        assert life[-1].t_end is not None
        assert life[0].t_start <= life[-1].t_end <= life[-1].t
        assert [event.t for event in life] == sorted(event.t for event in life)
