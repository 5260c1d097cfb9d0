"""Which calendar days a cron expression names.

Whether a day matches depends only on its month, the length of that month and the weekday the month begins on,
so a month's answer is one bit mask out of at most 91, and the next matching day is one shift away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
"""`date.toordinal()` of the day this module counts as day 0."""

BLOCK_BITS = 10
"""Days are answered in blocks of 2**10: wide enough to jump years, small enough to build in microseconds."""

_BLOCK_DAYS = 1 << BLOCK_BITS
_BLOCK_MASK = _BLOCK_DAYS - 1
_MONTH_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

FIRST_DAY = date(2, 1, 1).toordinal() - EPOCH_ORDINAL
LAST_DAY = date(9990, 1, 1).toordinal() - EPOCH_ORDINAL
"""Days outside these are never searched: `datetime` cannot hold every offset of them."""


def cron_weekday(day: int) -> int:
    """The weekday of a day since the epoch, counted as cron counts: Sunday is 0."""
    return (day + 4) % 7


def month_length(year: int, month: int) -> int:
    """How many days the month has."""
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_LENGTHS[month] + leap


@dataclass(frozen=True, slots=True)
class DayPattern:
    """The three day fields of a cron expression; bit `n` of a mask stands for the value `n`."""

    days_of_month: int
    months: int
    weekdays: int
    last_day: bool = False
    last_working_day: bool = False
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    """(weekday, n): the n-th such weekday of the month."""
    last_weekdays: int = 0
    either: bool = False
    """Both the day of month and the weekday are restricted, and one of the two suffices, as in cron."""
    _months: dict[tuple[int, int, int], int] = field(default_factory=dict, compare=False, repr=False)
    _blocks: dict[int, int] = field(default_factory=dict, compare=False, repr=False)

    def in_month(self, month: int, length: int, first_weekday: int) -> int:
        """The matching days of such a month; bit 0 is the 1st."""
        key = (month, length, first_weekday)
        found = self._months.get(key)
        if found is None:
            found = self._months[key] = self._match_month(month, length, first_weekday)
        return found

    def _match_month(self, month: int, length: int, first_weekday: int) -> int:
        if not self.months >> month & 1:
            return 0
        by_date = (self.days_of_month >> 1) & ((1 << length) - 1)
        if self.last_day:
            by_date |= 1 << (length - 1)
        if self.last_working_day:
            last_weekday = (first_weekday + length - 1) % 7
            weekend = {6: 1, 0: 2}.get(last_weekday, 0)
            by_date |= 1 << (length - 1 - weekend)
        by_weekday = 0
        for index in range(length):
            weekday = (first_weekday + index) % 7
            if (
                self.weekdays >> weekday & 1
                or (weekday, index // 7 + 1) in self.nth_weekdays
                or (index + 7 >= length and self.last_weekdays >> weekday & 1)
            ):
                by_weekday |= 1 << index
        return by_date | by_weekday if self.either else by_date & by_weekday

    def never_matches(self) -> bool:
        """Whether no day of the Gregorian calendar matches (its 400 years hold every kind of month)."""
        return not any(
            self.in_month(month, length, first_weekday)
            for month in range(1, 13)
            for length in ((28, 29) if month == 2 else (_MONTH_LENGTHS[month],))
            for first_weekday in range(7)
        )

    def closest(self) -> int:
        """The smallest distance between two matching days, in days; at most a year is looked for."""
        blocks = [self.block(index) for index in range(20, 31)]  # 2026 to 2056: every kind of year
        for distance in range(1, 366):
            if any(block & block >> distance for block in blocks):
                return distance
        return 366

    def block(self, index: int) -> int:
        """The matching days of one block of 1,024; bit 0 is its first day."""
        found = self._blocks.get(index)
        if found is None:
            found = self._blocks[index] = self._match_block(index)
        return found

    def _match_block(self, index: int) -> int:
        first = index << BLOCK_BITS
        start = date.fromordinal(first + EPOCH_ORDINAL)
        year, month = start.year, start.month
        position = 1 - start.day
        mask = 0
        while position < _BLOCK_DAYS:
            length = month_length(year, month)
            days = self.in_month(month, length, cron_weekday(first + position))
            mask |= days << position if position >= 0 else days >> -position
            position += length
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        return mask & ((1 << _BLOCK_DAYS) - 1)

    def matches(self, day: int) -> bool:
        """Whether this day since the epoch matches."""
        return bool(self.block(day >> BLOCK_BITS) >> (day & _BLOCK_MASK) & 1)

    def at_or_after(self, day: int) -> int | None:
        """The first matching day from `day` on, or None when the calendar ends before one."""
        index = day >> BLOCK_BITS
        mask = (self._blocks.get(index) or self.block(index)) >> (day & _BLOCK_MASK)
        if mask:
            return day + (mask & -mask).bit_length() - 1
        if self.never_matches():
            return None
        while (index << BLOCK_BITS) < LAST_DAY:
            index += 1
            mask = self.block(index)
            if mask:
                return (index << BLOCK_BITS) + (mask & -mask).bit_length() - 1
        return None

    def at_or_before(self, day: int) -> int | None:
        """The last matching day up to and including `day`, or None when there is none."""
        index = day >> BLOCK_BITS
        mask = self.block(index) & ((2 << (day & _BLOCK_MASK)) - 1)
        if mask:
            return (index << BLOCK_BITS) + mask.bit_length() - 1
        if self.never_matches():
            return None
        while (index << BLOCK_BITS) > FIRST_DAY:
            index -= 1
            mask = self.block(index)
            if mask:
                return (index << BLOCK_BITS) + mask.bit_length() - 1
        return None

    def count(self, first: int, end: int) -> int:
        """How many days match in [first, end)."""
        if end <= first:
            return 0
        low, high = first >> BLOCK_BITS, end >> BLOCK_BITS
        below_first = (1 << (first & _BLOCK_MASK)) - 1
        below_end = (1 << (end & _BLOCK_MASK)) - 1
        total = -(self.block(low) & below_first).bit_count()
        if below_end:
            total += (self.block(high) & below_end).bit_count()
        return total + sum(self.block(index).bit_count() for index in range(low, high))


@lru_cache(maxsize=4096)
def shared(pattern: DayPattern) -> DayPattern:
    """One instance for equal patterns, so that expressions which differ only in their times share the
    blocks."""
    return pattern
