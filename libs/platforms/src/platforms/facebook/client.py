"""What Carillon asks of Facebook."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from common.errors import Consequence
from platforms.advertising.figures import AdAccount, AdFigures
from platforms.calls.periods import Days
from platforms.facebook import ads_insights, page_insights
from platforms.facebook.ads_insights import InsightsQuery, Sleep
from platforms.facebook.figures import Page
from platforms.facebook.graph import Graph, Json, Target
from platforms.facebook.page_insights import DailyValues

_LIST_SIZE = 100
_ACCOUNT_FIELDS = "id,name,currency,timezone_name,timezone_offset_hours_utc"
_PAGE_FIELDS = "id,name,access_token"
_AD_FIELDS = ("spend", "impressions", "clicks", "reach")


class FacebookClient:
    """Facebook as seen by one connection. Every method raises `common.errors.PlatformError`."""

    def __init__(self, graph: Graph, *, sleep: Sleep = asyncio.sleep) -> None:
        self._graph = graph
        self._sleep = sleep

    async def ad_accounts(self) -> list[AdAccount]:
        """The ad accounts of the connection's person."""
        target = Target("me/adaccounts", "me/adaccounts")
        rows = self._graph.rows(target, {"fields": _ACCOUNT_FIELDS}, limit=_LIST_SIZE)
        return [
            AdAccount(
                self._text(row, "id"),
                _name(row),
                str(row.get("currency") or ""),
                _zone(row),
                str(row.get("timezone_name") or "UTC"),
            )
            async for row in rows
        ]

    async def pages(self) -> list[Page]:
        """The pages of the connection's person, with their tokens."""
        rows = self._graph.rows(
            Target("me/accounts", "me/accounts"), {"fields": _PAGE_FIELDS}, limit=_LIST_SIZE
        )
        return [
            Page(self._text(row, "id"), _name(row), row.get("access_token") or None) async for row in rows
        ]

    async def account_insights(self, account: str, *periods: Days) -> list[AdFigures]:
        """What the account's ads delivered in each of the periods, in their order; zeros for nothing."""
        rows = await self._insights(InsightsQuery(account, periods, _AD_FIELDS))
        by_days = {(row.get("date_start"), row.get("date_stop")): row for row in rows}
        asked = [(str(days.since), str(days.until)) for days in periods]
        if not by_days.keys() <= set(asked) or len(by_days) < len(rows):
            raise self._graph.error("insights of other days than those asked for", Consequence.INVALID)
        return [self._figures(by_days.get(days, {})) for days in asked]

    async def campaign_insights(self, account: str, days: Days) -> dict[str, AdFigures]:
        """What each campaign that delivered anything delivered, by the campaign's id."""
        fields = ("campaign_id", *_AD_FIELDS)
        rows = await self._insights(InsightsQuery(account, (days,), fields, level="campaign"))
        return {self._text(row, "campaign_id"): self._figures(row) for row in rows}

    async def page_insights(
        self, page: Page, metrics: Sequence[str], days: Days
    ) -> Mapping[str, DailyValues]:
        """The daily values of those of the metrics that the page has."""
        if not page.token:
            raise self._graph.error(
                "the connected person may not read this page's insights (task ANALYZE)", Consequence.PERM
            )
        return await page_insights.fetch(self._graph, page, metrics, days)

    async def _insights(self, query: InsightsQuery) -> list[Json]:
        return await ads_insights.fetch(self._graph, query, sleep=self._sleep)

    def _figures(self, row: Json) -> AdFigures:
        try:
            return AdFigures.of(row)
        except ValueError as error:
            raise self._graph.error(f"insights with a figure that is {error}", Consequence.INVALID) from error

    def _text(self, row: Json, name: str) -> str:
        value = row.get(name)
        if not isinstance(value, str) or not value:
            raise self._graph.error(f"a row without {name}", Consequence.INVALID)
        return value


def _name(row: Json) -> str:
    """What a person calls it; its id when it has no name."""
    return str(row.get("name") or row.get("id"))


def _zone(row: Json) -> tzinfo:
    """The account's zone; its present offset where Facebook uses a name the tz database lacks."""
    name, offset = row.get("timezone_name"), row.get("timezone_offset_hours_utc")
    try:
        return ZoneInfo(str(name))
    except (ValueError, OSError, KeyError):
        if isinstance(offset, int | float) and -24 < offset < 24:
            return timezone(timedelta(hours=offset))
        return UTC
