"""Toy's API: one account, and what it delivered on each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from common.http import parse_retry_after
from platforms.advertising.access import Access
from platforms.advertising.figures import ZERO, AdAccount, number
from platforms.advertising.metrics import AdsClient, Level, MetricRow
from platforms.calls.answers import Refusal
from platforms.calls.api import Api, Call, Connection, Fault
from platforms.calls.exchange import Reply
from platforms.calls.periods import Days, pieces
from platforms.platform import settings_of

from . import PLATFORM, refusals
from .settings import ToySettings

METRICS = frozenset({"spend", "impressions", "clicks"})


class ToyApi(Api[Mapping[str, Any]]):
    """Calls by one connection."""

    platform: ClassVar[str] = PLATFORM
    title: ClassVar[str] = "Toy"

    def authorization(self, token: str) -> Mapping[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {token}"}

    def read(self, call: Call, reply: Reply, now: datetime) -> tuple[Mapping[str, Any], str | None] | Fault:
        """The JSON, or the fault with the wait its header names."""
        answer = refusals.read(reply.status, reply.body)
        if isinstance(answer, Refusal):
            wait = parse_retry_after(reply.headers.get("retry-after"), now=now)
            return Fault(answer.consequence, answer.code, answer.message, wait=wait)
        return answer, None


class ToyAds:
    """The advertising of one account."""

    platform = PLATFORM
    metrics = METRICS

    def __init__(self, api: ToyApi) -> None:
        self._api = api

    async def ad_accounts(self) -> Sequence[AdAccount]:
        """The account itself."""
        answer = await self._api.ask(Call("GET", "/account", {}))
        return [AdAccount(str(answer["id"]), str(answer["name"]), str(answer["currency"]), UTC, "UTC")]

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        """Toy tells days, and has no campaigns."""
        if level is Level.CAMPAIGN:
            return []
        wanted = [day for days in periods for day in pieces(days, 1)] if daily else periods
        return [await self._row(account, metrics, days) for days in wanted]

    def manager_url(self, account: AdAccount) -> str:
        """Toy has no pages."""
        return "https://toy.example/"

    async def _row(self, account: AdAccount, metrics: Sequence[str], days: Days) -> MetricRow:
        params = {"since": str(days.since), "until": str(days.until)}
        answer = await self._api.ask(Call("GET", "/days", params, owner=account.id))
        sums = {name: sum((number(row[name]) for row in answer["days"]), ZERO) for name in metrics}
        return MetricRow(account.id, days, sums)


async def ads(access: Access) -> AdsClient:
    """A connection's advertising."""
    connection = Connection(access.credential, access.scope, access.connection_id)
    base_url = settings_of(access.settings, ToySettings).toy_base_url
    return ToyAds(ToyApi(access.http, base_url, connection, limiter=access.limiter))
