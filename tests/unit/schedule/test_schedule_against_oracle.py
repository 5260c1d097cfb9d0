"""The engine and a minute-by-minute walk must agree around every change of the clocks."""

from __future__ import annotations

import random
import zoneinfo
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from common.scheduling import (
    count_slots_between,
    get_next_run_time,
    latest_slot_at_or_before,
    parse_schedule,
)
from tests.support.figures import Figures
from tests.unit.schedule.minute_oracle import (
    MINUTE,
    Change,
    Readings,
    changes,
    instants_near,
    latest_in,
    next_in,
    patterns_near,
)

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)
ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
PECULIAR = (
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Africa/Cairo",  # at midnight
    "Asia/Beirut",
    "America/Havana",
    "America/Santiago",
    "America/Nuuk",
    "America/Scoresbysund",
    "Atlantic/Azores",
    "Africa/Casablanca",  # four a year
    "Asia/Gaza",
    "Europe/Dublin",  # winter time is the exception
    "Pacific/Chatham",
)


def differences(change: Change, seed: int, instants: int, reach: timedelta) -> Iterator[str | None]:
    """One item a case: None where the engine agrees, else what it said."""
    chance = random.Random(f"{seed} {change}")
    readings = Readings(change.zone, change.at - reach, change.at + reach + timedelta(hours=24))
    for pattern in patterns_near(change, chance):
        schedule = parse_schedule(
            {
                "type": "cron",
                "expression": pattern.expression,
                "timezone": change.zone,
                "dst_gap": pattern.dst_gap,
                "dst_overlap": pattern.dst_overlap,
            }
        )
        slots = readings.slots(pattern)
        for instant in instants_near(change, chance, instants):
            following = get_next_run_time(schedule, instant)
            expected = next_in(slots, instant)
            agrees = (
                following == expected if expected else following is not None and following >= readings.end
            )
            latest = latest_slot_at_or_before(schedule, instant)
            expected_latest = latest_in(slots, instant)
            agrees &= (
                latest == expected_latest if expected_latest else latest is None or latest < readings.start
            )
            yield (
                None
                if agrees
                else f"{change} {pattern.expression} {pattern.dst_gap} {pattern.dst_overlap}: from {instant} "
                f"{following}, not {expected}; back {latest}, not {expected_latest}"
            )
        counted = count_slots_between(schedule, readings.start, readings.end - MINUTE)
        yield (
            None
            if counted == len(slots)
            else f"{change} {pattern.expression} {pattern.dst_gap}: {counted} slots, not {len(slots)}"
        )


def compare(found: Iterable[Change], instants: int, reach: timedelta = timedelta(hours=6)) -> int:
    """How many cases agree; fails with the first that do not."""
    cases = 0
    wrong: list[str] = []
    for change in found:
        for difference in differences(change, 1, instants, reach):
            cases += 1
            if difference is not None:
                wrong.append(difference)
        assert not wrong, "\n".join(wrong[:20])
    return cases


def test_around_a_sample_of_changes() -> None:
    chance = random.Random(2026)
    sample = []
    for zone in PECULIAR:
        start = datetime(chance.randrange(2020, 2039), 1, 1, tzinfo=UTC)
        sample += list(changes(zone, start, start + timedelta(days=366)))
    for zone in chance.sample(ZONES, 60):
        start = datetime(chance.randrange(2020, 2040), 1, 1, tzinfo=UTC)
        sample += list(changes(zone, start, start + timedelta(days=366)))
    assert compare(sample, instants=12) > 5_000


@pytest.mark.parametrize(
    ("zone", "year"),
    [
        ("Pacific/Apia", 2011),
        ("Pacific/Fakaofo", 2011),
        ("Pacific/Kwajalein", 1993),
        ("Pacific/Kiritimati", 1994),
    ],
)
def test_where_a_whole_day_is_skipped(zone: str, year: int) -> None:
    found = changes(zone, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 5, tzinfo=UTC))
    assert compare(found, instants=40, reach=timedelta(hours=48)) > 500


def test_where_a_day_is_repeated() -> None:
    found = changes("Pacific/Kwajalein", datetime(1969, 9, 1, tzinfo=UTC), datetime(1969, 11, 1, tzinfo=UTC))
    assert compare(found, instants=40, reach=timedelta(hours=48)) > 500


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_around_every_change_of_every_zone_from_2020_to_2040(figures: Figures) -> None:
    cases = sum(compare(changes(zone, FIRST, LAST), instants=10) for zone in ZONES)
    figures.record("cases near clock changes compared with the oracle, none different", cases, "cases")
    assert cases > 1_000_000
