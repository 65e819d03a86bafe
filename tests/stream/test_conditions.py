"""Conditions on people and the prompts' events, by hand-made frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poses import person

from stream.condition_run import UPDATE_S
from stream.conditions import ConditionEngine
from stream.permits import Limits
from stream.rulebook import Condition, Needs, Rulebook, described
from stream.schedule import Schedule
from stream.types import NANOSECONDS, EndReason, Event, EventKind, Phase, Severity, Space, Tracked
from stream.zones import Zone

VIENNA = ZoneInfo("Europe/Vienna")
BED = Zone("bed", Space.CAMERA3D, ((0.0, 2.0), (2.0, 2.0), (2.0, 4.0), (0.0, 4.0)))
NIGHTS = Schedule("nights", frozenset(range(7)), 22 * 60, 6 * 60, VIENNA)
IN, OUT = 1.0, -1.0
"""Where someone stands, in metres along x: in the bed's area or not."""
LIES = Event(
    "e", Phase.START, EventKind.ACTION, Severity.INFO, "cam", 1, "lies", "lies", 0, 0, None, 0.8, 0.9, 0.3, None
)
NOON = int(datetime(2026, 11, 18, 12, tzinfo=VIENNA).timestamp())


def engine(*conditions: Condition, **changes: object) -> ConditionEngine:
    book = Rulebook(zones=(BED,), schedules=(NIGHTS,), conditions=conditions)
    return ConditionEngine(replace(book, **changes))  # type: ignore[arg-type]


def rule(
    for_s: float = 0.0, hold_s: float = 2.0, name: str = "rule", limits: Limits | None = None, **needs: object
) -> Condition:
    needs = {"limits": limits or Limits(), **needs}
    return Condition(name, name, Severity.ALERT, Needs(**needs), for_s, hold_s)  # type: ignore[arg-type]


def see(one: ConditionEngine, t: float, people: dict[int, float] | None = None, source: str = "cam") -> list[Event]:
    """Show a frame at second `t` with people, by track, and where they stand."""
    people = people or {}
    joints = np.stack([person(x) for x in people.values()]) if people else np.zeros((0, 25, 3), np.float32)
    confidence = np.ones(joints.shape[:2], np.float32)
    ids = np.array(list(people), np.int64)
    return one.see(Tracked(source, round(t * NANOSECONDS), Space.CAMERA3D, ids, joints, confidence))


def watch(one: ConditionEngine, times: Iterable[float], people: dict[int, float] | None = None) -> list[Event]:
    return [event for t in times for event in see(one, t, people)]


def act(one: ConditionEngine, t: float, name: str = "lies", track: int = 1, phase: Phase = Phase.START) -> list[Event]:
    event = replace(LIES, id=name, name=name, track=track, phase=phase, t=round(t * NANOSECONDS))
    return one.take(event)


def hand_over(one: ConditionEngine, t: float, heirs: dict[int, int]) -> list[Event]:
    nobody = np.zeros((0, 25, 3), np.float32)
    frame = Tracked("cam", round(t * NANOSECONDS), Space.CAMERA3D, np.zeros(0, np.int64), nobody, nobody[..., 0])
    return one.hand_over(frame, heirs)


def told(events: list[Event]) -> list[tuple[str, int, float]]:
    return [(event.phase.value, event.track, event.t / NANOSECONDS) for event in events]


def test_lies_on_the_floor_for_ten_seconds() -> None:
    one = engine(rule(10, prompt="lies"))
    see(one, 0, {1: OUT, 2: OUT})
    act(one, 0)
    (start,) = watch(one, range(1, 12), {1: OUT, 2: OUT})
    assert (start.phase, start.track, start.t, start.t_start) == (Phase.START, 1, 11 * NANOSECONDS, NANOSECONDS)
    assert (start.name, start.kind, start.severity) == ("rule", EventKind.ACTION, Severity.ALERT)
    assert (start.score, start.margin) == (0.8, 0.3)
    act(one, 12, phase=Phase.END)
    (end,) = watch(one, range(12, 20), {1: OUT, 2: OUT})
    assert (end.id, end.phase, end.reason) == (start.id, Phase.END, EndReason.BELOW_EXIT)
    assert (end.t, end.t_end) == (13 * NANOSECONDS, 11 * NANOSECONDS)


def test_the_end_says_why_the_prompts_event_ended_unless_that_came_back() -> None:
    one = engine(rule(prompt="lies"))
    see(one, 0, {1: OUT})
    act(one, 0)
    watch(one, [1, 2], {1: OUT})
    lost = replace(LIES, id="lies", phase=Phase.END, t=2 * NANOSECONDS, reason=EndReason.MAX_DURATION)
    one.take(replace(lost, track=2))
    one.take(lost)
    (end,) = watch(one, [3, 4], {1: OUT})
    assert (end.phase, end.reason) == (Phase.END, EndReason.MAX_DURATION)
    act(one, 4)
    watch(one, [5], {1: OUT})
    one.take(lost)
    act(one, 6)
    watch(one, [6], {1: OUT, 2: OUT})
    act(one, 6, phase=Phase.END)
    (end,) = watch(one, [7, 8], {1: OUT})
    assert end.reason is EndReason.BELOW_EXIT


def test_what_is_over_sooner_is_not_told_and_a_short_break_is_none() -> None:
    one = engine(rule(10, prompt="lies"))
    see(one, 0, {1: OUT})
    act(one, 0)
    assert watch(one, range(1, 6), {1: OUT}) == []
    act(one, 5, phase=Phase.END)
    assert watch(one, [6], {1: OUT}) == []
    act(one, 6)  # a break of less than two seconds
    assert told(watch(one, range(7, 13), {1: OUT})) == [("start", 1, 11.0)]


def test_only_in_a_zone_and_only_outside_of_one() -> None:
    for limits, there in ((Limits(zone="bed"), IN), (Limits(outside="bed"), OUT)):
        one = engine(rule(2, prompt="lies", limits=limits))
        see(one, 0, {1: -there, 2: there})
        act(one, 0)
        assert watch(one, range(1, 6), {1: -there, 2: there}) == []
        assert told(watch(one, range(6, 9), {1: there, 2: -there})) == [("start", 1, 8.0)]


def test_more_than_three_people() -> None:
    one = engine(rule(people_at_least=4))
    assert watch(one, range(3), {1: OUT, 2: OUT, 3: OUT}) == []
    assert told(watch(one, [3, 4], {1: OUT, 2: OUT, 3: OUT, 4: OUT})) == [("start", -1, 3.0)]
    assert told(watch(one, range(5, 9), {1: OUT})) == [("end", -1, 6.0)]


def test_people_are_counted_in_the_zone() -> None:
    one = engine(rule(people_at_least=2, limits=Limits(zone="bed")))
    assert see(one, 0, {1: IN, 2: OUT}) == []
    assert told(see(one, 1, {1: IN, 2: IN})) == [("start", -1, 1.0)]


def test_alone() -> None:
    one = engine(rule(3, people_at_least=1, people_at_most=1))
    assert watch(one, range(5)) == []
    assert told(watch(one, range(5, 9), {7: OUT})) == [("start", -1, 8.0)]


def test_nobody_in_the_room_since_the_schedule_began() -> None:
    day = Schedule("day", frozenset(range(7)), 12 * 60 + 1, 18 * 60, VIENNA)
    one = engine(rule(120, people_at_most=0, limits=Limits(schedule="day")), schedules=(day,))
    events = watch(one, range(NOON - 600, NOON + 600))
    assert told(events)[0] == ("start", -1, NOON + 60 + 120)
    assert events[0].t_start == (NOON + 60) * NANOSECONDS
    assert told(watch(one, [NOON + 600, NOON + 601, NOON + 603], {1: OUT})) == [("end", -1, NOON + 601)]


def test_a_source_that_is_silent_is_no_absence() -> None:
    one = engine(rule(60, people_at_most=0))
    assert watch(one, range(50)) == []
    assert watch(one, range(100, 159)) == []  # what was not watched starts anew
    assert told(see(one, 160)) == [("start", -1, 160.0)]
    lost = see(one, 300)
    assert told(lost) == [("end", -1, 300.0)]
    assert (lost[0].reason, lost[0].t_end) == (EndReason.GAP, 160 * NANOSECONDS)


def test_a_source_that_is_lost_is_no_absence() -> None:
    one = engine(rule(60, people_at_most=0))
    assert watch(one, range(59)) == []
    assert one.end_source("cam", EndReason.GAP) == []
    assert watch(one, range(60, 120)) == []
    assert told(see(one, 120)) == [("start", -1, 120.0)]
    (end,) = one.end_source("cam", EndReason.GAP)
    assert (end.phase, end.reason, end.t_end) == (Phase.END, EndReason.GAP, 120 * NANOSECONDS)
    assert one.end_source("cam", EndReason.GAP) == []


def test_sources_do_not_touch_each_other() -> None:
    one = engine(rule(people_at_most=0), rule(name="there", people_at_most=0, sources=frozenset({"b"})))
    assert [event.name for event in see(one, 0, source="a")] == ["rule"]
    assert [event.name for event in see(one, 0, source="b")] == ["rule", "there"]


def test_a_zone_of_another_camera_is_not_an_empty_one() -> None:
    there = replace(BED, sources=frozenset({"b"}))
    one = engine(rule(people_at_most=0, limits=Limits(zone="bed")), zones=(there,))
    assert see(one, 0, source="a") == []
    assert len(see(one, 0, source="b")) == 1


def test_fell_and_nobody_came() -> None:
    one = engine(rule(300, after="lies", people_at_most=1))
    assert watch(one, range(400), {1: OUT}) == []
    act(one, 399)
    act(one, 401, phase=Phase.END)  # it may be over, and the person out of sight
    events = watch(one, range(400, 700)) + watch(one, range(700, 705), {2: OUT})
    assert told(events)[0] == ("start", -1, 699.0)
    assert told(watch(one, range(705, 710), {2: OUT, 3: OUT})) == [("end", -1, 706.0)]
    assert watch(one, range(710, 1200)) == []  # once is enough


def test_fell_and_somebody_came() -> None:
    one = engine(rule(300, after="lies", people_at_most=1))
    see(one, 0, {1: OUT})
    act(one, 0)
    assert watch(one, range(1, 100), {1: OUT}) == []
    assert watch(one, range(100, 105), {1: OUT, 2: OUT}) == []
    assert watch(one, range(105, 600), {1: OUT}) == []


def test_fell_somewhere_else() -> None:
    one = engine(rule(10, after="lies", people_at_most=1, limits=Limits(zone="bed")))
    see(one, 0, {1: OUT, 2: IN})
    act(one, 0, track=1)
    assert watch(one, range(1, 20), {1: OUT, 2: IN}) == []
    act(one, 20, track=2)
    assert told(watch(one, range(20, 30), {1: OUT, 2: IN})) == [("start", -1, 29.0)]


def test_fell_and_did_not_get_up() -> None:
    one = engine(rule(30, after="lies", without="stands-up"))
    see(one, 0, {1: OUT})
    act(one, 0)
    watch(one, range(1, 20), {1: OUT})
    assert act(one, 19.5, "stands-up") == []
    act(one, 19.8, "stands-up", phase=Phase.END)
    assert watch(one, range(20, 60), {1: OUT}) == []
    act(one, 60)
    assert told(watch(one, range(60, 100), {1: OUT})) == [("start", -1, 89.0)]
    assert told(act(one, 99.5, "stands-up")) == [("end", -1, 99.5)]


def test_without_is_of_the_same_person() -> None:
    one = engine(rule(3, prompt="lies", without="waves"))
    see(one, 0, {1: OUT, 2: OUT})
    act(one, 0, track=1)
    act(one, 0, "waves", track=2)
    assert told(watch(one, range(1, 5), {1: OUT, 2: OUT})) == [("start", 1, 4.0)]
    assert told(act(one, 4.5, "waves", track=1)) == [("end", 1, 4.5)]


def test_somebody_stays_in_a_zone() -> None:
    one = engine(rule(5, limits=Limits(zone="bed")))
    events = watch(one, range(7), {1: IN, 2: OUT, 3: IN})
    assert told(events) == [("start", 1, 5.0), ("start", 3, 5.0)]
    assert told(watch(one, range(7, 10), {1: IN, 2: IN, 3: OUT})) == [("end", 3, 8.0)]


def test_who_is_not_seen_is_awaited_and_then_their_stay_is_over() -> None:
    for handover_s, hold_s, over in ((3.0, 2.0, 10.0), (3.0, 60.0, 10.0), (0.0, 2.0, 6.0), (0.0, 60.0, 6.0)):
        one = engine(rule(5, hold_s, limits=Limits(zone="bed")))
        one.handover_s = handover_s
        (start,) = watch(one, range(7), {1: IN, 2: OUT})
        assert one.awaits("cam", 1)
        assert not one.awaits("cam", 2)
        ended = one.end_track("cam", 1) + watch(one, range(7, 14), {2: OUT})
        assert [(end.id, end.t, end.reason) for end in ended] == [(start.id, over * NANOSECONDS, EndReason.TRACK_LOST)]
        assert not one.awaits("cam", 1)


def test_a_stay_goes_on_with_the_track_that_takes_over() -> None:
    one = engine(rule(20, limits=Limits(zone="bed")), rule(8, prompt="lies", limits=Limits(zone="bed"), name="lying"))
    see(one, 0, {1: IN})
    act(one, 0)
    watch(one, range(1, 5), {1: IN})
    watch(one, [5, 6])
    one.end_track("cam", 1)
    assert hand_over(one, 7, {1: 2}) == []
    act(one, 7, track=2, phase=Phase.UPDATE)
    starts = watch(one, range(7, 22), {2: IN})
    assert [(event.name, event.track, event.t_start, event.t) for event in starts] == [
        ("lying", 2, 1 * NANOSECONDS, 9 * NANOSECONDS),
        ("rule", 2, 0, 20 * NANOSECONDS),
    ]
    one.end_track("cam", 2)
    moved = hand_over(one, 24, {2: 5})
    assert {(event.id, event.phase, event.track) for event in moved} == {(old.id, Phase.UPDATE, 5) for old in starts}
    act(one, 24, track=5, phase=Phase.UPDATE)
    assert watch(one, [24], {5: IN}) == []
    left = watch(one, range(25, 30), {5: OUT})
    assert {(event.id, event.reason, event.t) for event in left} == {
        (old.id, EndReason.BELOW_EXIT, 26 * NANOSECONDS) for old in starts
    }


def test_what_a_prompt_holds_up_goes_with_the_person_to_another_track() -> None:
    one = engine(rule(10, prompt="lies"))
    see(one, 0, {1: OUT})
    act(one, 0)
    watch(one, range(1, 6), {1: OUT})
    assert one.end_track("cam", 1) == []
    assert act(one, 6, track=2, phase=Phase.UPDATE) == []
    assert hand_over(one, 6, {1: 2}) == []
    (start,) = watch(one, range(6, 12), {2: OUT})
    assert told([start]) == [("start", 2, 11.0)]
    assert act(one, 12, track=3, phase=Phase.UPDATE) == []
    (moved,) = hand_over(one, 12, {2: 3})
    assert (moved.id, moved.phase, moved.track) == (start.id, Phase.UPDATE, 3)


def test_updates_are_rare() -> None:
    one = engine(rule(people_at_most=0))
    events = watch(one, range(round(3 * UPDATE_S) + 10))
    assert [event.phase for event in events] == [Phase.START, *3 * [Phase.UPDATE]]


def test_a_clock_that_starts_anew_ends_what_was_and_gives_other_ids() -> None:
    one = engine(rule(people_at_most=0))
    (first,) = see(one, 100)
    end, second = see(one, 0), see(one, 1)
    assert told(end) == [("end", -1, 100.0), ("start", -1, 0.0)]
    assert second == []
    again = see(one, 0)
    assert len({first.id, end[0].id}) == 1
    assert len({first.id, end[1].id, again[1].id}) == 3


def test_times_without_a_date_are_in_every_schedule() -> None:
    one = engine(rule(people_at_most=0, limits=Limits(schedule="nights")))
    assert len(see(one, 0)) == 1
    assert one.undated == {"cam"}
    dated = engine(rule(people_at_most=0, limits=Limits(schedule="nights")))
    assert watch(dated, [NOON, NOON + 1]) == []
    assert dated.undated == set()
    assert len(see(dated, NOON + 11 * 3600)) == 1


def test_other_rules_end_what_they_no_longer_ask_and_go_on_with_the_rest() -> None:
    stays, goes = rule(people_at_most=0, name="stays"), rule(people_at_most=0, name="goes")
    zoned = rule(limits=Limits(zone="bed"), name="zoned")
    book = Rulebook(zones=(BED,), conditions=(stays, goes, zoned))
    one = ConditionEngine(book)
    assert {event.name for event in see(one, 0)} == {"stays", "goes"}
    (end,) = one.exchange(replace(book, conditions=(stays, zoned)))
    assert (end.name, end.reason) == ("goes", EndReason.PROMPT_REMOVED)
    assert told(watch(one, [1, 1.5], {1: IN})) == [("start", 1, 1.0)]
    ended = one.exchange(replace(book, zones=(replace(BED, by="any"),)))
    assert [event.name for event in ended] == ["zoned"]  # another zone of the same name
    assert [event.name for event in one.end_all(EndReason.SHUTDOWN)] == ["stays"]


def test_prompts_are_permitted_by_zone_and_schedule() -> None:
    limits = {"in": Limits(zone="bed"), "out": Limits(outside="bed"), "night": Limits(schedule="nights")}
    one = engine(limits=limits)
    see(one, NOON, {1: IN, 2: OUT})

    def said(name: str, t: int = NOON) -> list[str | None]:
        return [one.check(name, "cam", track, t * NANOSECONDS) for track in (1, 2)]

    assert said("free") == [None, None]
    assert said("in") == [None, "outside_zone"]
    assert said("out") == ["inside_zone", None]
    assert said("night") == ["outside_schedule", "outside_schedule"]
    assert said("night", NOON + 12 * 3600) == [None, None]
    assert said("night", 5) == [None, None]
    assert one.undated == {"cam"}


@pytest.mark.parametrize(
    ("needs", "for_s", "text"),
    [
        (Needs(prompt="lies"), 10, "lies for 10 s"),
        (Needs(people_at_most=0, limits=Limits(zone="room", schedule="day")), 7200, "nobody in room for 2 h (day)"),
        (Needs(people_at_least=4), 0, "at least 4 people"),
        (Needs(people_at_least=1, people_at_most=1), 90, "one person for 90 s"),
        (Needs(after="fall", people_at_most=1), 300, "fall, then at most 1 person for 5 min"),
        (Needs(after="fall", without="gets-up"), 30, "fall, then no gets-up for 30 s"),
        (Needs(limits=Limits(outside="bed")), 0, "not in bed"),
        (Needs(people_at_least=2, people_at_most=3), 0, "2 to 3 people"),
    ],
)
def test_a_rule_without_a_text_is_described(needs: Needs, for_s: float, text: str) -> None:
    assert described(needs, for_s) == text


EVERY_KIND = (
    rule(2, 1, "lying", prompt="lies"),
    rule(0, 0, "bedded", prompt="lies", limits=Limits(zone="bed"), people_at_most=2),
    rule(3, 1, "dwells", limits=Limits(zone="bed")),
    rule(0, 0.5, "strays", limits=Limits(outside="bed"), without="waves"),
    rule(2, 2, "empty", people_at_most=0),
    rule(0, 0, "crowd", people_at_least=2),
    rule(2, 1, "helpless", after="lies", people_at_most=1),
    rule(1, 1, "still", after="lies", without="waves"),
)
STEPS = st.one_of(
    st.tuples(
        st.just("see"),
        st.sampled_from([0.1, 0.5, 1.0, 7.0, -5.0]),
        st.dictionaries(st.integers(1, 3), st.sampled_from([IN, OUT]), max_size=3),
    ),
    st.tuples(st.just("act"), st.sampled_from(["lies", "waves"]), st.integers(1, 3)),
    st.tuples(st.just("leave"), st.integers(1, 3), st.none()),
    st.tuples(st.just("lose"), st.none(), st.none()),
    st.tuples(st.just("exchange"), st.integers(0, len(EVERY_KIND)), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_every_start_has_one_end_and_nothing_is_open_twice(steps: list[tuple[str, object, object]]) -> None:
    one = engine(*EVERY_KIND)
    t, events, acting = 100.0, [], set()
    for what, a, b in steps:
        if what == "see":
            t += a
            if a < 0:
                acting.clear()
            events.append(see(one, t, b))
        elif what == "act":
            phase = Phase.END if (a, b) in acting else Phase.START
            acting ^= {(a, b)}
            event = replace(LIES, id=f"{a}{b}", name=a, track=b, phase=phase, t=round(t * NANOSECONDS))
            events.append(one.take(event))
        elif what == "leave":
            events.append(one.end_track("cam", a))
        elif what == "lose":
            acting.clear()
            events.append(one.end_source("cam", EndReason.GAP))
        else:
            events.append(one.exchange(Rulebook(zones=(BED,), schedules=(NIGHTS,), conditions=EVERY_KIND[:a])))
    events.append(one.end_all(EndReason.SHUTDOWN))
    lives: dict[str, list[Event]] = {}
    opened: dict[tuple[str, int], str] = {}
    for event in (event for some in events for event in some):
        life = lives.setdefault(event.id, [])
        assert (event.phase is Phase.START) == (not life)
        assert not life or life[-1].phase is not Phase.END
        assert not life or life[-1].t <= event.t
        assert event.t_start <= event.t
        if event.phase is Phase.START:
            assert (event.name, event.track) not in opened
            opened[event.name, event.track] = event.id
        elif event.phase is Phase.END:
            assert opened.pop((event.name, event.track)) == event.id
            assert event.t_start <= (event.t_end or 0) <= event.t
            assert event.reason is not None
        life.append(event)
    assert not opened
