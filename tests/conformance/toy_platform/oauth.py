"""Connecting a Toy account: a token to paste, which lives until it is revoked."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import httpx

from common.models import ConnectionKind
from platforms.oauth.base import Discovered, Need, Stored, TokenSet
from platforms.oauth.endpoint import Call, Endpoint, text_in

from . import PLATFORM, TOY_ACCOUNT, refusals
from .settings import ToySettings


class ToyAccount:
    """A token that was pasted."""

    kind: ClassVar[ConnectionKind] = TOY_ACCOUNT
    title: ClassVar[str] = "Toy"
    has_dialog: ClassVar[bool] = False
    uses_pkce: ClassVar[bool] = False
    rotates: ClassVar[bool] = False
    needs: ClassVar[tuple[Need, ...]] = ()

    def __init__(self, http: httpx.AsyncClient, settings: ToySettings) -> None:
        self._endpoint = Endpoint(http, platform=PLATFORM, title=self.title)
        self._base = settings.toy_base_url

    def missing_settings(self) -> tuple[str, ...]:
        """None: Toy knows no apps."""
        return ()

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """There is no dialog."""
        raise NotImplementedError

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """There is no dialog."""
        raise NotImplementedError

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """The same token, if it still lives."""
        await self.discover(stored, now=now)
        return TokenSet(stored.access_token or "")

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """The account, which is the only one its token reaches."""
        token = stored.access_token
        if not token:
            raise self._endpoint.needs_token("access token")
        headers = {"authorization": f"Bearer {token}"}
        call = Call("GET", f"{self._base}/account", "/account", headers=headers, secrets=(token,))
        answer = await self._endpoint.ask(call, refusals.read)
        own, name = text_in(answer, "id") or "", text_in(answer, "name") or ""
        return Discovered(own, name, [{"id": own, "name": name, "type": "ad_account"}])

    async def revoke(self, stored: Stored) -> None:
        """Toy's tokens are revoked by hand."""

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """Never."""
        return None
