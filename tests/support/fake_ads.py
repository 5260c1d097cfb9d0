"""Fake ad sources: connections whose accounts return the rows a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import ClassVar
from zoneinfo import ZoneInfo

from common.errors import Consequence, PlatformError
from executor.handlers.base import RunContext
from executor.sources.ads import AdSource
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import METRICS, Level, MetricRow
from platforms.calls.periods import Days, single_days

Values = Mapping[str, Decimal | int | float | str]
"""Metric to value; a metric that is left out is not known."""


def ad_account(
    id_: str = "act_1", *, name: str = "Shop", currency: str = "EUR", zone: str = "UTC"
) -> AdAccount:
    """An ad account."""
    return AdAccount(id_, name, currency, ZoneInfo(zone), zone)


def refusal(
    consequence: Consequence = Consequence.PERM, *, code: str | None = "200", retry_after: float | None = None
) -> PlatformError:
    """What a platform answers instead of figures."""
    return PlatformError(
        "refused", consequence, platform="facebook", code=code, retry_after=retry_after, connection_id="c"
    )


@dataclass
class FakeAds:
    """An `AdsClient` that answers from what a test put there.

    `account_values` and `campaign_values` are asked for each period; `refusals` has an error by account
    id, or under `""` one for the list of accounts. `asked` are the questions it was asked.
    """

    platform: ClassVar[str] = "facebook"
    metrics: ClassVar[frozenset[str]] = frozenset(METRICS)

    accounts: list[AdAccount] = field(default_factory=lambda: [ad_account()])
    account_values: Callable[[AdAccount, Days], Values] = lambda _account, _days: {}
    campaign_values: Callable[[AdAccount, Days], Mapping[str, Values]] = lambda _account, _days: {}
    refusals: dict[str, PlatformError] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...], tuple[Days, ...], Level, bool]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """When it is given, figures come only once it is set."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as soon as somebody asks for figures."""

    async def ad_accounts(self) -> Sequence[AdAccount]:
        """The accounts, or the refusal."""
        if "" in self.refusals:
            raise self.refusals[""]
        return self.accounts

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        """What the test says of each period or day."""
        self.asked.append((account.id, tuple(metrics), tuple(periods), level, daily))
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        if account.id in self.refusals:
            raise self.refusals[account.id]
        wanted = list(single_days(periods)) if daily else list(periods)
        if level is Level.ACCOUNT:
            return [
                MetricRow(account.id, days, _asked_for(self.account_values(account, days), metrics))
                for days in wanted
            ]
        return [
            MetricRow(account.id, days, _asked_for(values, metrics), id_, f"Campaign {id_}")
            for days in wanted
            for id_, values in self.campaign_values(account, days).items()
        ]

    def manager_url(self, account: AdAccount) -> str:
        """Somewhere."""
        return f"https://ads.example/{account.id}"


class FakeTikTok(FakeAds):
    """The same on another platform, which tells fewer metrics."""

    platform: ClassVar[str] = "tiktok"
    metrics: ClassVar[frozenset[str]] = frozenset({"spend", "impressions", "clicks", "likes"})


class FakeSources:
    """The connections of a run, one for each client."""

    def __init__(self, *clients: FakeAds) -> None:
        self.clients = clients

    async def of(self, context: RunContext) -> list[AdSource]:
        """They are the same for every run."""
        return [
            AdSource(f"connection-{number}", f"Connection {number}", client.platform, client)
            for number, client in enumerate(self.clients, 1)
        ]


def steady(**values: Decimal | int | float | str) -> Callable[[AdAccount, Days], Values]:
    """The same figures whatever the days."""
    return lambda _account, _days: values


def by_day(values: Mapping[date, Values]) -> Callable[[AdAccount, Days], Values]:
    """The figures of single days; days without any have delivered nothing."""
    return lambda _account, days: values.get(days.since, {"spend": 0, "impressions": 0, "clicks": 0})


def _asked_for(values: Values, metrics: Sequence[str]) -> dict[str, Decimal]:
    return {name: Decimal(str(values[name])) for name in metrics if name in values}
