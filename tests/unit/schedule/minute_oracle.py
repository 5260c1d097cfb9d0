"""What a schedule should do, found by walking every minute: slow, plain, and sharing no code with the engine.

The oracle reads `zoneinfo` one minute at a time, keeps every reading of the local clock it has seen, and
applies the rules as a user would state them. Expressions come as text for the engine and as sets for the
oracle.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Numbers:
    """A field of an expression, as text and as the values it means."""

    text: str
    values: frozenset[int]


@dataclass(frozen=True)
class Days:
    """The three day fields, as text and as a question about a date."""

    text: str
    match: Callable[[date], bool]


@dataclass(frozen=True)
class Pattern:
    """An expression with the options for changes of the clocks."""

    minute: Numbers
    hour: Numbers
    days: Days
    dst_gap: str = "run"
    dst_overlap: str = "first"

    @property
    def expression(self) -> str:
        return f"{self.minute.text} {self.hour.text} {self.days.text}"

    @property
    def fixed(self) -> bool:
        return not (self.minute.text.startswith("*") or self.hour.text.startswith("*"))


@dataclass(frozen=True)
class Change:
    """The first minute of a new offset."""

    zone: str
    at: datetime


class Readings:
    """Every minute of a stretch of time, with what the local clock shows."""

    def __init__(self, zone: str, start: datetime, end: datetime) -> None:
        info = ZoneInfo(zone)
        self.start, self.end = start, end
        self.minutes: list[tuple[datetime, datetime]] = []
        at = start
        while at < end:
            self.minutes.append((at, at.astimezone(info).replace(tzinfo=None)))
            at += MINUTE
        self.dates = {shown.date() for _, shown in self.minutes}

    def slots(self, pattern: Pattern) -> list[datetime]:
        """The instants at which the pattern fires."""
        days = {day: pattern.days.match(day) for day in self.dates | {day + DAY for day in self.dates}}
        minutes, hours = pattern.minute.values, pattern.hour.values
        seen: set[datetime] = set()
        fired: list[datetime] = []
        before: datetime | None = None
        for at, shown in self.minutes:
            due = shown.minute in minutes and shown.hour in hours and days[shown.date()]
            if pattern.fixed:
                if due and pattern.dst_overlap == "first" and shown in seen:
                    due = False
                if not due and before is not None and pattern.dst_gap == "run" and shown > before + MINUTE:
                    reading = before + MINUTE
                    while reading < shown and not due:
                        due = (
                            reading.minute in minutes
                            and reading.hour in hours
                            and days.get(reading.date(), pattern.days.match(reading.date()))
                            and reading not in seen
                        )
                        reading += MINUTE
                seen.add(shown)
            if due:
                fired.append(at)
            before = shown
        return fired


def changes(zone: str, start: datetime, end: datetime) -> Iterator[Change]:
    """Every change of the zone's offset, to the minute."""
    info = ZoneInfo(zone)

    def offset(at: datetime) -> timedelta | None:
        return at.astimezone(info).utcoffset()

    day, before = start, offset(start)
    while day < end:
        after = offset(day + DAY)
        if after != before:
            low, high = day, day + DAY
            while high - low > MINUTE:
                middle = low + (high - low) // 2 // MINUTE * MINUTE
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            yield Change(zone, high)
        day, before = day + DAY, after


def patterns_near(change: Change, chance: random.Random) -> list[Pattern]:
    """Expressions that have something to do with what this change of the clock repeats or skips."""
    info = ZoneInfo(change.zone)
    before = (change.at - MINUTE).astimezone(info).replace(tzinfo=None) + MINUTE
    after = change.at.astimezone(info).replace(tzinfo=None)
    low, high = min(before, after), max(before, after)
    inside = low + MINUTE * chance.randrange(max(1, (high - low) // MINUTE))
    further = low + MINUTE * chance.randrange(max(1, (high - low) // MINUTE))
    outside = inside + MINUTE * chance.randrange(-180, 180)
    day = chance.choice((low, high)).date()
    every_day = Days("* * *", lambda _: True)
    days = chance.choice([every_day, *_days(day)])
    options = {
        "dst_gap": chance.choice(["run", "run", "skip"]),
        "dst_overlap": chance.choice(["first", "first", "both"]),
    }
    return [
        Pattern(_number(inside.minute), _number(inside.hour), every_day),
        Pattern(_number(inside.minute), _number(inside.hour), every_day, **options),
        Pattern(_number(inside.minute), _number(inside.hour), days, **options),
        Pattern(_number(high.minute), _number(high.hour), days),
        Pattern(_number(low.minute), _number(low.hour), days, **options),
        Pattern(_number(0), _listed({low.hour, high.hour}), every_day, **options),
        Pattern(
            _listed({inside.minute, further.minute, outside.minute}),
            _listed({inside.hour, further.hour, outside.hour}),
            days,
            **options,
        ),
        Pattern(_number(outside.minute), _number(outside.hour), days, **options),
        Pattern(_number(inside.minute), _every(24), every_day),
        Pattern(_number(0), Numbers("0-23", frozenset(range(24))), days, **options),
        Pattern(_step(60, chance.choice([5, 7, 15, 30])), _number(inside.hour), every_day, **options),
        Pattern(_step(60, chance.choice([1, 10, 15, 30])), _every(24), days),
        Pattern(_number(chance.choice([0, inside.minute])), _step(24, chance.choice([2, 3, 5, 6, 12])), days),
        Pattern(_every(60), _every(24), every_day),
    ]


def next_in(slots: list[datetime], after: datetime) -> datetime | None:
    """The first slot strictly later."""
    index = bisect_right(slots, after)
    return slots[index] if index < len(slots) else None


def latest_in(slots: list[datetime], instant: datetime) -> datetime | None:
    """The last slot up to and including the instant."""
    index = bisect_right(slots, instant)
    return slots[index - 1] if index else None


def instants_near(change: Change, chance: random.Random, count: int) -> Iterable[datetime]:
    """Instants to ask from: the change itself, its neighbours, and any within some hours."""
    yield change.at
    yield change.at - MINUTE
    yield change.at + MINUTE
    for _ in range(count - 3):
        yield change.at + timedelta(seconds=chance.randrange(-5 * 3600, 5 * 3600))


def _number(value: int) -> Numbers:
    return Numbers(str(value), frozenset({value}))


def _listed(values: set[int]) -> Numbers:
    return Numbers(",".join(map(str, sorted(values))), frozenset(values))


def _every(size: int) -> Numbers:
    return Numbers("*", frozenset(range(size)))


def _step(size: int, step: int) -> Numbers:
    return Numbers(f"*/{step}", frozenset(range(0, size, step)))


def _days(day: date) -> list[Days]:
    cron_weekday = day.isoweekday() % 7
    nth = (day.day + 6) // 7

    def is_last_day(other: date) -> bool:
        return (other + DAY).day == 1

    def is_last_working_day(other: date) -> bool:
        later = [other + DAY * ahead for ahead in range(1, 4)]
        rest = [ahead for ahead in later if ahead.month == other.month]
        return other.weekday() < 5 and len(rest) < 3 and all(ahead.weekday() > 4 for ahead in rest)

    return [
        Days(f"{day.day} * *", lambda other: other.day == day.day),
        Days(f"{day.day} {day.month} *", lambda other: (other.day, other.month) == (day.day, day.month)),
        Days(f"* * {cron_weekday}", lambda other: other.weekday() == day.weekday()),
        Days(
            f"* * {cron_weekday}#{nth}",
            lambda other: other.weekday() == day.weekday() and (other.day + 6) // 7 == nth,
        ),
        Days(
            f"* * {cron_weekday}L",
            lambda other: other.weekday() == day.weekday() and (other + 7 * DAY).month != other.month,
        ),
        Days("L * *", is_last_day),
        Days("LW * *", is_last_working_day),
        Days(
            f"{day.day} * {(cron_weekday + 1) % 7}",
            lambda other: other.day == day.day or other.weekday() == (day.weekday() + 1) % 7,
        ),
        Days(
            f"*/2 * {cron_weekday}",
            lambda other: other.day % 2 == 1 and other.weekday() == day.weekday(),
        ),
        Days("* */5 1-5", lambda other: other.month in {1, 6, 11} and other.weekday() < 5),
    ]
