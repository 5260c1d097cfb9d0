"""The field types schedules are made of; each refuses with words that say what to write instead."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from common.scheduling.cron import CronError, parse_cron
from common.scheduling.zones import UnknownZone, check_zone
from common.strict import InstantText

FIRST_YEAR, LAST_YEAR = 1970, 2999
FROM_TO = ConfigDict(
    frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
)
"""Of a stretch with `from` and `to`, which are no names in Python."""
CLOCK_TIME = "^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _known_zone(name: str) -> str:
    try:
        return check_zone(name)
    except UnknownZone as unknown:
        raise refusal("timezone", str(unknown)) from unknown


def _runnable_cron(expression: str) -> str:
    try:
        parse_cron(expression)
    except CronError as refused:
        raise refusal("cron", str(refused)) from refused
    return expression.strip()


def _clock_time(text: str) -> str:
    if not is_clock_time(text):
        raise refusal("clock_time", "write a time from 00:00 to 23:59 as HH:MM, for example 06:00")
    return text


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise refusal("aware_instant", "write the instant with its offset, for example 2026-12-24T09:00:00Z")
    return in_our_time(instant).astimezone(UTC)


def _local_minute(reading: datetime) -> datetime:
    if reading.tzinfo is not None or reading.second or reading.microsecond:
        raise refusal("reading", "write the time as the zone's clock shows it, for example 2026-12-24T09:00")
    return in_our_time(reading)


def in_our_time(instant: datetime) -> datetime:
    """The same datetime, refused where no schedule can mean it and arithmetic would leave the calendar."""
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise refusal("far_instant", f"write a year from {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def refusal(kind: str, reason: str) -> PydanticCustomError:
    """An error for the field under validation, in words of our own."""
    return PydanticCustomError("schedule_" + kind, "{reason}", {"reason": reason})


def field_refusal(title: str, path: tuple[str, ...], reason: str, value: object) -> ValidationError:
    """An error for a field, raised where fields are compared with each other."""
    details = InitErrorDetails(type=refusal("conflict", reason), loc=path, input=value)
    return ValidationError.from_exception_data(title, [details])


def is_clock_time(text: str) -> bool:
    """Whether it is a "HH:MM" from 00:00 to 23:59."""
    return re.fullmatch(CLOCK_TIME, text) is not None


def minutes_of_day(time: str) -> int:
    """Minutes since midnight of a "HH:MM"."""
    return int(time[:2]) * 60 + int(time[3:])


def clock_text(minutes: int) -> str:
    """The "HH:MM" so many minutes after midnight."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""An IANA time zone that exists."""
CronExpression = Annotated[str, AfterValidator(_runnable_cron)]
"""A cron expression that fires at some time."""
ClockTime = Annotated[
    str,
    AfterValidator(_clock_time),
    Field(json_schema_extra={"pattern": CLOCK_TIME}),
]
"""A time of day, "HH:MM"."""
Instant = Annotated[datetime, InstantText, AfterValidator(_in_utc)]
"""An instant with its offset; kept in UTC."""
Reading = Annotated[datetime, InstantText, AfterValidator(_local_minute)]
"""A date and a minute of the local clock, without an offset."""
Hour = Annotated[int, Field(strict=True, ge=0, le=23)]
Minute = Annotated[int, Field(strict=True, ge=0, le=59)]
Weekday = Annotated[int, Field(strict=True, ge=0, le=6)]
"""0 is Monday."""
