"""When does an automation run next? Every kind of schedule, time zones and changes of the clocks, as pure
functions.

Schedules are wall-clock rules in an IANA zone; instants are aware datetimes in UTC, and the present is always
passed in. This is the public face of `common.scheduling`.
"""

from common.scheduling.kinds import (
    Cron,
    Daily,
    Hours,
    Interval,
    Once,
    Schedule,
    TimeOfDay,
    Weekdays,
    Weekly,
)
from common.scheduling.parsing import FieldError, ScheduleError, parse_schedule
from common.scheduling.policy import DueDecision, SchedulePolicy, SkippedRange, SkipReason, Slot, decide_due
from common.scheduling.slots import get_next_run_time, iter_slots, latest_slot_at_or_before
from common.scheduling.zones import tzdata_version

__all__ = [
    "Cron",
    "Daily",
    "DueDecision",
    "FieldError",
    "Hours",
    "Interval",
    "Once",
    "Schedule",
    "ScheduleError",
    "SchedulePolicy",
    "SkipReason",
    "SkippedRange",
    "Slot",
    "TimeOfDay",
    "Weekdays",
    "Weekly",
    "decide_due",
    "get_next_run_time",
    "iter_slots",
    "latest_slot_at_or_before",
    "parse_schedule",
    "tzdata_version",
]
