"""People who are lost and found again: grace, holes and hand-over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from people import at, scores, seen

from stream.events import EventEngine, EventSettings, Rule
from stream.prompts import Prompt
from stream.types import NO_TRACK, EndReason, Event, EventKind, Phase, Severity, Space

FALL = Prompt("fall", "a person falls")
SETTINGS = EventSettings(enter=0.6, exit=0.4, needed=1, of=1, hold_s=0.5, update_s=60.0, cooldown_s=5.0, grace_s=0.5)


def opened(space: Space = Space.CAMERA3D, **changes: float) -> tuple[EventEngine, Event]:
    """An engine with an event on track 1, which was at x = 0 until second 2."""
    engine = EventEngine([FALL], replace(SETTINGS, **changes))
    for i in range(5):
        assert engine.see(seen(at(i * 0.5), {1: 0.0}, space=space)) == []
    (start,) = engine.push(scores(at(2), 0.9))
    return engine, start


def test_the_first_half_second_starts_nothing() -> None:
    engine = EventEngine([FALL], SETTINGS)
    events = []
    for i in range(4):
        engine.see(seen(at(i * 0.2), {1: 0.0}))
        events += engine.push(scores(at(i * 0.2), 0.9))
    assert [(event.phase, event.t, event.t_start) for event in events] == [(Phase.START, at(0.6), at(0.6))]
    assert engine.suppressed == {"grace": 1}


def test_a_hole_is_followed_by_a_grace_too() -> None:
    engine = EventEngine([FALL], SETTINGS)
    engine.see(seen(at(0), {1: 0.0}))
    engine.see(seen(at(3), {1: 0.0}))
    assert engine.push(scores(at(2.9), 0.9)) == []  # a window of the hole, which the frame after it completed
    assert engine.push(scores(at(3.3), 0.9)) == []
    assert engine.push(scores(at(3.5), 0.9))[0].phase is Phase.START
    assert engine.suppressed == {"grace": 1}


def test_nobody_who_was_not_seen_in_the_last_half_second_starts_anything() -> None:
    engine = EventEngine([FALL], SETTINGS)
    for i in range(5):
        engine.see(seen(at(i * 0.5), {1: 0.0}))
    assert engine.push(scores(at(2.6), 0.9)) == []
    assert engine.suppressed == {"grace": 1}


def test_an_event_of_a_lost_track_goes_on_with_the_one_that_appears_near_the_place() -> None:
    engine, start = opened()
    assert engine.see(seen(at(2.5), {})) == []
    (update,) = engine.see(seen(at(3), {2: 0.8}))
    assert (update.id, update.phase, update.track, update.t, update.t_start) == (
        start.id, Phase.UPDATE, 2, at(3), start.t_start,
    )  # fmt: skip
    assert engine.end_track("cam", 1, EndReason.TRACK_LOST) == []  # the tracker notices later
    assert [event.id for event in engine.open_events("cam", 2)] == [start.id]
    # The windows of the new track see too little at first, and that ends nothing.
    assert [event for i in range(5) for event in engine.abstain("cam", 2, at(3 + i * 0.3))] == []
    assert engine.push(scores(at(5), 0.9, track=2)) == []
    events = [event for i in range(3) for event in engine.push(scores(at(5.5 + i * 0.5), 0.1, track=2))]
    assert [(event.id, event.phase, event.t_end, event.track) for event in events] == [
        (start.id, Phase.END, at(5), 2),
    ]  # fmt: skip


def test_the_first_score_after_a_hand_over_does_not_count_the_hole_as_below_exit() -> None:
    engine, start = opened()
    engine.see(seen(at(4), {2: 0.0}))
    assert engine.push(scores(at(4.8), 0.1, track=2)) == []
    (end,) = engine.push(scores(at(5.3), 0.1, track=2))
    assert (end.id, end.reason, end.t_end) == (start.id, EndReason.BELOW_EXIT, at(2))


@pytest.mark.parametrize(("x", "t"), [(1.2, 3.0), (0.0, 5.2)])
def test_too_far_or_too_late_is_somebody_else(x: float, t: float) -> None:
    engine, start = opened()
    assert engine.end_track("cam", 1, EndReason.TRACK_LOST) == []
    events = engine.see(seen(at(t), {2: x}))
    events += engine.see(seen(at(6), {2: x}))
    assert [(event.id, event.phase, event.reason, event.t_end, event.track) for event in events] == [
        (start.id, Phase.END, EndReason.TRACK_LOST, at(2), 1),
    ]  # fmt: skip
    assert engine.open_events("cam", 2) == []


def test_a_new_track_beside_one_that_is_still_seen_takes_nothing_over() -> None:
    engine, _ = opened()
    assert engine.see(seen(at(2.5), {1: 0.0, 2: 0.1})) == []
    assert engine.see(seen(at(3), {2: 0.1})) == []  # nor later: it was there before the other went
    (end,) = [event for t in (4, 6) for event in engine.see(seen(at(t), {2: 0.1})) + lose(engine, t)]
    assert (end.track, end.reason) == (1, EndReason.TRACK_LOST)


def lose(engine: EventEngine, t: float) -> list[Event]:
    return engine.end_track("cam", 1, EndReason.TRACK_LOST) if t == 4 else []


def test_of_two_the_nearest_takes_over() -> None:
    engine = EventEngine([FALL], SETTINGS)
    for i in range(5):
        engine.see(seen(at(i * 0.5), {1: 0.0, 2: 0.5}))
    first, second = (engine.push(scores(at(2), 0.9, track=track))[0].id for track in (1, 2))
    updates = engine.see(seen(at(3), {7: 0.4, 8: 0.3}))
    assert {event.id: event.track for event in updates} == {second: 7, first: 8}


def test_in_images_metres_are_told_by_the_height_of_the_person() -> None:
    engine, start = opened(Space.IMAGE2D)  # 1.7 units high: a unit is a metre
    (update,) = engine.see(seen(at(3), {2: 0.9}, space=Space.IMAGE2D))
    assert update.id == start.id


def test_a_pending_event_and_a_cool_down_are_handed_over_too() -> None:
    engine, _ = opened()
    for i in range(3):
        engine.push(scores(at(2.5 + i * 0.5), 0.1))  # ends at 3
    engine.see(seen(at(3.5), {1: 0.0}))
    engine.see(seen(at(4), {2: 0.0}))
    assert engine.push(scores(at(5), 0.9, track=2)) == []
    assert engine.suppressed == {"cooldown": 1}

    engine = EventEngine([FALL], replace(SETTINGS, min_s=2.0))
    for i in range(5):
        engine.see(seen(at(i * 0.5), {1: 0.0}))
    assert engine.push(scores(at(2), 0.9)) == []
    for t in (3, 3.3, 3.7, 4):
        engine.see(seen(at(t), {2: 0.0}))
    (start,) = engine.push(scores(at(4), 0.9, track=2))
    assert (start.t_start, start.track) == (at(2), 2)


def test_without_a_hand_over_a_lost_track_ends_its_events_at_once() -> None:
    engine, start = opened(handover_s=0.0)
    (end,) = engine.end_track("cam", 1, EndReason.TRACK_LOST)
    assert (end.id, end.reason, end.t, end.t_end) == (start.id, EndReason.TRACK_LOST, at(2), at(2))


def test_the_same_track_seen_again_after_a_hole_goes_on_with_its_events_or_ends_them() -> None:
    engine, start = opened()
    engine.see(seen(at(4), {1: 0.0}))
    assert engine.interrupt("cam", 1) == []
    assert engine.abstain("cam", 1, at(4.5)) == []
    assert [event.id for event in engine.open_events("cam", 1)] == [start.id]
    engine.see(seen(at(8), {1: 0.0}))
    (end,) = engine.interrupt("cam", 1)
    assert (end.id, end.reason, end.t_end) == (start.id, EndReason.GAP, at(2))
    assert engine.interrupt("cam", 1) == engine.interrupt("cam", 9) == []


def test_a_source_that_ends_while_a_track_is_awaited_ends_its_event_as_lost() -> None:
    engine, start = opened()
    assert engine.end_track("cam", 1, EndReason.TRACK_LOST) == []
    (end,) = engine.end_source("cam", EndReason.SHUTDOWN)
    assert (end.id, end.reason) == (start.id, EndReason.TRACK_LOST)


def test_who_was_found_again_is_lost_no_more() -> None:
    engine, start = opened()
    assert engine.end_track("cam", 1, EndReason.TRACK_LOST) == []
    assert engine.see(seen(at(3), {2: 0.0}))[0].id == start.id
    (end,) = engine.end_source("cam", EndReason.SHUTDOWN)
    assert (end.id, end.reason, end.track) == (start.id, EndReason.SHUTDOWN, 2)


def test_a_judged_rule_lives_as_a_prompt_does() -> None:
    rule = Rule("fall", "unlike anything normal", Severity.ALERT, EventKind.ANOMALY, SETTINGS)
    engine = EventEngine([FALL], SETTINGS)
    engine.see(seen(at(0), {1: 0.0}))
    engine.see(seen(at(0.5), {1: 0.0}))
    (action,) = engine.push(scores(at(0.5), 0.9))
    (own,) = engine.judge(rule, "cam", 1, at(0.5), 0.9)
    (scene,) = engine.judge(rule, "cam", NO_TRACK, at(0), 0.9)  # in no grace
    assert [(event.kind, event.severity, event.prompt) for event in (own, scene)] == [
        (EventKind.ANOMALY, Severity.ALERT, "unlike anything normal")
    ] * 2
    assert len({action.id, own.id, scene.id}) == 3
    assert {event.id for event in engine.see(seen(at(1), {2: 0.0}))} == {action.id, own.id}
    assert engine.exchange([]) != []
    ended = engine.retire("fall")
    assert {(event.id, event.reason) for event in ended} == {
        (own.id, EndReason.PROMPT_REMOVED), (scene.id, EndReason.PROMPT_REMOVED),
    }  # fmt: skip
    assert engine.retire("fall") == []


def test_a_scene_that_begins_again_at_the_same_time_has_events_of_its_own() -> None:
    rule = Rule("crowd", "more than 3 people", Severity.INFO, EventKind.ACTION, SETTINGS)
    engine = EventEngine([], SETTINGS)
    ids = []
    for _ in range(3):
        ids.append(engine.judge(rule, "cam", NO_TRACK, at(1), 0.9)[0].id)
        engine.end_source("cam", EndReason.SOURCE_END)
    assert len(set(ids)) == 3
