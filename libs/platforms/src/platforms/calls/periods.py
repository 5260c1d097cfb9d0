"""Stretches of days, cut and joined to what a platform answers at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Days:
    """A stretch of calendar days, both ends included."""

    since: date
    until: date

    @classmethod
    def ending(cls, until: date, count: int) -> Days:
        """The `count` days that end with `until`."""
        return cls(until - timedelta(days=count - 1), until)

    @property
    def count(self) -> int:
        """How many days."""
        return (self.until - self.since).days + 1

    def before(self) -> Days:
        """As many days, just before these."""
        return Days.ending(self.since - timedelta(days=1), self.count)

    def halves(self) -> tuple[Days, Days]:
        """The two halves of two days or more, the earlier first."""
        middle = self.since + timedelta(days=self.count // 2 - 1)
        return Days(self.since, middle), Days(middle + timedelta(days=1), self.until)


def pieces(days: Days, most: int) -> list[Days]:
    """`days` in stretches of at most `most` days, the earliest first."""
    found = []
    since = days.since
    while since <= days.until:
        until = min(since + timedelta(days=most - 1), days.until)
        found.append(Days(since, until))
        since = until + _DAY
    return found


def joined(periods: Iterable[Days]) -> list[Days]:
    """As few stretches as hold every day of the periods once, the earliest first."""
    found: list[Days] = []
    for days in sorted(periods, key=lambda each: each.since):
        if found and days.since <= found[-1].until + _DAY:
            found[-1] = Days(found[-1].since, max(found[-1].until, days.until))
        else:
            found.append(days)
    return found


def single_days(periods: Iterable[Days]) -> Iterator[Days]:
    """Every day of the periods once, the earliest first."""
    for days in joined(periods):
        yield from pieces(days, 1)
