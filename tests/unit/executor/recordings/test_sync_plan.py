"""The days a run of a recording job looks at."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.recordings.finding.plan import window

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Pacific/Auckland",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)


@pytest.mark.parametrize(
    ("slot", "zone", "days", "since"),
    [
        ("2026-11-04T06:00:00Z", "UTC", 2, "2026-11-02T00:00:00Z"),
        ("2026-11-04T06:00:00Z", "UTC", 1, "2026-11-03T00:00:00Z"),
        ("2026-11-04T00:30:00Z", "Asia/Tokyo", 2, "2026-11-01T15:00:00Z"),
        ("2026-11-04T20:30:00Z", "Asia/Tokyo", 2, "2026-11-02T15:00:00Z"),
        ("2026-11-04T02:00:00Z", "America/New_York", 1, "2026-11-02T05:00:00Z"),
        # The clocks go back on 25 October and forward on 29 March.
        ("2026-10-26T05:00:00Z", "Europe/Berlin", 1, "2026-10-24T22:00:00Z"),
        ("2026-03-30T05:00:00Z", "Europe/Berlin", 1, "2026-03-28T23:00:00Z"),
    ],
)
def test_whole_days_of_the_zone_before_the_slots_own(slot: str, zone: str, days: int, since: str) -> None:
    found = window(datetime.fromisoformat(slot), zone, days)

    assert found.since == datetime.fromisoformat(since)
    assert found.until == datetime.fromisoformat(slot)


@given(
    slot=st.integers(0, 15 * 365 * 24 * 60).map(lambda minutes: BEGINNING + timedelta(minutes=minutes)),
    zone=st.sampled_from(ZONES),
    days=st.integers(1, 30),
)
def test_a_window_contains_the_slot_and_its_days(slot: datetime, zone: str, days: int) -> None:
    found = window(slot, zone, days)

    assert slot in found
    assert slot - timedelta(days=days) + timedelta(hours=1) in found
    assert slot - timedelta(days=days + 1, hours=1) not in found
    first, last = found.days
    assert (first, last) == (found.since.date(), slot.date())
    assert (last - first).days <= days + 1


def test_days_are_those_of_utc() -> None:
    found = window(datetime(2026, 11, 4, 20, 30, tzinfo=UTC), "Asia/Tokyo", 2)

    assert found.days == (date(2026, 11, 2), date(2026, 11, 4))
