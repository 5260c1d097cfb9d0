"""The kinds of schedule: what a user writes, validated, frozen, and told apart by `type`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from common.scheduling.cron import CronError, parse_cron
from common.scheduling.grids import Grid, IntervalGrid, SingleInstant, WallClockGrid
from common.scheduling.instants import EPOCH, to_instant, to_seconds
from common.scheduling.wall_clock import DstGap, DstOverlap, wall_clock
from common.scheduling.zones import UnknownZone, check_zone, zone

MAX_INTERVAL_MINUTES = 366 * 24 * 60
"""A year: what recurs more rarely is better said as a date."""


def _known_zone(name: str) -> str:
    try:
        return check_zone(name)
    except UnknownZone as unknown:
        raise PydanticCustomError("timezone", "{reason}", {"reason": str(unknown)}) from unknown


def _runnable_cron(expression: str) -> str:
    try:
        parse_cron(expression)
    except CronError as refused:
        raise PydanticCustomError("cron", "{reason}", {"reason": str(refused)}) from refused
    return expression.strip()


def _clock_time(text: str) -> str:
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and (hour + minute).isdecimal() and text.isascii()):
        raise PydanticCustomError("clock_time", "write hours and minutes as HH:MM, for example 06:00")
    if int(hour) > 23 or int(minute) > 59:
        raise PydanticCustomError("clock_time", "write a time of day from 00:00 to 23:59")
    return text


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise PydanticCustomError(
            "aware_instant", "write the instant with its offset, for example 2026-12-24T09:00:00Z"
        )
    return instant.astimezone(UTC)


ZoneName = Annotated[str, AfterValidator(_known_zone)]
CronExpression = Annotated[str, AfterValidator(_runnable_cron)]
ClockTime = Annotated[str, AfterValidator(_clock_time)]
"""A time of day, "HH:MM"."""
Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""An instant with its offset; kept in UTC."""
Hour = Annotated[int, Field(strict=True, ge=0, le=23)]
Minute = Annotated[int, Field(strict=True, ge=0, le=59)]
Weekday = Annotated[int, Field(strict=True, ge=0, le=6)]
"""0 is Monday."""


class Kind(BaseModel):
    """What every kind of schedule shares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: ZoneName = Field(
        default="UTC", description="IANA name of the zone whose clock and calendar are meant"
    )

    def to_cron(self) -> str | None:
        """The cron expression that names the same times, where there is one."""
        return None

    def grid(self, default_anchor: datetime | None = None) -> Grid:
        """The instants it names, before bounds and exclusions."""
        raise NotImplementedError


class WallClockKind(Kind):
    """A kind that names times of the local clock."""

    dst_gap: DstGap = Field(
        default="run", description="A fixed time the clock skips: run once at the end of the gap, or skip"
    )
    dst_overlap: DstOverlap = Field(
        default="first", description="A fixed time the clock shows twice: run the first time, or both"
    )

    def to_cron(self) -> str:
        raise NotImplementedError

    def grid(self, default_anchor: datetime | None = None) -> Grid:
        return WallClockGrid(wall_clock(self.to_cron(), self.timezone, self.dst_gap, self.dst_overlap))


class Interval(Kind):
    """Every so many minutes of elapsed time, on a fixed grid that begins at its anchor."""

    type: Literal["interval"] = "interval"
    interval_minutes: Annotated[int, Field(strict=True, ge=1, le=MAX_INTERVAL_MINUTES)]
    anchor: Instant | None = Field(
        default=None, description="The first slot; without it, the automation's creation"
    )

    def grid(self, default_anchor: datetime | None = None) -> Grid:
        return IntervalGrid(self.anchor or default_anchor or EPOCH, timedelta(minutes=self.interval_minutes))


class Daily(WallClockKind):
    """Every day at one time."""

    type: Literal["daily"] = "daily"
    hour: Hour
    minute: Minute = 0

    def to_cron(self) -> str:
        return f"{self.minute} {self.hour} * * *"


class Weekly(WallClockKind):
    """Every week on one day at one time."""

    type: Literal["weekly"] = "weekly"
    weekday: Weekday = Field(description="0 is Monday")
    hour: Hour
    minute: Minute = 0

    def to_cron(self) -> str:
        return f"{self.minute} {self.hour} * * {_cron_weekday(self.weekday)}"


class TimeOfDay(WallClockKind):
    """Every day at one time, written as a clock shows it."""

    type: Literal["time_of_day"] = "time_of_day"
    time: ClockTime = Field(description="HH:MM")

    def to_cron(self) -> str:
        hour, _, minute = self.time.partition(":")
        return f"{minute} {hour} * * *"


class Hours(WallClockKind):
    """Every so many hours of the local clock, counted from midnight and begun anew each day.

    24 means once a day at midnight. A number that does not divide 24 leaves a shorter rest at the day's end:
    5 names 0, 5, 10, 15 and 20 o'clock, and then 0 o'clock four hours later. For an unbroken rhythm write an
    interval.
    """

    type: Literal["hours"] = "hours"
    hours: Annotated[int, Field(strict=True, ge=1, le=24)]

    def to_cron(self) -> str:
        return f"0 */{self.hours} * * *"


class Weekdays(WallClockKind):
    """On some days of the week at one time."""

    type: Literal["weekdays"] = "weekdays"
    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7, description="0 is Monday")]
    time: ClockTime = Field(description="HH:MM")

    def to_cron(self) -> str:
        hour, _, minute = self.time.partition(":")
        days = ",".join(str(_cron_weekday(day)) for day in sorted(set(self.days)))
        return f"{minute} {hour} * * {days}"


class Cron(WallClockKind):
    """A cron expression of five fields; `common.scheduling.cron` says what they may hold."""

    type: Literal["cron"] = "cron"
    expression: CronExpression

    def to_cron(self) -> str:
        return self.expression


class Once(Kind):
    """One instant. Written without an offset it is a reading of the clock in `timezone`."""

    type: Literal["once"] = "once"
    at: datetime

    @field_validator("at", mode="after")
    @classmethod
    def _read_in_zone(cls, at: datetime, info: ValidationInfo) -> datetime:
        if at.tzinfo is not None:
            return at.astimezone(UTC)
        name = info.data.get("timezone", "UTC")
        return to_instant(zone(name).reached(to_seconds(at.replace(tzinfo=UTC))))

    def grid(self, default_anchor: datetime | None = None) -> Grid:
        return SingleInstant(self.at)


def _cron_weekday(weekday: int) -> int:
    return (weekday + 1) % 7


Schedule = Annotated[
    Interval | Daily | Weekly | TimeOfDay | Hours | Weekdays | Cron | Once,
    Field(discriminator="type"),
]
"""Any kind of schedule; a field of this type accepts the JSON of each and rejects everything else by
field."""
