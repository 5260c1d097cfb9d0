"""The first slot to decide about: what `next_slot` and `next_run` of an automation are set to."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from common.scheduling.schedule import Schedule, Slot
from common.scheduling.timetable import Timetable


def upcoming(
    schedule: Schedule, after: datetime, *, automation_id: UUID, created_at: datetime, fired_count: int = 0
) -> Slot | None:
    """The first slot later than `after`, excluded ones included: the scheduler records why those do not run.

    `nominal` becomes `next_slot`, `fire_at` becomes `next_run`. None when the schedule has ended.
    """
    if schedule.max_runs is not None and fired_count >= schedule.max_runs:
        return None
    timetable = Timetable(schedule, automation_id=automation_id, default_anchor=created_at)
    nominal = timetable.next_after(after)
    return None if nominal is None else timetable.slot(nominal)
