"""A stretch of the local clock, from one time of day to another."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.scheduling.fields import FROM_TO, ClockTime, field_refusal, minutes_of_day


class Window(BaseModel):
    """Any time between two times of the local clock; past midnight when `to` is not later than `from`."""

    model_config = FROM_TO

    opens: ClockTime = Field(alias="from", description="HH:MM")
    closes: ClockTime = Field(alias="to", description="HH:MM")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.opens == self.closes:
            raise field_refusal("Window", ("to",), "write a time other than `from`", self.closes)
        return self

    @property
    def opening_minute(self) -> int:
        """Minutes since midnight."""
        return minutes_of_day(self.opens)

    @property
    def closing_minute(self) -> int:
        """Minutes since midnight."""
        return minutes_of_day(self.closes)

    @property
    def minutes(self) -> int:
        """Its length on the clock."""
        return (self.closing_minute - self.opening_minute) % 1440

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day lies in it; its last minute does not."""
        return (minute - self.opening_minute) % 1440 < self.minutes
