"""What a schedule does where the clocks change, case by case."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from common.scheduling import get_next_run_time, latest_slot_at_or_before, parse_schedule

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("dst_vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["why"])
def test_the_following_slots(vector: dict[str, Any]) -> None:
    schedule = parse_schedule({"type": "cron", "expression": vector["cron"], "timezone": vector["timezone"]})
    slot = datetime.fromisoformat(vector["after"])
    for expected in vector["next"]:
        following = get_next_run_time(schedule, slot)
        assert following == datetime.fromisoformat(expected)
        assert latest_slot_at_or_before(schedule, following) == following
        slot = following


@pytest.mark.parametrize(
    ("more", "after", "expected"),
    [
        # The clock shows 02:40 for the first time, and will show 02:30 once more.
        ({"dst_overlap": "both"}, "2026-10-25T00:40Z", "2026-10-25T01:30Z"),
        ({"dst_overlap": "first"}, "2026-10-25T00:40Z", "2027-10-25T00:30Z"),
        ({"expression": "*/30 2 25 10 *"}, "2026-10-25T00:40Z", "2026-10-25T01:00Z"),
        ({"expression": "30 2 29 3 *"}, "2026-03-28T12:00Z", "2026-03-29T01:00Z"),
        ({"expression": "30 2 29 3 *", "dst_gap": "skip"}, "2026-03-28T12:00Z", "2027-03-29T00:30Z"),
    ],
)
def test_a_day_that_comes_once_a_year(more: dict[str, str], after: str, expected: str) -> None:
    raw = {"type": "cron", "expression": "30 2 25 10 *", "timezone": "Europe/Berlin"}
    found = get_next_run_time(parse_schedule(raw | more), datetime.fromisoformat(after))
    assert found == datetime.fromisoformat(expected)
