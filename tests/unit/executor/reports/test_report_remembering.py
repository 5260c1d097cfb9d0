"""What an automation remembers of profiles."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from executor.reports.gather.profile_memory import KEPT_DAYS, Memory

TODAY = date(2026, 11, 23)  # a Monday


def memory(*days: date) -> Memory:
    """A profile that had as many followers as the day's number in its month."""
    return Memory({"profiles": {"p": {str(day): {"followers": day.day} for day in days}}})


@pytest.mark.parametrize(
    ("remembered", "days", "found"),
    [
        ((date(2026, 11, 22),), 1, date(2026, 11, 22)),
        ((date(2026, 11, 20), date(2026, 11, 19)), 1, date(2026, 11, 20)),  # no report at weekends
        ((date(2026, 11, 18),), 1, None),
        ((date(2026, 11, 16), date(2026, 11, 22)), 7, date(2026, 11, 16)),
        ((date(2026, 11, 22),), 7, None),
        ((date(2026, 10, 23),), 30, date(2026, 10, 23)),  # a month of 31 days
        ((date(2026, 9, 1),), 30, None),
        ((TODAY,), 1, None),
        ((), 7, None),
    ],
)
def test_the_day_nearest_to_a_period_ago_is_compared_with(
    remembered: tuple[date, ...], days: int, found: date | None
) -> None:
    before = memory(*remembered).before("p", TODAY, days)
    assert before == (None if found is None else (found, {"followers": found.day}))
    assert memory(*remembered).before("other", TODAY, days) is None


def test_state_round_trips_through_json_and_drops_old_days() -> None:
    known = memory(TODAY - timedelta(days=KEPT_DAYS + 1), TODAY - timedelta(days=1))
    known.note("p", TODAY, {"followers": 99})
    known.note("p", TODAY, {"followers": 100})
    state = json.loads(json.dumps(known.state(TODAY)))
    assert state == {"profiles": {"p": {"2026-11-22": {"followers": 22}, "2026-11-23": {"followers": 100}}}}
    again = Memory(state)
    assert again.before("p", TODAY, 1) == (TODAY - timedelta(days=1), {"followers": 22})


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"profiles": None},
        {"profiles": {"p": 7}},
        {"profiles": {"p": {"yesterday": {"followers": 1}, "2026-11-22": [1]}}},
        {"profiles": {"p": {"2026-11-22": {"followers": "many"}}}},
        {"watermark": "of another type's"},
    ],
)
def test_unreadable_state_is_dropped(state: dict[str, Any]) -> None:
    before = Memory(state).before("p", TODAY, 1)
    assert before is None or before[1] == {}
