"""A schedule's slots for one automation: which run, when each starts, and which are excluded and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.scheduling.exclusions import Exclude
from common.scheduling.grids import ExtendedGrid, Grid
from common.scheduling.instants import to_instant, to_seconds
from common.scheduling.jitter import jittered, spread
from common.scheduling.kinds import Schedule, WindowedKind
from common.scheduling.window import Window
from common.scheduling.working_days import MovedGrid, local_minute, reached_today
from common.scheduling.zones import Zone, zone

_DAY = 86400
_TICK = timedelta(microseconds=1)
_LONGEST_SHIFT = timedelta(hours=26)
"""The clocks never change by more."""

GIVE_UP_AFTER = timedelta(days=10 * 366)
"""A schedule whose slots are all excluded for so long never runs."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One instant a schedule names."""

    nominal: datetime
    """The instant itself, in UTC. It identifies the run."""
    fire_at: datetime
    """When the run is to start: `nominal`, or later by the automation's place in the window or its jitter."""
    excluded: str | None = None
    """Why it does not run, in words; None when it does."""
    moved_to: datetime | None = None
    """The slot that runs instead of an excluded one."""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Consecutive slots that either all run or are all excluded for one reason."""

    first: datetime
    last: datetime
    count: int
    excluded: str | None


class Timetable:
    """The slots of one automation, in order; excluded ones are slots too, so that nothing goes unrecorded.

    `undecided` is a slot whatever the schedule says: an earlier tz database or an operator named it, and it
    has not been decided about.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        automation_id: str | UUID = "",
        default_anchor: datetime | None = None,
        undecided: datetime | None = None,
    ) -> None:
        self.schedule = schedule
        self._automation_id = automation_id
        self._exclude = schedule.exclude
        self._zone: Zone = zone(schedule.timezone)
        self._window: Window | None = schedule.window if isinstance(schedule, WindowedKind) else None
        self._grid: Grid = schedule.slots(default_anchor)
        self._moves: MovedGrid | None = None
        if self._exclude is not None and self._exclude.policy != "skip":
            bounds = schedule.start_at, schedule.end_at
            self._grid = self._moves = MovedGrid(self._grid, self._exclude, self._zone, *bounds)
        if undecided is not None and self._grid.latest_at_or_before(undecided) != undecided:
            self._grid = ExtendedGrid(self._grid, undecided)

    def next_after(self, after: datetime) -> datetime | None:
        """The first slot later than `after`."""
        return self._grid.next_after(after)

    def first_from(self, instant: datetime) -> datetime | None:
        """The first slot at `instant` or later."""
        return self._grid.next_after(instant - _TICK)

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        """The last slot up to and including `instant`."""
        return self._grid.latest_at_or_before(instant)

    def latest_before(self, instant: datetime) -> datetime | None:
        """The last slot earlier than `instant`."""
        return self._grid.latest_at_or_before(instant - _TICK)

    def count(self, first: datetime, last: datetime) -> int:
        """How many slots lie in [first, last]."""
        return self._grid.count(first, last)

    def slot(self, nominal: datetime) -> Slot:
        """What is known about the slot at this instant."""
        reason = self.excluded(nominal)
        if reason is None:
            return Slot(nominal, self.fire_at(nominal))
        moved_to = self._moves.moved_to(nominal) if self._moves is not None else None
        return Slot(nominal, nominal, reason, moved_to)

    def excluded(self, nominal: datetime) -> str | None:
        """Why the slot does not run, or None."""
        return None if self._exclude is None else self._exclude.reason_at(*local_minute(self._zone, nominal))

    def fire_at(self, nominal: datetime) -> datetime:
        """When the run of this slot starts."""
        if self._window is not None:
            return self._in_window(nominal, self._window)
        return jittered(nominal, self._automation_id, self.schedule.jitter_seconds)

    def next_run_after(self, after: datetime) -> datetime | None:
        """The first slot later than `after` that is not excluded."""
        found = self._grid.next_after(after)
        if self._exclude is None:
            return found
        while found is not None and self.excluded(found) is not None:
            if found - after > GIVE_UP_AFTER:
                return None
            found = self._grid.next_after(self._same_until(found, self._exclude) - _TICK)
        return found

    def latest_fired(self, instant: datetime) -> datetime | None:
        """The last slot of which, and of all before which, the start has come by `instant`."""
        latest = slot = self._grid.latest_at_or_before(instant)
        earliest = instant - self._longest_delay()
        while slot is not None and slot > earliest:
            before = self.latest_before(slot)
            if self.fire_at(slot) > instant and self.excluded(slot) is None:
                latest = before
            slot = before
        return latest

    def ranges(self, first: datetime, last: datetime) -> Iterator[SlotRange]:
        """The slots in [first, last], told apart by exclusion. The cost grows with days, not with slots."""
        head = self.first_from(first) if first <= last else None
        if head is None or head > last:
            return
        if self._exclude is None:
            tail = self._grid.latest_at_or_before(last) or head
            yield SlotRange(head, tail, 1 if head == tail else self._grid.count(head, tail), None)
            return
        current: SlotRange | None = None
        slot: datetime | None = head
        while slot is not None and slot <= last:
            end = min(self._same_until(slot, self._exclude) - _TICK, last)
            tail = self._grid.latest_at_or_before(end) or slot
            found = SlotRange(slot, tail, self._grid.count(slot, tail), self.excluded(slot))
            if current is None or current.excluded != found.excluded:
                if current is not None:
                    yield current
                current = found
            else:
                current = SlotRange(current.first, tail, current.count + found.count, found.excluded)
            slot = self._grid.next_after(tail)
        if current is not None:
            yield current

    def _same_until(self, slot: datetime, exclude: Exclude) -> datetime:
        """The first later instant that may be excluded for another reason than this slot."""
        edge = exclude.next_edge(*local_minute(self._zone, slot))
        return reached_today(self._zone, slot, edge)

    def _longest_delay(self) -> timedelta:
        if self._window is not None:
            return timedelta(minutes=self._window.minutes) + _LONGEST_SHIFT
        return timedelta(seconds=self.schedule.jitter_seconds)

    def _in_window(self, nominal: datetime, window: Window) -> datetime:
        opens = to_seconds(nominal)
        local = opens + self._zone.offset(opens)
        ahead = (window.closing_minute * 60 - local) % _DAY
        if ahead > window.minutes * 60:  # the clock has been set forward past its end
            return nominal
        return to_instant(opens + spread(self._automation_id, self._zone.reached(local + ahead) - opens))
