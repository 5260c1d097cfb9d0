"""How many next runs a core computes in a second, over a mix of patterns and zones.

Run with `-s` to see the figures pattern by pattern.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import pytest

from common.scheduling import (
    SchedulePolicy,
    decide_due,
    get_next_run_time,
    parse_schedule,
    validate_min_interval,
)
from tests.support.figures import Figures

REQUIRED_PER_SECOND = 40_000
ROUNDS = 4_000
ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe")
EXPRESSIONS = {
    "daily": "30 6 * * *",
    "weekly": "0 9 * * 1",
    "quarter-hourly": "*/15 * * * *",
    "working hours": "*/10 9-17 * * 1-5",
    "month's end": "0 18 L * *",
    "month's last working day": "0 18 LW * *",
    "second Monday": "15 8 * * 1#2",
    "last Friday": "15 8 * * 5L",
    "yearly": "0 0 1 1 *",
    "leap day": "0 0 29 2 *",
}


def instants(count: int) -> list[datetime]:
    chance = random.Random(1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [start + timedelta(seconds=chance.randrange(5 * 365 * 86400)) for _ in range(count)]


def per_second(schedule_fields: dict[str, Any], asked: list[datetime]) -> float:
    schedule = parse_schedule(schedule_fields)
    for instant in asked[:200]:
        get_next_run_time(schedule, instant)
    begin = perf_counter()
    for instant in asked:
        get_next_run_time(schedule, instant)
    return len(asked) / (perf_counter() - begin)


@pytest.mark.slow
def test_next_runs_per_second(figures: Figures) -> None:
    asked = instants(ROUNDS)
    spent = 0.0
    for name, expression in EXPRESSIONS.items():
        rates = {
            zone: per_second({"type": "cron", "expression": expression, "timezone": zone}, asked)
            for zone in ZONES
        }
        spent += sum(ROUNDS / rate for rate in rates.values())
        sys.stdout.write(
            f"{name:26}" + "".join(f"{zone} {rate:9,.0f}/s   " for zone, rate in rates.items()) + "\n"
        )
    overall = len(EXPRESSIONS) * len(ZONES) * ROUNDS / spent
    figures.record("next runs computed per second by one core", overall, "1/s")
    assert overall > REQUIRED_PER_SECOND


@pytest.mark.slow
def test_a_day_of_missed_minutes_is_decided_in_milliseconds(figures: Figures) -> None:
    schedule = parse_schedule({"type": "cron", "expression": "* * * * *", "timezone": "Europe/Berlin"})
    missed_from = datetime(2026, 10, 24, 12, tzinfo=UTC)
    now = missed_from + timedelta(days=1)
    begin = perf_counter()
    for _ in range(200):
        decision = decide_due(schedule, SchedulePolicy(), missed_from, now)
    spent = (perf_counter() - begin) / 200
    figures.record("a decision about 24 hours of missed minutes", spent * 1e6, "µs")
    assert sum(found.count for found in decision.skipped) + len(decision.runs) == 1441
    assert spent < 0.005


@pytest.mark.slow
def test_the_smallest_gap_of_a_year_is_found_in_milliseconds() -> None:
    schedule = parse_schedule({"type": "cron", "expression": "*/2 * * * *", "timezone": "Europe/Berlin"})
    begin = perf_counter()
    validate_min_interval(schedule, timedelta(minutes=2), datetime(2026, 1, 1, tzinfo=UTC))
    spent = perf_counter() - begin
    sys.stdout.write(f"smallest gap of a year of every other minute: {spent * 1e3:.1f} ms\n")
    assert spent < 0.2
