"""Days from one to another: once, or every year."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from common.scheduling.fields import FROM_TO, field_refusal, refusal

_TEXT = r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"
_LEAP_YEAR = "2000-"
MONTHS = (
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
"""Their English names; 1 is January."""


def _day_text(text: str) -> str:
    if re.fullmatch(_TEXT, text) is None:
        raise refusal("day", "write a day of every year as 12-24, or a date as 2026-12-24")
    try:
        _read(text)
    except ValueError as impossible:
        raise refusal("day", "there is no such day; write one as 12-24 or 2026-12-24") from impossible
    return text


def _read(text: str) -> date:
    return date.fromisoformat(text if len(text) > 5 else _LEAP_YEAR + text)


DayText = Annotated[str, AfterValidator(_day_text), Field(json_schema_extra={"pattern": _TEXT})]


class DayRange(BaseModel):
    """All days from one to another, both included.

    Without years it repeats, over New Year where `to` is the earlier day. A 29 February that a year lacks is
    left out there.
    """

    model_config = FROM_TO

    begins: DayText = Field(alias="from", description="MM-DD of every year, or YYYY-MM-DD")
    ends: DayText = Field(alias="to", description="The same; included")

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if len(self.begins) != len(self.ends):
            reason = "write both days with a year, or neither"
            raise field_refusal("DayRange", ("to",), reason, self.ends)
        if not self.is_yearly and self.ends < self.begins:
            reason = f"ends before it begins; write {self.begins} or a later date"
            raise field_refusal("DayRange", ("to",), reason, self.ends)
        return self

    @property
    def is_yearly(self) -> bool:
        """Whether it comes again every year."""
        return len(self.begins) == 5

    def holds(self, day: date) -> bool:
        """Whether the day lies in it."""
        text = day.isoformat()
        if not self.is_yearly:
            return self.begins <= text <= self.ends
        text = text[5:]
        if self.begins <= self.ends:
            return self.begins <= text <= self.ends
        return text >= self.begins or text <= self.ends

    @property
    def words(self) -> str:
        """ "24 December to 2 January"."""
        return f"{self._word(self.begins)} to {self._word(self.ends)}"

    def _word(self, text: str) -> str:
        day = _read(text)
        return f"{day.day} {MONTHS[day.month]}" + ("" if self.is_yearly else f" {day.year}")
