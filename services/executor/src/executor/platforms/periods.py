"""Stretches of days, cut and joined to what a platform answers at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from executor.platforms.figures import Days

_DAY = timedelta(days=1)


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
