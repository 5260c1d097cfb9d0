"""How many automations come due in the same minute. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.scheduling import ScheduleError, Slot, parse_schedule
from common.scheduling.timetable import Timetable

_MINUTE = timedelta(minutes=1)
_TICK = datetime.resolution


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another automation and its schedule."""

    id: UUID
    schedule_config: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Collision:
    """The most crowded minute."""

    at: datetime
    automations: int


def worst_collision(slots: Sequence[Slot], neighbours: Sequence[Neighbour]) -> Collision | None:
    """The minute of one of these slots in which most neighbours start; None when none do."""
    timetables = [timetable for one in neighbours if (timetable := _timetable(one)) is not None]
    worst: Collision | None = None
    for slot in slots:
        minute = slot.fire_at.replace(second=0, microsecond=0)
        count = sum(_starts_in(timetable, minute) for timetable in timetables)
        if count and (worst is None or count > worst.automations):
            worst = Collision(minute, count)
    return worst


def _timetable(neighbour: Neighbour) -> Timetable | None:
    try:
        schedule = parse_schedule(neighbour.schedule_config)
    except ScheduleError:
        return None  # it never starts
    return Timetable(schedule, automation_id=neighbour.id, default_anchor=neighbour.created_at)


def _starts_in(timetable: Timetable, minute: datetime) -> bool:
    end = minute + _MINUTE
    latest = timetable.latest_at_or_before(end - _TICK)
    if latest is None or timetable.excluded(latest) is not None:
        return False
    return minute <= timetable.fire_at(latest) < end
