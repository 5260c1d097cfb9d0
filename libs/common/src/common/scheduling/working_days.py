"""Runs that an excluded day moves to the next working day, as slots of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from common.scheduling.days import EPOCH_ORDINAL, FIRST_DAY, LAST_DAY
from common.scheduling.exclusions import LONGEST_REST, Exclude
from common.scheduling.grids import Grid
from common.scheduling.instants import to_instant, to_seconds
from common.scheduling.zones import Zone

_DAY = 86400
_A_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class MovedGrid:
    """Another grid, and the same time of the next working day for each of its slots on an excluded day.

    The excluded slot stays in the grid, so that its reason is recorded. Where the moved one
    meets a slot that is there already, or another moved one, they are one.

    A moved slot lies on the first working day after the rest that its origin lies in, so only the rest around
    one instant ever has to be looked at.
    """

    inner: Grid
    exclude: Exclude
    zone: Zone
    end: datetime | None
    """Nothing is moved past it."""
    _received: dict[date, frozenset[datetime]] = field(default_factory=dict, compare=False, repr=False)

    def next_after(self, after: datetime) -> datetime | None:
        own = self.inner.next_after(after)
        landing = self.exclude.next_working_day(local_day(self.zone, after))
        moved = [slot for slot in self._landed(landing) if slot > after]
        return min([slot for slot in (own, *moved) if slot is not None], default=None)

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        own = self.inner.latest_at_or_before(instant)
        if own is None:
            return None
        landing = self.exclude.next_working_day(local_day(self.zone, own))
        return max([own, *(slot for slot in self._landed(landing) if slot <= instant)])

    def count(self, first: datetime, last: datetime) -> int:
        total = self.inner.count(first, last)
        day, final = local_day(self.zone, first), local_day(self.zone, last)
        while day <= final:
            landing = self.exclude.next_working_day(day)
            total += sum(first <= slot <= last for slot in self._landed(landing))
            day = landing + _A_DAY if landing is not None else day + _A_DAY
        return total

    def moved_to(self, slot: datetime) -> datetime | None:
        """Where an excluded slot's run goes, or None when no working day is near."""
        landing = self.exclude.next_working_day(local_day(self.zone, slot))
        moved = None if landing is None else self._on(landing, slot)
        return None if moved is None or (self.end is not None and moved > self.end) else moved

    def _landed(self, landing: date | None) -> frozenset[datetime]:
        """The slots this working day receives and does not have itself."""
        if landing is None:
            return frozenset()
        found = self._received.get(landing)
        if found is None:
            found = self._received[landing] = frozenset(self._find_landed(landing))
        return found

    def _find_landed(self, landing: date) -> set[datetime]:
        if self.exclude.is_working_day(landing - _A_DAY):
            return set()
        rest = landing - _A_DAY
        while not self.exclude.is_working_day(rest - _A_DAY) and (landing - rest).days < LONGEST_REST - 1:
            rest -= _A_DAY
        slots = set()
        end = _midnight(self.zone, landing)
        slot = self.inner.next_after(_midnight(self.zone, rest) - _TICK)
        while slot is not None and slot < end:
            day = local_day(self.zone, slot)
            if self.exclude.reason(day) is None:
                slot = self.inner.next_after(slot)
                continue
            moved = self._on(landing, slot)
            if (self.end is None or moved <= self.end) and self.inner.latest_at_or_before(moved) != moved:
                slots.add(moved)
            slot = self.inner.next_after(slot)
        return slots

    def _on(self, landing: date, slot: datetime) -> datetime:
        seconds = to_seconds(slot)
        time_of_day = (seconds + self.zone.offset(seconds)) % _DAY
        return to_instant(self.zone.reached((landing.toordinal() - EPOCH_ORDINAL) * _DAY + time_of_day))


def local_day(zone: Zone, instant: datetime) -> date:
    """The calendar day the instant belongs to in the zone."""
    seconds = to_seconds(instant)
    day = min(max((seconds + zone.offset(seconds)) // _DAY, FIRST_DAY), LAST_DAY)
    return date.fromordinal(day + EPOCH_ORDINAL)


def end_of_local_day(zone: Zone, instant: datetime) -> datetime:
    """The first later instant that may belong to another day of the zone's calendar."""
    stretch = zone.stretch(to_seconds(instant))
    next_day = ((to_seconds(instant) + stretch.offset) // _DAY + 1) * _DAY
    return to_instant(min(next_day - stretch.offset, stretch.end))


def _midnight(zone: Zone, day: date) -> datetime:
    return to_instant(zone.reached((day.toordinal() - EPOCH_ORDINAL) * _DAY))
