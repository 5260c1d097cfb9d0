"""Schedules in plain English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from common.scheduling.cron import CronRule
from common.scheduling.day_range import MONTHS
from common.scheduling.fields import clock_text
from common.scheduling.kinds import Interval, Kind, Once, Schedule, WallClockKind, WindowedKind
from common.scheduling.parsing import as_schedule

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_FROM_MONDAY = (1, 2, 3, 4, 5, 6, 0)
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")
_EVERY_DAY_OF_MONTH = ((1 << 31) - 1) << 1
_EVERY_MONTH = ((1 << 12) - 1) << 1
_EVERY_WEEKDAY = (1 << 7) - 1
_MOST_TIMES = 6
"""More times of day than this are described, not listed."""


def describe_schedule(schedule: Schedule | Mapping[str, Any]) -> str:
    """What the schedule means, in one sentence: "Every Monday to Friday at 09:30 (Europe/Berlin)"."""
    schedule = as_schedule(schedule)
    return _capitalised(_when(schedule) + _bounds(schedule))


def duration_words(duration: timedelta) -> str:
    """ "2 hours 30 minutes"."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        amount, seconds = divmod(seconds, length)
        if amount:
            parts.append(f"{amount} {unit}" + ("s" if amount > 1 else ""))
    return " ".join(parts) or "0 seconds"


def listed(words: Sequence[str], conjunction: str = "and") -> str:
    """ "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def _when(schedule: Schedule) -> str:
    if isinstance(schedule, Interval):
        anchor = f", counted from {_instant(schedule.anchor, 'UTC')}" if schedule.anchor else ""
        return _every(timedelta(minutes=schedule.interval_minutes)) + anchor
    if isinstance(schedule, Once):
        return f"once, on {_instant(schedule.at, schedule.timezone)}"
    rule = schedule.rule()
    days = _days(rule)
    if isinstance(schedule, WindowedKind) and schedule.window is not None:
        times = f"at any time from {schedule.window.opens} to {schedule.window.closes}"
    else:
        times = _times(rule)
    if not times.startswith("every"):
        text = f"{days} {times}"
    else:
        text = times if days == "every day" else f"{days}, {times}"
    return f"{text} ({schedule.timezone}){_changes(schedule)}"


def _every(step: timedelta) -> str:
    words = duration_words(step)
    amount, _, unit = words.partition(" ")
    return f"every {unit}" if amount == "1" and " " not in unit else f"every {words}"


def _changes(schedule: WallClockKind) -> str:
    if not schedule.rule().fixed:
        return ""
    gap = ", not at times the clock skips" if schedule.dst_gap == "skip" else ""
    overlap = ", twice when the clock repeats the time" if schedule.dst_overlap == "both" else ""
    return gap + overlap


def _bounds(schedule: Kind) -> str:
    parts = []
    if schedule.start_at is not None:
        parts.append(f"from {_instant(schedule.start_at, schedule.timezone)}")
    if schedule.end_at is not None:
        parts.append(f"until {_instant(schedule.end_at, schedule.timezone)}")
    if schedule.max_runs is not None:
        parts.append("one run only" if schedule.max_runs == 1 else f"at most {schedule.max_runs} runs")
    if schedule.jitter_seconds:
        parts.append(f"each up to {duration_words(timedelta(seconds=schedule.jitter_seconds))} later")
    if schedule.exclude is not None:
        parts.append(_exclusions(schedule))
    return "".join(f", {part}" for part in parts if part)


def _exclusions(schedule: Kind) -> str:
    exclude = schedule.exclude
    if exclude is None:
        return ""
    days = [f"{_WEEKDAYS[(day + 1) % 7]}s" for day in sorted(set(exclude.weekdays))]
    if exclude.calendar is not None:
        days.append(f"public holidays ({exclude.calendar})")
    if exclude.dates:
        few = [_date(day.day, day.month, day.year) for day in sorted(exclude.dates)]
        days.append(listed(few) if len(few) <= _MOST_TIMES else f"{len(few)} dates")
    days += [f"{one.words} of every year" if one.is_yearly else one.words for one in exclude.ranges]
    parts = []
    if days and exclude.policy == "skip":
        parts.append(f"not on {listed(days)}")
    elif days:
        parts.append(f"moved from {listed(days)} to the {exclude.policy.replace('_', ' ')}")
    if exclude.hours:
        parts.append(f"not from {listed([f'{one.opens} to {one.closes}' for one in exclude.hours])}")
    if exclude.slots:
        parts.append(f"without {len(exclude.slots)} single slot{'s' if len(exclude.slots) > 1 else ''}")
    return ", ".join(parts)


def _instant(instant: datetime, timezone: str) -> str:
    local = instant.astimezone(ZoneInfo(timezone))
    seconds = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return f"{_date(local.day, local.month, local.year)} at {seconds} ({timezone})"


def _date(day: int, month: int, year: int) -> str:
    return f"{day} {MONTHS[month]} {year}"


def _times(rule: CronRule) -> str:
    minutes, hours = _values(rule.minutes), _values(rule.hours)
    pace = _pace(minutes, 60)
    if len(hours) == 24:
        if pace is not None:
            return _every(timedelta(minutes=pace))
        if minutes == [0]:
            return "every hour on the hour"
        return f"every hour at minute{'s' if len(minutes) > 1 else ''} {_ranges(minutes)}"
    if len(rule.times) <= _MOST_TIMES:
        return f"at {listed([clock_text(time) for time in rule.times])}"
    stride = _pace(hours, 24)
    if len(minutes) == 1 and stride is not None:
        return f"every {stride} hours from {clock_text(rule.times[0])}"
    if hours[-1] - hours[0] == len(hours) - 1:
        between = f"from {clock_text(rule.times[0])} to {clock_text(rule.times[-1])}"
        if len(minutes) == 1:
            return f"every hour {between}"
        if pace is not None:
            return f"{_every(timedelta(minutes=pace))} {between}"
    return f"at minute{'s' if len(minutes) > 1 else ''} {_ranges(minutes)} of the hours {_ranges(hours)}"


def _days(rule: CronRule) -> str:
    days = rule.days
    months = "" if days.months == _EVERY_MONTH else _names(_values(days.months), MONTHS)
    by_date = _by_date(rule, months or "the month")
    by_weekday = _by_weekday(rule, months)
    if by_date is None and by_weekday is None:
        return f"every day in {months}" if months else "every day"
    if by_date is None or by_weekday is None:
        return by_date or by_weekday or ""
    if days.either:
        return f"{by_date} or {by_weekday}"
    return f"{by_date} that fall on {by_weekday.removeprefix('every ').removeprefix('on ')}"


def _by_date(rule: CronRule, months: str) -> str | None:
    days = rule.days
    if days.days_of_month == _EVERY_DAY_OF_MONTH:
        return None
    parts = []
    if days.days_of_month:
        numbers = _values(days.days_of_month)
        parts.append(f"day{'s' if len(numbers) > 1 else ''} {_ranges(numbers)}")
    if days.last_day:
        parts.append("the last day")
    if days.last_working_day:
        parts.append("the last Monday-to-Friday day")
    return f"on {listed(parts)} of {months}"


def _by_weekday(rule: CronRule, months: str) -> str | None:
    days = rule.days
    if days.weekdays == _EVERY_WEEKDAY:
        return None
    parts = []
    if days.weekdays:
        named = [day for day in _FROM_MONDAY if days.weekdays >> day & 1]
        positions = [_FROM_MONDAY.index(day) for day in named]
        if len(named) > 2 and positions[-1] - positions[0] == len(named) - 1:
            weekdays = f"every {_WEEKDAYS[named[0]]} to {_WEEKDAYS[named[-1]]}"
        else:
            weekdays = f"every {listed([_WEEKDAYS[day] for day in named])}"
        parts.append(f"{weekdays} in {months}" if months else weekdays)
    special = [f"the {_ORDINALS[nth]} {_WEEKDAYS[day]}" for day, nth in sorted(days.nth_weekdays)]
    special += [f"the last {_WEEKDAYS[day]}" for day in _values(days.last_weekdays)]
    if special:
        parts.append(f"on {listed(special)} of {months or 'the month'}")
    return listed(parts)


def _values(mask: int) -> list[int]:
    return [value for value in range(mask.bit_length()) if mask >> value & 1]


def _pace(values: list[int], size: int) -> int | None:
    """The step of values that begin at 0 and go round evenly, or None."""
    step = size // len(values)
    return step if values == list(range(0, size, step)) and size % step == 0 and len(values) > 1 else None


def _runs(values: list[int]) -> list[tuple[int, int]]:
    """Consecutive values as (first, last)."""
    starts = [values[0], *(later for earlier, later in pairwise(values) if later != earlier + 1)]
    ends = [*(earlier for earlier, later in pairwise(values) if later != earlier + 1), values[-1]]
    return list(zip(starts, ends, strict=True))


def _ranges(values: list[int]) -> str:
    return _names(values, [str(value) for value in range(values[-1] + 1)])


def _names(values: list[int], names: Sequence[str]) -> str:
    parts: list[str] = []
    for first, last in _runs(values):
        if last - first < 2:
            parts += [names[value] for value in range(first, last + 1)]
        else:
            parts.append(f"{names[first]} to {names[last]}")
    return listed(parts)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
