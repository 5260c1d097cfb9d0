"""TikTok's advertising in the words all platforms share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from common.errors import Consequence
from platforms.advertising.figures import ZERO, AdAccount
from platforms.advertising.metrics import Level, MetricRow
from platforms.calls.periods import Days, joined, single_days
from platforms.tiktok_business import PLATFORM, advertisers, campaigns
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business
from platforms.tiktok_business.reports import UNKNOWN, ReportQuery, ReportRow, Sleep, fetch, figure

NAMES: Mapping[str, str] = {
    "spend": "spend",
    "impressions": "impressions",
    "clicks": "clicks",
    "reach": "reach",
    "frequency": "frequency",
    "ctr": "ctr",
    "cpc": "cpc",
    "cpm": "cpm",
    "conversions": "conversion",
    "cost_per_conversion": "cost_per_conversion",
    "video_views": "video_play_actions",
    "likes": "likes",
    "comments": "comments",
    "shares": "shares",
    "follows": "follows",
}
"""TikTok's names of the metrics. Video views are plays from their first moment on, as TikTok counts them."""
PER: Mapping[str, str] = {
    "frequency": "reach",
    "ctr": "impressions",
    "cpc": "clicks",
    "cpm": "impressions",
    "cost_per_conversion": "conversions",
}
"""What each rate is per. TikTok writes the rate of nothing as zero, where it is not known."""
_DELIVERED = ("spend", "impressions", "clicks")
_CAMPAIGN_NAME = "campaign_name"


class TikTokAds:
    """`AdsClient` of one TikTok Business connection.

    `recorded` are the names of the advertisers by id, as they were found when the account was connected;
    without any, `app` is needed to ask for them.
    """

    platform: ClassVar[str] = PLATFORM
    metrics: ClassVar[frozenset[str]] = frozenset(NAMES)

    def __init__(
        self,
        business: Business,
        *,
        recorded: Mapping[str, str] | None = None,
        app: App | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._business = business
        self._recorded = recorded or {}
        self._app = app
        self._sleep = sleep

    async def ad_accounts(self) -> Sequence[AdAccount]:
        """The advertisers of the connection."""
        names = self._recorded or await advertisers.granted(self._business, self._app)
        return await advertisers.described(self._business, names)

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        """See `AdsClient.rows`. TikTok adds up 365 days at most; a longer period is INVALID."""
        if unknown := sorted(set(metrics) - self.metrics):
            raise self._business.error(f"no such metric: {', '.join(unknown)}", Consequence.INVALID)
        columns = _columns(metrics, level)
        found: list[ReportRow] = []
        ranges = joined(periods) if daily else list(dict.fromkeys(periods))
        for days in ranges:
            query = ReportQuery(account.id, level, columns, days, daily)
            found += await fetch(self._business, query, sleep=self._sleep)
        if level is Level.CAMPAIGN:
            return await self._campaigns(account, metrics, found)
        wanted = list(single_days(ranges)) if daily else ranges
        by_days = {row.days: row for row in found}
        if len(by_days) < len(found):
            raise self._business.error("two rows of one advertiser for the same days", Consequence.INVALID)
        return [
            MetricRow(
                account.id, days, self._values(by_days[days], metrics) if days in by_days else _none(metrics)
            )
            for days in wanted
        ]

    def manager_url(self, account: AdAccount) -> str:
        """The advertiser's campaigns in TikTok Ads Manager."""
        return f"https://ads.tiktok.com/i18n/perf/campaign?aadvid={account.id}"

    async def _campaigns(
        self, account: AdAccount, metrics: Sequence[str], found: Sequence[ReportRow]
    ) -> list[MetricRow]:
        delivered = [row for row in found if any(self._values(row, (*_DELIVERED, *metrics)).values())]
        names = {
            row.owner: str(name)
            for row in delivered
            if (name := row.metrics.get(_CAMPAIGN_NAME)) not in (None, "", UNKNOWN)
        }
        nameless = [owner for owner in dict.fromkeys(row.owner for row in delivered) if owner not in names]
        if nameless:
            names |= await campaigns.names(self._business, account.id, nameless)
        return [
            MetricRow(
                account.id,
                row.days,
                self._values(row, metrics),
                campaign_id=row.owner,
                campaign_name=names.get(row.owner, row.owner),
            )
            for row in delivered
        ]

    def _values(self, row: ReportRow, metrics: Sequence[str]) -> dict[str, Decimal]:
        try:
            return {
                name: value
                for name in metrics
                if (value := figure(row.metrics.get(NAMES[name]))) is not None
                and not (name in PER and figure(row.metrics.get(NAMES[PER[name]])) == ZERO)
            }
        except ValueError as error:
            raise self._business.error(
                f"a report with a figure that is {error}", Consequence.INVALID
            ) from error


def _columns(metrics: Sequence[str], level: Level) -> tuple[str, ...]:
    own = (_CAMPAIGN_NAME,) if level is Level.CAMPAIGN else ()
    needed = (*_DELIVERED, *metrics, *(PER[name] for name in metrics if name in PER))
    return (*own, *dict.fromkeys(NAMES[name] for name in needed))


def _none(metrics: Sequence[str]) -> dict[str, Decimal]:
    """What an advertiser without a row delivered: nothing, and no rate of it."""
    return {name: ZERO for name in metrics if name not in PER}
