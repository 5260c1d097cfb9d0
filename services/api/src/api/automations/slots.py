"""The schedule side of an edit: when is the next slot, and what became of those an edit passes over?

`next_run` stays where it is while an automation is paused: it is the first slot nobody has decided about. An
edit that moves it on records the slots in between, so that none is silently missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.automations.schemas import PreviewedSlot, ScheduleAdvice, SchedulePreview
from api.problems import pointer
from common.errors import FieldError
from common.models import Automation
from common.schedule import (
    Schedule,
    ScheduleError,
    count_slots_between,
    describe_schedule,
    get_next_run_time,
    latest_slot_at_or_before,
    parse_schedule,
    preview,
    schedule_warnings,
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
    raw: Mapping[str, Any], *, now: datetime, created_at: datetime, run_count: int = 0
) -> tuple[datetime | None, list[FieldError]]:
    """The first slot after `now`. A schedule that has none is refused: it would never run."""
    schedule, faults = read_schedule(raw)
    if schedule is None:
        return None, faults
    slot = get_next_run_time(schedule, now, default_anchor=created_at, run_count=run_count)
    if slot is None:
        return None, [FieldError("/schedule_config", "names no time in the future")]
    return slot, []


def passed_over(automation: Automation, now: datetime) -> PassedOver | None:
    """The undecided slots up to `now`, by the schedule the automation has had so far."""
    if automation.next_run is None or automation.next_run > now:
        return None
    first = automation.next_run
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


def look_ahead(schedule: Schedule, *, count: int, now: datetime) -> SchedulePreview:
    """What a schedule means: in words, its next runs, and what may surprise about it."""
    return SchedulePreview(
        text=describe_schedule(schedule),
        next_runs=[
            PreviewedSlot(at=run.slot.nominal, local=run.local)
            for run in preview(schedule, count, now, default_anchor=now).runs
        ],
        warnings=[
            ScheduleAdvice(code=str(warning.code), message=warning.message, at=warning.at)
            for warning in schedule_warnings(schedule, now, default_anchor=now)
        ],
    )
