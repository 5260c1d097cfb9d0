"""Schedules in plain English."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.scheduling import describe_schedule, parse_schedule
from common.scheduling.words import duration_words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("0 * * * *", "Every hour on the hour"),
        ("30 * * * *", "Every hour at minute 30"),
        ("5,20,35 * * * *", "Every hour at minutes 5, 20 and 35"),
        ("30 2 * * *", "Every day at 02:30"),
        ("0 */6 * * *", "Every day at 00:00, 06:00, 12:00 and 18:00"),
        ("10 */2 * * *", "Every 2 hours from 00:10"),
        ("*/15 9-17 * * 1-5", "Every Monday to Friday, every 15 minutes from 09:00 to 17:45"),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
        ("13,17 1-3,5 * * *", "Every day at minutes 13 and 17 of the hours 1 to 3 and 5"),
        ("0 9 * * SAT,SUN", "Every Saturday and Sunday at 09:00"),
        ("0 9 1 * *", "On day 1 of the month at 09:00"),
        ("0 9 1-7,15 * *", "On days 1 to 7 and 15 of the month at 09:00"),
        ("0 9 L * *", "On the last day of the month at 09:00"),
        ("0 9 LW 3,6 *", "On the last Monday-to-Friday day of March and June at 09:00"),
        ("0 9 * * 1#2", "On the second Monday of the month at 09:00"),
        ("0 9 * * 5L,1#1", "On the first Monday and the last Friday of the month at 09:00"),
        ("0 9 29 2 *", "On day 29 of February at 09:00"),
        ("0 9 * 1-3 *", "Every day in January to March at 09:00"),
        ("0 9 * 12 1", "Every Monday in December at 09:00"),
        ("0 9 1 * 1", "On day 1 of the month or every Monday at 09:00"),
        ("0 9 */15 * 1", "On days 1, 16 and 31 of the month that fall on Monday at 09:00"),
    ],
)
def test_an_expression_in_words(expression: str, words: str) -> None:
    schedule = parse_schedule({"type": "cron", "expression": expression, "timezone": "Europe/Berlin"})
    assert describe_schedule(schedule) == f"{words} (Europe/Berlin)"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"type": "interval", "interval_minutes": 1}, "Every minute"),
        ({"type": "interval", "interval_minutes": 90}, "Every 1 hour 30 minutes"),
        (
            {"type": "interval", "interval_minutes": 1440, "anchor": "2026-01-01T05:00:00+02:00"},
            "Every day, counted from 1 January 2026 at 03:00 (UTC)",
        ),
        ({"type": "daily", "hour": 9}, "Every day at 09:00 (UTC)"),
        ({"type": "weekly", "weekday": 6, "hour": 9, "minute": 5}, "Every Sunday at 09:05 (UTC)"),
        ({"type": "time_of_day", "time": "06:00"}, "Every day at 06:00 (UTC)"),
        ({"type": "hours", "hours": 24}, "Every day at 00:00 (UTC)"),
        (
            {"type": "weekdays", "days": [0, 2, 4], "time": "09:30"},
            "Every Monday, Wednesday and Friday at 09:30 (UTC)",
        ),
        (
            {"type": "once", "at": "2026-12-24T08:00:00Z", "timezone": "Europe/Berlin"},
            "Once, on 24 December 2026 at 09:00 (Europe/Berlin)",
        ),
        (
            {"type": "daily", "window": {"from": "09:00", "to": "11:00"}},
            "Every day at any time from 09:00 to 11:00 (UTC)",
        ),
        (
            {"type": "daily", "hour": 2, "dst_gap": "skip", "dst_overlap": "both"},
            "Every day at 02:00 (UTC), not at times the clock skips, twice when the clock repeats the time",
        ),
        (
            {
                "type": "daily",
                "hour": 9,
                "start_at": "2027-01-01T00:00:00Z",
                "end_at": "2027-02-01T00:00:30Z",
                "max_runs": 3,
                "jitter_seconds": 300,
                "exclude": {"weekdays": [6, 5], "calendar": "DE", "dates": ["2027-01-04"]},
            },
            "Every day at 09:00 (UTC), from 1 January 2027 at 00:00 (UTC), "
            "until 1 February 2027 at 00:00:30 (UTC), at most 3 runs, each up to 5 minutes later, "
            "not on Saturdays, Sundays, public holidays (DE) and 4 January 2027",
        ),
        (
            {"type": "daily", "hour": 9, "exclude": {"weekdays": [6], "policy": "next_working_day"}},
            "Every day at 09:00 (UTC), moved from Sundays to the next working day",
        ),
    ],
    ids=str,
)
def test_a_schedule_in_words(raw: dict[str, Any], words: str) -> None:
    assert describe_schedule(parse_schedule(raw)) == words


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(hours=25, minutes=2), "1 day 1 hour 2 minutes"),
    ],
)
def test_a_duration_in_words(duration: timedelta, words: str) -> None:
    assert duration_words(duration) == words
