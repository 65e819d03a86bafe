"""The `[[zones]]`, `[[schedules]]` and `[[rules]]` blocks of the configuration (see docs/rules.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from stream.config_types import Description, Integer, LongSeconds, Name, Number, Seconds, Section
from stream.permits import Limits
from stream.polygon import polygon_fault
from stream.rulebook import Condition, Needs, described
from stream.schedule import DAYS, MINUTES, Day, Schedule
from stream.types import Severity, Space
from stream.zones import By, Zone


def _polygon(corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if wrong := polygon_fault(corners):
        raise ValueError(wrong)
    return corners


def _time(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", text, re.ASCII):
        raise ValueError(f'{text[:40]!r} is no time of day; expected one such as "22:00", from 00:00 to 24:00')
    return text


def _some(days: tuple[Day, ...]) -> tuple[Day, ...]:
    if not days:
        raise ValueError(f"no day; expected at least one of {', '.join(DAYS)}")
    return days


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # not there; no relative path; a folder such as "Europe"
        near = get_close_matches(name, available_timezones(), 1)
        meant = f"did you mean {near[0]}? " if near else ""
        expected = 'expected one such as "Europe/Vienna" or "UTC"'
        raise ValueError(f"{name[:60]!r} is no time zone; {meant}{expected}") from None
    return name


Coordinate = Annotated[Number, Field(ge=-1e6, le=1e6)]
Polygon = Annotated[tuple[tuple[Coordinate, Coordinate], ...], AfterValidator(_polygon)]
TimeOfDay = Annotated[str, AfterValidator(_time)]


class Place(Section):
    """Where and when something counts, by the names of `[[zones]]` and `[[schedules]]`."""

    zone: Name | None = None
    outside: Name | None = None
    schedule: Name | None = None

    @model_validator(mode="after")
    def _can_hold(self) -> Place:
        if self.zone is not None and self.zone == self.outside:
            raise ValueError(f"zone and outside are the same zone ({self.zone!r}): nobody is ever in and out of it")
        return self

    def limits(self) -> Limits:
        """The limits that this names."""
        return Limits(self.zone, self.outside, self.schedule)


class SourcedPlace(Place):
    """Where, when and of which sources something is asked; no sources are all of them."""

    sources: tuple[Name, ...] = ()


class ZoneEntry(Section):
    """One `[[zones]]` block: an area of the floor or of the picture (see `stream.zones.Zone`)."""

    name: Name
    floor: Polygon | None = None
    image: Polygon | None = None
    by: By = By.FEET
    sources: tuple[Name, ...] = ()
    pitch_deg: Annotated[Number, Field(ge=-45, le=90)] = 0.0
    edge: Annotated[Number, Field(ge=0, le=1e6)] | None = None

    @model_validator(mode="after")
    def _one_area(self) -> ZoneEntry:
        if (self.floor is None) == (self.image is None):
            given = "no area" if self.floor is None else "floor and image"
            raise ValueError(f"{given}; expected exactly one of floor (in metres) and image, each a list of corners")
        if self.floor is None and self.pitch_deg:
            raise ValueError("pitch_deg needs a floor: an area of the picture is where it is drawn")
        return self

    @property
    def space(self) -> Space:
        """Coordinates of its corners."""
        return Space.IMAGE2D if self.floor is None else Space.CAMERA3D

    def zone(self) -> Zone:
        """The area that this block describes."""
        corners = self.floor or self.image or ()
        return Zone(self.name, self.space, corners, self.by, frozenset(self.sources), self.pitch_deg, self.edge)


class ScheduleEntry(Section):
    """One `[[schedules]]` block; hours that go past midnight belong to the day on which they begin."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name
    days: Annotated[tuple[Day, ...], AfterValidator(_some)] = DAYS
    from_: TimeOfDay = Field("00:00", alias="from")
    to: TimeOfDay = "24:00"
    time_zone: Annotated[str, AfterValidator(_time_zone)]

    @model_validator(mode="after")
    def _some_time(self) -> ScheduleEntry:
        if self.from_ == self.to or self.from_ == "24:00":
            raise ValueError(
                f'from "{self.from_}" to "{self.to}"; expected two different times, or "00:00" to "24:00" for all day'
            )
        return self

    def schedule(self) -> Schedule:
        """The hours that this block describes."""
        days = frozenset(DAYS.index(day) for day in self.days)
        return Schedule(self.name, days, _minutes(self.from_), _minutes(self.to), ZoneInfo(self.time_zone))


class RuleEntry(SourcedPlace):
    """One `[[rules]]` block: conditions that must hold together (see `stream.rulebook`)."""

    name: Name
    text: Description | None = None
    severity: Severity = Severity.ALERT
    prompt: Name | None = None
    after: Name | None = None
    without: Name | None = None
    people_at_least: Integer | None = Field(None, ge=0, le=1000)
    people_at_most: Integer | None = Field(None, ge=0, le=1000)
    for_s: LongSeconds = 1.0
    hold_s: Seconds = 2.0

    @model_validator(mode="after")
    def _asks_something(self) -> RuleEntry:
        least, most = self.people_at_least, self.people_at_most
        wrong = []
        if all(one is None for one in (self.prompt, self.after, least, most, self.zone, self.outside)):
            conditions = "prompt, after, people_at_least, people_at_most, zone and outside"
            wrong.append(f"no condition; expected at least one of {conditions}")
        if self.prompt is not None and self.after is not None:
            wrong.append("prompt and after; expected one of them: what must go on, or what must have begun")
        if least is not None and most is not None and least > most:
            wrong.append(f"people_at_least ({least}) is above people_at_most ({most})")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def condition(self) -> Condition:
        """The condition that this block describes."""
        needs = Needs(
            prompt=self.prompt,
            after=self.after,
            without=self.without,
            limits=self.limits(),
            sources=frozenset(self.sources),
            people_at_least=self.people_at_least,
            people_at_most=self.people_at_most,
        )
        text = self.text or described(needs, self.for_s)
        return Condition(self.name, text, self.severity, needs, self.for_s, self.hold_s)


def name_faults(
    prompts: Sequence[Place],
    zones: Sequence[ZoneEntry],
    schedules: Sequence[ScheduleEntry],
    rules: Sequence[RuleEntry],
    prompt_names: Sequence[str],
    sources: Mapping[str, Space | None],
    sections: Mapping[str, SourcedPlace],
) -> Iterator[str]:
    """One line for each name in a block that there is not, or not of the right kind, after its key.

    Args:
        prompts, zones, schedules, rules: the blocks.
        prompt_names: what the prompts, and what else there are events of, are called.
        sources: coordinates of the sources' joints, None where they are not known; where there are no sources (they
            come from recordings), any may be named.
        sections: those that raise events of their own, which have the sections' names.
    """
    known = {
        "zone": {zone.name for zone in zones},
        "schedule": {schedule.name for schedule in schedules},
        "prompt": set(prompt_names),
        "source": set(sources),
    }
    places = {"zone": "zone", "outside": "zone", "schedule": "schedule"}
    actions = dict.fromkeys(("prompt", "after", "without"), "prompt")
    asking: list[tuple[str, Place, dict[str, str]]] = [
        *((section, block, places) for section, block in sections.items()),
        *((f"prompts[{index}]", block, places) for index, block in enumerate(prompts)),
        *((f"rules[{index}]", block, places | actions) for index, block in enumerate(rules)),
    ]
    for where, block, kinds in asking:
        for key, kind in kinds.items():
            name = getattr(block, key)
            if name is None or name in known[kind]:
                continue
            if kind == "prompt" and name in sections:
                yield f"{where}.{key}: {name!r} is not watched for; expected {name}.enabled = true"
            else:
                yield f"{where}.{key}: {_unknown(kind, name, known[kind])}"
        if (name := getattr(block, "name", None)) in sections:
            yield f"{where}.name: the events of [{name}] are named {name!r}; expected another name"
    for index, rule in enumerate(rules):
        if rule.name in known["prompt"] - set(sections):
            yield f"rules[{index}].name: a prompt is named {rule.name!r} too; expected another name"
    placed = [(f"zones[{index}].sources", zone.sources) for index, zone in enumerate(zones)]
    placed += [(f"{section}.sources", block.sources) for section, block in sections.items()]
    placed += [(f"rules[{index}].sources", rule.sources) for index, rule in enumerate(rules)]
    for where, names in placed if sources else ():
        for number, name in enumerate(names):
            if name not in sources and not _in_recording(name, sources):
                yield f"{where}[{number}]: {_unknown('source', name, known['source'])}"
    for index, zone in enumerate(zones):
        for name in zone.sources:
            if sources.get(name) not in (None, zone.space):
                area, other = ("floor", "image") if zone.space is Space.CAMERA3D else ("image", "floor")
                what = "image coordinates" if area == "floor" else "metres"
                yield f"zones[{index}].{area}: source {name!r} gives joints in {what}; expected {other}"


def lasting_faults(rules: Sequence[RuleEntry], longest: Mapping[str, float]) -> Iterator[str]:
    """One line for each rule that asks for an event to go on for longer than any does, after its key.

    Args:
        rules: the blocks.
        longest: seconds after which an event of a prompt ends by itself, by the prompt's name; 0: never.
    """
    for index, rule in enumerate(rules):
        most = longest.get(rule.prompt or "", 0.0)
        if 0 < most <= rule.for_s:
            yield (
                f"rules[{index}].for_s: never holds for {rule.for_s:g} s, since an event of {rule.prompt!r} ends after "
                f"{most:g} s (max_s); expected a larger max_s of that prompt, or 0 for no limit"
            )


def _in_recording(name: str, sources: Iterable[str]) -> bool:
    """Whether it may be one of several sources that a recording holds: they are named behind that of its block."""
    return any(name.startswith(f"{source}.") for source in sources)


def _unknown(kind: str, name: str, names: Iterable[str]) -> str:
    there = sorted(names)
    expected = f"expected {'one of ' if len(there) > 1 else ''}{', '.join(there)}"
    return f"no {kind} is named {name!r}; {expected if there else f'there is no [[{kind}s]] block'}"


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return min(60 * int(hours) + int(minutes), MINUTES)
