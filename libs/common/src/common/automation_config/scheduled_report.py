"""Configuration of `scheduled_report`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from common.automation_config.values import (
    MAX_SELECTED,
    AdAccountId,
    AdvertiserId,
    PageId,
    Zone,
    unique,
)

MAX_DAYS = 90
MAX_TOP_CAMPAIGNS = 20


class ReportPeriod(StrEnum):
    """How much a report covers when `days` is not given."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class MetricType(StrEnum):
    """What a report counts. Ad accounts are Facebook's ad accounts and TikTok's advertisers."""

    AD_ACCOUNT = "ad_account"
    PAGES = "pages"
    CAMPAIGNS = "campaigns"
    PROFILE = "profile"
    VIDEOS = "videos"


class ReportFile(StrEnum):
    """A file that comes with a report: one row a day for each ad account, campaign and page."""

    CSV = "csv"


class ReportFormat(StrEnum):
    """How a report is written: plain, or with the markup Telegram shows."""

    TEXT = "text"
    HTML = "html"


DEFAULT_DAYS = {ReportPeriod.DAILY: 1, ReportPeriod.WEEKLY: 7, ReportPeriod.MONTHLY: 30}


def _some_metrics(values: tuple[MetricType, ...]) -> tuple[MetricType, ...]:
    if not values:
        raise PydanticCustomError("empty", "write at least one of {names}", {"names": ", ".join(MetricType)})
    return values


class ScheduledReportConfig(BaseModel):
    """A report of the last full days of Facebook or TikTok, compared with as many days before them."""

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
                {
                    "period": "weekly",
                    "metric_types": ["ad_account", "campaigns", "profile", "videos"],
                    "top_campaigns": 10,
                    "advertisers": ["7032810009451117001"],
                    "attachments": ["csv"],
                },
                {"period": "monthly", "metric_types": ["campaigns"], "compare": False, "chart": False},
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
    metric_types: (
        Annotated[
            tuple[MetricType, ...],
            AfterValidator(unique),
            AfterValidator(_some_metrics),
            Field(json_schema_extra={"minItems": 1, "uniqueItems": True}),
        ]
        | None
    ) = Field(
        None,
        description="What to report on; without it ad accounts and pages of Facebook, ad accounts of TikTok, "
        "and profile and videos of a TikTok creator",
    )
    compare: bool = Field(True, strict=True, description="With the change since as many days before")
    top_campaigns: int = Field(
        5, strict=True, ge=1, le=MAX_TOP_CAMPAIGNS, description="Campaigns listed, by spend in each currency"
    )
    chart: bool = Field(True, strict=True, description="With a picture of the days, where it can be shown")
    attachments: Annotated[tuple[ReportFile, ...], AfterValidator(unique)] = Field(
        (),
        description="Files sent along: `csv`, for spreadsheets",
        json_schema_extra={"uniqueItems": True},
    )
    format: ReportFormat = Field(ReportFormat.HTML, description="`html` for Telegram's markup, or `text`")
    timezone: Zone | None = Field(
        None,
        description="IANA zone in which the last full day is looked for; without it, each account's own",
    )
    accounts: Annotated[tuple[AdAccountId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these Facebook ad accounts, by id; without it, all"
    )
    advertisers: Annotated[tuple[AdvertiserId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these TikTok advertisers, by id; without it, all"
    )
    pages: Annotated[tuple[PageId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these pages, by id; without it, all"
    )

    @property
    def wants_table(self) -> bool:
        """Whether a CSV file comes along."""
        return ReportFile.CSV in self.attachments

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
