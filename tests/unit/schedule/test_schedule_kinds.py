"""What a user may write, what it means, and what refuses it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from time import perf_counter
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from common.scheduling import (
    Schedule,
    ScheduleError,
    field_errors,
    get_next_run_time,
    iter_slots,
    parse_schedule,
    schedule_to_cron,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("raw", "cron"),
    [
        ({"type": "daily", "hour": 9}, "0 9 * * *"),
        ({"type": "daily", "hour": 0, "minute": 5}, "5 0 * * *"),
        ({"type": "weekly", "weekday": 0, "hour": 9}, "0 9 * * 1"),
        ({"type": "weekly", "weekday": 6, "hour": 9, "minute": 30}, "30 9 * * 0"),
        ({"type": "time_of_day", "time": "06:00"}, "00 06 * * *"),
        ({"type": "hours", "hours": 6}, "0 */6 * * *"),
        ({"type": "weekdays", "days": [0, 2, 4], "time": "09:30"}, "30 09 * * 1,3,5"),
        ({"type": "weekdays", "days": [6, 5, 6], "time": "00:00"}, "00 00 * * 6,0"),
        ({"type": "cron", "expression": " 0 9 * * MON-FRI "}, "0 9 * * MON-FRI"),
        ({"type": "cron", "expression": "@Daily"}, "0 0 * * *"),
        ({"type": "interval", "interval_minutes": 60}, None),
        ({"type": "once", "at": "2026-12-24T09:00:00Z"}, None),
    ],
)
def test_the_cron_equivalent(raw: dict[str, Any], cron: str | None) -> None:
    assert schedule_to_cron(parse_schedule(raw)) == cron


@pytest.mark.parametrize(
    ("raw", "slots"),
    [
        ({"type": "daily", "hour": 9}, ["2026-03-11T09:00Z", "2026-03-12T09:00Z"]),
        ({"type": "weekly", "weekday": 0, "hour": 9}, ["2026-03-16T09:00Z", "2026-03-23T09:00Z"]),
        (
            {"type": "weekdays", "days": [0, 4], "time": "09:30", "timezone": "Asia/Kolkata"},
            ["2026-03-13T04:00Z", "2026-03-16T04:00Z"],
        ),
        ({"type": "hours", "hours": 24}, ["2026-03-11T00:00Z", "2026-03-12T00:00Z"]),
        ({"type": "hours", "hours": 5}, ["2026-03-10T15:00Z", "2026-03-10T20:00Z", "2026-03-11T00:00Z"]),
        ({"type": "once", "at": "2026-03-11T10:00:00+02:00"}, ["2026-03-11T08:00Z"]),
        (
            {"type": "interval", "interval_minutes": 90, "anchor": "2026-03-10T00:00:00Z"},
            ["2026-03-10T13:30Z", "2026-03-10T15:00Z"],
        ),
        ({"type": "cron", "expression": "0 0 29 2 *"}, ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]),
    ],
)
def test_the_following_slots_of_a_kind(raw: dict[str, Any], slots: list[str]) -> None:
    found = iter_slots(parse_schedule(raw), NOON)
    assert [slot for slot, _ in zip(found, slots, strict=False)] == [at(slot) for slot in slots]


def test_once_has_one_slot() -> None:
    schedule = parse_schedule({"type": "once", "at": "2026-03-10T12:00:00Z"})
    assert list(iter_slots(schedule, NOON - timedelta(seconds=1))) == [NOON]
    assert get_next_run_time(schedule, NOON) is None


def test_once_without_an_offset_is_read_off_the_clock_of_its_zone() -> None:
    schedule = parse_schedule({"type": "once", "at": "2026-03-29T02:30:00", "timezone": "Europe/Berlin"})
    assert get_next_run_time(schedule, NOON) == at("2026-03-29T01:00Z")  # the clock skips 02:30


def test_an_interval_keeps_its_grid_across_a_change_of_the_clocks() -> None:
    schedule = parse_schedule({"type": "interval", "interval_minutes": 60, "timezone": "Europe/Berlin"})
    anchor = at("2026-03-28T22:20:30Z")
    slots = list(iter_slots(schedule, anchor, anchor + timedelta(hours=6), default_anchor=anchor))
    assert slots == [anchor + timedelta(hours=hour) for hour in range(1, 7)]


def test_an_interval_asked_late_does_not_drift() -> None:
    schedule = parse_schedule({"type": "interval", "interval_minutes": 7, "anchor": "2026-01-01T00:00:00Z"})
    late = get_next_run_time(schedule, at("2026-03-10T12:03:59Z"))
    assert late is not None
    assert (late - at("2026-01-01T00:00Z")) % timedelta(minutes=7) == timedelta(0)


def test_an_interval_begins_at_its_anchor_then_its_start_then_the_default() -> None:
    anchor, start, default = "2026-05-01T00:10:00Z", "2026-04-01T00:20:00Z", at("2026-03-01T00:30Z")
    raw = {"type": "interval", "interval_minutes": 60}
    before = at("2026-01-01T00:00Z")

    def first(**more: str) -> datetime | None:
        return get_next_run_time(parse_schedule(raw | more), before, default_anchor=default)

    assert first() == default
    assert first(start_at=start) == at(start)
    assert first(start_at=start, anchor=anchor) == at(anchor)


def test_a_default_anchor_in_another_zone_is_the_same_instant() -> None:
    schedule = parse_schedule({"type": "interval", "interval_minutes": 60})
    anchor = NOON.astimezone(timezone(timedelta(hours=5)))
    slot = get_next_run_time(schedule, NOON, default_anchor=anchor)
    assert slot == NOON + timedelta(hours=1)
    assert slot.tzinfo is UTC


def test_a_schedule_survives_json() -> None:
    for raw in (
        {"type": "daily", "window": {"from": "22:00", "to": "02:00"}, "timezone": "Europe/Berlin"},
        {"type": "weekly", "weekday": 1, "hour": 3, "exclude": {"dates": ["2026-12-24"], "calendar": "DE"}},
        {"type": "interval", "interval_minutes": 5, "anchor": "2026-01-01T00:00:00Z", "jitter_seconds": 10},
        {"type": "once", "at": "2026-12-24T09:00:00Z", "max_runs": 1},
    ):
        schedule = parse_schedule(raw)
        assert parse_schedule(schedule.model_dump(mode="json")) == schedule
        assert hash(parse_schedule(raw)) == hash(schedule)


def test_a_schedule_cannot_be_changed() -> None:
    schedule = parse_schedule({"type": "daily", "hour": 9})
    with pytest.raises(ValidationError):
        schedule.timezone = "Europe/Berlin"  # type: ignore[misc]  # frozen, which is the point


def test_the_json_schema_tells_the_kinds_apart_by_type() -> None:
    described = TypeAdapter(Schedule).json_schema()
    assert described["discriminator"]["propertyName"] == "type"
    assert len(described["oneOf"]) == 8


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "type", "write one of cron, daily"),
    ({"type": "lunar"}, "type", "write one of cron, daily"),
    ({"type": "daily"}, "hour", "missing"),
    ({"type": "daily", "hour": 24}, "hour", "at most 23"),
    ({"type": "daily", "hour": "9"}, "hour", "whole number"),
    ({"type": "daily", "hour": True}, "hour", "whole number"),
    ({"type": "daily", "hour": 9, "minute": -1}, "minute", "at least 0"),
    ({"type": "daily", "hour": 9, "second": 1}, "second", "no such field; it has dst_gap"),
    ({"type": "daily", "hour": 9, "timezone": "Mars/Base"}, "timezone", "such as Europe/Berlin"),
    ({"type": "daily", "hour": 9, "timezone": "europe/berlin"}, "timezone", "write Europe/Berlin"),
    ({"type": "daily", "hour": 9, "timezone": "../UTC"}, "timezone", "not an IANA time zone"),
    ({"type": "daily", "hour": 9, "timezone": "Z" * 10_000}, "timezone", "not an IANA time zone"),
    ({"type": "daily", "hour": 9, "timezone": "localtime"}, "timezone", "not an IANA time zone"),
    ({"type": "daily", "hour": 9, "dst_gap": "maybe"}, "dst_gap", "write 'run' or 'skip'"),
    ({"type": "weekly", "weekday": 7, "hour": 9}, "weekday", "at most 6"),
    ({"type": "time_of_day", "time": "6:00"}, "time", "HH:MM"),
    ({"type": "time_of_day", "time": "24:00"}, "time", "from 00:00 to 23:59"),
    ({"type": "time_of_day", "time": "0٦:00"}, "time", "HH:MM"),
    ({"type": "hours", "hours": 0}, "hours", "at least 1"),
    ({"type": "hours", "hours": 25}, "hours", "at most 24"),
    ({"type": "weekdays", "days": [], "time": "06:00"}, "days", "at least 1"),
    ({"type": "weekdays", "days": [0, 7], "time": "06:00"}, "days.1", "at most 6"),
    ({"type": "interval", "interval_minutes": 0}, "interval_minutes", "at least 1"),
    ({"type": "interval", "interval_minutes": 1.5}, "interval_minutes", "whole number"),
    ({"type": "interval", "interval_minutes": 5, "anchor": "2026-01-01T00:00:00"}, "anchor", "its offset"),
    ({"type": "once", "at": "tomorrow"}, "at", "2026-12-24T09:00:00Z"),
    ({"type": "once", "at": "9999-12-31T23:00:00-12:00"}, "at", "year from 1970"),
    ({"type": "once", "at": "0001-01-01T00:00:00"}, "at", "year from 1970"),
    ({"type": "daily", "hour": 9, "start_at": "0001-01-01T00:00:00+12:00"}, "start_at", "year from 1970"),
    ({"type": "cron", "expression": 5}, "expression", "write text"),
    ({"type": "weekdays", "days": 5, "time": "06:00"}, "days", "write a list"),
    ({"type": "daily", "hour": 9, "exclude": 5}, "exclude", "write an object"),
    (
        {"type": "daily", "hour": 9, "start_at": "2026-02-01T00:00Z", "end_at": "2026-01-01T00:00Z"},
        "end_at",
        "after 2026-02-01",
    ),
    ({"type": "daily", "hour": 9, "max_runs": 0}, "max_runs", "at least 1"),
    ({"type": "daily", "hour": 9, "window": {"from": "10:00", "to": "11:00"}}, "hour", "leave it out"),
    ({"type": "daily", "window": {"from": "9", "to": "11:00"}}, "window.from", "HH:MM"),
    ({"type": "daily", "window": {"from": "09:00", "to": "09:00"}}, "window.to", "other than"),
    ({"type": "hours", "hours": 6, "window": {"from": "09:00", "to": "11:00"}}, "window", "no such field"),
    (
        {"type": "daily", "window": {"from": "09:00", "to": "11:00"}, "jitter_seconds": 5},
        "jitter_seconds",
        "leave jitter_seconds out",
    ),
    ({"type": "cron", "expression": "*/5 * * * *", "jitter_seconds": 300}, "jitter_seconds", "less than"),
    ({"type": "daily", "hour": 9, "exclude": {"calendar": "XX"}}, "exclude.calendar", "ISO country code"),
    ({"type": "daily", "hour": 9, "exclude": {"calendar": "DE-ZZ"}}, "exclude.calendar", "DE or DE-"),
    (
        {"type": "daily", "hour": 9, "exclude": {"weekdays": list(range(7))}},
        "exclude.weekdays",
        "at least one",
    ),
    ({"type": "daily", "hour": 9, "exclude": {"dates": ["soon"]}}, "exclude.dates.0", "2026-12-24"),
    (
        {"type": "interval", "interval_minutes": 5, "exclude": {"policy": "next_working_day"}},
        "exclude.policy",
        "write skip",
    ),
]


@pytest.mark.parametrize(("raw", "path", "advice"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_refusal_names_the_field_and_what_to_write(raw: dict[str, Any], path: str, advice: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(raw)
    assert [error.path for error in refused.value.errors] == [path]
    assert advice in refused.value.errors[0].message


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule({"type": "daily", "hour": 30, "minute": 99, "timezone": "Nowhere/Else"})
    assert {error.path for error in refused.value.errors} == {"hour", "minute", "timezone"}


class Holder(BaseModel):
    schedule: Schedule


def test_inside_another_model_the_field_is_named_too() -> None:
    with pytest.raises(ValidationError) as refused:
        Holder.model_validate({"schedule": {"type": "cron", "expression": "61 * * * *"}})
    (error,) = refused.value.errors()
    assert error["loc"] == ("schedule", "cron", "expression")
    assert "write 0 to 59" in error["msg"]
    assert field_errors(refused.value)[0].path == "schedule.cron.expression"


@pytest.mark.parametrize(
    "expression",
    ["61 * * * *", "0 0 30 2 *", "*" * 10_000, "0," * 5_000 + "0 0 * * *", "9" * 500 + " * * * *"],
)
def test_nonsense_is_refused_in_milliseconds(expression: str) -> None:
    begin = perf_counter()
    with pytest.raises(ScheduleError) as refused:
        parse_schedule({"type": "cron", "expression": expression})
    assert perf_counter() - begin < 0.05
    assert len(str(refused.value)) < 200
