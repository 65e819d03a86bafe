"""Schedules by the clock on the wall, on ordinary days and on the two odd nights of a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from stream.schedule import DAYS, Schedule, Timetable
from stream.types import NANOSECONDS

VIENNA = ZoneInfo("Europe/Vienna")
EVERY_DAY = frozenset(range(7))


def schedule(begin: str, end: str, days: frozenset[int] = EVERY_DAY, zone: ZoneInfo = VIENNA) -> Schedule:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Schedule("nights", days, minutes(begin), minutes(end), zone)


def at(text: str, zone: ZoneInfo = VIENNA, fold: int = 0) -> int:
    """Nanoseconds since 1970 of a reading of the clock on the wall."""
    moment = datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)
    return int(moment.timestamp()) * NANOSECONDS


def minutes_on(one: Schedule, begin: str, end: str) -> int:
    first, last = at(begin), at(end)
    return sum(one.on(t) for t in range(first, last, 60 * NANOSECONDS))


def test_hours_of_a_day_include_their_first_minute_and_not_their_last() -> None:
    day = schedule("09:00", "17:00")
    assert [day.on(at(f"2026-11-18T{time}")) for time in ("08:59:59", "09:00", "16:59:59", "17:00")] == [
        False,
        True,
        True,
        False,
    ]
    assert day.on(at("2026-11-18T17:00") - 1)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    fridays = schedule("22:00", "06:00", frozenset({4}))
    # 2026-11-20 is a Friday.
    on = ["2026-11-20T22:00", "2026-11-20T23:59", "2026-11-21T00:00", "2026-11-21T05:59"]
    off = ["2026-11-20T00:00", "2026-11-20T05:00", "2026-11-20T21:59", "2026-11-21T06:00", "2026-11-21T22:30"]
    assert all(fridays.on(at(text)) for text in on)
    assert not any(fridays.on(at(text)) for text in off)
    sundays = schedule("22:00", "06:00", frozenset({6}))
    assert sundays.on(at("2026-11-23T01:00"))  # Monday
    assert not sundays.on(at("2026-11-22T01:00"))


def test_whole_days() -> None:
    weekend = schedule("00:00", "24:00", frozenset({5, 6}))
    assert [
        weekend.on(at(f"2026-11-{day}T{time}"))
        for day, time in ((20, "23:59"), (21, "00:00"), (22, "23:59"), (23, "00:00"))
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_the_night_on_which_clocks_go_forward() -> None:
    # On 2026-03-29 the clock in Vienna goes from 02:00 to 03:00.
    assert minutes_on(schedule("22:00", "06:00"), "2026-03-28T12:00", "2026-03-29T12:00") == 7 * 60
    assert minutes_on(schedule("02:00", "03:00"), "2026-03-28T12:00", "2026-03-29T12:00") == 0
    assert minutes_on(schedule("02:30", "03:30"), "2026-03-28T12:00", "2026-03-29T12:00") == 30


def test_the_night_on_which_clocks_go_back() -> None:
    # On 2026-10-25 the clock in Vienna goes from 03:00 back to 02:00.
    assert minutes_on(schedule("22:00", "06:00"), "2026-10-24T12:00", "2026-10-25T12:00") == 9 * 60
    assert minutes_on(schedule("02:00", "03:00"), "2026-10-24T12:00", "2026-10-25T12:00") == 2 * 60
    half_past = schedule("02:30", "02:31")
    assert half_past.on(at("2026-10-25T02:30"))
    assert half_past.on(at("2026-10-25T02:30", fold=1))
    assert at("2026-10-25T02:30", fold=1) - at("2026-10-25T02:30") == 3600 * NANOSECONDS


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)),
    st.sampled_from(["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60),
    st.frozensets(st.integers(0, 6), min_size=1),
)
def test_a_schedule_is_what_the_clock_on_the_wall_shows(
    moment: datetime, name: str, begin: int, end: int, days: frozenset[int]
) -> None:
    zone = ZoneInfo(name)
    wall = moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    expected = False
    for back in (0, 1):  # one that began today or yesterday, spelled out as two readings of the clock
        midnight = datetime(wall.year, wall.month, wall.day) - timedelta(days=back)
        first = midnight + timedelta(minutes=begin)
        last = midnight + timedelta(minutes=end, days=int(end <= begin))
        expected |= midnight.weekday() in days and first <= wall < last
    t = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert Schedule("s", days, begin, end, zone).on(t) == expected


def test_several_of_one_name_are_one_schedule() -> None:
    table = Timetable([schedule("08:00", "12:00"), schedule("13:00", "17:00")])
    assert [table.on("nights", "cam", at(f"2026-11-18T{time}")) for time in ("11:00", "12:30", "13:30")] == [
        True,
        False,
        True,
    ]
    assert table.undated == set()


def test_times_without_a_date_are_in_every_schedule_and_told_of() -> None:
    table = Timetable([schedule("08:00", "08:01")])
    assert table.on("nights", "film", 5 * NANOSECONDS)
    assert table.undated == {"film"}


def test_days_are_in_the_order_of_python() -> None:
    assert DAYS[datetime(2026, 11, 23).weekday()] == "mon"
