"""When does an automation run next? Every kind of schedule, time zones and changes of the clocks.

Schedules are wall-clock rules in an IANA zone; instants are aware datetimes in UTC, and the present is always
passed in. Everything here is a pure function or a frozen value; `schedule_to_cron`, `get_next_run_time`,
`validate_min_interval` and `describe_schedule` also take a schedule as somebody wrote it, a mapping. This is
the public face of `common.scheduling`.
"""

from common.scheduling.advice import (
    Preview,
    PreviewedRun,
    ScheduleWarning,
    WarningCode,
    preview,
    schedule_warnings,
)
from common.scheduling.bounds import Window
from common.scheduling.exclusions import Exclude
from common.scheduling.gaps import Gap, TooFrequent, smallest_gap, validate_min_interval
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
from common.scheduling.parsing import FieldError, ScheduleError, field_errors, parse_schedule
from common.scheduling.policy import (
    DueDecision,
    OverlapAction,
    SchedulePolicy,
    SkippedRange,
    SkipReason,
    decide_due,
    decide_overlap,
)
from common.scheduling.slots import (
    count_slots_between,
    get_next_run_time,
    iter_slots,
    latest_slot_at_or_before,
    never_fires,
    plan,
    schedule_to_cron,
    slots_between,
)
from common.scheduling.spread import jittered
from common.scheduling.timetable import Slot, SlotRange
from common.scheduling.tz_database import tzdata_version, use_newest_tzdata
from common.scheduling.words import describe_schedule

__all__ = [
    "Cron",
    "Daily",
    "DueDecision",
    "Exclude",
    "FieldError",
    "Gap",
    "Hours",
    "Interval",
    "Once",
    "OverlapAction",
    "Preview",
    "PreviewedRun",
    "Schedule",
    "ScheduleError",
    "SchedulePolicy",
    "ScheduleWarning",
    "SkipReason",
    "SkippedRange",
    "Slot",
    "SlotRange",
    "TimeOfDay",
    "TooFrequent",
    "WarningCode",
    "Weekdays",
    "Weekly",
    "Window",
    "count_slots_between",
    "decide_due",
    "decide_overlap",
    "describe_schedule",
    "field_errors",
    "get_next_run_time",
    "iter_slots",
    "jittered",
    "latest_slot_at_or_before",
    "never_fires",
    "parse_schedule",
    "plan",
    "preview",
    "schedule_to_cron",
    "schedule_warnings",
    "slots_between",
    "smallest_gap",
    "tzdata_version",
    "use_newest_tzdata",
    "validate_min_interval",
]
