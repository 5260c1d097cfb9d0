"""Hours in which a destination wants no messages. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.scheduling.fields import ClockTime, ZoneName


class QuietHours(BaseModel):
    """From one time of day to another, over midnight where `to` is the earlier one.

    `then`: deliver what came meanwhile when they end, or drop it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={
            "examples": [{"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin", "then": "deliver"}]
        },
    )

    begins: ClockTime = Field(alias="from", description="HH:MM")
    ends: ClockTime = Field(alias="to", description="HH:MM")
    timezone: ZoneName = "UTC"
    then: Literal["deliver", "drop"] = "deliver"

    @model_validator(mode="after")
    def _differ(self) -> QuietHours:
        if self.begins == self.ends:
            raise ValueError(
                "from and to are the same time; leave quiet_hours out, or disable the destination"
            )
        return self

    def until(self, now: datetime) -> datetime | None:
        """The instant the quiet hours that hold at `now` end; None when none hold."""
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        for day in (today - timedelta(days=1), today):
            begin = _instant(day, self.begins, zone)
            last = day if self.begins < self.ends else day + timedelta(days=1)
            end = _instant(last, self.ends, zone)
            if begin <= now < end:
                return end
        return None


def _instant(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """The instant the local clock shows this; where it never does, the instant it jumps over it."""
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=zone).astimezone(UTC)
