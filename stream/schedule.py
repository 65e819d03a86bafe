"""Hours of the week by the clock on the wall of some place.

A schedule is asked of capture times alone. Summer time needs no care of its own: an instant is turned into what the
clock at the place shows (IANA time zone database, by `zoneinfo`), and that is looked up. So an hour that is left out in
spring is in no schedule, and one that comes twice in autumn is in a schedule both times or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from stream.types import NANOSECONDS, UNIX_TIME

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60
"""Minutes of a day."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Some hours of some days of the week; several of one name are one schedule, on while any of them is.

    Attributes:
        name: what prompts and rules call it.
        days: numbers of the days on which it begins, 0 for Monday.
        begin, end: minutes since midnight, `end` not included; an `end` at or before `begin` is on the next day.
        zone: whose clocks these are.
    """

    name: str
    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo

    def on(self, t: int) -> bool:
        """Whether it is on at capture time `t`, ns since 1970."""
        wall = (_EPOCH + timedelta(microseconds=t // 1000)).astimezone(self.zone)
        day, minute = wall.weekday(), 60 * wall.hour + wall.minute
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


class Timetable:
    """Schedules by their names.

    Args:
        schedules: any number; those of one name are one schedule.

    Attributes:
        undated: sources of which nothing could be said, since their times have no date.
    """

    def __init__(self, schedules: Sequence[Schedule] = ()) -> None:
        self._by_name: Mapping[str, tuple[Schedule, ...]] = {
            name: tuple(one for one in schedules if one.name == name) for name in {one.name for one in schedules}
        }
        self.undated: set[str] = set()

    def on(self, name: str, source: str, t: int) -> bool:
        """Whether a schedule is on at a source's capture time `t`, ns.

        Times that do not count from 1970, of a recording whose clock began anywhere, have no time of day: it is on.
        """
        if t <= UNIX_TIME * NANOSECONDS:
            self.undated.add(source)
            return True
        return any(schedule.on(t) for schedule in self._by_name[name])
