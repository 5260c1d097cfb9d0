"""Zones as stretches of constant offset: the same readings as `zoneinfo`, and which of them are repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from common.scheduling import zones
from common.scheduling.instants import to_seconds


@pytest.mark.parametrize("page_bits", [25, 10])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
        ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
        ("America/St_Johns", datetime(2008, 11, 2, 2, 31, tzinfo=UTC)),
        ("Pacific/Kwajalein", datetime(1969, 9, 30, 13, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_readings_and_repetitions(
    name: str, change: datetime, page_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pages of 17 minutes every repeated stretch spans many of them."""
    monkeypatch.setattr(zones, "_CHUNK_BITS", page_bits)
    monkeypatch.setattr(zones, "_CHUNK_SECONDS", 1 << page_bits)
    zone, info = zones.Zone(name), ZoneInfo(name)
    seen: set[datetime] = set()
    at = change - timedelta(hours=30)
    offsets = set()
    while at < change + timedelta(hours=30):
        shown = at.astimezone(info).replace(tzinfo=None)
        stretch = zone.stretch(to_seconds(at))
        assert timedelta(seconds=stretch.offset) == shown.replace(tzinfo=UTC) - at
        assert stretch.start <= to_seconds(at) < stretch.end
        repeated = to_seconds(at) + stretch.offset < stretch.high_water
        assert repeated is (shown in seen)
        seen.add(shown)
        offsets.add(stretch.offset)
        at += timedelta(minutes=1)
    assert len(offsets) == 2


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2026-03-29T01:59", "2026-03-29T00:59"),
        ("2026-03-29T02:30", "2026-03-29T01:00"),
        ("2026-03-29T03:00", "2026-03-29T01:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30"),
        ("2026-10-25T03:00", "2026-10-25T02:00"),
    ],
)
def test_when_a_reading_is_reached(local: str, instant: str) -> None:
    berlin = zones.zone("Europe/Berlin")
    reading, expected = (to_seconds(datetime.fromisoformat(text + "Z")) for text in (local, instant))
    assert berlin.reached(reading) == expected


def test_every_name_makes_a_zone() -> None:
    for name in sorted(zones.zone_names()):
        assert zones.zone(name).name == name
