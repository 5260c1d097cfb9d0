"""What a schedule does where the clocks change, case by case."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from common.schedule import get_next_run_time, latest_slot_at_or_before, parse_schedule

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
