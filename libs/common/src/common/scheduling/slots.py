"""The slots of a schedule: forwards, backwards and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from common.scheduling.instants import as_utc
from common.scheduling.kinds import Schedule
from common.scheduling.parsing import as_schedule
from common.scheduling.timetable import Slot, Timetable


def schedule_to_cron(schedule: Schedule | Mapping[str, Any]) -> str | None:
    """The cron expression that names the same times in the schedule's zone.

    None for an interval, which counts elapsed time, and for a single instant: cron can say neither.
    """
    return as_schedule(schedule).to_cron()


def get_next_run_time(
    schedule: Schedule | Mapping[str, Any],
    after: datetime,
    *,
    default_anchor: datetime | None = None,
    run_count: int = 0,
) -> datetime | None:
    """The first slot strictly later than `after` that runs, in UTC, or None when there is none any more.

    Excluded slots are passed over; `plan` reports them. Jitter and windows do not change a slot:
    `Slot.fire_at` says when its run starts.

    Args:
        after: an aware instant.
        default_anchor: where an interval without an anchor begins, usually the automation's creation.
        run_count: how many runs there have been, for a schedule with `max_runs`.

    Raises:
        ValueError: `after` is naive.
        ScheduleError: `schedule` is a mapping that says no schedule.
    """
    schedule = as_schedule(schedule)
    if schedule.max_runs is not None and run_count >= schedule.max_runs:
        return None
    if schedule.exclude is None:
        return schedule.slots(default_anchor).next_after(as_utc(after))
    return Timetable(schedule, default_anchor=default_anchor).next_run_after(as_utc(after))


def iter_slots(
    schedule: Schedule,
    after: datetime,
    until: datetime | None = None,
    *,
    default_anchor: datetime | None = None,
) -> Iterator[datetime]:
    """The instants of the slots in (after, until], ascending, excluded ones too; without `until`, all of
    them."""
    timetable = Timetable(schedule, default_anchor=default_anchor)
    slot = timetable.next_after(as_utc(after))
    until = None if until is None else as_utc(until)
    while slot is not None and (until is None or slot <= until):
        yield slot
        slot = timetable.next_after(slot)


def plan(
    schedule: Schedule,
    after: datetime,
    until: datetime | None = None,
    *,
    automation_id: str | UUID = "",
    default_anchor: datetime | None = None,
) -> Iterator[Slot]:
    """The slots in (after, until], each with when its run starts, or why it is excluded and where it
    moves."""
    timetable = Timetable(schedule, automation_id=automation_id, default_anchor=default_anchor)
    slot = timetable.next_after(as_utc(after))
    until = None if until is None else as_utc(until)
    while slot is not None and (until is None or slot <= until):
        yield timetable.slot(slot)
        slot = timetable.next_after(slot)


def latest_slot_at_or_before(
    schedule: Schedule, instant: datetime, *, default_anchor: datetime | None = None
) -> datetime | None:
    """The last slot up to and including `instant`, excluded or not, or None when the schedule begins
    later."""
    return Timetable(schedule, default_anchor=default_anchor).latest_at_or_before(as_utc(instant))


def count_slots_between(
    schedule: Schedule, first: datetime, last: datetime, *, default_anchor: datetime | None = None
) -> int:
    """How many slots lie in [first, last], excluded ones too. The cost does not grow with the number."""
    return Timetable(schedule, default_anchor=default_anchor).count(as_utc(first), as_utc(last))


def slots_between(
    schedule: Schedule,
    first: datetime,
    last: datetime,
    *,
    limit: int,
    default_anchor: datetime | None = None,
) -> list[datetime]:
    """The first `limit` slots in [first, last]."""
    timetable = Timetable(schedule, default_anchor=default_anchor)
    slots: list[datetime] = []
    slot, last = timetable.first_from(as_utc(first)), as_utc(last)
    while slot is not None and slot <= last and len(slots) < limit:
        slots.append(slot)
        slot = timetable.next_after(slot)
    return slots


def never_fires(schedule: Schedule, after: datetime, *, default_anchor: datetime | None = None) -> bool:
    """Whether no run follows `after`: its bounds have passed, or they or its exclusions leave nothing."""
    return get_next_run_time(schedule, after, default_anchor=default_anchor) is None


def upcoming(
    schedule: Schedule, after: datetime, *, automation_id: UUID, created_at: datetime, fired_count: int = 0
) -> Slot | None:
    """The first slot later than `after`, excluded ones included: the scheduler records why those do not run.

    `nominal` becomes `next_slot`, `fire_at` becomes `next_run`. None when the schedule has ended.
    """
    if schedule.runs_left(fired_count) == 0:
        return None
    timetable = Timetable(schedule, automation_id=automation_id, default_anchor=created_at)
    nominal = timetable.next_after(after)
    return None if nominal is None else timetable.slot(nominal)
