"""The advertising of a run's connections, whatever platform they are of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind, platform_of
from executor.context import Account, RunContext
from executor.settings import ExecutorSettings
from executor.sources.access import access_of
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import AdsClient, Level, MetricRow
from platforms.calls.periods import Days
from platforms.registry import AD_KINDS, KINDS


@dataclass(frozen=True, slots=True)
class AdSource:
    """One connection's advertising. `name` is the tenant's for the connection."""

    connection_id: str
    name: str
    platform: str
    client: AdsClient


class AdSources:
    """Makes the clients of a run's connections."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings

    async def of(self, context: RunContext, platforms: Collection[str] | None = None) -> list[AdSource]:
        """One source for each connection of those platforms that has advertising; all when None.

        A connection whose token cannot be had is among them, with a client that says why: the others' figures
        need not wait for it.

        Raises:
            PlatformError: REAUTH with code `not_connected`, when there is no such connection.
        """
        kinds = [kind for kind in AD_KINDS if platforms is None or platform_of(kind) in platforms]
        found = [account for account in context.accounts if account.kind in kinds]
        if not found:
            named = next(iter(platforms or ()), platform_of(AD_KINDS[0]))
            raise not_connected([KINDS[kind].title for kind in kinds], named)
        return [
            AdSource(
                str(account.connection_id),
                account.name,
                account.platform,
                await self._client(context, account),
            )
            for account in found
        ]

    async def _client(self, context: RunContext, account: Account) -> AdsClient:
        advertising = KINDS[ConnectionKind(account.kind)].ads
        if advertising is None:
            raise not_connected([KINDS[ConnectionKind(account.kind)].title], account.platform)
        try:
            return await advertising.open(access_of(context, account, self._settings))
        except PlatformError as error:
            return UnavailableAds(account.platform, advertising.metrics, error)


class UnavailableAds:
    """The advertising of a connection whose token cannot be had: every answer is the reason."""

    def __init__(self, platform: str, metrics: frozenset[str], reason: PlatformError) -> None:
        self.platform = platform
        self.metrics = metrics
        self._reason = reason

    async def ad_accounts(self) -> Sequence[AdAccount]:
        """Raises the reason."""
        raise self._reason

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        """Raises the reason."""
        raise self._reason

    def manager_url(self, account: AdAccount) -> str:
        """Nowhere: no account of it is known."""
        return ""


def not_connected(titles: Sequence[str], platform: str) -> PlatformError:
    """The error of a run none of whose connections is of the kinds that `titles` are the names of."""
    return PlatformError(
        f"no {' or '.join(titles) or platform} account is connected, or it must be connected again: "
        "do so, then run this again",
        Consequence.REAUTH,
        platform=platform,
        code="not_connected",
    )
