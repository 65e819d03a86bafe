"""Where and when the prompts' events may start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream.events import Withheld
from stream.schedule import Timetable
from stream.zones import ZoneMap


@dataclass(frozen=True, slots=True)
class Limits:
    """Where and when something counts, by the names of zones and of a schedule; None is no limit.

    Attributes:
        zone: only for people in this zone.
        outside: only for people who are not in this one.
        schedule: only while this schedule is on.
    """

    zone: str | None = None
    outside: str | None = None
    schedule: str | None = None


class Permits:
    """Says which events of prompts may start (the hook of `stream.events`).

    Args:
        limits: of prompts, by their names; one that is not there has none.
        zones: who is where; its owner keeps it up to date.
        timetable: the schedules that the limits name.
    """

    def __init__(self, limits: Mapping[str, Limits], zones: ZoneMap, timetable: Timetable) -> None:
        self._limits = dict(limits)
        self._zones = zones
        self._timetable = timetable

    def check(self, name: str, source: str, track: int, t: int) -> str | None:
        """Why an event of a prompt may not start now, or None if it may."""
        limits = self._limits.get(name)
        if limits is None:
            return None
        if limits.zone is not None and track not in self._zones.people(source, limits.zone):
            return Withheld.OUTSIDE_ZONE
        if limits.outside is not None and track in self._zones.people(source, limits.outside):
            return Withheld.INSIDE_ZONE
        if limits.schedule is not None and not self._timetable.on(limits.schedule, source, t):
            return Withheld.OUTSIDE_SCHEDULE
        return None
