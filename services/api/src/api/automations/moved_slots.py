"""Which of the slots to come an edit of the schedule takes away, and which it adds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from api.automations.schemas import MovedSlots
from common.scheduling import ScheduleError, parse_schedule
from common.scheduling.timetable import Timetable

SHOWN = 5
_LOOKED_AT = 100
_TICK = datetime.resolution


@dataclass(frozen=True, slots=True)
class Owner:
    """What places a schedule's slots besides the schedule itself."""

    id: UUID
    created_at: datetime
    fired_count: int
    first_slot: datetime | None = None
    """The first slot by the new schedule."""


def moved_slots(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    owner: Owner,
    *,
    now: datetime,
    undecided: datetime | None = None,
) -> MovedSlots:
    """The next few slots that only one of the two schedules names; an unreadable one names none.

    A slot that has passed but is still `undecided`, because it waits for its jitter or its window, counts as
    one to come: of the old schedule always, of the new one where the edit left it in place.
    """
    waits = undecided is not None and undecided <= now
    old = _Upcoming.of(before, owner, undecided - _TICK if undecided is not None and waits else now)
    kept = old is not None and waits and owner.first_slot == undecided
    new = _Upcoming.of(after, owner, old.now if old is not None and kept else now)
    return MovedSlots(
        removed=[] if old is None else old.not_in(new), added=[] if new is None else new.not_in(old)
    )


@dataclass(frozen=True, slots=True)
class _Upcoming:
    """The slots of one schedule that are to run after `now`, or after an instant before a waiting slot."""

    timetable: Timetable
    now: datetime
    left: int | None

    @classmethod
    def of(cls, raw: Mapping[str, Any], owner: Owner, now: datetime) -> _Upcoming | None:
        try:
            schedule = parse_schedule(raw)
        except ScheduleError:
            return None
        timetable = Timetable(schedule, automation_id=owner.id, default_anchor=owner.created_at)
        return cls(timetable, now, schedule.runs_left(owner.fired_count))

    def not_in(self, other: _Upcoming | None) -> list[datetime]:
        missing = (slot for slot in self._slots() if other is None or not other._names(slot))
        return list(islice(missing, SHOWN))

    def _slots(self) -> Iterator[datetime]:
        count = _LOOKED_AT if self.left is None else min(_LOOKED_AT, self.left)
        slot = self.timetable.next_run_after(self.now)
        while slot is not None and count > 0:
            yield slot
            count -= 1
            slot = self.timetable.next_run_after(slot)

    def _names(self, slot: datetime) -> bool:
        if self.timetable.latest_at_or_before(slot) != slot or self.timetable.excluded(slot) is not None:
            return False
        return self.left is None or self.timetable.count(self.now, slot) <= self.left
