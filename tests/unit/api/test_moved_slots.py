"""What an edit of the schedule does to the slots to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.automations.moved_slots import Owner, moved_slots

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
OWNER = Owner(UUID(int=1), NOW - timedelta(days=1), 0)
NINE = {"type": "daily", "hour": 9}


def hours(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str]]:
    moved = moved_slots(before, after, OWNER, now=NOW)
    return [f"{slot:%d %H}" for slot in moved.removed], [f"{slot:%d %H}" for slot in moved.added]


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        (
            NINE,
            {"type": "daily", "hour": 10},
            ["03 09", "04 09", "05 09", "06 09", "07 09"],
            ["03 10", "04 10", "05 10", "06 10", "07 10"],
        ),
        (
            NINE,
            {"type": "cron", "expression": "0 9,18 * * *"},
            [],
            ["02 18", "03 18", "04 18", "05 18", "06 18"],
        ),
        (NINE, {**NINE, "exclude": {"dates": ["2026-03-04"]}}, ["04 09"], []),
        (NINE, {**NINE, "jitter_seconds": 60}, [], []),
        (NINE, {**NINE, "max_runs": 2}, ["05 09", "06 09", "07 09", "08 09", "09 09"], []),
        (
            NINE,
            {"type": "once", "at": "2026-03-03T09:00:00Z"},
            ["04 09", "05 09", "06 09", "07 09", "08 09"],
            [],
        ),
        ({"type": "from a later release"}, {"type": "once", "at": "2026-03-03T09:00:00Z"}, [], ["03 09"]),
    ],
)
def test_only_what_one_schedule_names_has_moved(
    before: dict[str, Any], after: dict[str, Any], removed: list[str], added: list[str]
) -> None:
    assert hours(before, after) == (removed, added)
