"""Days on which a schedule does not run, and where its runs go instead."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from common.scheduling.fields import Weekday, field_refusal, refusal
from common.scheduling.holiday_calendars import UnknownCalendar, check_calendar, holidays_of, weekend_of

MAX_DATES = 1000
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SATURDAY_AND_SUNDAY = frozenset({5, 6})
LONGEST_REST = 62
"""Days. No calendar rests longer between two working days; where the dates exclude more, no run moves."""


def _known_calendar(name: str) -> str:
    try:
        return check_calendar(name)
    except UnknownCalendar as unknown:
        raise refusal("calendar", str(unknown)) from unknown


class Exclude(BaseModel):
    """Local days on which the schedule does not run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dates: Annotated[tuple[date, ...], Field(max_length=MAX_DATES)] = ()
    weekdays: Annotated[tuple[Weekday, ...], Field(max_length=7, description="0 is Monday")] = ()
    calendar: Annotated[str, AfterValidator(_known_calendar)] | None = Field(
        default=None,
        description="Public holidays of an ISO 3166 country, alone or with a subdivision: DE, DE-BY",
    )
    policy: Literal["skip", "next_working_day"] = Field(
        default="skip",
        description="skip the run, or move it to the same time of the next working day: a day not excluded "
        "and not of the weekend (the calendar's, else Saturday and Sunday)",
    )

    @field_validator("weekdays")
    @classmethod
    def _leave_a_day(cls, weekdays: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(weekdays)) == 7:
            raise refusal("weekdays", "every day is excluded; leave at least one day of the week")
        return weekdays

    @model_validator(mode="after")
    def _leave_a_working_day(self) -> Self:
        if self.policy == "next_working_day" and {*self.weekdays, *self._weekend()} == set(range(7)):
            reason = "no working day is left to move to; exclude fewer weekdays or write the policy skip"
            raise field_refusal("Exclude", ("weekdays",), reason, self.weekdays)
        return self

    @cached_property
    def _days(self) -> frozenset[date]:
        return frozenset(self.dates)

    def reason(self, day: date) -> str | None:
        """Why the day is excluded, in words, or None."""
        if day in self._days:
            return f"excluded date {day.isoformat()}"
        if day.weekday() in self.weekdays:
            return f"excluded weekday {_WEEKDAYS[day.weekday()]}"
        if self.calendar is not None:
            name = holidays_of(self.calendar, day.year).get(day)
            if name is not None:
                return f"holiday {name} ({self.calendar})"
        return None

    def is_working_day(self, day: date) -> bool:
        """Whether a moved run may land on this day."""
        return day.weekday() not in self._weekend() and self.reason(day) is None

    def next_working_day(self, day: date) -> date | None:
        """The first working day from this day on, or None when there is none for two months."""
        known, candidate = self._next_working_days, day
        passed: list[date] = []
        while candidate not in known and len(passed) < 7 * MAX_DATES + LONGEST_REST:
            passed.append(candidate)
            if self.is_working_day(candidate):
                known[candidate] = candidate
                break
            candidate += timedelta(days=1)
        # Every day on the way has the same answer: a rest of years is walked through once.
        landing = known.get(candidate)
        known.update(dict.fromkeys(passed if landing is not None else passed[:-LONGEST_REST], landing))
        return landing if landing is not None and (landing - day).days < LONGEST_REST else None

    @cached_property
    def _next_working_days(self) -> dict[date, date | None]:
        return {}

    def _weekend(self) -> frozenset[int]:
        return _SATURDAY_AND_SUNDAY if self.calendar is None else weekend_of(self.calendar)
