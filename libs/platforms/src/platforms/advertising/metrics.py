"""Advertising metrics under the same names for every platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from platforms.advertising.figures import AdAccount
from platforms.calls.periods import Days


class Level(StrEnum):
    """What a row is about."""

    ACCOUNT = "account"
    CAMPAIGN = "campaign"


class Unit(StrEnum):
    """What a metric is counted in. `money` is in the account's currency."""

    MONEY = "money"
    COUNT = "count"
    PERCENT = "percent"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name for people, its unit, and whether days and accounts of it can be added up."""

    title: str
    unit: Unit
    adds_up: bool = False


METRICS: Mapping[str, Metric] = {
    "spend": Metric("Spend", Unit.MONEY, adds_up=True),
    "impressions": Metric("Impressions", Unit.COUNT, adds_up=True),
    "clicks": Metric("Clicks", Unit.COUNT, adds_up=True),
    "reach": Metric("Reach", Unit.COUNT),
    "frequency": Metric("Frequency", Unit.RATIO),
    "ctr": Metric("CTR", Unit.PERCENT),
    "cpc": Metric("CPC", Unit.MONEY),
    "cpm": Metric("CPM", Unit.MONEY),
    "conversions": Metric("Conversions", Unit.COUNT, adds_up=True),
    "cost_per_conversion": Metric("Cost per conversion", Unit.MONEY),
    "roas": Metric("ROAS", Unit.RATIO),
    "video_views": Metric("Video views", Unit.COUNT, adds_up=True),
    "likes": Metric("Likes", Unit.COUNT, adds_up=True),
    "comments": Metric("Comments", Unit.COUNT, adds_up=True),
    "shares": Metric("Shares", Unit.COUNT, adds_up=True),
    "follows": Metric("Follows", Unit.COUNT, adds_up=True),
}
"""Every metric there is. Which of them a platform gives is for its client to say."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What one account, or one of its campaigns, delivered in `days`.

    A metric that is missing is not known; one that is known to be nothing is zero.
    """

    account_id: str
    days: Days
    metrics: Mapping[str, Decimal]
    campaign_id: str | None = None
    campaign_name: str | None = None


class AdsClient(Protocol):
    """One connection's advertising. Every method raises `common.errors.PlatformError`."""

    @property
    def platform(self) -> str:
        """Its platform's name."""
        ...

    @property
    def metrics(self) -> frozenset[str]:
        """Those of METRICS it can tell."""
        ...

    async def ad_accounts(self) -> Sequence[AdAccount]:
        """The accounts (Facebook's ad accounts, TikTok's advertisers) of the connection."""
        ...

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        """The metrics of each period, or with `daily` of each of its days; days are the account's own.

        For the account itself there is a row for every period or day, of zeros where nothing was delivered;
        for campaigns only those that delivered.
        """
        ...

    def manager_url(self, account: AdAccount) -> str:
        """Where a person looks at the account."""
        ...
