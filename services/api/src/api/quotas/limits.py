"""How much a team may have, and how often it may run: plans, and what overrides them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

JOB_TYPE = "recording_sync"
"""The type of the automations that are recording jobs, which have limits of their own."""


class Quota(BaseModel):
    """The limits that hold for a person of a team; null is unlimited.

    Each field is a column of the table `plan`; a team's and a person's `quota` hold the same names.
    """

    model_config = ConfigDict(frozen=True)

    max_automations: int | None = Field(
        default=100, ge=0, description="Automations of the team; those whose schedule has ended do not count"
    )
    min_interval_minutes: float | None = Field(
        default=1, ge=0, description="Minutes between any two runs of an automation, at the least"
    )
    max_automation_jobs: int | None = Field(
        default=5, ge=0, description="Recording jobs of a person; those whose schedule has ended do not count"
    )
    min_automation_interval_hours: float | None = Field(
        default=1, ge=0, description="Hours between any two runs of a recording job, at the least"
    )
    max_concurrent_runs: int | None = Field(
        default=None, ge=0, description="Runs of the team that go on at the same time; the others wait"
    )
    max_api_keys: int | None = Field(
        default=50, ge=0, description="API keys of the team; those that have expired do not count"
    )
    max_destinations: int | None = Field(default=100, ge=0, description="Destinations of the team")
    max_connections: int | None = Field(default=100, ge=0, description="Connections of the team")
    max_templates: int | None = Field(default=100, ge=0, description="Recording templates of the team")

    def overridden_by(self, stored: Mapping[str, Any]) -> Self:
        """This quota with what `stored` sets, null meaning unlimited.

        An unknown name, or a value that is no limit, changes nothing: a slip of an operator's pen neither
        lifts a limit nor locks a team out.
        """
        quota = self
        for name in type(self).model_fields.keys() & stored.keys():
            try:
                quota = type(self).model_validate(quota.model_dump() | {name: stored[name]})
            except ValidationError:
                continue
        return quota

    def shortest_interval(self, automation_type: str) -> timedelta:
        """How close together two runs of such an automation may come."""
        shortest = timedelta(minutes=self.min_interval_minutes or 0)
        if automation_type == JOB_TYPE:
            shortest = max(shortest, timedelta(hours=self.min_automation_interval_hours or 0))
        return shortest


def effective_quota(plan: Mapping[str, Any], *overrides: Mapping[str, Any]) -> Quota:
    """The limits that hold: the plan's, overridden by the team's, overridden by the person's."""
    quota = Quota.model_validate(plan)
    for stored in overrides:
        quota = quota.overridden_by(stored)
    return quota
