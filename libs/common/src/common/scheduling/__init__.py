"""When does an automation run next? Every kind of schedule, time zones and changes of the clocks.

Schedules are wall-clock rules in an IANA zone; instants are aware datetimes in UTC, and the present is always
passed in. Everything here is a pure function or a frozen value, and nothing else of `common` is imported.
`schedule_to_cron`, `get_next_run_time`, `validate_min_interval` and `describe_schedule` also take a schedule
as its owner wrote it, a mapping.

    a schedule      kinds, bounds, exclusions, fields; parsing reads one, words describes one
    its slots       cron and days name local times, wall_clock and zones the instants, grids search them,
                    working_days moves runs; slots and timetable answer; jitter delays
    decisions       policy is what an owner wants, due what becomes of slots that have come due, edits what
                    an edit does to those that have not
    advice          gaps, and what may surprise about a schedule
"""

from common.scheduling.advice import (
    Preview,
    PreviewedRun,
    ScheduleWarning,
    WarningCode,
    preview,
    schedule_warnings,
)
from common.scheduling.due import (
    DueDecision,
    DueRun,
    SkippedRange,
    SkipReason,
    Unfinished,
    decide_due,
    pass_over,
)
from common.scheduling.edits import Handover, Place, hand_over, skip_next
from common.scheduling.exclusions import Exclude
from common.scheduling.gaps import Gap, TooFrequent, smallest_gap, validate_min_interval
from common.scheduling.jitter import jittered
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
from common.scheduling.policy import CatchUp, Overlap, OverlapAction, SchedulePolicy, decide_overlap
from common.scheduling.slots import (
    count_slots_between,
    get_next_run_time,
    iter_slots,
    latest_slot_at_or_before,
    never_fires,
    plan,
    schedule_to_cron,
    slots_between,
    upcoming,
)
from common.scheduling.timetable import Slot, SlotRange
from common.scheduling.tz_database import tzdata_version, use_newest_tzdata
from common.scheduling.window import Window
from common.scheduling.words import describe_schedule

__all__ = [
    "CatchUp",
    "Cron",
    "Daily",
    "DueDecision",
    "DueRun",
    "Exclude",
    "FieldError",
    "Gap",
    "Handover",
    "Hours",
    "Interval",
    "Once",
    "Overlap",
    "OverlapAction",
    "Place",
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
    "Unfinished",
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
    "hand_over",
    "iter_slots",
    "jittered",
    "latest_slot_at_or_before",
    "never_fires",
    "parse_schedule",
    "pass_over",
    "plan",
    "preview",
    "schedule_to_cron",
    "schedule_warnings",
    "skip_next",
    "slots_between",
    "smallest_gap",
    "tzdata_version",
    "upcoming",
    "use_newest_tzdata",
    "validate_min_interval",
]
