"""Zoom's client at work against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import SecretStr

from platforms.zoom.api import ZoomApi
from platforms.zoom.client import ZoomClient
from platforms.zoom.oauth import ZoomUser
from platforms.zoom.settings import ZoomSettings
from tests.support.channels import unique
from tests.support.platforms.base import Caller, Limited, RenewingCredential, Site

_DAYS = 65


def _renewing(site: Site) -> RenewingCredential:
    """The pair of a refresh token that was pasted."""
    grant = ZoomUser(
        site.http,
        ZoomSettings(
            zoom_oauth_url=f"{site.url}/zoom/oauth",
            zoom_base_url=f"{site.url}/zoom/v2",
            zoom_client_id="client",
            zoom_client_secret=SecretStr("a client's secret"),
        ),
    )
    return RenewingCredential(grant, f"sandbox-zoom-refresh-{unique()}", lifetime=3_600.0)


class ZoomDriver:
    """A person's token."""

    name: ClassVar[str] = "zoom"
    platform: ClassVar[str] = "zoom"
    prefix: ClassVar[str] = "sandbox-zoom-"
    dead: ClassVar[str] = "revoked-"
    mistake: ClassVar[str] = "300"
    limits: ClassVar[Sequence[Limited]] = [
        Limited(
            "of a proxy, told in a header",
            {"kind": "html", "status": 429, "headers": {"retry-after": "90"}},
            "unreadable",
            90.0,
        ),
    ]
    moment: ClassVar[Mapping[str, Any] | None] = {"kind": "rate_limit", "retry_after": 1}
    renewing: ClassVar[Callable[[Site], RenewingCredential] | None] = staticmethod(_renewing)

    def __init__(self, site: Site, caller: Caller) -> None:
        self._client = ZoomClient(
            ZoomApi(
                site.http,
                f"{site.url}/zoom/v2",
                caller.credential,
                limiter=caller.limiter,
                account=caller.scope,
                connection_id=caller.connection_id,
            )
        )

    async def ask(self) -> object:
        """Who it is."""
        return await self._client.me()

    async def listed(self) -> list[str]:
        """The recordings of two months and more: a page for each chunk of them."""
        today = datetime.now(UTC).date()
        pages = self._client.recordings("me", today - timedelta(days=_DAYS), today)
        return [row["uuid"] async for rows in pages for row in rows]

    async def counted(self) -> int:
        """Those recordings that are there when they are asked for one by one."""
        found = [await self._client.meeting_recordings(uuid) for uuid in await self.listed()]
        return len({document["uuid"] for document in found})
