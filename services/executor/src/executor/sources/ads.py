"""The advertising of a run's connections, whatever platform they are of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from executor.handlers.base import Account, RunContext
from executor.settings import ExecutorSettings
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import AdsClient, Level, MetricRow
from platforms.calls.periods import Days
from platforms.facebook.ads import FacebookAds
from platforms.facebook.graph import Graph
from platforms.facebook.wire import Endpoint
from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business

_TITLES = {ConnectionKind.FACEBOOK_USER: "Facebook", ConnectionKind.TIKTOK_BUSINESS: "TikTok Ads"}
PLATFORMS = tuple(kind.platform.value for kind in _TITLES)
"""The platforms whose advertising can be read."""


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
        self._facebook = Endpoint(settings.facebook_base_url, settings.facebook_api_version)
        self._tiktok_url = settings.tiktok_base_url
        self._tiktok_app = _tiktok_app(settings)

    async def of(self, context: RunContext, platforms: Collection[str] | None = None) -> list[AdSource]:
        """One source for each connection of those platforms that has advertising; all when None.

        A connection whose token cannot be had is among them, with a client that says why: the others' figures
        need not wait for it.

        Raises:
            PlatformError: REAUTH with code `not_connected`, when there is no such connection.
        """
        wanted = PLATFORMS if platforms is None else platforms
        kinds = [kind for kind in _TITLES if kind.platform.value in wanted]
        found = [account for account in context.accounts if account.kind in kinds]
        if not found:
            raise _not_connected([_TITLES[kind] for kind in kinds], next(iter(wanted), PLATFORMS[0]))
        return [
            AdSource(
                str(account.connection_id),
                account.name,
                account.platform,
                await self._client(context, account),
            )
            for account in found
        ]

    async def facebook(self, context: RunContext, account: Account) -> Graph:
        """The Graph API by one connection; raises PlatformError when its token cannot be had."""
        return Graph(
            context.http,
            self._facebook,
            await account.credential.current(),
            limiter=context.limiter,
            scope=str(context.tenant_id),
            connection_id=account.connection_id,
            # If it was the batch that did not get through, its calls may, one by one.
            batched=context.attempt == 1,
        )

    def tiktok(self, context: RunContext, account: Account) -> Business:
        """TikTok's Business API by one connection."""
        app = self._tiktok_app
        return Business(
            context.http,
            self._tiktok_url,
            account.credential,
            limiter=context.limiter,
            scope=str(context.tenant_id),
            connection_id=account.connection_id,
            secrets=() if app is None else (app.secret,),
        )

    async def _client(self, context: RunContext, account: Account) -> AdsClient:
        if account.kind == ConnectionKind.TIKTOK_BUSINESS:
            return TikTokAds(
                self.tiktok(context, account), recorded=_advertisers(account), app=self._tiktok_app
            )
        try:
            return FacebookAds(await self.facebook(context, account))
        except PlatformError as error:
            return _WithoutToken(error)


class _WithoutToken(FacebookAds):
    """The advertising of a connection whose token cannot be had: every answer is the reason."""

    def __init__(self, reason: PlatformError) -> None:
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


def _tiktok_app(settings: ExecutorSettings) -> App | None:
    if settings.tiktok_app_id is None or settings.tiktok_app_secret is None:
        return None
    return App(settings.tiktok_app_id, settings.tiktok_app_secret.get_secret_value())


def _advertisers(account: Account) -> dict[str, str]:
    """Those found when the account was connected, by id."""
    return {
        str(found["id"]): str(found.get("name") or "")
        for found in account.accounts
        if found.get("type") == "advertiser" and found.get("id")
    }


def _not_connected(titles: Sequence[str], platform: str) -> PlatformError:
    return PlatformError(
        f"no {' or '.join(titles) or platform} account is connected, or it must be connected again: "
        "do so, then run this again",
        Consequence.REAUTH,
        platform=platform,
        code="not_connected",
    )
