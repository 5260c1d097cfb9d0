"""Configuration of `data_sync`."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from common.automation_config.metrics import MetricName, RowLevel, did_you_mean
from common.automation_config.values import MAX_SELECTED, AdAccountId, AdvertiserId, Zone, unique
from common.errors import BlockedAddress
from common.http import check_url
from common.strict import DateText, Flag

MAX_RESTATED_DAYS = 28
"""The longest attribution of the platforms: what is older is restated no more."""
MAX_BACKFILL_DAYS = 400
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
_TABLE = re.compile(rf"(?:({_IDENTIFIER})\.)?({_IDENTIFIER})", re.ASCII)
_RESERVED_SCHEMAS = ("pg_", "information_schema")
DEFAULT_METRICS = (
    MetricName.SPEND,
    MetricName.IMPRESSIONS,
    MetricName.CLICKS,
    MetricName.REACH,
    MetricName.CTR,
    MetricName.CPC,
    MetricName.CPM,
    MetricName.CONVERSIONS,
)


class SyncType(StrEnum):
    """Where the rows go."""

    WEBHOOK = "webhook"
    DATABASE = "database"


def _table(text: str) -> str:
    match = _TABLE.fullmatch(text)
    if match is None:
        raise PydanticCustomError(
            "table",
            "write schema.table, each of letters, digits and _, 63 at most, and no digit first",
        )
    if match[1] and match[1].lower().startswith(_RESERVED_SCHEMAS):
        raise PydanticCustomError("table", "this schema is PostgreSQL's own; write another")
    return text


TableName = Annotated[
    str,
    AfterValidator(_table),
    WithJsonSchema({"type": "string", "pattern": rf"^({_IDENTIFIER}\.)?{_IDENTIFIER}$"}),
]
"""`schema.table`, taken as it is written, upper and lower case told apart; without a schema, `public`."""


def _host(url: str) -> str:
    try:
        return httpx.URL(url).raw_host.decode("ascii").lower()
    except (httpx.InvalidURL, ValueError):
        return ""


def _needed(name: str, kind: SyncType) -> PydanticCustomError:
    return PydanticCustomError(
        "missing", "{name} is needed when sync_type is {kind}", {"name": name, "kind": kind.value}
    )


class DataSyncConfig(BaseModel):
    """Sends the daily figures of ad accounts to a webhook, or keeps a table of your PostgreSQL up to date."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "sync_type": "webhook",
                    "webhook_url": "https://example.com/carillon/rows",
                    "destination_id": "0190c1de-77a5-7c3a-9d2e-5f0f6a1c9b10",
                    "metrics": ["spend", "impressions", "clicks"],
                },
                {
                    "sync_type": "database",
                    "connection_id": "0190c1de-77a5-7c3a-9d2e-5f0f6a1c9b11",
                    "table": "marketing.ad_days",
                    "create_schema": True,
                    "level": "campaign",
                    "days": 7,
                    "start_date": "2026-01-01",
                },
            ]
        },
    )

    sync_type: SyncType = Field(description="`webhook` or `database`")
    destination_id: UUID | None = Field(
        None,
        description="The webhook destination whose signing secret signs the rows, and whose address they go "
        "to when webhook_url is not given",
    )
    webhook_url: str | None = Field(
        None,
        max_length=2_048,
        validate_default=True,
        description="Where the rows are sent. Without destination_id there must be a webhook destination "
        "with this address: rows are always signed",
    )
    connection_id: UUID | None = Field(
        None, validate_default=True, description="The PostgreSQL connection whose database is written to"
    )
    table: TableName | None = Field(None, validate_default=True, description="The table, as schema.table")
    create_schema: Flag = Field(
        False, description="Create the schema, the table and columns that are missing; otherwise say which"
    )
    metrics: Annotated[tuple[MetricName, ...], AfterValidator(unique)] = Field(
        DEFAULT_METRICS, min_length=1, description="Which figures; what a platform does not give is left out"
    )
    level: RowLevel = Field(RowLevel.ACCOUNT, description="One row a day for each account, or each campaign")
    days: int = Field(
        3,
        strict=True,
        ge=1,
        le=MAX_RESTATED_DAYS,
        description="Full days that are read again at every run: platforms restate what they reported",
    )
    start_date: Annotated[date, DateText] | None = Field(
        None,
        description=f"First day of the first run, {MAX_BACKFILL_DAYS} days back at most; without it, the "
        "last `days`",
    )
    accounts: Annotated[tuple[AdAccountId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these Facebook ad accounts, by id; without it, all"
    )
    advertisers: Annotated[tuple[AdvertiserId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these TikTok advertisers, by id; without it, all"
    )
    timezone: Zone | None = Field(
        None, description="IANA zone in which a day must be over too; without it, each account's own"
    )

    @field_validator("metrics", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        unknown = [
            each
            for each in (value if isinstance(value, list | tuple) else ())
            if isinstance(each, str) and each not in set(MetricName)
        ]
        if unknown:
            raise PydanticCustomError(
                "metric",
                "{name} is not a metric{hint}; the metrics are {known}",
                {
                    "name": unknown[0][:60],
                    "hint": did_you_mean(unknown[0], MetricName),
                    "known": ", ".join(MetricName),
                },
            )
        return value

    @field_validator("webhook_url")
    @classmethod
    def _callable(cls, value: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("sync_type")
        if value is None:
            if kind is SyncType.WEBHOOK and info.data.get("destination_id") is None:
                raise _needed("webhook_url or destination_id", kind)
            return value
        # The API says which private hosts the operator allows. Who does not know them (the executor, to which
        # the guard stands where the connection is made) checks all but the host.
        known = (info.context or {}).get("allowed_hosts")
        try:
            check_url(value, {_host(value)} if known is None else known)
        except BlockedAddress as error:
            raise PydanticCustomError("webhook_url", "{reason}", {"reason": error.detail}) from error
        return value

    @field_validator("connection_id", "table")
    @classmethod
    def _given(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get("sync_type") is SyncType.DATABASE:
            raise _needed(str(info.field_name), SyncType.DATABASE)
        return value
