"""Days and hours in which a schedule does not run, and where its runs go instead."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from common.scheduling.day_range import DayRange
from common.scheduling.fields import Reading, Weekday, field_refusal, refusal
from common.scheduling.holiday_calendars import UnknownCalendar, check_calendar, holidays_of, weekend_of
from common.scheduling.window import Window

MAX_DATES = 1000
MAX_RANGES = 100
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SATURDAY_AND_SUNDAY = frozenset({5, 6})
LONGEST_REST = 62
"""Days. No calendar rests longer between two working days; where the dates exclude more, no run moves."""


def _known_calendar(name: str) -> str:
    try:
        return check_calendar(name)
    except UnknownCalendar as unknown:
        raise refusal("calendar", str(unknown)) from unknown


class Exclude(BaseModel):
    """Local days, hours of the day and single slots in which the schedule does not run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dates: Annotated[tuple[date, ...], Field(max_length=MAX_DATES)] = ()
    ranges: Annotated[
        tuple[DayRange, ...],
        Field(
            max_length=MAX_RANGES, description="From one day to another, both included; every year as MM-DD"
        ),
    ] = ()
    weekdays: Annotated[tuple[Weekday, ...], Field(max_length=7, description="0 is Monday")] = ()
    calendar: Annotated[str, AfterValidator(_known_calendar)] | None = Field(
        default=None,
        description="Public holidays of an ISO 3166 country, alone or with a subdivision: DE, DE-BY",
    )
    hours: Annotated[
        tuple[Window, ...],
        Field(max_length=24, description="Times of day, their beginning included; their slots are skipped"),
    ] = ()
    slots: Annotated[
        tuple[Reading, ...],
        Field(max_length=MAX_DATES, description="Single slots as the zone's clock shows them; skipped"),
    ] = ()
    policy: Literal["skip", "next_working_day", "previous_working_day"] = Field(
        default="skip",
        description="skip the run, or move it to the same time of the next or previous working day: a day "
        "not excluded and not of the weekend (the calendar's, else Saturday and Sunday)",
    )

    @field_validator("weekdays")
    @classmethod
    def _leave_a_day(cls, weekdays: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(weekdays)) == 7:
            raise refusal("weekdays", "every day is excluded; leave at least one day of the week")
        return weekdays

    @field_validator("hours")
    @classmethod
    def _leave_an_hour(cls, hours: tuple[Window, ...]) -> tuple[Window, ...]:
        # A free part of the day begins where one of them ends.
        if hours and all(any(other.holds(one.closing_minute) for other in hours) for one in hours):
            raise refusal("hours", "the whole day is excluded; leave a part of it")
        return hours

    @model_validator(mode="after")
    def _leave_a_working_day(self) -> Self:
        if self.policy != "skip" and {*self.weekdays, *self._weekend()} == set(range(7)):
            reason = "no working day is left to move to; exclude fewer weekdays or write the policy skip"
            raise field_refusal("Exclude", ("weekdays",), reason, self.weekdays)
        return self

    def reason(self, day: date) -> str | None:
        """Why the day is excluded, in words, or None."""
        if day in self._days:
            return f"excluded date {day.isoformat()}"
        for one in self.ranges:
            if one.holds(day):
                return f"excluded range {one.words}"
        if day.weekday() in self.weekdays:
            return f"excluded weekday {_WEEKDAYS[day.weekday()]}"
        if self.calendar is not None:
            name = holidays_of(self.calendar, day.year).get(day)
            if name is not None:
                return f"holiday {name} ({self.calendar})"
        return None

    def reason_at(self, day: date, minute: int) -> str | None:
        """Why this minute of the day is excluded, in words, or None."""
        reason = self.reason(day)
        if reason is not None:
            return reason
        for one in self.hours:
            if one.holds(minute):
                return f"excluded hours {one.opens} to {one.closes}"
        if self._slots and minute in self._slots.get(day, ()):
            return f"excluded slot {day.isoformat()} {minute // 60:02}:{minute % 60:02}"
        return None

    def next_edge(self, day: date, minute: int) -> int:
        """The first later minute of the day at which the reason may be another; 1440 is the day's end."""
        edges = [edge for edge in self._edges if edge > minute]
        for slot in self._slots.get(day, ()):
            edges += [edge for edge in (slot, slot + 1) if edge > minute]
        return min(edges, default=1440)

    def is_working_day(self, day: date) -> bool:
        """Whether a moved run may land on this day."""
        return day.weekday() not in self._weekend() and self.reason(day) is None

    def next_working_day(self, day: date) -> date | None:
        """The first working day from this day on, or None when there is none for two months."""
        return self._nearest_working_day(day, 1, self._next_working_days)

    def previous_working_day(self, day: date) -> date | None:
        """The last working day up to this one, or None when there has been none for two months."""
        return self._nearest_working_day(day, -1, self._previous_working_days)

    def _nearest_working_day(self, day: date, step: int, known: dict[date, date | None]) -> date | None:
        candidate = day
        passed: list[date] = []
        while candidate not in known and len(passed) < 7 * MAX_DATES + LONGEST_REST:
            passed.append(candidate)
            if self.is_working_day(candidate):
                known[candidate] = candidate
                break
            candidate += timedelta(days=step)
        # Every day on the way has the same answer: a rest of years is walked through once.
        landing = known.get(candidate)
        known.update(dict.fromkeys(passed if landing is not None else passed[:-LONGEST_REST], landing))
        return landing if landing is not None and abs((landing - day).days) < LONGEST_REST else None

    @cached_property
    def _next_working_days(self) -> dict[date, date | None]:
        return {}

    @cached_property
    def _previous_working_days(self) -> dict[date, date | None]:
        return {}

    @cached_property
    def _days(self) -> frozenset[date]:
        return frozenset(self.dates)

    @cached_property
    def _slots(self) -> dict[date, list[int]]:
        found: dict[date, list[int]] = {}
        for reading in self.slots:
            found.setdefault(reading.date(), []).append(reading.hour * 60 + reading.minute)
        return found

    @cached_property
    def _edges(self) -> list[int]:
        return [edge for one in self.hours for edge in (one.opening_minute, one.closing_minute) if edge]

    def _weekend(self) -> frozenset[int]:
        return SATURDAY_AND_SUNDAY if self.calendar is None else weekend_of(self.calendar)
