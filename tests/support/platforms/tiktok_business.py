"""The client of TikTok's Business API at work against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business
from tests.support.platforms.base import Caller, Limited, RenewingCredential, Site

_ADVERTISER = "7001402301117000000"
_CAMPAIGNS = "campaign/get/"


class TikTokBusinessDriver:
    """An advertiser's token."""

    name: ClassVar[str] = "tiktok_business"
    platform: ClassVar[str] = "tiktok"
    prefix: ClassVar[str] = "sandbox-tt-"
    dead: ClassVar[str] = "revoked-"
    mistake: ClassVar[str] = "40002"
    limits: ClassVar[Sequence[Limited]] = [
        Limited("of a minute", {"kind": "rate_limit", "retry_after": 300}, "40100", 300.0),
        Limited("without a name", {"kind": "code", "code": "40016"}, "40016", 60.0),
        Limited(
            "of a proxy, told in a header",
            {"kind": "html", "status": 429, "headers": {"retry-after": "90"}},
            "unreadable",
            90.0,
        ),
    ]
    moment: ClassVar[Mapping[str, Any] | None] = {"kind": "rate_limit", "retry_after": 1}
    renewing: ClassVar[Callable[[Site], RenewingCredential] | None] = None

    def __init__(self, site: Site, caller: Caller) -> None:
        self._business = Business(
            site.http,
            site.url,
            caller.credential,
            limiter=caller.limiter,
            scope=caller.scope,
            connection_id=caller.connection_id,
        )
        self.ads = TikTokAds(self._business, app=App("app", "secret"))

    async def ask(self) -> object:
        """An advertiser's campaigns."""
        params = {"advertiser_id": _ADVERTISER, "fields": ["campaign_id"]}
        return await self._business.get(_CAMPAIGNS, params, advertiser=_ADVERTISER)

    async def listed(self) -> list[str]:
        """An advertiser's campaigns, two at a time."""
        return await self._campaigns(2)

    async def counted(self) -> int:
        """The campaigns at once."""
        return len(await self._campaigns(1000))

    async def _campaigns(self, page_size: int) -> list[str]:
        rows = self._business.rows(
            _CAMPAIGNS, {"advertiser_id": _ADVERTISER}, advertiser=_ADVERTISER, page_size=page_size
        )
        return [row["campaign_id"] async for row in rows]
