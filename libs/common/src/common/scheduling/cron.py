"""Cron expressions: five fields, names, ranges, steps, lists, `L`, `LW`, `#` and nicknames.

    minute        0-59      *  */15  5,10-20/2
    hour          0-23
    day of month  1-31      L the last day, LW the last Monday-to-Friday day
    month         1-12      JAN-DEC
    weekday       0-7       SUN-SAT, 0 and 7 are Sunday; 5L the last Friday, 1#2 the second Monday

When both day fields are restricted, either suffices; when one of them starts with `*`, both must match. A
field starts with `*` or does not: `*/2` is a wildcard here, as in the cron of Debian and in Python's
`cronsim`.

The same rule tells fixed times from wildcards, which differ where the clocks change (see `wall_clock`): an
expression is a wildcard when its minute or its hour starts with `*`. Two consequences: `*/15 2 * * *` is a
wildcard, and `0 0-23 * * *` is not. One refinement: a step as wide as its field leaves one value, so `0 */24
* * *` is midnight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from common.scheduling.days import DayPattern, shared

MAX_LENGTH = 512
"""Characters in an expression. One that lists every minute, hour, day and month fits."""

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class CronError(ValueError):
    """The expression is no cron expression, or names no day; the message says what to write instead."""


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    symbols: tuple[str, ...] = ()
    special: str = ""

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    @property
    def everything(self) -> int:
        return ((1 << self.size) - 1) << self.low


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31, special=", L, LW")
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("weekday", 0, 6, _WEEKDAYS, special=", 5L, 1#2")

_TERM = re.compile(r"(?P<first>[^-/]+)(?:-(?P<last>[^-/]+))?(?:/(?P<step>[^-/]+))?")


@dataclass(frozen=True, slots=True)
class CronRule:
    """What an expression names on the wall clock."""

    fields: tuple[str, str, str, str, str]
    """Upper case, nicknames resolved."""
    minutes: int
    hours: int
    """Masks: bit `n` stands for the value `n`."""
    times: tuple[int, ...]
    """The times of a matching day, as minutes since midnight, ascending."""
    days: DayPattern
    fixed: bool
    """Its times are fixed ones: neither the minute nor the hour is a wildcard."""

    def shortest_gap(self) -> int:
        """Minutes on the clock between the two closest times, changes of the clocks aside."""
        overnight = self.times[0] - self.times[-1] + self.days.closest() * 1440
        return min([overnight, *(later - earlier for earlier, later in pairwise(self.times))])


@lru_cache(maxsize=8192)
def parse_cron(expression: str) -> CronRule:
    """What the expression names.

    Raises:
        CronError: it is malformed, out of range, too long, or names a day that never comes.
    """
    if len(expression) > MAX_LENGTH:
        raise CronError(
            f"{len(expression)} characters are too many; write at most {MAX_LENGTH}, with ranges and steps"
        )
    minute, hour, day, month, weekday = fields = _split(expression)
    minutes = _mask(_MINUTE, minute)
    hours = _mask(_HOUR, hour)
    days = shared(_days(day, month, weekday))
    if days.never_matches():
        raise CronError(
            f"day {day} never comes in month {month}; "
            "write L for the last day of the month, or a month that has the day"
        )
    return CronRule(
        fields=fields,
        minutes=minutes,
        hours=hours,
        times=_times(minutes, hours),
        days=days,
        fixed=not (_wild(minute, minutes) or _wild(hour, hours)),
    )


def _split(expression: str) -> tuple[str, str, str, str, str]:
    text = expression.strip()
    if text.startswith("@"):
        text = NICKNAMES.get(text.lower(), "")
        if not text:
            raise CronError(
                f"{expression.strip()[:20]!r} is no nickname; write one of {', '.join(NICKNAMES)}"
            )
    match text.upper().split():
        case [minute, hour, day, month, weekday]:
            return minute, hour, day, month, weekday
        case [_, _, _, _, _, _]:
            raise CronError("6 fields; write 5: minute hour day month weekday (there are no seconds)")
        case parts:
            raise CronError(f"{len(parts)} fields; write 5: minute hour day month weekday, as in 0 9 * * 1-5")


@lru_cache(maxsize=8192)
def _times(minutes: int, hours: int) -> tuple[int, ...]:
    return tuple(
        hour * 60 + minute
        for hour in range(24)
        if hours >> hour & 1
        for minute in range(60)
        if minutes >> minute & 1
    )


def _wild(text: str, mask: int) -> bool:
    return text.startswith("*") and mask.bit_count() > 1


def _days(day: str, month: str, weekday: str) -> DayPattern:
    day = "*" if day == "?" else day
    weekday = "*" if weekday == "?" else weekday
    day_terms = day.split(",")
    special_days = {"L", "LW"}.intersection(day_terms)
    plain_days = [term for term in day_terms if term not in special_days]
    weekdays = 0
    last_weekdays = 0
    nth_weekdays = set()
    for term in weekday.split(","):
        if "#" in term:
            nth_weekdays.add(_nth_weekday(term))
        elif len(term) > 1 and (term.endswith("L") or term.startswith("L")):
            last_weekdays |= 1 << _number(_WEEKDAY, term.removesuffix("L").removeprefix("L"), term)
        elif term == "L":
            raise CronError(
                "weekday L: the last what? Write 5L for the last Friday of the month, or 6 for Saturday"
            )
        else:
            weekdays |= _term(_WEEKDAY, term)
    return DayPattern(
        days_of_month=_mask(_DAY, ",".join(plain_days)) if plain_days else 0,
        months=_mask(_MONTH, month),
        weekdays=weekdays,
        last_day="L" in special_days,
        last_working_day="LW" in special_days,
        nth_weekdays=frozenset(nth_weekdays),
        last_weekdays=last_weekdays,
        either=not (day.startswith("*") or weekday.startswith("*")),
    )


def _nth_weekday(term: str) -> tuple[int, int]:
    weekday, _, nth = term.partition("#")
    if nth not in {"1", "2", "3", "4", "5"}:
        raise CronError(f"weekday {term}: write 1 to 5 after #, as in 1#2 for the second Monday")
    return _number(_WEEKDAY, weekday, term), int(nth)


def _mask(field: _Field, text: str) -> int:
    mask = 0
    for term in text.split(","):
        mask |= _term(field, term)
    return mask


def _term(field: _Field, term: str) -> int:
    found = _TERM.fullmatch(term)
    if found is None:
        raise _refusal(field, term)
    first, last, step_text = found["first"], found["last"], found["step"]
    step = _step(field, step_text, term) if step_text is not None else 1
    if first == "*":
        if last is not None:
            raise _refusal(field, term)
        low, high = field.low, field.high
    else:
        low = _number(field, first, term)
        if last is not None:
            high = _number(field, last, term)
            if field is _WEEKDAY and high == 0 and (low or last == "7"):
                high = 7
        else:
            high = low if step_text is None else field.high
    if high < low:
        raise CronError(
            f"{field.name} {term} runs backwards; write {low}-{field.high},{field.low}-{high} to wrap around"
        )
    mask = 0
    for value in range(low, high + 1, step):
        mask |= 1 << (value % 7 if field is _WEEKDAY else value)
    return mask


def _step(field: _Field, text: str, term: str) -> int:
    step = int(text) if _is_number(text) else 0
    if 1 <= step <= field.size:
        return step
    advice = f"write a step of 1 to {field.size}"
    if step > field.size and field in (_MINUTE, _HOUR):
        advice += f", or an interval schedule for every {step} {field.name}s"
    raise CronError(f"{field.name} {term}: {advice}")


def _number(field: _Field, text: str, term: str) -> int:
    if text in field.symbols:
        return field.symbols.index(text) + field.low
    if not _is_number(text):
        raise _refusal(field, term)
    value = int(text)
    if field is _WEEKDAY and value == 7:
        return 0
    if not field.low <= value <= field.high:
        raise _refusal(field, term)
    return value


def _is_number(text: str) -> bool:
    return len(text) <= 4 and text.isascii() and text.isdigit()


def _refusal(field: _Field, term: str) -> CronError:
    high = 7 if field is _WEEKDAY else field.high
    names = f" or {field.symbols[0]} to {field.symbols[-1]}" if field.symbols else ""
    values = f"{field.low} to {high}{names}, *{field.special}"
    return CronError(f"{field.name} {term[:24]!r}: write {values}, a range, a step or a list")
