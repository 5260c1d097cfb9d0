"""What clients send and receive about automations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.config import JsonDict

from api.connection_kinds import SourcePlatform
from api.fields import UNSET, Input, Moment, Name, Patch
from common.automation_policy import AutomationPolicy
from common.models import AutomationStatus, Lane
from common.scheduling import CatchUp
from common.strict import Flag

TypeName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


def _each_once(platforms: list[SourcePlatform]) -> list[SourcePlatform]:
    return list(dict.fromkeys(platforms))


Platforms = Annotated[list[SourcePlatform], Field(max_length=20), AfterValidator(_each_once)]

SCHEDULE = (
    "When it runs: an object with a `type` (`interval`, `daily`, `weekly`, `time_of_day`, `hours`, "
    "`weekdays`, `cron` or `once`), the fields of that type, and a `timezone` (IANA name, UTC by default)"
)
SCHEDULE_EXAMPLE: JsonDict = {"type": "daily", "hour": 9, "minute": 30, "timezone": "Europe/Berlin"}
CONFIG_EXAMPLE: JsonDict = {"period": "daily", "metric_types": ["ad_account"], "format": "html"}


class AutomationCreate(Input):
    """A new automation."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Morning numbers",
                    "destination_id": "0198c0de-0000-7000-8000-000000000001",
                    "type": "scheduled_report",
                    "schedule_config": SCHEDULE_EXAMPLE,
                    "automation_config": CONFIG_EXAMPLE,
                    "platforms": ["facebook"],
                }
            ]
        }
    )

    tenant_id: UUID | None = Field(default=None, description="Your own team, if given; another is refused")
    destination_id: UUID = Field(description="Where its results go; see `/api/destinations`")
    name: Name
    type: TypeName = Field(description="What it does; see `/api/automation-types`")
    schedule_config: dict[str, Any] = Field(description=SCHEDULE)
    automation_config: dict[str, Any] = Field(
        default_factory=dict, description="How it does it, by the schema of its type"
    )
    platforms: Platforms = Field(default_factory=list, description="Whose numbers or recordings it needs")
    priority: Lane = Field(default=Lane.NORMAL, description="Which queue its runs wait in")
    policy: AutomationPolicy = Field(
        default=AutomationPolicy(), description="Missed and overlapping runs, retries, time limits"
    )


class AutomationPatch(Patch):
    """Changes to an automation. Each field given replaces the old one as a whole."""

    destination_id: UUID = UNSET
    name: Name = UNSET
    type: TypeName = UNSET
    schedule_config: dict[str, Any] = Field(default=UNSET, description=SCHEDULE + ". Recomputes `next_run`")
    automation_config: dict[str, Any] = UNSET
    platforms: Platforms = UNSET
    priority: Lane = UNSET
    policy: AutomationPolicy = Field(default=UNSET, description="Replaces the whole policy")


class AutomationOut(BaseModel):
    """An automation."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    user_id: UUID | None = Field(description="Who created it")
    destination_id: UUID | None
    name: str
    type: str
    status: AutomationStatus = Field(description="`error`: Carillon stopped it, `status_reason` says why")
    status_reason: str | None
    schedule_config: dict[str, Any]
    schedule_text: str = Field(description="The schedule in words")
    automation_config: dict[str, Any]
    platforms: list[str]
    priority: Lane
    policy: dict[str, Any] = Field(description="What differs from the default policy")
    paused_at: datetime | None
    paused_until: datetime | None = Field(description="When it resumes by itself")
    last_run: datetime | None = Field(description="When a run was last dispatched")
    next_run: datetime | None = Field(description="When it fires next, in UTC; null unless it is active")
    next_slot: datetime | None = Field(
        description="The slot it fires for then; jitter or a window may set the two apart"
    )
    run_count: int
    error_count: int
    failure_streak: int = Field(description="Failures since the last success")
    version: int = Field(description="Grows with every edit; also the ETag")
    created_at: datetime
    updated_at: datetime


class MovedSlots(BaseModel):
    """What a change of schedule does to the slots to come: the next five of each kind at most."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"removed": ["2026-03-02T08:00:00Z"], "added": ["2026-03-02T09:00:00Z"]}]
        }
    )

    removed: list[datetime] = Field(description="Slots the old schedule named and the new one does not")
    added: list[datetime] = Field(description="Slots the new schedule names and the old one did not")


class ChangedAutomationOut(AutomationOut):
    """An automation after a change."""

    moved_slots: MovedSlots | None = Field(
        default=None, description="Which slots to come have moved; absent when the schedule did not change"
    )


class PauseRequest(Input):
    """For how long."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"until": "2026-12-27T00:00:00Z", "catch_up": "latest"}]}
    )

    until: Moment | None = Field(default=None, description="Resume by itself then; else when told to")
    catch_up: CatchUp | None = Field(
        default=None, description="What becomes of the slots that pass meanwhile, unless resuming says so"
    )


class ResumeRequest(Input):
    """What becomes of the slots that passed meanwhile."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"catch_up": "latest"}]})

    catch_up: CatchUp | None = Field(
        default=None,
        description="Record them as skipped, run the latest of them, or run all; "
        "left out: what was chosen when it was paused, else `none`",
    )


class RunBody(Input):
    """A run by hand: for a slot, for any other instant, or for this moment."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"slot": "2026-03-01T08:30:00Z"}, {"as_of": "2026-03-01T00:00:00Z"}]}
    )

    slot: Moment | None = Field(
        default=None,
        description="Work for this slot of the schedule, which has passed; it becomes the slot's run if it "
        "has none",
    )
    as_of: Moment | None = Field(
        default=None, description="Work as if it were then: reports count their days back from it"
    )

    @model_validator(mode="after")
    def _one_instant(self) -> Self:
        if self.slot is not None and self.as_of is not None:
            raise ValueError("write either slot or as_of: a run works for one instant")
        return self


class RunRequest(RunBody):
    """A run by hand, and whether it only tries out what it would deliver."""

    dry_run: Flag = False


class SkipOut(BaseModel):
    """Consecutive slots that did not become runs."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    automation_id: UUID
    first_slot: datetime
    last_slot: datetime
    slots: int
    reason: str = Field(examples=["paused", "overlap", "excluded", "catch_up_latest", "expired"])
    detail: str | None
    recorded_at: datetime


class AutomationTypeOut(BaseModel):
    """A kind of automation that can be created."""

    type: str
    title: str
    description: str
    config_schema: dict[str, Any] = Field(description="JSON Schema of `automation_config`")


class ScheduleAdvice(BaseModel):
    """Something about a schedule that may surprise."""

    code: str
    message: str
    at: datetime | None
