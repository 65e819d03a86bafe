"""The life of an event, by hand-made scores."""

from __future__ import annotations

from dataclasses import replace

import people
import pytest
from people import STEP, at

from stream.events import EventEngine, EventSettings, Overrides, Permit
from stream.prompts import Prompt
from stream.types import EndReason, Event, Phase, Scores, Severity

FALL = Prompt("fall", "a person falls to the floor", Severity.CRITICAL)
WAVE = Prompt("wave", "a person waves a hand")
SETTINGS = EventSettings(enter=0.6, exit=0.4, margin=0.0, needed=2, of=3, hold_s=1.0, update_s=2.0, cooldown_s=3.0)


def scores(i: int, *probability: float, track: int = 1, source: str = "cam", margin: float = 0.1) -> Scores:
    return people.scores(i * STEP, *probability, track=track, source=source, margin=margin)


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


def test_what_is_over_before_its_minimum_duration_is_never_told_and_is_counted() -> None:
    engine = EventEngine([FALL], replace(SETTINGS, min_s=2.0))
    values = [0.9, 0.9, 0.9, 0.1, 0.1, 0.1, *[0.9] * 3, 0.5, 0.9]
    events = [event for i, value in enumerate(values) for event in engine.push(scores(i, value))]
    assert [(event.phase, event.t_start, event.t) for event in events] == [(Phase.START, 6 * STEP, 10 * STEP)]
    (withheld,) = engine.suppressions.recent
    assert (withheld.name, withheld.source, withheld.track, withheld.t) == ("fall", "cam", 1, 4 * STEP)
    assert (withheld.reason, withheld.score) == ("min_duration", pytest.approx(0.9))


def test_what_was_never_told_cools_nothing_down() -> None:
    engine = EventEngine([FALL], replace(SETTINGS, min_s=1.0, cooldown_s=60.0))
    values = [0.9, 0.9, 0.1, 0.1, *[0.9] * 3]
    events = [event for i, value in enumerate(values) for event in engine.push(scores(i, value))]
    assert [(event.phase, event.t_start, event.t) for event in events] == [(Phase.START, 4 * STEP, 6 * STEP)]
    assert engine.suppressed == {"min_duration": 1}


def test_a_pending_event_whose_track_ends_was_too_short() -> None:
    engine = EventEngine([FALL], replace(SETTINGS, min_s=9.0))
    for i in range(3):
        engine.push(scores(i, 0.9))
    assert engine.end_track("cam", 1, EndReason.TRACK_LOST) == []
    assert engine.suppressions.by_rule == {("fall", "min_duration"): 1}


def test_what_lasts_too_long_ends_and_starts_again_only_after_it_was_below_exit() -> None:
    engine = EventEngine([FALL], replace(SETTINGS, max_s=2.0, cooldown_s=0.0, update_s=60.0))
    values = [0.9] * 12 + [0.1] + [0.9] * 3 + [0.1] * 3 + [0.9] * 2
    events = [event for i, value in enumerate(values) for event in engine.push(scores(i, value))]
    assert [(event.phase.value, event.t // STEP) for event in events] == [("start", 1), ("end", 5), ("start", 20)]
    assert events[1].reason is EndReason.MAX_DURATION
    assert engine.suppressed == {"max_duration": 1}


def test_a_start_withheld_by_the_background_is_counted() -> None:
    engine = EventEngine([FALL], SETTINGS)
    for i in range(5):
        engine.push(scores(i, 0.9, margin=-0.1))
    assert engine.suppressions.by_rule == {("fall", "margin"): 1}


def test_someone_who_goes_out_of_sight_as_they_begin_is_counted() -> None:
    engine = EventEngine([FALL], SETTINGS)
    engine.push(scores(0, 0.9))
    assert engine.abstain("cam", 1, STEP) == []
    assert engine.suppressed == {"coverage": 1}
    assert engine.abstain("cam", 1, 2 * STEP) == []
    assert engine.push(scores(3, 0.9)) == []  # the first of a new run
    assert engine.push(scores(4, 0.9))[0].t_start == 3 * STEP
    assert engine.suppressed == {"coverage": 1}


class Hours(Permit):
    """Refuses from a window on until another."""

    def __init__(self, reason: str, first: int, last: int) -> None:
        self.reason, self.first, self.last = reason, first, last

    def check(self, name: str, source: str, track: int, t: int) -> str | None:
        assert (name, source, track) == ("fall", "cam", 1)
        return self.reason if self.first * STEP <= t <= self.last * STEP else None


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("outside_zone", "left_zone"),
        ("inside_zone", "entered_zone"),
        ("outside_schedule", "outside_schedule"),
        ("a feast", "not_permitted"),
    ],
)
def test_a_permit_withholds_starts_and_ends_events(said: str, ended: str) -> None:
    engine = EventEngine([FALL], replace(SETTINGS, cooldown_s=0.0), permit=Hours(said, 0, 3))
    events = [event for i in range(8) for event in engine.push(scores(i, 0.9))]
    assert [(event.phase.value, event.t_start, event.t) for event in events][:1] == [("start", 4 * STEP, 5 * STEP)]
    assert engine.suppressions.by_rule == {("fall", said): 1}
    engine.permit = Hours(said, 8, 99)
    events = [event for i in range(8, 12) for event in engine.push(scores(i, 0.9))]
    assert [(event.reason.value, event.t_end) for event in events if event.reason] == [(ended, 7 * STEP)]
    assert engine.suppressions.by_rule == {("fall", said): 2}


def test_a_permit_that_refuses_for_less_than_the_hold_time_ends_nothing() -> None:
    engine = EventEngine([FALL], SETTINGS, permit=Hours("outside_zone", 3, 3))
    assert "end" not in phases([event for i in range(9) for event in engine.push(scores(i, 0.9))])


def test_a_prompt_may_have_its_own_of_each_setting() -> None:
    own = replace(FALL, own=Overrides(margin=0.2, min_s=1.0, max_s=3.0, hold_s=0.5, cooldown_s=0.0))
    engine = EventEngine([own], SETTINGS)
    assert [e for i in range(9) for e in engine.push(scores(i, 0.9, margin=0.1))] == []
    told = [e for i in range(9, 20) for e in engine.push(scores(i, 0.9, margin=0.3))]
    assert [(e.phase.value, e.t // STEP) for e in told if e.phase is not Phase.UPDATE] == [("start", 11), ("end", 17)]
    assert told[-1].reason is EndReason.MAX_DURATION


def test_other_settings_hold_from_their_exchange_on() -> None:
    engine = EventEngine([FALL], SETTINGS)
    engine.push(scores(0, 0.9))
    assert engine.exchange([FALL], replace(SETTINGS, needed=3, of=5)) == []
    assert [phases(engine.push(scores(i, 0.9))) for i in (1, 2)] == [[], ["start"]]


def test_the_newest_withheld_starts_are_kept() -> None:
    engine = EventEngine([FALL], replace(SETTINGS, needed=1, of=1))
    for i in range(400):
        engine.push(scores(i, 0.9 * (i % 2), margin=-1.0))
    assert engine.suppressed == {"margin": 200}
    assert [one.t for one in engine.suppressions.recent] == [at(100 + i + 0.5) for i in range(100)]
