"""What a user is warned of, and the look ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.scheduling import (
    ScheduleWarning,
    WarningCode,
    parse_schedule,
    preview,
    schedule_warnings,
)

NOW = datetime(2026, 1, 15, tzinfo=UTC)


def warned(expression: str, timezone: str = "Europe/Berlin", **more: Any) -> list[ScheduleWarning]:
    raw = {"type": "cron", "expression": expression, "timezone": timezone} | more
    return schedule_warnings(parse_schedule(raw), NOW)


def test_a_time_the_clock_skips_and_one_it_repeats() -> None:
    gap, overlap = warned("30 2 * * *")
    assert (gap.code, gap.at) == (WarningCode.DST_GAP, datetime(2026, 3, 29, 1, tzinfo=UTC))
    assert gap.message == (
        "On 2026-03-29 the clock in Europe/Berlin is set forward from 02:00 to 03:00: "
        "what is due at 02:30 runs once, at 03:00."
    )
    assert (overlap.code, overlap.at) == (WarningCode.DST_OVERLAP, datetime(2026, 10, 25, 1, tzinfo=UTC))
    assert overlap.message == (
        "On 2026-10-25 the clock in Europe/Berlin is set back from 03:00 to 02:00: "
        "what is due at 02:30, which it shows twice, runs the first time only."
    )


@pytest.mark.parametrize(
    ("expression", "more", "gap", "overlap"),
    [
        ("30 2 * * *", {"dst_gap": "skip", "dst_overlap": "both"}, "is skipped", "runs both times"),
        ("*/15 2 * * *", {}, "02:00, 02:15, 02:30 and others does not run", "runs both times"),
        ("0 2,3 * * *", {}, "due at 02:00 runs once", "due at 02:00, which"),
    ],
)
def test_what_the_options_and_wildcards_make_of_it(
    expression: str, more: dict[str, Any], gap: str, overlap: str
) -> None:
    first, second = warned(expression, **more)
    assert gap in first.message
    assert overlap in second.message


@pytest.mark.parametrize(
    ("expression", "timezone"),
    [
        ("30 4 * * *", "Europe/Berlin"),
        ("30 2 * * *", "UTC"),
        ("30 2 * * 1-6", "Europe/Berlin"),
        ("*/15 * * * *", "Europe/Berlin"),
        ("0 0 L * *", "Europe/Berlin"),
    ],
)
def test_nothing_to_warn_of(expression: str, timezone: str) -> None:
    assert warned(expression, timezone) == []


def test_changes_outside_the_bounds_do_not_matter() -> None:
    assert warned("30 2 * * *", end_at="2026-03-01T00:00:00Z") == []
    assert [found.code for found in warned("30 2 * * *", start_at="2026-06-01T00:00:00Z")] == [
        WarningCode.DST_OVERLAP
    ]


@pytest.mark.parametrize(
    ("expression", "code", "words"),
    [
        ("0 9 1 * 1", WarningCode.DAY_OR_WEEKDAY, "either"),
        ("0 9 31 * *", WarningCode.SHORT_MONTHS, "L is the last day"),
        ("* */2 * * *", WarningCode.EVERY_MINUTE, "for once an hour write 0 */2"),
        ("* 9 * * *", WarningCode.EVERY_MINUTE, "in every minute of the hours 9"),
        ("0 9 */14 * *", WarningCode.UNEVEN_STEP, "the days 1, 15 and 29 of every month"),
        ("*/7 * * * *", WarningCode.UNEVEN_STEP, "7 does not divide 60: after minute 56"),
        ("0 */5 * * *", WarningCode.UNEVEN_STEP, "5 does not divide 24: after hour 20"),
    ],
)
def test_what_reads_differently_than_it_runs(expression: str, code: WarningCode, words: str) -> None:
    (found,) = warned(expression, "UTC")
    assert found.code is code
    assert words in found.message


def test_a_day_step_and_a_weekday_have_to_match_both() -> None:
    both, step = warned("0 14 */14 * 3", "UTC")
    assert (both.code, step.code) == (WarningCode.DAY_AND_WEEKDAY, WarningCode.UNEVEN_STEP)
    assert "only on a weekday 3 that is also a day */14" in both.message


def test_whole_days_of_elapsed_time_leave_the_clock() -> None:
    daily = {"type": "interval", "interval_minutes": 1440, "anchor": "2026-01-01T08:00:00Z"}
    (found,) = schedule_warnings(parse_schedule(daily | {"timezone": "Europe/Berlin"}), NOW)
    assert (found.code, found.at) == (WarningCode.INTERVAL_DRIFTS, datetime(2026, 3, 29, 8, tzinfo=UTC))
    assert "what runs at 09:00 runs at 10:00 from 2026-03-29 on" in found.message
    autumn = schedule_warnings(
        parse_schedule(daily | {"anchor": "2026-06-01T07:00:00Z", "timezone": "Europe/Berlin"}),
        datetime(2026, 7, 1, tzinfo=UTC),
    )
    assert "what runs at 09:00 runs at 08:00 from 2026-10-25 on" in autumn[0].message
    assert schedule_warnings(parse_schedule(daily), NOW) == []
    hourly = daily | {"interval_minutes": 60, "timezone": "Europe/Berlin"}
    assert schedule_warnings(parse_schedule(hourly), NOW) == []


def test_a_zone_left_out_is_told() -> None:
    (found,) = schedule_warnings(parse_schedule({"type": "daily", "hour": 9}), NOW)
    assert found.code is WarningCode.ZONE_OMITTED
    assert schedule_warnings(parse_schedule({"type": "daily", "hour": 9, "timezone": "UTC"}), NOW) == []


def test_a_schedule_without_runs_is_the_only_thing_to_say() -> None:
    (found,) = warned("30 2 * * *", end_at="2026-01-01T00:00:00Z")
    assert found.code is WarningCode.NEVER_FIRES


def test_a_preview_shows_the_local_clock_and_what_is_left_out() -> None:
    raw = {
        "type": "daily",
        "hour": 9,
        "timezone": "Europe/Berlin",
        "exclude": {"dates": ["2026-03-29", "2026-03-30"]},
    }
    seen = preview(parse_schedule(raw), 3, datetime(2026, 3, 27, 12, tzinfo=UTC))
    assert [run.local.isoformat() for run in seen.runs] == [
        "2026-03-28T09:00:00+01:00",
        "2026-03-31T09:00:00+02:00",
        "2026-04-01T09:00:00+02:00",
    ]
    assert [(found.first.day, found.count, found.excluded) for found in seen.excluded()] == [
        (29, 1, "excluded date 2026-03-29"),
        (30, 1, "excluded date 2026-03-30"),
    ]


def test_a_preview_ends_with_the_schedule() -> None:
    thrice = parse_schedule({"type": "interval", "interval_minutes": 5, "max_runs": 3})
    assert len(preview(thrice, 10, NOW).runs) == 3
    assert len(preview(thrice, 10, NOW, run_count=2).runs) == 1
    assert preview(thrice, 10, NOW, run_count=3).runs == ()
    once = parse_schedule({"type": "once", "at": NOW.isoformat()})
    assert preview(once, 5, NOW).runs == ()
    assert len(preview(once, 5, NOW - timedelta(days=1)).runs) == 1
