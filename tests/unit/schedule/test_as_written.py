"""The functions named in the documentation also take a schedule as its owner wrote it, a mapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.scheduling import (
    ScheduleError,
    TooFrequent,
    describe_schedule,
    get_next_run_time,
    parse_schedule,
    schedule_to_cron,
    validate_min_interval,
)

WRITTEN = {"type": "weekdays", "days": [0, 2, 4], "time": "09:30", "timezone": "Europe/Berlin"}
AFTER = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_mapping_means_what_it_is_parsed_to() -> None:
    parsed = parse_schedule(WRITTEN)
    assert schedule_to_cron(WRITTEN) == schedule_to_cron(parsed) == "30 09 * * 1,3,5"
    assert get_next_run_time(WRITTEN, AFTER) == datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert get_next_run_time(parsed, AFTER) == datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    assert describe_schedule(WRITTEN) == describe_schedule(parsed)


def test_the_smallest_gap_of_a_mapping_is_checked() -> None:
    validate_min_interval(WRITTEN, timedelta(days=2), AFTER)
    with pytest.raises(TooFrequent):
        validate_min_interval(WRITTEN, timedelta(days=4), AFTER)


def test_a_mapping_that_says_no_schedule_is_refused() -> None:
    with pytest.raises(ScheduleError, match="hour"):
        get_next_run_time({"type": "daily", "hour": 24}, AFTER)
