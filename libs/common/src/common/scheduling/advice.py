"""What a user should know about a schedule before trusting it: surprises, and a look ahead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

from common.scheduling.cron import CronRule
from common.scheduling.fields import clock_text
from common.scheduling.instants import as_utc, to_instant, to_seconds
from common.scheduling.kinds import Interval, Schedule, WallClockKind
from common.scheduling.slots import never_fires
from common.scheduling.timetable import Slot, SlotRange, Timetable
from common.scheduling.words import listed
from common.scheduling.zones import Stretch, zone

A_YEAR = timedelta(days=365)
_DAY = 86400
_STEP = re.compile(r"\*/(\d+)")
_BEYOND_28 = ~((1 << 29) - 1)
_MOST_TIMES = 3
_MINUTES_A_DAY = 1440
_EVERY_DAY = ((1 << 31) - 1) << 1
_EVERY_WEEKDAY = (1 << 7) - 1


class WarningCode(StrEnum):
    """What a warning is about."""

    NEVER_FIRES = "never_fires"
    DST_GAP = "dst_gap"
    DST_OVERLAP = "dst_overlap"
    ZONE_OMITTED = "zone_omitted"
    EVERY_MINUTE = "every_minute"
    INTERVAL_DRIFTS = "interval_drifts"
    DAY_OR_WEEKDAY = "day_or_weekday"
    DAY_AND_WEEKDAY = "day_and_weekday"
    SHORT_MONTHS = "short_months"
    UNEVEN_STEP = "uneven_step"


@dataclass(frozen=True, slots=True)
class ScheduleWarning:
    """Something about a schedule that may surprise."""

    code: WarningCode
    message: str
    at: datetime | None = None
    """The instant it happens, in UTC, where it happens at one."""


@dataclass(frozen=True, slots=True)
class PreviewedRun:
    """One run to come."""

    slot: Slot
    local: datetime
    """When it starts, on the clock of the schedule's zone."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The next runs later than an instant."""

    runs: tuple[PreviewedRun, ...]
    after: datetime
    timetable: Timetable

    def excluded(self) -> tuple[SlotRange, ...]:
        """The slots left out on the way. The cost grows with the days in between."""
        if not self.runs:
            return ()
        begin = self.after + timedelta(microseconds=1)
        ranges = self.timetable.ranges(begin, self.runs[-1].slot.nominal)
        return tuple(found for found in ranges if found.excluded is not None)


def preview(
    schedule: Schedule,
    n: int,
    after: datetime,
    *,
    automation_id: str | UUID = "",
    default_anchor: datetime | None = None,
    run_count: int = 0,
) -> Preview:
    """The next `n` runs later than `after`, fewer where the schedule ends."""
    after = as_utc(after)
    timetable = Timetable(schedule, automation_id=automation_id, default_anchor=default_anchor)
    clock = ZoneInfo(schedule.timezone)
    left = schedule.runs_left(run_count)
    count = n if left is None else min(n, left)
    slots = [timetable.slot(nominal) for nominal in islice(_runs(timetable, after), count)]
    runs = tuple(PreviewedRun(slot, slot.fire_at.astimezone(clock)) for slot in slots)
    return Preview(runs, after, timetable)


def _runs(timetable: Timetable, after: datetime) -> Iterator[datetime]:
    slot = timetable.next_run_after(after)
    while slot is not None:
        yield slot
        slot = timetable.next_run_after(slot)


def schedule_warnings(
    schedule: Schedule,
    now: datetime,
    horizon: timedelta = A_YEAR,
    *,
    default_anchor: datetime | None = None,
) -> list[ScheduleWarning]:
    """What may surprise about the schedule between `now` and the horizon, most serious first."""
    now = as_utc(now)
    if never_fires(schedule, now, default_anchor=default_anchor):
        message = "It never runs again: its end, its exclusions or its date leave nothing."
        return [ScheduleWarning(WarningCode.NEVER_FIRES, message)]
    start = max(now, schedule.start_at or now)
    end = min(now + horizon, schedule.end_at or now + horizon)
    if isinstance(schedule, Interval):
        return [*_drift(schedule, start, end, default_anchor), *_zone(schedule)]
    if not isinstance(schedule, WallClockKind):
        return []
    return [*_clock_changes(schedule, start, end), *_readings(schedule.rule()), *_zone(schedule)]


def _zone(schedule: Schedule) -> Iterator[ScheduleWarning]:
    reads_clock = isinstance(schedule, WallClockKind) or schedule.exclude is not None
    if reads_clock and "timezone" not in schedule.model_fields_set:
        what = "times" if isinstance(schedule, WallClockKind) else "excluded days"
        message = f"No timezone is given, so its {what} are those of UTC; write one such as Europe/Berlin."
        yield ScheduleWarning(WarningCode.ZONE_OMITTED, message)


def _drift(
    schedule: Interval, start: datetime, end: datetime, default_anchor: datetime | None
) -> Iterator[ScheduleWarning]:
    """Whole days of elapsed time keep the clock's time only until the clocks change."""
    if schedule.interval_minutes % _MINUTES_A_DAY:
        return
    where = zone(schedule.timezone)
    grid = schedule.slots(default_anchor)
    first = grid.next_after(start)
    if first is None:
        return
    before = where.offset(to_seconds(first))
    for stretch in where.stretches(to_seconds(first), to_seconds(end)):
        changed = grid.next_after(to_instant(stretch.start) - timedelta(microseconds=1))
        if stretch.offset != before and changed is not None:
            was, becomes = to_seconds(first) + before, to_seconds(changed) + stretch.offset
            yield ScheduleWarning(
                WarningCode.INTERVAL_DRIFTS,
                f"It counts elapsed time: what runs at {_reading(was)} runs at {_reading(becomes)} from "
                f"{_date(becomes)} on, when the clock in {schedule.timezone} has changed. "
                "A schedule with a time of day keeps it.",
                changed,
            )
            return


def _clock_changes(schedule: WallClockKind, start: datetime, end: datetime) -> Iterator[ScheduleWarning]:
    clock = schedule.clock()
    rule = clock.rule
    if rule.hours.bit_count() == 24 and not rule.fixed:
        return  # hourly or oftener: an hour more or less is nothing that happens to a named time
    for stretch in clock.zone.stretches(to_seconds(start), to_seconds(end)):
        local = stretch.start + stretch.offset
        if stretch.start < to_seconds(start) or local == stretch.high_water:
            continue
        low, high = min(local, stretch.high_water), max(local, stretch.high_water)
        times = _named(rule, low, high)
        if times:
            skipped = local == high
            yield ScheduleWarning(
                WarningCode.DST_GAP if skipped else WarningCode.DST_OVERLAP,
                _gap(schedule, stretch, times) if skipped else _overlap(schedule, stretch, times),
                to_instant(stretch.start),
            )


def _gap(schedule: WallClockKind, stretch: Stretch, times: list[int]) -> str:
    if not schedule.rule().fixed:
        outcome = "does not run then"
    elif schedule.dst_gap == "skip":
        outcome = "is skipped, as dst_gap says"
    else:
        outcome = f"runs once, at {_reading(stretch.start + stretch.offset)}"
    return (
        f"On {_date(stretch.high_water)} the clock in {schedule.timezone} is set forward "
        f"from {_reading(stretch.high_water)} to {_reading(stretch.start + stretch.offset)}: "
        f"what is due at {_listed_times(times)} {outcome}."
    )


def _overlap(schedule: WallClockKind, stretch: Stretch, times: list[int]) -> str:
    if not schedule.rule().fixed or schedule.dst_overlap == "both":
        outcome = "runs both times"
    else:
        outcome = "runs the first time only"
    return (
        f"On {_date(stretch.start + stretch.offset)} the clock in {schedule.timezone} is set back "
        f"from {_reading(stretch.high_water)} to {_reading(stretch.start + stretch.offset)}: "
        f"what is due at {_listed_times(times)}, which it shows twice, {outcome}."
    )


def _named(rule: CronRule, low: int, high: int) -> list[int]:
    """The local times in [low, high) the rule names."""
    return [
        local
        for day in range(low // _DAY, (high - 1) // _DAY + 1)
        if rule.days.matches(day)
        for local in (day * _DAY + minute * 60 for minute in rule.times)
        if low <= local < high
    ]


def _readings(rule: CronRule) -> Iterator[ScheduleWarning]:
    minute, hour, day, _, weekday = rule.fields
    if rule.minutes.bit_count() == 60 and rule.hours.bit_count() < 24:
        yield ScheduleWarning(
            WarningCode.EVERY_MINUTE,
            f"It runs in every minute of the hours {hour}, 60 times an hour; "
            f"for once an hour write 0 {hour}.",
        )
    if rule.days.either:
        yield ScheduleWarning(
            WarningCode.DAY_OR_WEEKDAY,
            f"It runs on day {day} and also on weekday {weekday}: cron takes either where both are given.",
        )
    elif rule.days.days_of_month != _EVERY_DAY and rule.days.weekdays != _EVERY_WEEKDAY:
        yield ScheduleWarning(
            WarningCode.DAY_AND_WEEKDAY,
            f"It runs only on a weekday {weekday} that is also a day {day}: "
            "where one of the two starts with *, both have to match.",
        )
    plain_days = rule.days.days_of_month
    only_late_days = plain_days and not plain_days & ~_BEYOND_28
    if only_late_days and not (rule.days.last_day or rule.days.last_working_day or rule.days.either):
        yield ScheduleWarning(
            WarningCode.SHORT_MONTHS,
            f"Months without a day {day} are left out; L is the last day of every month.",
        )
    for text, size, unit in ((minute, 60, "minute"), (hour, 24, "hour")):
        step = _STEP.fullmatch(text)
        if step is not None and size % int(step[1]):
            last = (size - 1) // int(step[1]) * int(step[1])
            yield ScheduleWarning(
                WarningCode.UNEVEN_STEP,
                f"{step[1]} does not divide {size}: after {unit} {last} the count begins again at {unit} 0, "
                f"{size - last} {unit}{'s' if size - last > 1 else ''} later. "
                "An interval keeps an even rhythm.",
            )
    step = _STEP.fullmatch(day)
    if step is not None and int(step[1]) > 1:
        days = [str(number) for number in range(1, 32, int(step[1]))]
        yield ScheduleWarning(
            WarningCode.UNEVEN_STEP,
            f"Day {day} means the days {listed(days)} of every month: the count begins again with each "
            f"month, so that day 1 follows sooner than {step[1]} days after the last. "
            "An interval keeps the rhythm.",
        )


def _reading(local: int) -> str:
    return clock_text(local % _DAY // 60)


def _date(local: int) -> str:
    return f"{to_instant(local):%Y-%m-%d}"


def _listed_times(times: list[int]) -> str:
    words = [_reading(time) for time in times[:_MOST_TIMES]]
    if len(times) > _MOST_TIMES:
        words.append("others")
    return listed(words)
