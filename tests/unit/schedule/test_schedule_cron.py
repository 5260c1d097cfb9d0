"""Cron expressions: which minutes and days they name, and what is no expression."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from common.scheduling import iter_slots, parse_schedule
from common.scheduling.cron import CronError, parse_cron


def values(mask: int) -> set[int]:
    return {value for value in range(64) if mask >> value & 1}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("*", set(range(60))),
        ("0", {0}),
        ("5,10,5", {5, 10}),
        ("10-13", {10, 11, 12, 13}),
        ("10-20/5", {10, 15, 20}),
        ("*/20", {0, 20, 40}),
        ("50/4", {50, 54, 58}),
        ("*/60", {0}),
        ("1-3,*/30,59", {0, 1, 2, 3, 30, 59}),
        ("07", {7}),
    ],
)
def test_the_minutes_a_field_names(text: str, minutes: set[int]) -> None:
    assert values(parse_cron(f"{text} * * * *").minutes) == minutes


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [
        ("7", {0}),
        ("0,7", {0}),
        ("MON-FRI", {1, 2, 3, 4, 5}),
        ("fri-sun", {5, 6, 0}),
        ("5-7", {5, 6, 0}),
        ("*/2", {0, 2, 4, 6}),
        ("?", set(range(7))),
    ],
)
def test_the_weekdays_a_field_names(text: str, weekdays: set[int]) -> None:
    assert values(parse_cron(f"0 0 * * {text}").days.weekdays) == weekdays


def days_of(expression: str, year: int, month: int) -> list[int]:
    schedule = parse_schedule({"type": "cron", "expression": expression})
    start = datetime(year, month, 1, tzinfo=UTC)
    found = iter_slots(schedule, start - timedelta(seconds=1), start + timedelta(days=31))
    return [slot.day for slot in found if slot.month == month]


@pytest.mark.parametrize(
    ("expression", "year", "month", "days"),
    [
        ("0 0 L * *", 2026, 2, [28]),
        ("0 0 L * *", 2028, 2, [29]),
        ("0 0 1,L * *", 2026, 4, [1, 30]),
        ("0 0 LW * *", 2026, 5, [29]),  # the 31st is a Sunday
        ("0 0 LW * *", 2026, 2, [27]),  # the 28th is a Saturday
        ("0 0 LW * *", 2026, 9, [30]),
        ("0 0 * * 1#2", 2026, 6, [8]),
        ("0 0 * * MON#5", 2026, 6, [29]),
        ("0 0 * * 1#5", 2026, 7, []),
        ("0 0 * * 7#1", 2026, 6, [7]),
        ("0 0 * * 5L", 2026, 7, [31]),
        ("0 0 * * L5", 2026, 7, [31]),
        ("0 0 * * FRIL,1#1", 2026, 6, [1, 26]),
        ("0 0 13 * 5", 2026, 3, [6, 13, 20, 27]),  # either
        ("0 0 13 * 1", 2026, 3, [2, 9, 13, 16, 23, 30]),
        ("0 0 */10 * 1", 2026, 6, [1]),  # both: a field starts with *
        ("0 0 13 * */7", 2026, 9, [13]),
        ("0 0 31 * *", 2026, 4, []),
        ("0 0 * 4 *", 2026, 3, []),
        ("0 0 10-12 JAN,mar *", 2026, 3, [10, 11, 12]),
    ],
)
def test_the_days_of_a_month(expression: str, year: int, month: int, days: list[int]) -> None:
    assert days_of(expression, year, month) == days


@pytest.mark.parametrize(
    ("expression", "fixed"),
    [
        ("30 2 * * *", True),
        ("0 0-23 * * *", True),
        ("0,30 2 * * *", True),
        ("0 */24 * * *", True),
        ("* 2 * * *", False),
        ("*/15 2 * * *", False),
        ("30 * * * *", False),
        ("0 */6 * * *", False),
    ],
)
def test_which_expressions_are_wildcards(expression: str, fixed: bool) -> None:
    assert parse_cron(expression).fixed is fixed


def test_every_nickname_means_something() -> None:
    assert parse_cron("@hourly").times == tuple(range(0, 1440, 60))
    for nickname in ("@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"):
        assert parse_cron(nickname).times == (0,)


def test_rare_days_are_found_and_impossible_ones_refused() -> None:
    leap_mondays = parse_cron("0 0 29 2 */7").days  # the 29th of February, when it is a Sunday
    found = leap_mondays.at_or_after((date(2026, 1, 1) - date(1970, 1, 1)).days)
    assert found is not None
    assert date(1970, 1, 1) + timedelta(days=found) == date(2032, 2, 29)
    for impossible in ("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30,31 2 */2"):
        with pytest.raises(CronError, match="never comes"):
            parse_cron(impossible)


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("", "write 5"),
        ("* * * *", "4 fields; write 5"),
        ("0 0 0 * * *", "there are no seconds"),
        ("@reboot", "write one of @yearly"),
        ("61 * * * *", "minute '61': write 0 to 59"),
        ("* 24 * * *", "hour '24': write 0 to 23"),
        ("* * 0 * *", "day of month '0': write 1 to 31"),
        ("* * * 13 *", "month '13': write 1 to 12 or JAN to DEC"),
        ("* * * * 8", "weekday '8': write 0 to 7 or SUN to SAT"),
        ("*/0 * * * *", "write a step of 1 to 60"),
        ("*/90 * * * *", "an interval schedule for every 90 minutes"),
        ("0 22-2 * * *", "write 22-23,0-2"),
        ("* * * * FRI-MON", "runs backwards"),
        ("* * * * L", "Write 5L"),
        ("* * * * 1#6", "write 1 to 5 after #"),
        ("* * * * 1#", "write 1 to 5 after #"),
        ("* * 15W * *", "L, LW"),
        ("1,,2 * * * *", "minute ''"),
        ("1- * * * *", "minute '1-'"),
        ("-1 * * * *", "minute '-1'"),
        ("*-5 * * * *", "minute '*-5'"),
        ("1/2/3 * * * *", "minute '1/2/3'"),
        ("1.5 * * * *", "minute '1.5'"),
        ("² * * * *", "minute '²'"),
        ("* * * MONDAY *", "month 'MONDAY'"),
        ("* " * 400, "at most 512"),
    ],
)
def test_a_refusal_says_what_to_write(expression: str, advice: str) -> None:
    with pytest.raises(CronError) as refused:
        parse_cron(expression)
    assert advice in str(refused.value)
