"""How close two runs come, over a whole year, and the refusal of what comes too close."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.scheduling import (
    TooFrequent,
    iter_slots,
    parse_schedule,
    smallest_gap,
    validate_min_interval,
)

NOW = datetime(2026, 1, 15, 10, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def cron(expression: str, timezone: str = "UTC", **more: Any) -> dict[str, Any]:
    return {"type": "cron", "expression": expression, "timezone": timezone} | more


@settings(deadline=None, max_examples=60)
@given(
    minute=st.sampled_from(["0", "45", "0,59", "*/20", "5,50,51"]),
    hour=st.sampled_from(["0", "1,2", "*/5", "0,23", "2-4", "*"]),
    days=st.sampled_from(["* * *", "L,1 * *", "* * 0,1", "* * 1#1", "1 * 5"]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana"]),
    overlap=st.sampled_from(["first", "both"]),
    begin=st.integers(0, 300 * 24),
    length=st.integers(1, 60) | st.integers(1, 90 * 24),
)
def test_the_smallest_gap_is_that_of_the_plain_list(
    minute: str, hour: str, days: str, timezone: str, overlap: str, begin: int, length: int
) -> None:
    schedule = parse_schedule(cron(f"{minute} {hour} {days}", timezone, dst_overlap=overlap))
    start, horizon = NOW + timedelta(hours=begin), timedelta(hours=length)
    lengths = [later - earlier for earlier, later in pairwise(iter_slots(schedule, start, start + horizon))]
    gap = smallest_gap(schedule, start + timedelta(microseconds=1), horizon)
    assert (gap.length if gap else None) == min(lengths, default=None)


def test_the_gap_is_named_by_its_slots() -> None:
    gap = smallest_gap(parse_schedule(cron("0,1 0 1 12 *")), NOW)
    assert gap is not None
    assert (gap.first, gap.second) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2026, 12, 1, 0, 1, tzinfo=UTC),
    )


def test_of_a_day_cut_off_only_what_lies_before_the_end_counts() -> None:
    schedule = parse_schedule(cron("0 0,5,22,23 * * *"))
    gap = smallest_gap(schedule, datetime(2026, 1, 16, tzinfo=UTC), timedelta(hours=12))
    assert gap is not None
    assert gap.length == timedelta(hours=5)


def test_what_has_fewer_than_two_slots_has_no_gap() -> None:
    for raw in (
        {"type": "once", "at": "2026-06-01T00:00:00Z"},
        cron("0 0 29 2 *"),
        cron("* * * * *", end_at=NOW.isoformat()),
        {"type": "interval", "interval_minutes": 5, "end_at": (NOW + MINUTE).isoformat()},
    ):
        schedule = parse_schedule(raw)
        assert smallest_gap(schedule, NOW, default_anchor=NOW) is None
        validate_min_interval(schedule, timedelta(days=400), NOW, default_anchor=NOW)


@pytest.mark.parametrize(
    ("raw", "minimum", "path", "advice"),
    [
        (cron("0,1 0 1 12 *"), 15 * MINUTE, "expression", "*/15 * * * * would fit"),
        (cron("*/5 * * * *"), 7 * MINUTE, "expression", "*/10 * * * * would fit"),
        (cron("0 * * * *"), 61 * MINUTE, "expression", "0 */2 * * * would fit"),
        (cron("0 */12 * * *"), timedelta(days=2), "expression", "an interval of 2880 minutes would fit"),
        (cron("59 1,3 * * *", "Europe/Berlin"), 90 * MINUTE, "expression", "0 */2 * * * would fit"),
        ({"type": "interval", "interval_minutes": 5}, 15 * MINUTE, "interval_minutes", "write 15 or more"),
        ({"type": "interval", "interval_minutes": 1}, timedelta(seconds=90), "interval_minutes", "write 2"),
        ({"type": "hours", "hours": 1}, 150 * MINUTE, "hours", "write 3"),
        ({"type": "hours", "hours": 5}, 300 * MINUTE, "hours", "write 6"),
        ({"type": "hours", "hours": 12}, timedelta(days=2), "hours", "an interval of 2880 minutes"),
        ({"type": "daily", "hour": 9}, timedelta(days=7), "", "an interval of 10080 minutes would fit"),
    ],
    ids=str,
)
def test_what_runs_too_often_is_refused_with_what_would_fit(
    raw: dict[str, Any], minimum: timedelta, path: str, advice: str
) -> None:
    with pytest.raises(TooFrequent) as refused:
        validate_min_interval(parse_schedule(raw), minimum, NOW, default_anchor=NOW)
    (error,) = refused.value.errors
    assert error.path == path
    assert advice in error.message
    assert refused.value.gap.length < minimum


@pytest.mark.parametrize(
    ("raw", "minimum"),
    [
        (cron("*/15 * * * *", "Europe/Berlin"), 15 * MINUTE),
        ({"type": "interval", "interval_minutes": 15}, 15 * MINUTE),
        ({"type": "daily", "hour": 9, "timezone": "Europe/Berlin"}, timedelta(days=1)),
        ({"type": "weekly", "weekday": 0, "hour": 9, "timezone": "Europe/Berlin"}, timedelta(days=7)),
    ],
    ids=str,
)
def test_what_keeps_its_distance_is_accepted(raw: dict[str, Any], minimum: timedelta) -> None:
    validate_min_interval(parse_schedule(raw), minimum, NOW, default_anchor=NOW)


def test_a_year_is_looked_through_in_milliseconds() -> None:
    schedule = parse_schedule(cron("*/2 * * * *", "Europe/Berlin"))
    begin = perf_counter()
    validate_min_interval(schedule, 2 * MINUTE, NOW)
    assert perf_counter() - begin < 0.5
