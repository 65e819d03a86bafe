"""Zones, schedules and rules at work in the pipeline, with a stand-in encoder."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from poses import frame, person
from test_pipeline import FPS30, RaisedHand, events_of, make, raised

from stream.commands import check
from stream.commands.replay import replay_files
from stream.config_file import load_config
from stream.permits import Limits
from stream.pipeline import Pipeline, PipelineSettings
from stream.rulebook import Condition, Needs, Rulebook
from stream.schedule import Schedule
from stream.types import NANOSECONDS, EndReason, Event, Phase, Severity, SkeletonFrame, Space
from stream.zones import Zone

DEMO = Path(__file__).parents[2] / "stream/demo/Seq1_10.csv"
LEFT = Zone("left", Space.CAMERA3D, ((0.5, 2.0), (2.0, 2.0), (2.0, 4.0), (0.5, 4.0)))
NIGHTS = Schedule("nights", frozenset(range(7)), 22 * 60, 6 * 60, ZoneInfo("Europe/Vienna"))
LONG = Condition("long-raise", "raises for two seconds", Severity.CRITICAL, Needs(prompt="raise"), for_s=2.0)
PAIR = Condition("pair", "two people", Severity.ALERT, Needs(people_at_least=2), for_s=1.0)
EMPTY = Condition("empty", "nobody", Severity.ALERT, Needs(people_at_most=0), for_s=1.0)


def pipeline(**rules: object) -> Pipeline:
    book = Rulebook(zones=(LEFT,), schedules=(NIGHTS,), **rules)  # type: ignore[arg-type]
    return Pipeline(RaisedHand(), make().prompts, PipelineSettings(rulebook=book))


def frames(*places: float, start: int = 0, source: str = "cam") -> list[SkeletonFrame]:
    """Ten seconds of people at these places, who raise a hand from second 4 to second 7."""
    pose = [[raised(x) if 120 <= i < 210 else person(x) for x in places] for i in range(300)]
    return [frame(start + i * FPS30, *pose[i], seq=i, source=source) for i in range(300)]


def whole(events: list[Event]) -> Counter[str]:
    """Number of events by name; each has one start and one end."""
    starts = Counter(event.name for event in events if event.phase is Phase.START)
    ends = Counter(event.name for event in events if event.phase is Phase.END)
    assert starts == ends
    return starts


def test_rules_are_told_beside_prompts_and_batches_do_not_change_it() -> None:
    at_once = pipeline(conditions=(LONG, PAIR))
    events = events_of(at_once.push(frames(0.0, 1.0))) + events_of(at_once.finish())
    assert whole(events) == {"raise": 2, "long-raise": 2, "pair": 1}
    raise_, long = (next(event for event in events if event.name == name) for name in ("raise", "long-raise"))
    assert long.track in (1, 2)
    assert long.t - raise_.t >= 2 * NANOSECONDS
    assert {event.track for event in events if event.name == "pair"} == {-1}
    one_by_one = pipeline(conditions=(LONG, PAIR))
    again = [event for one in frames(0.0, 1.0) for event in events_of(one_by_one.push([one]))]
    assert again + events_of(one_by_one.finish()) == events
    assert len({event.id for event in events}) == 5


def test_a_prompt_counts_in_its_zone_alone() -> None:
    for limits, there in ((Limits(zone="left"), 1.0), (Limits(outside="left"), 0.0)):
        one = pipeline(limits={"raise": limits})
        events = events_of(one.push(frames(0.0, 1.0)))
        (track,) = {event.track for event in events}
        assert there == float(track - 1)
        assert one.counts[f"suppressed_{'outside' if limits.zone else 'inside'}_zone"] == 1


def test_a_prompt_counts_in_its_schedule_alone() -> None:
    day, night = (int(datetime(2026, 11, 18, hour, tzinfo=NIGHTS.zone).timestamp()) * NANOSECONDS for hour in (12, 23))
    one = pipeline(limits={"raise": Limits(schedule="nights")})
    assert events_of(one.push(frames(0.0, start=day))) == []
    assert one.counts["suppressed_outside_schedule"] == 1
    assert whole(events_of(one.push(frames(0.0, start=night)))) == {"raise": 1}
    assert one.undated == set()
    assert whole(events_of(one.push(frames(0.0, source="film")))) == {"raise": 1}
    assert one.undated == {"film"}


def test_a_stay_goes_on_where_a_camera_loses_people() -> None:
    stay = Condition("stays", "in there for twenty seconds", Severity.ALERT, Needs(limits=Limits(zone="left")), 20.0)
    one = pipeline(conditions=(stay,))
    events: list[Event] = []
    for i in range(30 * 30):  # out of sight for two seconds of every five
        events += events_of(one.push([frame(i * FPS30, *([] if i % 150 >= 90 else [person(1.0)]), seq=i)]))
    start, *moved = events
    assert (start.phase, start.name, start.t_start) == (Phase.START, "stays", 0)
    assert [(event.id, event.phase, event.track) for event in moved] == [(start.id, Phase.UPDATE, 6)]
    events = [event for i in range(900, 1200) for event in events_of(one.push([frame(i * FPS30, seq=i)]))]
    (end,) = events
    assert (end.id, end.phase, end.reason) == (start.id, Phase.END, EndReason.TRACK_LOST)
    # Who comes in later is somebody else.
    events = [event for i in range(1200, 1600) for event in events_of(one.push([frame(i * FPS30, person(1.0), seq=i)]))]
    assert events == []


def test_a_source_that_ends_ends_its_rules_too() -> None:
    one = pipeline(conditions=(EMPTY, PAIR))
    events = events_of(one.push(frames(0.0, 1.0)[:60]))
    events += events_of(one.push([frame(60 * FPS30 + i * FPS30) for i in range(100)]))
    events += events_of(one.end_source("cam", EndReason.GAP))
    assert whole(events) == {"pair": 1, "empty": 1}
    assert events[-1].reason is EndReason.GAP
    assert one.finish() == []


def test_a_clock_that_starts_anew_ends_the_rules_of_the_scene() -> None:
    one = pipeline(conditions=(PAIR,))
    hour = 3600 * NANOSECONDS
    events = events_of(one.push(frames(0.0, 1.0, start=hour)[:100])) + events_of(one.push(frames(0.0, 1.0)[:100]))
    pairs = [event for event in events if event.name == "pair"]
    assert [event.phase for event in pairs] == [Phase.START, Phase.END, Phase.START]
    assert pairs[1].reason is EndReason.GAP
    assert pairs[2].id != pairs[0].id


def test_rules_are_exchanged_while_it_runs() -> None:
    one = pipeline(conditions=(PAIR,))
    one.push(frames(0.0, 1.0)[:60])
    book = Rulebook(zones=(LEFT,), limits={"raise": Limits(zone="left")})
    (end,) = one.exchange(one.prompts, rulebook=book)
    assert isinstance(end, Event)
    assert (end.name, end.reason) == ("pair", EndReason.PROMPT_REMOVED)
    assert {event.track for event in events_of(one.push(frames(0.0, 1.0)[60:]))} == {2}


CONFIG = """
[[schedules]]
name = "nights"
from = "22:00"
to = "06:00"
time_zone = "Europe/Vienna"
[[rules]]
name = "seen"
people_at_least = 1
schedule = "nights"
[[sources]]
kind = "file"
name = "demo"
"""


def test_a_replay_says_once_that_times_have_no_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "posewire.toml"
    path.write_text(f'{CONFIG}path = "{DEMO}"')
    assert replay_files([str(DEMO)], speed="max", texts=[], out=None, report=None, publish=False, config=path) == 0
    told = capsys.readouterr().out
    assert told.count("its times have no date; every schedule counts as on") == 1
    assert "start   seen" in told


def test_check_says_what_the_rules_are_and_which_times_have_no_date(tmp_path: Path) -> None:
    path = tmp_path / "posewire.toml"
    path.write_text(f'{CONFIG}path = "{DEMO}"')
    config = load_config(path)
    assert check._rules(config) == "0 zones, 1 schedule, 1 rule (seen: at least 1 person for 1 s (nights))"
    (found,) = check._try_sources(config, path)
    told = check._told(config.sources[0], found, scheduled=True)
    assert told.endswith("people in the first frame: 1; its times have no date, every schedule counts as on")


def test_a_rule_that_changes_ends_what_it_told_of_for_that_reason() -> None:
    one = pipeline(conditions=(PAIR, EMPTY))
    events_of(one.push(frames(0.0, 1.0)[:100]))
    other = replace(PAIR, for_s=PAIR.for_s + 1.0)
    (end,) = events_of(one.exchange(one.prompts, rulebook=replace(one.settings.rulebook, conditions=(other,))))
    assert (end.name, end.phase, end.reason) == ("pair", Phase.END, EndReason.RULE_CHANGED)
