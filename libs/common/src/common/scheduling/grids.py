"""The slots of a schedule before its bounds and exclusions: a set of instants, searched both ways and
counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol

from common.scheduling.cron import parse_cron
from common.scheduling.instants import to_instant, to_seconds
from common.scheduling.wall_clock import DstGap, DstOverlap, WallClock
from common.scheduling.zones import zone

_TICK = timedelta(microseconds=1)


class Grid(Protocol):
    """A set of instants."""

    def next_after(self, after: datetime) -> datetime | None:
        """The first one later than `after`."""

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        """The last one up to and including `instant`."""

    def count(self, first: datetime, last: datetime) -> int:
        """How many lie in [first, last], at a cost that does not grow with the answer."""


@dataclass(frozen=True, slots=True)
class WallClockGrid:
    """What a cron rule names in a zone."""

    clock: WallClock

    def next_after(self, after: datetime) -> datetime | None:
        found = self.clock.next_after(to_seconds(after))
        return None if found is None else to_instant(found)

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        found = self.clock.latest_at_or_before(to_seconds(instant))
        return None if found is None else to_instant(found)

    def count(self, first: datetime, last: datetime) -> int:
        start = to_seconds(first) + (1 if first.microsecond else 0)
        return self.clock.count(start, to_seconds(last) + 1)


@lru_cache(maxsize=16384)
def wall_clock_grid(
    expression: str, timezone: str, dst_gap: DstGap, dst_overlap: DstOverlap
) -> WallClockGrid:
    """The instants of a cron expression in a zone; kept, since automations share schedules and ask often.

    Raises:
        CronError: the expression is refused.
        UnknownZone: the tz database has no such zone.
    """
    return WallClockGrid(WallClock(parse_cron(expression), zone(timezone), dst_gap, dst_overlap))


@dataclass(frozen=True, slots=True)
class IntervalGrid:
    """Elapsed time: the anchor and every `step` after it. The clocks and the time of computation do not move
    it."""

    anchor: datetime
    step: timedelta

    def next_after(self, after: datetime) -> datetime | None:
        if after < self.anchor:
            return self.anchor
        try:
            return self.anchor + ((after - self.anchor) // self.step + 1) * self.step
        except OverflowError:
            return None

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        if instant < self.anchor:
            return None
        return self.anchor + (instant - self.anchor) // self.step * self.step

    def count(self, first: datetime, last: datetime) -> int:
        first = max(first, self.anchor)
        if last < first:
            return 0
        return (last - self.anchor) // self.step + (self.anchor - first) // self.step + 1


@dataclass(frozen=True, slots=True)
class SingleInstant:
    """One instant."""

    at: datetime

    def next_after(self, after: datetime) -> datetime | None:
        return self.at if after < self.at else None

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        return self.at if self.at <= instant else None

    def count(self, first: datetime, last: datetime) -> int:
        return 1 if first <= self.at <= last else 0


@dataclass(frozen=True, slots=True)
class BoundedGrid:
    """What another grid names from `start` to `end`, both included."""

    inner: Grid
    start: datetime | None
    end: datetime | None

    def next_after(self, after: datetime) -> datetime | None:
        if self.start is not None and after < self.start:
            after = self.start - _TICK
        found = self.inner.next_after(after)
        return None if found is None or (self.end is not None and found > self.end) else found

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        if self.end is not None and instant > self.end:
            instant = self.end
        found = self.inner.latest_at_or_before(instant)
        return None if found is None or (self.start is not None and found < self.start) else found

    def count(self, first: datetime, last: datetime) -> int:
        if self.start is not None:
            first = max(first, self.start)
        if self.end is not None:
            last = min(last, self.end)
        return self.inner.count(first, last) if first <= last else 0


@dataclass(frozen=True, slots=True)
class ExtendedGrid:
    """Another grid and one more instant, which it does not name."""

    inner: Grid
    extra: datetime

    def next_after(self, after: datetime) -> datetime | None:
        found = self.inner.next_after(after)
        return self.extra if after < self.extra and (found is None or self.extra < found) else found

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        found = self.inner.latest_at_or_before(instant)
        return self.extra if self.extra <= instant and (found is None or found < self.extra) else found

    def count(self, first: datetime, last: datetime) -> int:
        return self.inner.count(first, last) + (first <= self.extra <= last)
