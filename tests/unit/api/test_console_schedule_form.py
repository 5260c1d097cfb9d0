"""The schedule's part of the console's form: what it shows, it reads again with the same meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from api.web import schedule_form
from common.scheduling import iter_slots, parse_schedule

NOW = datetime(2026, 3, 27, 10, 7, tzinfo=UTC)


def entered(values: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {name: value if isinstance(value, list) else [str(value)] for name, value in values.items()}


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [
        ({"type": "daily", "hour": 9, "minute": 5, "timezone": "Europe/Berlin"}, "daily"),
        ({"type": "daily", "hour": 0}, "daily"),
        ({"type": "time_of_day", "time": "23:59", "timezone": "Asia/Tokyo"}, "daily"),
        ({"type": "weekly", "weekday": 6, "hour": 2, "minute": 30, "timezone": "Europe/Berlin"}, "weekdays"),
        ({"type": "weekdays", "days": [0, 4], "time": "07:30", "timezone": "UTC"}, "weekdays"),
        ({"type": "interval", "interval_minutes": 90, "anchor": "2026-01-01T00:00:09Z"}, "interval"),
        ({"type": "interval", "interval_minutes": 2880, "anchor": "2026-01-01T00:00:00Z"}, "interval"),
        ({"type": "once", "at": "2026-12-24T09:00:00Z"}, "once"),
        ({"type": "cron", "expression": "30 2 * * 1-5", "timezone": "Europe/Berlin"}, "cron"),
        ({"type": "hours", "hours": 6, "timezone": "Europe/Berlin"}, "json"),
        ({"type": "daily", "hour": 9, "jitter_seconds": 60, "exclude": {"weekdays": [5]}}, "json"),
        ({"type": "weekdays", "days": [1], "window": {"from": "08:00", "to": "09:00"}}, "json"),
        ({"type": "daily", "hour": 2, "dst_gap": "skip", "timezone": "Europe/Berlin"}, "json"),
    ],
)
def test_a_stored_schedule_comes_back_with_the_same_slots(schedule: dict[str, Any], kind: str) -> None:
    values = schedule_form.shown(schedule)
    assert values["schedule.kind"] == kind
    read, fault = schedule_form.read(entered(values))
    assert fault is None
    before, after = (list(islice(iter_slots(parse_schedule(each), NOW), 20)) for each in (schedule, read))
    assert before == after
    assert before


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"a": NaN}', '"\\ud800"', "[" * 100_000])
def test_json_that_is_none_is_refused_in_words(text: str) -> None:
    form = {"schedule.kind": ["json"], "schedule.json": [text]}
    read, fault = schedule_form.read(form)
    assert read == {}
    assert fault


def test_an_instant_is_shown_as_a_browsers_field_takes_it() -> None:
    schedule = {"type": "once", "at": "2026-12-24T09:00:00Z", "timezone": "Europe/Berlin"}
    assert schedule_form.shown(schedule)["schedule.at"] == "2026-12-24T10:00"


def test_a_number_nobody_means_reaches_the_schedules_own_check() -> None:
    for every in ("0", "-5", "1.5", "9" * 30, "soon", ""):
        form = {"schedule.kind": ["interval"], "schedule.every": [every], "schedule.unit": ["hours"]}
        read, _ = schedule_form.read(form)
        with pytest.raises(ValueError, match="interval_minutes"):
            parse_schedule(read)
