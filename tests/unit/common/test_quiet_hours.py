"""When a destination is quiet, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.scheduling.quiet_hours import QuietHours

NIGHT = QuietHours.model_validate({"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T20:59:59", None),
        ("2026-11-20T21:00:00", "2026-11-21T06:00:00"),
        ("2026-11-21T05:59:59", "2026-11-21T06:00:00"),
        ("2026-11-21T06:00:00", None),
        ("2026-07-01T20:30:00", "2026-07-02T05:00:00"),
    ],
)
def test_quiet_hours_cross_midnight_in_the_destinations_zone(now: str, until: str | None) -> None:
    assert NIGHT.until(at(now)) == (until and at(until))


def test_quiet_hours_across_a_clock_change_last_an_hour_more_or_less() -> None:
    autumn = NIGHT.until(at("2026-10-24T20:00:00"))
    spring = NIGHT.until(at("2026-03-28T21:00:00"))
    assert autumn == at("2026-10-25T06:00:00")
    assert spring == at("2026-03-29T05:00:00")


@given(
    st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2030, 1, 1)),  # noqa: DTZ001
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_quiet_hours_end_in_the_future(moment: datetime, begins: int, ends: int, zone: str) -> None:
    if begins == ends:
        return
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in (begins, ends)]
    quiet = QuietHours.model_validate({"from": clock[0], "to": clock[1], "timezone": zone})
    now = moment.replace(tzinfo=UTC)
    until = quiet.until(now)
    if until is not None:
        assert now < until <= now + timedelta(hours=26)
        assert quiet.until(until) is None


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"from": "25:00", "to": "07:00"}, "from"),
        ({"from": "22:00", "to": "07:00", "timezone": "Mars/Base"}, "timezone"),
        ({"from": "22:00", "to": "07:00", "then": "shout"}, "then"),
        ({"from": "07:00", "to": "07:00"}, ""),
    ],
)
def test_invalid_quiet_hours_are_rejected_by_field(raw: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        QuietHours.model_validate(raw)
    assert field in {".".join(map(str, fault["loc"])) for fault in caught.value.errors()}
