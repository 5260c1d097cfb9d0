"""Limits: the plan's values, their overrides, and invalid overrides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.quotas.limits import JOB_TYPE, Quota, effective_quota

STANDARD = Quota().model_dump()


def test_the_nearest_override_wins_and_null_lifts_a_limit() -> None:
    quota = effective_quota(
        STANDARD,
        {"max_automations": 10, "max_automation_jobs": None, "max_concurrent_runs": 3},
        {"max_automations": None, "max_concurrent_runs": 7},
    )

    assert quota == Quota(max_automations=None, max_automation_jobs=None, max_concurrent_runs=7)
    assert quota.min_interval_minutes == 1


@pytest.mark.parametrize("limit", [0, 0.5])
def test_zero_is_a_limit(limit: float) -> None:
    name = "max_automations" if limit == 0 else "min_interval_minutes"

    assert getattr(effective_quota(STANDARD, {name: limit}), name) == limit


@pytest.mark.parametrize(
    "stored",
    [
        {"max_automations": "lots"},
        {"max_automations": -1},
        {"max_automations": 1.5},
        {"max_automations": {}},
        {"automations": 1},
    ],
)
def test_invalid_overrides_are_ignored(stored: dict[str, Any]) -> None:
    assert effective_quota(STANDARD, {"max_automations": 3}, stored).max_automations == 3


@pytest.mark.parametrize(
    ("overrides", "kind", "shortest"),
    [
        ({}, "scheduled_report", timedelta(minutes=1)),
        ({}, JOB_TYPE, timedelta(hours=1)),
        ({"min_interval_minutes": 90}, JOB_TYPE, timedelta(minutes=90)),
        ({"min_interval_minutes": None}, "scheduled_report", timedelta(0)),
        ({"min_automation_interval_hours": None}, JOB_TYPE, timedelta(minutes=1)),
        ({"min_automation_interval_hours": 0.5}, JOB_TYPE, timedelta(minutes=30)),
    ],
)
def test_recording_jobs_keep_the_longer_of_two_intervals(
    overrides: dict[str, Any], kind: str, shortest: timedelta
) -> None:
    assert effective_quota(STANDARD, overrides).shortest_interval(kind) == shortest
