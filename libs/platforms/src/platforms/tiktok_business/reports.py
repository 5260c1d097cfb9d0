"""Reports: asked synchronously page by page, then for fewer days at a time, then as an asynchronous task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from common.errors import Consequence, PlatformError
from platforms.advertising.figures import number
from platforms.advertising.metrics import Level
from platforms.calls.api import Json
from platforms.calls.periods import Days, pieces
from platforms.tiktok_business import report_tasks
from platforms.tiktok_business.client import Business

MAX_DAYS_DAILY = 30
MAX_DAYS = 365
"""Days one report may span: with a row for each day, and with one for all."""
UNKNOWN = "-"
"""How TikTok writes a figure it does not have."""

_LEVELS = {
    Level.ACCOUNT: ("AUCTION_ADVERTISER", "advertiser_id"),
    Level.CAMPAIGN: ("AUCTION_CAMPAIGN", "campaign_id"),
}
# Deleted campaigns are left out unless they are asked for, although the advertiser's own total has them.
_OF_EVERY_STATUS = [{"field_name": "campaign_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}]
_DAY_DIMENSION = "stat_time_day"

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """What to ask of an advertiser's reports. `daily`: a row for each day instead of one for all of them."""

    advertiser: str
    level: Level
    metrics: tuple[str, ...]
    days: Days
    daily: bool = False

    @property
    def longest(self) -> int:
        """Days TikTok answers at a time."""
        return MAX_DAYS_DAILY if self.daily else MAX_DAYS

    def params(self) -> dict[str, object]:
        """The query as parameters of a report."""
        data_level, id_dimension = _LEVELS[self.level]
        return {
            **({"filtering": _OF_EVERY_STATUS} if self.level is Level.CAMPAIGN else {}),
            "advertiser_id": self.advertiser,
            "report_type": "BASIC",
            "service_type": "AUCTION",
            "data_level": data_level,
            "dimensions": [id_dimension, _DAY_DIMENSION] if self.daily else [id_dimension],
            "metrics": list(self.metrics),
            "start_date": str(self.days.since),
            "end_date": str(self.days.until),
        }


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One line of a report. `owner` is the advertiser's or the campaign's id."""

    owner: str
    days: Days
    metrics: Mapping[str, object]


async def fetch(business: Business, query: ReportQuery, *, sleep: Sleep = asyncio.sleep) -> list[ReportRow]:
    """The rows of `query`; raises PlatformError.

    Days are parted only where rows are daily: people reached in two weeks are not the sum of those reached in
    each.
    """
    if query.days.count > query.longest and not query.daily:
        raise business.error(f"TikTok adds up {MAX_DAYS} days at most", Consequence.INVALID)
    return [
        row
        for days in pieces(query.days, query.longest)
        for row in await _fetch(business, replace(query, days=days), sleep)
    ]


def figure(value: object) -> Decimal | None:
    """A figure as TikTok wrote it; None for one it does not have. Raises ValueError."""
    return None if value is None or value in (UNKNOWN, "") else number(value)


async def _fetch(business: Business, query: ReportQuery, sleep: Sleep) -> list[ReportRow]:
    try:
        rows = [
            row
            async for row in business.rows(
                "report/integrated/get/", query.params(), advertiser=query.advertiser
            )
        ]
    except PlatformError as error:
        if error.consequence is not Consequence.SPLIT:
            raise
        if query.daily and query.days.count > 1:
            early, late = query.days.halves()
            return [
                *await _fetch(business, replace(query, days=early), sleep),
                *await _fetch(business, replace(query, days=late), sleep),
            ]
        rows = await report_tasks.fetch(business, query.advertiser, query.params(), sleep=sleep)
    return [_row(business, query, row) for row in rows]


def _row(business: Business, query: ReportQuery, row: Json) -> ReportRow:
    dimensions, metrics = row.get("dimensions"), row.get("metrics")
    if not isinstance(dimensions, dict) or not isinstance(metrics, dict):
        raise business.error("a row without dimensions or metrics", Consequence.INVALID)
    owner = dimensions.get(_LEVELS[query.level][1])
    if not isinstance(owner, str) or not owner:
        raise business.error("a row that does not say what it is about", Consequence.INVALID)
    if not query.daily:
        return ReportRow(owner, query.days, metrics)
    try:
        day = date.fromisoformat(str(dimensions.get(_DAY_DIMENSION))[:10])
    except ValueError as error:
        raise business.error("a row that does not say of which day it is", Consequence.INVALID) from error
    if not query.days.since <= day <= query.days.until:
        raise business.error("a row of another day than those asked for", Consequence.INVALID)
    return ReportRow(owner, Days(day, day), metrics)
