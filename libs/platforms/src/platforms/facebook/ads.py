"""Facebook's advertising in the words all platforms share.

What Facebook leaves out of a row was not delivered: counts are zero then, and rates and costs per something
of which there was nothing are not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import ClassVar

from common.errors import Consequence
from platforms.advertising.figures import ZERO, AdAccount, number
from platforms.advertising.metrics import Level, MetricRow
from platforms.calls.periods import Days, joined, single_days
from platforms.facebook import PLATFORM, ads_insights
from platforms.facebook.ads_insights import InsightsQuery, Sleep
from platforms.facebook.client import FacebookClient
from platforms.facebook.graph import Graph, Json

CONVERSIONS: Sequence[Sequence[str]] = (
    ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"),
    ("lead", "onsite_conversion.lead_grouped", "offsite_conversion.fb_pixel_lead"),
    (
        "omni_complete_registration",
        "complete_registration",
        "offsite_conversion.fb_pixel_complete_registration",
    ),
)
"""What counts as a conversion: purchases, leads and registrations.

Facebook tells each of them under several overlapping action types, the widest of which stands first here.
Only the first that a row has counts, so that nothing is counted twice.
"""
PURCHASE_ROAS = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")
VIDEO_VIEWS = ("video_view",)
"""Plays of three seconds or more, which Facebook calls video views."""

Read = Callable[[Json], Decimal | None]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Where a metric is in a row. `fields` are the columns it is read from."""

    fields: tuple[str, ...]
    read: Read


class FacebookAds:
    """`AdsClient` of one Facebook connection."""

    platform: ClassVar[str] = PLATFORM
    metrics: ClassVar[frozenset[str]]

    def __init__(self, graph: Graph, *, sleep: Sleep = asyncio.sleep) -> None:
        self._graph = graph
        self._sleep = sleep
        self._client = FacebookClient(graph, sleep=sleep)

    async def ad_accounts(self) -> Sequence[AdAccount]:
        """The ad accounts of the connection's person."""
        return await self._client.ad_accounts()

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        """See `AdsClient.rows`. Facebook keeps 37 months; a period that begins earlier is INVALID."""
        if unknown := sorted(set(metrics) - self.metrics):
            raise self._graph.error(f"no such metric: {', '.join(unknown)}", Consequence.INVALID)
        if not periods:
            return []
        ranges = joined(periods) if daily else list(dict.fromkeys(periods))
        wanted = list(single_days(ranges)) if daily else ranges
        query = InsightsQuery(account.id, tuple(ranges), _fields(metrics, level), level.value, daily)
        found = await ads_insights.fetch(self._graph, query, sleep=self._sleep)
        by_days: dict[Days, list[Json]] = {days: [] for days in wanted}
        for row in found:
            self._rows_of(row, by_days).append(row)
        if level is Level.ACCOUNT:
            if any(len(rows) > 1 for rows in by_days.values()):
                raise self._graph.error("two rows of one account for the same days", Consequence.INVALID)
            return [
                MetricRow(account.id, days, self._values(rows[0] if rows else {}, metrics))
                for days, rows in by_days.items()
            ]
        return [
            MetricRow(
                account.id,
                days,
                self._values(row, metrics),
                campaign_id=self._campaign_id(row),
                campaign_name=str(row.get("campaign_name") or row.get("campaign_id")),
            )
            for days, rows in by_days.items()
            for row in rows
        ]

    def manager_url(self, account: AdAccount) -> str:
        """The account's campaigns in Ads Manager."""
        act = account.id.removeprefix("act_")
        return f"https://adsmanager.facebook.com/adsmanager/manage/campaigns?act={act}"

    def _rows_of(self, row: Json, by_days: Mapping[Days, list[Json]]) -> list[Json]:
        try:
            days = Days(date.fromisoformat(row["date_start"]), date.fromisoformat(row["date_stop"]))
            return by_days[days]
        except (KeyError, TypeError, ValueError) as error:
            raise self._graph.error(
                "insights of other days than those asked for", Consequence.INVALID
            ) from error

    def _values(self, row: Json, metrics: Sequence[str]) -> dict[str, Decimal]:
        try:
            read = {name: _READERS[name].read(row) for name in metrics}
        except ValueError as error:
            raise self._graph.error(f"insights with a figure that is {error}", Consequence.INVALID) from error
        return {name: value for name, value in read.items() if value is not None}

    def _campaign_id(self, row: Json) -> str:
        value = row.get("campaign_id")
        if not isinstance(value, str) or not value:
            raise self._graph.error("a row without campaign_id", Consequence.INVALID)
        return value


def conversions(row: Json) -> Decimal:
    """How many conversions a row tells; raises ValueError. See `CONVERSIONS`."""
    counted = _by_action(row, "actions")
    return sum((_first(counted, names) or ZERO for names in CONVERSIONS), ZERO)


def _count(name: str) -> _Reader:
    return _Reader((name,), lambda row: number(row.get(name)))


def _rate(name: str) -> _Reader:
    return _Reader((name,), lambda row: None if row.get(name) is None else number(row[name]))


def _cost_per_conversion(row: Json) -> Decimal | None:
    count = conversions(row)
    return number(row.get("spend")) / count if count else None


def _roas(row: Json) -> Decimal | None:
    """Nothing bought for what was spent is a return of zero; nothing spent has none."""
    told = _first(_by_action(row, "purchase_roas"), PURCHASE_ROAS)
    if told is not None:
        return told
    return ZERO if number(row.get("spend")) else None


def _by_action(row: Json, name: str) -> dict[str, Decimal]:
    items = row.get(name)
    if items is None:
        return {}
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"not a list of actions: {name}")
    return {str(item.get("action_type")): number(item.get("value")) for item in items}


def _first(values: Mapping[str, Decimal], names: Sequence[str]) -> Decimal | None:
    return next((values[name] for name in names if name in values), None)


_READERS: Mapping[str, _Reader] = {
    "spend": _count("spend"),
    "impressions": _count("impressions"),
    "clicks": _count("clicks"),
    "reach": _count("reach"),
    "frequency": _rate("frequency"),
    "ctr": _rate("ctr"),
    "cpc": _rate("cpc"),
    "cpm": _rate("cpm"),
    "conversions": _Reader(("actions",), conversions),
    "cost_per_conversion": _Reader(("spend", "actions"), _cost_per_conversion),
    "roas": _Reader(("spend", "purchase_roas"), _roas),
    "video_views": _Reader(("actions",), lambda row: _first(_by_action(row, "actions"), VIDEO_VIEWS) or ZERO),
}
FacebookAds.metrics = frozenset(_READERS)


def _fields(metrics: Sequence[str], level: Level) -> tuple[str, ...]:
    own = ("campaign_id", "campaign_name") if level is Level.CAMPAIGN else ()
    # A query without a field of its own gets Facebook's default ones.
    return (*own, *dict.fromkeys(field for name in metrics for field in _READERS[name].fields))
