"""Runs that an excluded day moves to the next or previous working day, as slots of their own."""

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
    """Another grid, and the same time of another working day for each of its slots on an excluded day.

    The excluded slot stays in the grid, so that its reason is recorded. Where the moved one
    meets a slot that is there already, or another moved one, they are one.

    A moved slot lies on the working day before or after the rest that its origin lies in, so only the rest
    around one instant ever has to be looked at.
    """

    inner: Grid
    exclude: Exclude
    zone: Zone
    start: datetime | None
    """Nothing is moved before it."""
    end: datetime | None
    """Nothing is moved past it."""
    _received: dict[date, frozenset[datetime]] = field(default_factory=dict, compare=False, repr=False)

    def next_after(self, after: datetime) -> datetime | None:
        own = self.inner.next_after(after)
        # Backwards, the origins of what comes next lie after it: on the next slot's day at the earliest.
        near = after if self._forwards or own is None else own
        moved = [slot for slot in self._landed(self._landing(near)) if slot > after]
        return min([slot for slot in (own, *moved) if slot is not None], default=None)

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        own = self.inner.latest_at_or_before(instant)
        if own is None and self._forwards:
            return None
        near = instant if own is None or not self._forwards else own
        moved = [slot for slot in self._landed(self._landing(near)) if slot <= instant]
        return max([slot for slot in (own, *moved) if slot is not None], default=None)

    def count(self, first: datetime, last: datetime) -> int:
        total = self.inner.count(first, last)
        day, final = local_day(self.zone, first), local_day(self.zone, last)
        while day <= final:
            landing = self.exclude.next_working_day(day)
            total += sum(first <= slot <= last for slot in self._landed(landing))
            day = landing + _A_DAY if landing is not None else day + _A_DAY
        return total

    def moved_to(self, slot: datetime) -> datetime | None:
        """Where an excluded slot's run goes, or None when no working day is near, or its day is none that
        moves runs."""
        if self.exclude.reason(local_day(self.zone, slot)) is None:
            return None
        landing = self._landing(slot)
        moved = None if landing is None else self._on(landing, slot)
        return moved if moved is not None and self._bounded(moved) else None

    @property
    def _forwards(self) -> bool:
        return self.exclude.policy == "next_working_day"

    def _landing(self, instant: datetime) -> date | None:
        day = local_day(self.zone, instant)
        return (
            self.exclude.next_working_day(day) if self._forwards else self.exclude.previous_working_day(day)
        )

    def _bounded(self, moved: datetime) -> bool:
        return (self.start is None or moved >= self.start) and (self.end is None or moved <= self.end)

    def _landed(self, landing: date | None) -> frozenset[datetime]:
        """The slots this working day receives and does not have itself."""
        if landing is None:
            return frozenset()
        found = self._received.get(landing)
        if found is None:
            found = self._received[landing] = frozenset(self._find_landed(landing))
        return found

    def _find_landed(self, landing: date) -> set[datetime]:
        step = -_A_DAY if self._forwards else _A_DAY
        far = landing + step
        while abs((far - landing).days) < LONGEST_REST and not self.exclude.is_working_day(far):
            far += step
        first, end = (far + _A_DAY, landing) if self._forwards else (landing + _A_DAY, far)
        slots = set()
        until = _midnight(self.zone, end)
        slot = self.inner.next_after(_midnight(self.zone, first) - _TICK) if first < end else None
        while slot is not None and slot < until:
            if self.exclude.reason(local_day(self.zone, slot)) is not None:
                moved = self._on(landing, slot)
                if self._bounded(moved) and self.inner.latest_at_or_before(moved) != moved:
                    slots.add(moved)
            slot = self.inner.next_after(slot)
        return slots

    def _on(self, landing: date, slot: datetime) -> datetime:
        seconds = to_seconds(slot)
        time_of_day = (seconds + self.zone.offset(seconds)) % _DAY
        return to_instant(self.zone.reached((landing.toordinal() - EPOCH_ORDINAL) * _DAY + time_of_day))


def local_day(zone: Zone, instant: datetime) -> date:
    """The calendar day the instant belongs to in the zone."""
    return local_minute(zone, instant)[0]


def local_minute(zone: Zone, instant: datetime) -> tuple[date, int]:
    """The calendar day and the minute of the day that the zone's clock shows at the instant."""
    seconds = to_seconds(instant)
    day, second = divmod(seconds + zone.offset(seconds), _DAY)
    return date.fromordinal(min(max(day, FIRST_DAY), LAST_DAY) + EPOCH_ORDINAL), second // 60


def reached_today(zone: Zone, instant: datetime, minute: int) -> datetime:
    """When the clock reaches a later minute of the instant's day, 1440 being its end, or is set before it
    does."""
    stretch = zone.stretch(to_seconds(instant))
    midnight = (to_seconds(instant) + stretch.offset) // _DAY * _DAY
    return to_instant(min(midnight + minute * 60 - stretch.offset, stretch.end))


def _midnight(zone: Zone, day: date) -> datetime:
    return to_instant(zone.reached((day.toordinal() - EPOCH_ORDINAL) * _DAY))
