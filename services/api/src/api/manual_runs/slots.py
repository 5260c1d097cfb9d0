"""Whether a run by hand may work for a slot of the schedule. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from api.automations.slots import read_schedule
from api.problems import unacceptable
from common.errors import Conflict, FieldError
from common.models import Automation
from common.scheduling import Schedule, iter_slots, latest_slot_at_or_before

_FIELD = "/slot"


def past_slot(automation: Automation, instant: datetime, now: datetime) -> datetime:
    """The slot at this instant, in UTC.

    Raises Conflict when the schedule cannot be read, Unprocessable when it names no slot there, or one that
    is still to come.
    """
    schedule, faults = read_schedule(automation.schedule_config)
    if schedule is None:
        raise Conflict(f"The schedule cannot be read: {faults[0].detail}")
    slot = instant.astimezone(UTC)
    before = latest_slot_at_or_before(schedule, slot, default_anchor=automation.created_at)
    if before != slot:
        nearest = [one for one in (before, _next(schedule, automation, slot)) if one is not None]
        said = " and ".join(one.isoformat().replace("+00:00", "Z") for one in nearest)
        hint = f"; the nearest: {said}" if nearest else ""
        raise unacceptable([FieldError(_FIELD, f"the schedule names no slot at this instant{hint}")])
    if slot > now:
        raise unacceptable([FieldError(_FIELD, "is still to come; leave it out to run for this moment")])
    return slot


def _next(schedule: Schedule, automation: Automation, after: datetime) -> datetime | None:
    return next(iter_slots(schedule, after, default_anchor=automation.created_at), None)
