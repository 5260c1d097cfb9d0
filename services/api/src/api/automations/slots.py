"""The schedule side of an edit: when is the next slot, and what became of those an edit passes over?

While an automation is paused, `next_slot` and `next_run` keep the first slot nobody has decided about. An
edit that moves them on records the slots in between, so that none is silently missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.faults import pointer
from common.errors import FieldError
from common.models import Automation
from common.scheduling import (
    Schedule,
    ScheduleError,
    Slot,
    count_slots_between,
    describe_schedule,
    latest_slot_at_or_before,
    never_fires,
    parse_schedule,
    upcoming,
)

PAUSED = "paused"
EDITED = "schedule_edited"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Consecutive slots that an edit leaves without a run."""

    first: datetime
    last: datetime
    count: int


def read_schedule(raw: Mapping[str, Any]) -> tuple[Schedule | None, list[FieldError]]:
    """The schedule, or what is wrong with it, field by field."""
    try:
        return parse_schedule(raw), []
    except ScheduleError as error:
        return None, [
            FieldError(pointer(("schedule_config", *filter(None, fault.path.split(".")))), fault.message)
            for fault in error.errors
        ]


def first_slot(
    automation: Automation, raw: Mapping[str, Any], now: datetime
) -> tuple[Slot | None, list[FieldError]]:
    """The automation's first slot after `now` by this schedule.

    A schedule that names no run after `now` is refused: it would never run.
    """
    schedule, faults = read_schedule(raw)
    if schedule is None:
        return None, faults
    slot = upcoming(
        schedule,
        now,
        automation_id=automation.id,
        created_at=automation.created_at,
        fired_count=automation.fired_count,
    )
    if slot is None or never_fires(schedule, now, default_anchor=automation.created_at):
        return None, [FieldError("/schedule_config", "names no time in the future")]
    return slot, []


def passed_over(automation: Automation, now: datetime) -> PassedOver | None:
    """The undecided slots up to `now`, by the schedule the automation has had so far."""
    first = automation.next_slot or automation.next_run
    if first is None or first > now:
        return None
    schedule, _faults = read_schedule(automation.schedule_config)
    if schedule is None:
        return PassedOver(first, first, 1)
    anchor = automation.created_at
    last = max(first, latest_slot_at_or_before(schedule, now, default_anchor=anchor) or first)
    return PassedOver(first, last, max(1, count_slots_between(schedule, first, last, default_anchor=anchor)))


def in_words(raw: Mapping[str, Any]) -> str:
    """The schedule as a sentence."""
    schedule, faults = read_schedule(raw)
    return describe_schedule(schedule) if schedule is not None else f"Unreadable: {faults[0].detail}"
