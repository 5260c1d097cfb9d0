"""Templates of data syncs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from api.gallery.base import AdPlatforms, Category, Draft, GalleryTemplate, Hour, Parameters, TimeZone
from common.automation_config.data_sync import MAX_RESTATED_DAYS, TableName
from common.automation_config.metrics import RowLevel
from common.strict import DateText, WholeNumber
from platforms.facebook import PLATFORM as FACEBOOK
from platforms.tiktok_business import PLATFORM as TIKTOK

_ADS = (FACEBOOK, TIKTOK)
_TYPE = "data_sync"


class Nightly(Parameters):
    """When the figures are read, and how many days again."""

    platforms: AdPlatforms = (FACEBOOK,)
    level: RowLevel = Field(default=RowLevel.CAMPAIGN, description="A row for each account, or each campaign")
    days: WholeNumber = Field(
        default=7,
        ge=1,
        le=MAX_RESTATED_DAYS,
        description="Days read again each night: they are restated",
    )
    hour: Hour = 4
    timezone: TimeZone = "UTC"


def _each_night(answers: Nightly, config: dict[str, Any]) -> Draft:
    return Draft(
        schedule={"type": "daily", "hour": answers.hour, "minute": 15, "timezone": answers.timezone},
        config={"level": answers.level.value, "days": answers.days, **config},
        platforms=answers.platforms,
    )


class Warehouse(Nightly):
    """Questions of the sync to a database."""

    connection_id: UUID = Field(description="Your PostgreSQL connection; see Connections")
    table: TableName = Field(default="marketing.ad_days", description="The table, as schema.table")
    start_date: Annotated[date, DateText] | None = Field(
        default=None, description="First day to fetch; empty: the last days only"
    )


def _warehouse(answers: Warehouse) -> Draft:
    target = {
        "sync_type": "database",
        "connection_id": str(answers.connection_id),
        "table": answers.table,
        "create_schema": True,
    }
    if answers.start_date is not None:
        target["start_date"] = answers.start_date.isoformat()
    return _each_night(answers, target)


class Rows(Nightly):
    """Questions of the sync to a webhook."""

    destination_id: UUID = Field(description="The webhook destination the rows are signed for and sent to")


def _rows(answers: Rows) -> Draft:
    target = {"sync_type": "webhook", "destination_id": str(answers.destination_id)}
    return _each_night(answers, target)


SYNCS = (
    GalleryTemplate(
        "warehouse-sync",
        "Ad days in your warehouse",
        "Keeps a table of your own PostgreSQL up to date, a row a day and campaign, restated days included.",
        Category.DATA,
        _TYPE,
        _ADS,
        Warehouse,
        _warehouse,
    ),
    GalleryTemplate(
        "rows-to-webhook",
        "Ad days to a webhook",
        "Sends the nightly figures as signed JSON to your own service, in chunks it can take again safely.",
        Category.DATA,
        _TYPE,
        _ADS,
        Rows,
        _rows,
    ),
)
