"""Slots forwards, backwards and counted, within bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.scheduling import (
    count_slots_between,
    get_next_run_time,
    iter_slots,
    latest_slot_at_or_before,
    never_fires,
    parse_schedule,
    plan,
    slots_between,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = {"type": "daily", "hour": 9, "timezone": "Europe/Berlin"}

SCHEDULES: list[dict[str, Any]] = [
    DAILY,
    {"type": "cron", "expression": "*/7 * * * *", "timezone": "America/New_York"},
    {"type": "cron", "expression": "0 0 29 2 *"},
    {"type": "cron", "expression": "30 1,2 * * 0", "timezone": "Europe/London", "dst_overlap": "both"},
    {"type": "cron", "expression": "0 18 LW * *", "timezone": "Australia/Lord_Howe"},
    {"type": "interval", "interval_minutes": 13, "anchor": "2026-01-05T00:00:07Z"},
    {"type": "once", "at": "2026-06-01T00:00:00Z"},
    DAILY | {"start_at": "2026-02-01T00:00:00Z", "end_at": "2026-08-01T08:00:00Z"},
    DAILY | {"exclude": {"weekdays": [5, 6], "calendar": "DE"}},
    {"type": "weekly", "weekday": 4, "hour": 9, "exclude": {"calendar": "DE", "policy": "next_working_day"}},
]


@given(
    raw=st.sampled_from(SCHEDULES),
    seconds=st.integers(0, 365 * 86400),
    length=st.integers(0, 20 * 86400),
)
def test_the_directions_and_the_count_agree(raw: dict[str, Any], seconds: int, length: int) -> None:
    schedule = parse_schedule(raw)
    first = START + timedelta(seconds=seconds)
    last = first + timedelta(seconds=length)
    slots = list(iter_slots(schedule, first - timedelta(microseconds=1), last))
    assert slots == sorted(set(slots))
    assert count_slots_between(schedule, first, last) == len(slots)
    latest = latest_slot_at_or_before(schedule, last)
    if slots:
        assert latest == slots[-1]
    else:
        assert latest is None or latest < first
    for slot in slots[:3]:
        assert latest_slot_at_or_before(schedule, slot + timedelta(microseconds=1)) == slot
    assert slots_between(schedule, first, last, limit=5) == slots[:5]


@pytest.mark.parametrize("raw", SCHEDULES, ids=str)
def test_the_next_run_is_strictly_later_and_in_utc(raw: dict[str, Any]) -> None:
    schedule = parse_schedule(raw)
    for slot in islice(iter_slots(schedule, START), 5):
        assert slot.tzinfo is UTC
        assert latest_slot_at_or_before(schedule, slot - timedelta(microseconds=1)) != slot
        following = get_next_run_time(schedule, slot)
        assert following is None or following > slot


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    schedule = parse_schedule(DAILY)
    for zone in (ZoneInfo("Asia/Tokyo"), timezone(timedelta(hours=-5))):
        assert get_next_run_time(schedule, START.astimezone(zone)) == get_next_run_time(schedule, START)


@pytest.mark.parametrize("raw", SCHEDULES[:6], ids=str)
def test_a_naive_datetime_names_no_instant(raw: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        get_next_run_time(parse_schedule(raw), datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


def test_bounds_include_their_instants() -> None:
    bounded = parse_schedule(DAILY | {"start_at": "2026-01-02T08:00:00Z", "end_at": "2026-01-04T08:00:00Z"})
    days = [slot.day for slot in iter_slots(bounded, START)]
    assert days == [2, 3, 4]
    assert latest_slot_at_or_before(bounded, START) is None
    assert latest_slot_at_or_before(bounded, START + timedelta(days=90)) == datetime(
        2026, 1, 4, 8, tzinfo=UTC
    )
    assert never_fires(bounded, datetime(2026, 1, 4, 8, tzinfo=UTC))


def test_a_schedule_ends_after_its_runs() -> None:
    thrice = parse_schedule(DAILY | {"max_runs": 3})
    assert get_next_run_time(thrice, START, run_count=2) is not None
    assert get_next_run_time(thrice, START, run_count=3) is None
    assert [thrice.runs_left(count) for count in (0, 2, 3, 4)] == [3, 1, 0, 0]


@pytest.mark.parametrize(
    "after",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)],
)
@pytest.mark.parametrize("raw", SCHEDULES, ids=str)
def test_the_ends_of_the_calendar_are_answered(raw: dict[str, Any], after: datetime) -> None:
    schedule = parse_schedule(raw)
    following = get_next_run_time(schedule, after)
    assert following is None or following > after
    latest = latest_slot_at_or_before(schedule, after)
    assert latest is None or latest <= after


def test_a_plan_tells_what_each_slot_becomes() -> None:
    schedule = parse_schedule(DAILY | {"timezone": "UTC", "exclude": {"dates": ["2026-01-02"]}})
    planned = list(plan(schedule, START, datetime(2026, 1, 3, 23, tzinfo=UTC)))
    assert [slot.excluded for slot in planned] == [None, "excluded date 2026-01-02", None]
    assert [slot.fire_at for slot in planned] == [slot.nominal for slot in planned]
    assert get_next_run_time(schedule, planned[0].nominal) == planned[2].nominal
