"""What an edit of a schedule does to the slots that have not been decided about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.scheduling.due import SkippedRange, SkipReason, skip_slots
from common.scheduling.kinds import Schedule, WindowedKind
from common.scheduling.timetable import Slot, Timetable

_TICK = timedelta(microseconds=1)
_COMPARED = 1_000
"""Passed slots of two schedules compared one by one; with more, the schedules count as different."""


@dataclass(frozen=True, slots=True)
class Handover:
    """Where one schedule gives way to another."""

    boundary: datetime
    """The old schedule names the slots up to and including this instant, the new one those later."""
    dropped: tuple[SkippedRange, ...]
    """Undecided slots of the old schedule that get no run, oldest first."""
    next_slot: Slot | None
    """What the new schedule names first after the boundary."""


@dataclass(frozen=True, slots=True)
class Place:
    """What places an automation's slots besides its schedule."""

    automation_id: UUID
    created_at: datetime
    begun: datetime
    """The schedule that holds names slots later than this."""
    undecided: datetime | None
    """Its first undecided slot; None when its schedule has ended."""
    taken: Sequence[datetime] = ()
    """Undecided slots that have a run already."""

    def timetable(self, schedule: Schedule, *, undecided: bool = False) -> Timetable:
        """The slots of a schedule at this place; with `undecided` that one also where it is not named."""
        return Timetable(
            schedule,
            automation_id=self.automation_id,
            default_anchor=self.created_at,
            undecided=self.undecided if undecided else None,
        )


def hand_over(
    old: Schedule | None, new: Schedule, place: Place, now: datetime, *, reason: SkipReason
) -> Handover:
    """Give way to `new`.

    An edit that leaves the passed and undecided slots where they are leaves them undecided: a run that waits
    for its jitter, or for the end of a pause, is not lost by an edit of something else. Otherwise they are
    dropped for `reason`, and the new schedule begins after `now`. While the clock is set back, it begins
    after what has been decided.

    Args:
        old: None where the stored schedule cannot be read any more.
    """
    undecided = place.undecided
    if undecided is None or old is None:
        passed = undecided is not None and undecided <= now
        lost = (SkippedRange(undecided, undecided, 1, reason),) if undecided is not None and passed else ()
        return Handover(now, lost, _first_after(place.timetable(new), now))
    if undecided > now:
        decided = place.timetable(old).latest_before(undecided)
        boundary = max(now, place.begun, decided or now)
        return Handover(boundary, (), _first_after(place.timetable(new), boundary))
    if _names_the_same(old, new, place, now):
        timetable = place.timetable(new, undecided=True)
        return Handover(undecided - _TICK, (), timetable.slot(undecided))
    dropped = skip_slots(place.timetable(old, undecided=True), undecided, now, reason, taken=place.taken)
    return Handover(now, tuple(dropped), _first_after(place.timetable(new), now))


def skip_next(
    schedule: Schedule, place: Place, now: datetime
) -> tuple[tuple[SkippedRange, ...], Slot | None] | None:
    """Leave out the next run: what is skipped, and the first slot after it, None where it was the last.

    Excluded slots before it are decided with it. None where slots have come due that are still undecided:
    what is the next run depends on them.
    """
    timetable = place.timetable(schedule, undecided=True)
    undecided = place.undecided
    if undecided is None or timetable.slot(undecided).fire_at <= now:
        return None
    target = timetable.next_run_after(undecided - _TICK)
    if target is None:
        return None
    skipped = skip_slots(timetable, undecided, target, SkipReason.SKIPPED_BY_REQUEST, taken=place.taken)
    return tuple(skipped), _first_after(timetable, target)


def _names_the_same(old: Schedule, new: Schedule, place: Place, now: datetime) -> bool:
    """Whether both schedules name the same of the slots that have passed and are undecided."""
    if _what_names(old) == _what_names(new):
        return True
    before, after = place.timetable(old, undecided=True), place.timetable(new)
    slot: datetime | None = place.undecided
    for _ in range(_COMPARED):
        if slot is None or slot > now:
            return True
        if after.latest_at_or_before(slot) != slot:
            return False
        following = after.next_after(slot)
        slot = before.next_after(slot)
        if following != slot and any(one is not None and one <= now for one in (following, slot)):
            return False
    return False


def _what_names(schedule: Schedule) -> Schedule:
    """The schedule without what only delays its runs or limits their number."""
    plain: dict[str, object] = {"max_runs": None, "jitter_seconds": 0}
    if isinstance(schedule, WindowedKind):
        plain["window"] = None
    return schedule.model_copy(update=plain)


def _first_after(timetable: Timetable, instant: datetime) -> Slot | None:
    found = timetable.next_after(instant)
    return None if found is None else timetable.slot(found)
