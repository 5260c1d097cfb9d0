"""The kinds of schedule: what a user writes, validated, frozen, and told apart by `type`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from common.scheduling.bounds import Bounds
from common.scheduling.cron import NICKNAMES, CronRule, parse_cron
from common.scheduling.fields import (
    ClockTime,
    CronExpression,
    Hour,
    Instant,
    Minute,
    Weekday,
    ZoneName,
    field_refusal,
    in_our_time,
    is_clock_time,
    minutes_of_day,
)
from common.scheduling.grids import (
    BoundedGrid,
    Grid,
    IntervalGrid,
    SingleInstant,
    WallClockGrid,
    wall_clock_grid,
)
from common.scheduling.instants import EPOCH, as_utc, to_instant, to_seconds
from common.scheduling.wall_clock import DstGap, DstOverlap, WallClock
from common.scheduling.window import Window
from common.scheduling.zones import zone
from common.strict import InstantText

MAX_INTERVAL_MINUTES = 366 * 24 * 60
"""A year: what recurs more rarely is better said as a date."""

MAX_MOVED_A_DAY = 24
"""How many runs a day may have for them to be moved to the next working day."""


class Kind(Bounds):
    """What every kind of schedule shares."""

    timezone: ZoneName = Field(
        default="UTC", description="IANA name of the zone whose clock and calendar are meant"
    )

    def to_cron(self) -> str | None:
        """The cron expression that names the same times, where there is one."""
        return None

    def slots(self, default_anchor: datetime | None = None) -> Grid:
        """The instants it names within its bounds, excluded days included."""
        unbounded = self._unbounded(default_anchor)
        if self.start_at is None and self.end_at is None:
            return unbounded
        return BoundedGrid(unbounded, self.start_at, self.end_at)

    def shortest_gap(self) -> timedelta | None:
        """The time between its two closest slots, changes of the clocks aside; None when there is only
        one."""
        return None

    def times_a_day(self) -> int | None:
        """How many times of day it names, or None when it names none."""
        return None

    @abstractmethod
    def _unbounded(self, default_anchor: datetime | None) -> Grid:
        """Its slots before `start_at` and `end_at` are applied."""

    @model_validator(mode="after")
    def _keep_order(self) -> Self:
        gap = self.shortest_gap()
        if self.jitter_seconds and gap is not None and self.jitter_seconds >= gap.total_seconds():
            raise field_refusal(
                type(self).__name__,
                ("jitter_seconds",),
                f"its runs are as close as {gap.total_seconds():.0f} seconds; write less than that",
                self.jitter_seconds,
            )
        return self

    @model_validator(mode="after")
    def _moves_few_runs(self) -> Self:
        if self.exclude is None or self.exclude.policy == "skip":
            return self
        times = self.times_a_day()
        if times is None or times > MAX_MOVED_A_DAY:
            raise field_refusal(
                type(self).__name__,
                ("exclude", "policy"),
                f"only a schedule of at most {MAX_MOVED_A_DAY} times of day can move its runs; write skip",
                self.exclude.policy,
            )
        return self


class Interval(Kind):
    """Every so many minutes of elapsed time, on a fixed grid that begins at its anchor.

    The grid begins at `anchor`, else at `start_at`, else where the caller says (the automation's creation).
    """

    type: Literal["interval"] = "interval"
    interval_minutes: Annotated[int, Field(strict=True, ge=1, le=MAX_INTERVAL_MINUTES)]
    anchor: Instant | None = Field(
        default=None, description="The first slot; without it the automation's creation"
    )

    def shortest_gap(self) -> timedelta:
        return timedelta(minutes=self.interval_minutes)

    def _unbounded(self, default_anchor: datetime | None) -> Grid:
        anchor = self.anchor or self.start_at or default_anchor or EPOCH
        return IntervalGrid(as_utc(anchor), timedelta(minutes=self.interval_minutes))


class WallClockKind(Kind):
    """A kind that names times of the local clock."""

    dst_gap: DstGap = Field(
        default="run",
        description="What becomes of a fixed time the clock skips: run once at the end of the gap, or skip",
    )
    dst_overlap: DstOverlap = Field(
        default="first",
        description="What becomes of a fixed time the clock shows twice: run the first time, or both",
    )

    @abstractmethod
    def to_cron(self) -> str:
        """The cron expression that names the same times."""

    def rule(self) -> CronRule:
        """What it names, parsed."""
        return parse_cron(self.to_cron())

    def clock(self) -> WallClock:
        """The instants it names, before its bounds."""
        return self._grid().clock

    def shortest_gap(self) -> timedelta:
        return timedelta(minutes=self.rule().shortest_gap())

    def times_a_day(self) -> int:
        return len(self.rule().times)

    def _unbounded(self, default_anchor: datetime | None) -> Grid:
        return self._grid()

    def _grid(self) -> WallClockGrid:
        return wall_clock_grid(self.to_cron(), self.timezone, self.dst_gap, self.dst_overlap)


class WindowedKind(WallClockKind):
    """A kind with one time of day, which may be a window: the slot is its opening, the run any time in it.

    With a window the time may be left out.
    """

    window: Window | None = Field(
        default=None, description="Run at any time in it, always the same for one automation"
    )

    time_field: ClassVar[str]

    @classmethod
    @abstractmethod
    def _opening(cls, opens: str) -> dict[str, Any]:
        """The fields that say the time of day."""

    @abstractmethod
    def _minute_of_day(self) -> int:
        """Its time of day, in minutes after midnight."""

    @model_validator(mode="before")
    @classmethod
    def _begin_with_window(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or cls.time_field in raw:
            return raw
        match raw.get("window"):
            case Window(opens=opens) | {"from": str(opens)} | {"opens": str(opens)}:
                # A malformed window is refused as such; the time it should have given is not missed as well.
                return cls._opening(opens if is_clock_time(opens) else "00:00") | dict(raw)
        return raw

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        if self.window is None:
            return self
        if self.window.opening_minute != self._minute_of_day():
            reason = f"the window begins at {self.window.opens}; write the same time or leave it out"
            raise field_refusal(type(self).__name__, (self.time_field,), reason, None)
        if self.jitter_seconds:
            raise field_refusal(
                type(self).__name__,
                ("jitter_seconds",),
                "the window already spreads the runs; leave jitter_seconds out",
                self.jitter_seconds,
            )
        return self


class _HourAndMinute(WindowedKind):
    time_field: ClassVar[str] = "hour"

    hour: Hour
    minute: Minute = 0

    @classmethod
    def _opening(cls, opens: str) -> dict[str, Any]:
        return {"hour": int(opens[:2]), "minute": int(opens[3:])}

    def _minute_of_day(self) -> int:
        return self.hour * 60 + self.minute


class _WrittenTime(WindowedKind):
    time_field: ClassVar[str] = "time"

    time: ClockTime = Field(description="HH:MM")

    @classmethod
    def _opening(cls, opens: str) -> dict[str, Any]:
        return {"time": opens}

    def _minute_of_day(self) -> int:
        return minutes_of_day(self.time)

    def _cron_time(self) -> str:
        hour, _, minute = self.time.partition(":")
        return f"{minute} {hour}"


class Daily(_HourAndMinute):
    """Every day at one time."""

    type: Literal["daily"] = "daily"

    def to_cron(self) -> str:
        return f"{self.minute} {self.hour} * * *"


class Weekly(_HourAndMinute):
    """Every week on one day at one time."""

    type: Literal["weekly"] = "weekly"
    weekday: Weekday = Field(description="0 is Monday")

    def to_cron(self) -> str:
        return f"{self.minute} {self.hour} * * {_cron_weekday(self.weekday)}"


class TimeOfDay(_WrittenTime):
    """Every day at one time, written as a clock shows it."""

    type: Literal["time_of_day"] = "time_of_day"

    def to_cron(self) -> str:
        return f"{self._cron_time()} * * *"


class Weekdays(_WrittenTime):
    """On some days of the week at one time."""

    type: Literal["weekdays"] = "weekdays"
    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7, description="0 is Monday")]

    def to_cron(self) -> str:
        days = ",".join(str(_cron_weekday(day)) for day in sorted(set(self.days)))
        return f"{self._cron_time()} * * {days}"


class Hours(WallClockKind):
    """Every so many hours of the local clock, counted from midnight of each day.

    24 means once a day at midnight. A number that does not divide 24 leaves a shorter rest at the day's end:
    5 names 0, 5, 10, 15 and 20 o'clock, and then 0 o'clock four hours later; 13 to 23 name 0 o'clock and one
    more. For an unbroken rhythm write an interval.
    """

    type: Literal["hours"] = "hours"
    hours: Annotated[int, Field(strict=True, ge=1, le=24)]

    def to_cron(self) -> str:
        return f"0 */{self.hours} * * *"


class Cron(WallClockKind):
    """A cron expression of five fields; `common.scheduling.cron` says what they may hold."""

    type: Literal["cron"] = "cron"
    expression: CronExpression

    def to_cron(self) -> str:
        return NICKNAMES.get(self.expression.lower(), self.expression)


class Once(Kind):
    """One instant. Written without an offset it is a reading of the clock in `timezone`."""

    type: Literal["once"] = "once"
    at: Annotated[datetime, InstantText]

    @field_validator("at")
    @classmethod
    def _read_in_zone(cls, at: datetime, info: ValidationInfo) -> datetime:
        if in_our_time(at).tzinfo is not None:
            return at.astimezone(UTC)
        name = info.data.get("timezone", "UTC")
        return to_instant(zone(name).reached(to_seconds(at.replace(tzinfo=UTC))))

    def times_a_day(self) -> int:
        return 1

    def _unbounded(self, default_anchor: datetime | None) -> Grid:
        return SingleInstant(self.at)


def _cron_weekday(weekday: int) -> int:
    return (weekday + 1) % 7


Schedule = Annotated[
    Interval | Daily | Weekly | TimeOfDay | Hours | Weekdays | Cron | Once,
    Field(discriminator="type"),
]
"""Any kind of schedule; a field of this type accepts the JSON of each and refuses the rest field by field."""

KINDS: Mapping[str, type[Kind]] = {
    "interval": Interval,
    "daily": Daily,
    "weekly": Weekly,
    "time_of_day": TimeOfDay,
    "hours": Hours,
    "weekdays": Weekdays,
    "cron": Cron,
    "once": Once,
}
"""Each kind by its `type`."""
