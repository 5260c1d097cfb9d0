"""The schedule side of an automation: its first slot, and what an edit does to those not yet decided. Pure.

While an automation is paused, `next_slot` and `next_run` keep its first undecided slot. An edit that moves
them on records the slots in between, so that each has its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.faults import pointer
from common.errors import FieldError
from common.models import Automation, AutomationStatus
from common.scheduling import (
    Handover,
    Place,
    Schedule,
    ScheduleError,
    SkipReason,
    Slot,
    describe_schedule,
    hand_over,
    never_fires,
    parse_schedule,
    upcoming,
)


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


def edit(
    automation: Automation,
    raw: Mapping[str, Any],
    now: datetime,
    *,
    begun: datetime,
    taken: Sequence[datetime],
) -> tuple[Handover | None, list[FieldError]]:
    """Where the automation's schedule gives way to this one.

    The schedule it has names slots later than `begun`; `taken` are undecided slots that have a run already.
    A schedule that names no run any more is refused.
    """
    new, faults = read_schedule(raw)
    if new is None:
        return None, faults
    old, _faults = read_schedule(automation.schedule_config)
    undecided = automation.next_slot or automation.next_run
    place = Place(automation.id, automation.created_at, begun, undecided, taken)
    reason = SkipReason.SCHEDULE_EDITED if automation.status == AutomationStatus.ACTIVE else SkipReason.PAUSED
    handover = hand_over(old, new, place, now, reason=reason)
    ended = new.runs_left(automation.fired_count) == 0 or handover.next_slot is None
    if ended or never_fires(new, handover.boundary, default_anchor=automation.created_at):
        return None, [FieldError("/schedule_config", "names no time in the future")]
    return handover, []


def in_words(raw: Mapping[str, Any]) -> str:
    """The schedule as a sentence."""
    schedule, faults = read_schedule(raw)
    return describe_schedule(schedule) if schedule is not None else f"Unreadable: {faults[0].detail}"
