"""Days without runs, and runs that move to the next working day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.scheduling import (
    ScheduleError,
    count_slots_between,
    get_next_run_time,
    iter_slots,
    latest_slot_at_or_before,
    never_fires,
    parse_schedule,
    plan,
)
from common.scheduling.timetable import Timetable

CHRISTMAS = datetime(2026, 12, 22, tzinfo=UTC)  # a Tuesday; the 25th and 26th are Friday and Saturday
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def planned(
    raw: dict[str, Any], after: datetime, until: datetime
) -> list[tuple[int, str | None, int | None]]:
    return [
        (slot.nominal.day, slot.excluded, slot.moved_to.day if slot.moved_to else None)
        for slot in plan(parse_schedule(raw), after, until)
    ]


def test_holidays_are_left_out_by_name() -> None:
    raw = {"type": "daily", "hour": 9, "timezone": "Europe/Berlin", "exclude": {"calendar": "DE"}}
    assert planned(raw, CHRISTMAS, CHRISTMAS + timedelta(days=6)) == [
        (22, None, None),
        (23, None, None),
        (24, None, None),
        (25, "holiday Christmas Day (DE)", None),
        (26, "holiday Second Day of Christmas (DE)", None),
        (27, None, None),
    ]


def test_a_subdivision_has_holidays_of_its_own() -> None:
    epiphany = datetime(2026, 1, 6, tzinfo=UTC)
    for calendar, excluded in (("DE-BY", True), ("DE-BE", False)):
        raw = {"type": "daily", "hour": 9, "exclude": {"calendar": calendar}}
        ((_, reason, _),) = planned(raw, epiphany, epiphany + timedelta(hours=12))
        assert (reason is not None) is excluded


def test_the_day_is_that_of_the_local_calendar() -> None:
    raw = {"type": "daily", "hour": 22, "timezone": "America/New_York", "exclude": {"dates": ["2026-12-24"]}}
    (slot,) = plan(
        parse_schedule(raw), datetime(2026, 12, 24, 12, tzinfo=UTC), datetime(2026, 12, 25, 12, tzinfo=UTC)
    )
    assert slot.nominal == datetime(2026, 12, 25, 3, tzinfo=UTC)
    assert slot.excluded == "excluded date 2026-12-24"


def test_a_monthly_run_moves_to_the_next_working_day() -> None:
    raw = {
        "type": "cron",
        "expression": "0 9 1 * *",
        "exclude": {"calendar": "DE", "weekdays": [5, 6], "policy": "next_working_day"},
    }
    # 1 January 2027 is a holiday and a Friday: the 4th is the next working day.
    assert planned(raw, datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 2, 2, tzinfo=UTC)) == [
        (1, "holiday New Year's Day (DE)", 4),
        (4, None, None),
        (1, None, None),
    ]


def test_a_moved_run_that_meets_another_is_the_same_run() -> None:
    raw = {
        "type": "daily",
        "hour": 9,
        "exclude": {"calendar": "DE", "weekdays": [5, 6], "policy": "next_working_day"},
    }
    assert planned(raw, CHRISTMAS + timedelta(days=2), CHRISTMAS + timedelta(days=7)) == [
        (24, None, None),
        (25, "holiday Christmas Day (DE)", 28),
        (26, "excluded weekday Saturday", 28),
        (27, "excluded weekday Sunday", 28),
        (28, None, None),
    ]


def test_the_weekend_is_that_of_the_calendar() -> None:
    # In Israel Friday and Saturday are the weekend: a Thursday's run moves to Sunday.
    raw = {
        "type": "once",
        "at": "2026-06-04T09:00:00",
        "timezone": "Asia/Jerusalem",
        "exclude": {"dates": ["2026-06-04"], "calendar": "IL", "policy": "next_working_day"},
    }
    assert [slot.nominal.day for slot in plan(parse_schedule(raw), CHRISTMAS - timedelta(days=365))] == [4, 7]


def test_somewhere_to_move_is_required() -> None:
    everyday = {"weekdays": [0, 1, 2, 3, 4], "policy": "next_working_day"}
    with pytest.raises(ScheduleError, match="no working day is left"):
        parse_schedule({"type": "daily", "hour": 9, "exclude": everyday})


def test_nothing_moves_past_the_end() -> None:
    raw = {
        "type": "weekly",
        "weekday": 4,
        "hour": 9,
        "end_at": "2027-01-02T00:00:00Z",
        "exclude": {"calendar": "DE", "policy": "next_working_day"},
    }
    assert planned(raw, NEW_YEAR, NEW_YEAR + timedelta(days=9)) == [(1, "holiday New Year's Day (DE)", None)]


def test_a_monthly_run_moves_to_the_previous_working_day() -> None:
    raw = {
        "type": "cron",
        "expression": "0 9 1 * *",
        "exclude": {"calendar": "DE", "weekdays": [5, 6], "policy": "previous_working_day"},
    }
    # 1 January 2027 is a holiday and a Friday; 1 May 2027 is one and a Saturday.
    assert planned(raw, datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 2, 2, tzinfo=UTC)) == [
        (31, None, None),
        (1, "holiday New Year's Day (DE)", 31),
        (1, None, None),
    ]


def test_nothing_moves_before_the_start() -> None:
    raw = {
        "type": "weekly",
        "weekday": 4,
        "hour": 9,
        "start_at": "2027-01-01T00:00:00Z",
        "exclude": {"calendar": "DE", "policy": "previous_working_day"},
    }
    assert planned(raw, CHRISTMAS, NEW_YEAR + timedelta(days=6)) == [(1, "holiday New Year's Day (DE)", None)]


def test_a_range_comes_again_every_year() -> None:
    raw = {"type": "daily", "hour": 9, "exclude": {"ranges": [{"from": "12-24", "to": "01-02"}]}}
    for year in (2026, 2031):
        slots = planned(raw, datetime(year, 12, 23, tzinfo=UTC), datetime(year + 1, 1, 4, tzinfo=UTC))
        excluded = [day for day, reason, _ in slots if reason == "excluded range 24 December to 2 January"]
        assert excluded == [*range(24, 32), 1, 2]
        assert len(slots) == 12
    dated = {"ranges": [{"from": "2026-12-24", "to": "2027-01-02"}]}
    assert get_next_run_time(
        parse_schedule({"type": "daily", "hour": 9, "exclude": dated}), datetime(2026, 12, 24, tzinfo=UTC)
    ) == datetime(2027, 1, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("exclude", "said"),
    [
        ({"ranges": [{"from": "12-24", "to": "2027-01-02"}]}, "both days with a year, or neither"),
        ({"ranges": [{"from": "2027-01-02", "to": "2026-12-24"}]}, "ends before it begins"),
        ({"ranges": [{"from": "02-30", "to": "03-01"}]}, "no such day"),
        ({"ranges": [{"from": "May", "to": "03-01"}]}, "write a day of every year"),
        ({"hours": [{"from": "00:00", "to": "12:00"}, {"from": "12:00", "to": "00:00"}]}, "the whole day"),
        ({"hours": [{"from": "09:00", "to": "09:00"}]}, "other than `from`"),
        ({"slots": ["2026-12-24T09:00:00Z"]}, "as the zone's clock shows it"),
    ],
)
def test_an_exclusion_that_means_nothing_is_refused(exclude: dict[str, Any], said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        parse_schedule({"type": "daily", "hour": 9, "exclude": exclude})


def test_an_excluded_hour_is_skipped_with_its_reason() -> None:
    exclude = {"hours": [{"from": "12:00", "to": "13:00"}, {"from": "22:00", "to": "06:00"}]}
    raw = {"type": "cron", "expression": "30 5,6,12,13,21,22 * * *", "timezone": "Europe/Berlin"}
    slots = plan(parse_schedule(raw | {"exclude": exclude}), CHRISTMAS, CHRISTMAS + timedelta(hours=23))
    assert [slot.excluded for slot in slots] == [
        "excluded hours 22:00 to 06:00",
        None,
        "excluded hours 12:00 to 13:00",
        None,
        None,
        "excluded hours 22:00 to 06:00",
    ]


def test_a_single_slot_is_left_out() -> None:
    exclude = {"slots": ["2026-12-24T09:00"]}
    raw = {"type": "cron", "expression": "0 9,17 * * *", "timezone": "Europe/Berlin", "exclude": exclude}
    slots = plan(parse_schedule(raw), datetime(2026, 12, 24, tzinfo=UTC), datetime(2026, 12, 25, tzinfo=UTC))
    assert [slot.excluded for slot in slots] == ["excluded slot 2026-12-24 09:00", None]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"])
@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 4, 4), date(2026, 10, 24), date(2026, 10, 31)])
def test_hours_are_those_of_the_clock_also_where_it_changes(zone: str, day: date) -> None:
    exclude = {
        "hours": [{"from": "01:20", "to": "02:10"}, {"from": "23:50", "to": "00:20"}],
        "slots": [f"{day + timedelta(days=1)}T02:30"],
    }
    raw = {"type": "interval", "interval_minutes": 1, "anchor": "2026-01-01T00:00:00Z", "timezone": zone}
    schedule = parse_schedule(raw | {"exclude": exclude})
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=14)
    slots = [first + timedelta(minutes=minute) for minute in range(72 * 60)]

    def excluded(slot: datetime) -> bool:
        shown = slot.astimezone(ZoneInfo(zone))
        time = f"{shown:%H:%M}"
        single = shown.date() == day + timedelta(days=1) and time == "02:30"
        return single or "01:20" <= time < "02:10" or time >= "23:50" or time < "00:20"

    timetable = Timetable(schedule)
    run = [slot for slot in slots if not excluded(slot)]
    ranges = list(timetable.ranges(slots[0], slots[-1]))
    assert sum(one.count for one in ranges) == len(slots)
    assert sum(one.count for one in ranges if one.excluded is None) == len(run)
    assert all(before.excluded != after.excluded for before, after in pairwise(ranges))
    assert [slot for slot in slots if timetable.excluded(slot) is None] == run
    for asked in slots[:-600:7]:
        assert timetable.next_run_after(asked) == run[bisect_right(run, asked)]


def test_a_schedule_that_is_always_excluded_never_fires() -> None:
    yearly = {"type": "cron", "expression": "0 9 25 12 *", "exclude": {"calendar": "DE"}}
    assert never_fires(parse_schedule(yearly), NEW_YEAR)
    mondays = {"type": "weekly", "weekday": 0, "hour": 9, "exclude": {"weekdays": [0]}}
    assert never_fires(parse_schedule(mondays), NEW_YEAR)
    minutes = {"type": "cron", "expression": "* * * * 0", "exclude": {"weekdays": [6]}}
    assert never_fires(parse_schedule(minutes), NEW_YEAR)


def test_an_excluded_day_of_minutes_is_passed_over() -> None:
    minutes = parse_schedule({"type": "interval", "interval_minutes": 1, "exclude": {"weekdays": [5, 6]}})
    saturday = datetime(2026, 12, 26, 0, 0, 30, tzinfo=UTC)
    assert get_next_run_time(minutes, saturday) == datetime(2026, 12, 28, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Auckland"])
@given(
    weekdays=st.sets(st.integers(0, 5), max_size=4),
    dates=st.sets(st.dates(date(2026, 3, 1), date(2026, 5, 20)), max_size=20),
    expression=st.sampled_from(["0 9 * * *", "30 2 * * 0,3", "0 0,12 1-9 * *", "45 23 * * 5"]),
    hours=st.lists(st.integers(0, 80 * 24), min_size=1, max_size=5),
    step=st.sampled_from([1, -1]),
)
def test_moved_runs_are_found_from_everywhere(
    zone: str, weekdays: set[int], dates: set[date], expression: str, hours: list[int], step: int
) -> None:
    first, last = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    plain = {"type": "cron", "expression": expression, "timezone": zone}
    exclude: dict[str, Any] = {"weekdays": [*weekdays], "dates": [*dates]}
    exclude["policy"] = "next_working_day" if step > 0 else "previous_working_day"
    schedule = parse_schedule(plain | {"exclude": exclude})

    def is_excluded(day: date) -> bool:
        return day in dates or day.weekday() in weekdays

    def slots_of_a_plain_reading() -> Iterator[datetime]:
        for slot in iter_slots(parse_schedule(plain), first - timedelta(days=80), last + timedelta(days=80)):
            yield slot
            local = slot.astimezone(ZoneInfo(zone))
            day = local.date()
            if is_excluded(day):
                while is_excluded(day) or day.weekday() > 4:
                    day += timedelta(days=step)
                yield datetime.combine(day, local.time(), ZoneInfo(zone)).astimezone(UTC)

    expected = sorted(slot for slot in set(slots_of_a_plain_reading()) if first < slot <= last)
    assert list(iter_slots(schedule, first, last)) == expected
    for instant in (first + timedelta(hours=hour) for hour in hours):
        until = bisect_right(expected, instant)
        assert next(iter_slots(schedule, instant)) == expected[until]
        assert count_slots_between(schedule, first + timedelta(seconds=1), instant) == until
        if until:
            assert latest_slot_at_or_before(schedule, instant) == expected[until - 1]
