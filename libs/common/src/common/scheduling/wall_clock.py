"""The instants a cron rule names in a time zone, and what happens to them where the clocks change.

A **fixed** time names the first instant at which the local clock shows it or has been set past it. So one
that the clock skips fires once, at the end of the gap; several that end up there are one run; and one that
the clock shows twice fires the first time. `dst_gap="skip"` drops the times a gap swallows,
`dst_overlap="both"` fires both times.

A **wildcard** follows the wall clock: it fires whenever the clock shows a matching time, in both of two
repeated hours and never in a skipped one. The two options say nothing about it.

Everything here counts in seconds since the epoch. Inside one stretch of constant offset local time is an
addition away, and both directions and the counting reduce to looking at whole local days.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Literal

from common.scheduling.cron import CronRule
from common.scheduling.days import FIRST_DAY, LAST_DAY
from common.scheduling.zones import Zone

DstGap = Literal["run", "skip"]
DstOverlap = Literal["first", "both"]

_DAY = 86400
_FAR = 3 * _DAY
"""Farther than any change of the clocks reaches. A search leaps over changes only from so far away: what one
of them repeats or skips has then been looked at."""
_FIRST = FIRST_DAY * _DAY
_LAST = LAST_DAY * _DAY


class WallClock:
    """A cron rule in a zone: a set of instants, searched in both directions and counted."""

    __slots__ = ("_days", "_repeats", "_runs_after_gap", "_times", "_zone", "rule")

    def __init__(self, rule: CronRule, where: Zone, dst_gap: DstGap, dst_overlap: DstOverlap) -> None:
        self.rule = rule
        self._days = rule.days
        self._times = rule.times
        self._zone = where
        self._runs_after_gap = rule.fixed and dst_gap == "run"
        self._repeats = not rule.fixed or dst_overlap == "both"

    @property
    def zone(self) -> Zone:
        """The zone whose clock it follows."""
        return self._zone

    def next_after(self, after: int) -> int | None:
        """The first instant later than `after`, or None when the calendar ends."""
        if not _FIRST <= after < _LAST:
            if after >= _LAST:
                return None
            after = _FIRST
        start, end, offset, high_water = self._zone.stretch(after)
        lowest = after + offset + 1
        while True:
            if not self._repeats and lowest < high_water:
                lowest = high_water
            local = self._next_local(lowest)
            if local is None:
                return None
            instant = local - offset
            if instant < end:
                return instant
            if instant - end > _FAR and end + offset - lowest > _FAR:
                end = instant - _FAR
            start, end, offset, high_water = self._zone.stretch(end)
            if self._runs_after_gap and local < start + offset and self._swallows(high_water, start + offset):
                return start
            lowest = start + offset

    def latest_at_or_before(self, instant: int) -> int | None:
        """The last instant up to and including this one, or None when there is none."""
        if not _FIRST <= instant < _LAST:
            if instant < _FIRST:
                return None
            instant = _LAST - 1
        start, _, offset, high_water = self._zone.stretch(instant)
        highest = instant + offset
        while True:
            local_start = start + offset
            local = self._latest_local(highest)
            floor = local_start if self._repeats else max(local_start, high_water)
            if local is not None and local >= floor:
                return local - offset
            if self._runs_after_gap and self._swallows(high_water, local_start):
                return start
            if local is None:
                return None
            before = start - 1
            if before <= _FIRST:
                return None
            if before - (local - offset) > _FAR and highest - local_start > _FAR:
                before = local - offset + _FAR
            start, _, offset, high_water = self._zone.stretch(before)
            highest = before + offset

    def count(self, start: int, end: int) -> int:
        """How many instants lie in [start, end). The cost grows with the changes of the clocks in between."""
        start, end = max(start, _FIRST), min(end, _LAST)
        total = 0
        for stretch in self._zone.stretches(start, end):
            local_start = stretch.start + stretch.offset
            low = max(start, stretch.start) + stretch.offset
            high = min(end, stretch.end) + stretch.offset
            if not self._repeats:
                low = max(low, stretch.high_water)
            if low < high:
                total += self._rank(high) - self._rank(low)
            if (
                start <= stretch.start
                and self._runs_after_gap
                and self._swallows(stretch.high_water, local_start)
                and not self._names(local_start)
            ):
                total += 1
        return total

    def _swallows(self, low: int, high: int) -> bool:
        """Whether the rule names a local time in [low, high), readings the clock was set forward over."""
        if low >= high:
            return False
        local = self._next_local(low)
        return local is not None and local < high

    def _names(self, local: int) -> bool:
        return self._next_local(local) == local

    def _next_local(self, lowest: int) -> int | None:
        """The first matching local time from `lowest` on."""
        day, minute = divmod((lowest + 59) // 60, 1440)
        found = self._days.at_or_after(day)
        if found == day:
            times = self._times
            if minute <= times[-1]:
                return day * _DAY + times[bisect_left(times, minute)] * 60
            found = self._days.at_or_after(day + 1)
        return None if found is None else found * _DAY + self._times[0] * 60

    def _latest_local(self, highest: int) -> int | None:
        """The last matching local time up to and including `highest`."""
        day, minute = divmod(highest // 60, 1440)
        found = self._days.at_or_before(day)
        if found == day:
            times = self._times
            if minute >= times[0]:
                return day * _DAY + times[bisect_right(times, minute) - 1] * 60
            found = self._days.at_or_before(day - 1)
        return None if found is None else found * _DAY + self._times[-1] * 60

    def _rank(self, local: int) -> int:
        """How many matching local times lie before `local`, counted from the epoch's day."""
        day, minute = divmod((local + 59) // 60, 1440)
        whole = self._days.count(0, day) if day >= 0 else -self._days.count(day, 0)
        today = bisect_left(self._times, minute) if minute and self._days.matches(day) else 0
        return whole * len(self._times) + today
