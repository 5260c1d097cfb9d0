"""Which stretch of an automation's slots answers "why didn't it run?"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.automations.slots import read_schedule
from common.models import Automation
from common.scheduling import count_slots_between

SHOWN = 40
_REACHES = tuple(
    timedelta(minutes=minutes) for minutes in (20, 120, 720, 2 * 1440, 7 * 1440, 35 * 1440, 400 * 1440)
)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def reading(text: str, zone: str, now: datetime) -> datetime:
    """The instant of input such as `2026-11-21T09:00` in a zone; the present for anything else."""
    try:
        entered = datetime.fromisoformat(text)
        local = entered if entered.tzinfo is not None else entered.replace(tzinfo=ZoneInfo(zone))
        instant = local.astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        return now
    return instant if _EARLIEST < instant < _LATEST else now


def stretch(automation: Automation, until: datetime) -> tuple[datetime, datetime]:
    """From when to when to look: as far back from `until` as there are not too many slots to read."""
    schedule, _faults = read_schedule(automation.schedule_config)
    chosen = _REACHES[0]
    for reach in _REACHES[1:]:
        first = until - reach
        if schedule is None or (
            count_slots_between(schedule, first, until, default_anchor=automation.created_at) > SHOWN
        ):
            break
        chosen = reach
    return until - chosen, until
