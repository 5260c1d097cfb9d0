"""Jitter and windows delay a run, always by the same amount."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from common.scheduling import get_next_run_time, iter_slots, jittered, parse_schedule, plan

SLOT = datetime(2026, 3, 10, 9, tzinfo=UTC)
WINDOW = {"type": "daily", "timezone": "Europe/Berlin", "window": {"from": "09:00", "to": "11:00"}}


def test_jitter_is_the_same_in_every_process() -> None:
    assert jittered(SLOT, "3f0c", 600) == SLOT + timedelta(seconds=469)
    identifier = UUID("00000000-0000-0000-0000-000000000001")
    assert jittered(SLOT, identifier, 600) == jittered(SLOT, str(identifier), 600)


def test_jitter_differs_by_slot_and_automation_and_fills_its_range() -> None:
    by_slot = {jittered(SLOT + timedelta(days=day), "a", 9) - timedelta(days=day) for day in range(300)}
    by_automation = {jittered(SLOT, str(number), 9) for number in range(300)}
    assert by_slot == by_automation == {SLOT + timedelta(seconds=second) for second in range(10)}
    assert jittered(SLOT, "a", 0) == SLOT


def test_jitter_leaves_the_slot_where_it_is() -> None:
    schedule = parse_schedule({"type": "cron", "expression": "*/10 * * * *", "jitter_seconds": 300})
    slots = list(plan(schedule, SLOT, SLOT + timedelta(hours=2), automation_id="a"))
    assert [slot.nominal for slot in slots] == list(iter_slots(schedule, SLOT, SLOT + timedelta(hours=2)))
    assert all(slot.fire_at == jittered(slot.nominal, "a", 300) for slot in slots)
    assert any(slot.fire_at > slot.nominal for slot in slots)


def starts(automation_id: str, raw: Mapping[str, object], days: int) -> list[timedelta]:
    schedule = parse_schedule(raw)
    return [
        slot.fire_at - slot.nominal
        for slot in plan(schedule, SLOT, SLOT + timedelta(days=days), automation_id=automation_id)
    ]


def test_an_automation_keeps_its_place_in_the_window() -> None:
    places = {tuple(set(starts(str(number), WINDOW, 5))) for number in range(200)}
    assert all(len(place) == 1 for place in places)
    assert len(places) > 150
    assert all(timedelta(0) <= place[0] <= timedelta(hours=2) for place in places)


def test_the_slot_is_the_opening_of_the_window() -> None:
    schedule = parse_schedule(WINDOW)
    assert get_next_run_time(schedule, SLOT) == datetime(2026, 3, 11, 8, tzinfo=UTC)
    explicit = parse_schedule(WINDOW | {"hour": 9})
    assert explicit == schedule


def test_a_window_past_midnight_ends_the_next_day() -> None:
    raw = {"type": "time_of_day", "window": {"from": "22:00", "to": "02:00"}}
    late = [place for number in range(200) for place in starts(str(number), raw, 1)]
    assert max(late) > timedelta(hours=3, minutes=45)
    assert max(late) <= timedelta(hours=4)


def test_a_window_the_clock_shortens_ends_when_the_clock_says() -> None:
    raw = {"type": "daily", "timezone": "Europe/Berlin", "window": {"from": "01:00", "to": "04:00"}}
    after = datetime(2026, 3, 28, 12, tzinfo=UTC)
    closes = datetime(2026, 3, 29, 2, tzinfo=UTC)  # 04:00, two hours after 01:00
    for number in range(200):
        slot = next(iter(plan(parse_schedule(raw), after, automation_id=str(number))))
        assert slot.nominal == datetime(2026, 3, 29, 0, tzinfo=UTC)
        assert slot.nominal <= slot.fire_at <= closes


def test_a_window_the_clock_skips_is_its_end() -> None:
    raw = {"type": "daily", "timezone": "Europe/Berlin", "window": {"from": "02:10", "to": "02:50"}}
    slot = next(iter(plan(parse_schedule(raw), datetime(2026, 3, 28, 12, tzinfo=UTC), automation_id="a")))
    assert slot.nominal == slot.fire_at == datetime(2026, 3, 29, 1, tzinfo=UTC)
