"""Configuration of the automation types that come with Carillon.

They live here because two services read them: the API checks a new automation against them, and the executor
hands them to the handler. Types added by other packages announce their own schema at run time.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from common.scheduling.zones import UnknownZone, check_zone

MAX_DAYS = 90
MAX_SELECTED = 200
_AD_ACCOUNT = re.compile(r"(?:act_)?([0-9]{1,20})", re.ASCII)
_PAGE = re.compile(r"[0-9]{1,20}", re.ASCII)
T = TypeVar("T", bound=Hashable)


class ReportPeriod(StrEnum):
    """How much a report covers when `days` is not given."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class MetricType(StrEnum):
    """What a report counts."""

    AD_ACCOUNT = "ad_account"
    PAGES = "pages"


class ReportFormat(StrEnum):
    """How a report is written: plain, or with the markup Telegram shows."""

    TEXT = "text"
    HTML = "html"


DEFAULT_DAYS = {ReportPeriod.DAILY: 1, ReportPeriod.WEEKLY: 7, ReportPeriod.MONTHLY: 30}


def _unique(values: tuple[T, ...]) -> tuple[T, ...]:
    repeated = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if repeated is not None:
        raise PydanticCustomError("repeated", "write {value} only once", {"value": str(repeated)})
    return values


def _some_metrics(values: tuple[MetricType, ...]) -> tuple[MetricType, ...]:
    if not values:
        raise PydanticCustomError("empty", "write at least one of ad_account, pages")
    return values


def _known_zone(name: str) -> str:
    try:
        return check_zone(name)
    except UnknownZone as unknown:
        raise PydanticCustomError("timezone", "{reason}", {"reason": str(unknown)}) from unknown


def _ad_account_id(text: str) -> str:
    match = _AD_ACCOUNT.fullmatch(text)
    if match is None:
        raise PydanticCustomError("ad_account_id", "write an ad account's id as act_123 or 123")
    return f"act_{match[1]}"


def _page_id(text: str) -> str:
    if _PAGE.fullmatch(text) is None:
        raise PydanticCustomError("page_id", "write a page's id, the digits that Facebook shows for it")
    return text


AdAccountId = Annotated[
    str,
    AfterValidator(_ad_account_id),
    WithJsonSchema({"type": "string", "pattern": "^(act_)?[0-9]{1,20}$"}),
]
PageId = Annotated[
    str, AfterValidator(_page_id), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,20}$"})
]


class ScheduledReportConfig(BaseModel):
    """A report of the last full days, compared with as many days before them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"period": "daily", "metric_types": ["ad_account"], "format": "html"},
                {
                    "period": "weekly",
                    "days": 7,
                    "metric_types": ["ad_account", "pages"],
                    "format": "text",
                    "timezone": "Europe/Berlin",
                    "accounts": ["act_402210009451117"],
                },
            ]
        },
    )

    period: ReportPeriod = Field(ReportPeriod.DAILY, description="Names the report, and sets `days`")
    days: int = Field(
        DEFAULT_DAYS[ReportPeriod.DAILY],
        strict=True,
        ge=1,
        le=MAX_DAYS,
        description="Full days covered; without it 1 for daily, 7 for weekly, 30 for monthly",
    )
    metric_types: Annotated[
        tuple[MetricType, ...], AfterValidator(_unique), AfterValidator(_some_metrics)
    ] = Field(
        (MetricType.AD_ACCOUNT, MetricType.PAGES),
        description="What to report on; at least one",
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )
    format: ReportFormat = Field(ReportFormat.HTML, description="`html` for Telegram's markup, or `text`")
    timezone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        None,
        description="IANA zone in which the last full day is looked for; without it, each account's own",
    )
    accounts: Annotated[tuple[AdAccountId, ...], AfterValidator(_unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these ad accounts, by id; without it, all"
    )
    pages: Annotated[tuple[PageId, ...], AfterValidator(_unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these pages, by id; without it, all"
    )

    @model_validator(mode="before")
    @classmethod
    def _days_by_period(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("days") is not None:
            return data
        given = {name: value for name, value in data.items() if name != "days"}
        period = given.get("period")
        if isinstance(period, str) and period in set(ReportPeriod):
            given["days"] = DEFAULT_DAYS[ReportPeriod(period)]
        return given


MAX_TEMPLATES = 100
MAX_SYNC_DAYS = 30
TemplateId = Annotated[int, Field(strict=True, ge=1)] | Annotated[str, Field(min_length=1, max_length=100)]
RecordingStatus = Annotated[str, Field(min_length=1, max_length=50)]


class SyncWindow(BaseModel):
    """How far back recordings are looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sync_days: int = Field(
        2, strict=True, ge=1, le=MAX_SYNC_DAYS, description="Days back from the run's slot"
    )


class RecordingFilters(BaseModel):
    """Which of the recordings found are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Annotated[tuple[RecordingStatus, ...], AfterValidator(_unique)] = Field(
        ("INITIALIZED",), min_length=1, max_length=20, description="Those in one of these states"
    )
    exclude_blank: bool = Field(True, description="Leave out recordings without content")


class RecordingSyncConfig(BaseModel):
    """A recording job: find the new recordings, match them to templates, and process what fits."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "description": "Lectures of the spring term",
                    "template_ids": [12, 14],
                    "sync_config": {"sync_days": 2},
                    "filters": {"status": ["INITIALIZED"], "exclude_blank": True},
                    "processing_config": {"transcription": True},
                }
            ]
        },
    )

    description: str = Field("", max_length=2_000, description="What the job is for")
    template_ids: Annotated[tuple[TemplateId, ...], AfterValidator(_unique)] = Field(
        min_length=1, max_length=MAX_TEMPLATES, description="The templates recordings are matched to"
    )
    sync_config: SyncWindow = Field(SyncWindow(), description="How far back to look")
    filters: RecordingFilters = Field(RecordingFilters(), description="What to take of what is found")
    processing_config: dict[str, Any] = Field(
        default_factory=dict, description="Settings that override those of the matched template"
    )


BUILT_IN: dict[str, type[BaseModel]] = {
    "recording_sync": RecordingSyncConfig,
    "scheduled_report": ScheduledReportConfig,
}
"""The configuration of each automation type that comes with Carillon, by type."""
