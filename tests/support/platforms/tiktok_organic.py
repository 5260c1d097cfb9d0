"""The client of TikTok's organic API at work against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import SecretStr

from platforms.tiktok_organic.client import Organic
from platforms.tiktok_organic.oauth import TikTokOrganic
from platforms.tiktok_organic.settings import TikTokOrganicSettings
from tests.support.channels import unique
from tests.support.platforms.base import Caller, Limited, RenewingCredential, Site


def _renewing(site: Site) -> RenewingCredential:
    """The pair of a refresh token that was pasted."""
    grant = TikTokOrganic(
        site.http,
        TikTokOrganicSettings(
            tiktok_open_base_url=site.url,
            tiktok_client_key="key",
            tiktok_client_secret=SecretStr("a client's secret"),
        ),
    )
    return RenewingCredential(grant, f"rft.sandbox-{unique()}", lifetime=7_200.0)


class TikTokOrganicDriver:
    """A creator's token."""

    name: ClassVar[str] = "tiktok_organic"
    platform: ClassVar[str] = "tiktok"
    prefix: ClassVar[str] = "act.sandbox-"
    dead: ClassVar[str] = "act.revoked-"
    mistake: ClassVar[str] = "invalid_params"
    limits: ClassVar[Sequence[Limited]] = [
        Limited("of a minute", {"kind": "rate_limit"}, "rate_limit_exceeded", 60.0),
        Limited(
            "of a proxy, told in a header",
            {"kind": "html", "status": 429, "headers": {"retry-after": "90"}},
            "unreadable",
            90.0,
        ),
    ]
    moment: ClassVar[Mapping[str, Any] | None] = None
    renewing: ClassVar[Callable[[Site], RenewingCredential] | None] = staticmethod(_renewing)

    def __init__(self, site: Site, caller: Caller) -> None:
        self._client = Organic(
            site.http,
            site.url,
            caller.credential,
            limiter=caller.limiter,
            scope=caller.scope,
            connection_id=caller.connection_id,
            scopes={"user.info.basic"},
        )

    async def ask(self) -> object:
        """Who it is."""
        return await self._client.profile()

    async def listed(self) -> list[str]:
        """All videos."""
        return [video.id async for video in self._client.videos()]

    async def counted(self) -> int:
        """The videos that are there when they are asked for by their ids."""
        return len(await self._client.videos_of(await self.listed()))
