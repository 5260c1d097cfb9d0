"""The client of TikTok's Business API at work against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from common.errors import Consequence
from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business
from tests.support.platforms.base import Caller, Limited, Refused, RenewingCredential, Site

_ADVERTISER = "7001402301117000000"
_CAMPAIGNS = "campaign/get/"
_TABLE = {
    Consequence.RATE: "40016 40100 40132 40133",
    Consequence.TRANSIENT: "40201 40202 40902 40903 40913 50000 50002 51000 51321 51999 60001",
    Consequence.SPLIT: "40011",
    Consequence.REAUTH: "40102 40103 40105 40106 40107 40110 40114 40119 40120",
    Consequence.PERM: "40001 40003 40113 40118 40124 40125 40130 40131 41000",
    Consequence.GONE: "40007 40300 40301 40302",
    Consequence.INVALID: "40000 40002 40006 40008 40009 40010 40013 40014 40050 40051 40101 40104 40108 "
    "40115 40116 40117 40200 40400 40700 41001 41002",
}


class TikTokBusinessDriver:
    """An advertiser's token."""

    name: ClassVar[str] = "tiktok_business"
    platform: ClassVar[str] = "tiktok"
    prefix: ClassVar[str] = "sandbox-tt-"
    dead: ClassVar[str] = "revoked-"
    refusals: ClassVar[Sequence[Refused]] = [
        Refused(code, consequence) for consequence, codes in _TABLE.items() for code in codes.split()
    ]
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
