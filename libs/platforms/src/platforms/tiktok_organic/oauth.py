"""TikTok for creators: a token for hours and a refresh token for months, which may change with each use.

How long either lives has changed before: only what an answer says counts.
https://developers.tiktok.com/doc/oauth-user-access-token-management
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlencode

import httpx

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from platforms.oauth.base import Discovered, Need, Stored, TokenSet
from platforms.oauth.endpoint import Call, Endpoint, Json, instant_after, text_in
from platforms.tiktok_organic import PLATFORM, TIKTOK_ORGANIC
from platforms.tiktok_organic.refusals import read, read_oauth
from platforms.tiktok_organic.settings import TikTokOrganicSettings

RENEW_AFTER = 0.8
"""The part of a token's life after which it is renewed."""
_BASIC = ("open_id", "union_id", "display_name")
_PROFILE = ("username", "profile_deep_link", "is_verified")


class TikTokOrganic:
    """A creator's consent."""

    kind: ClassVar[ConnectionKind] = TIKTOK_ORGANIC
    title: ClassVar[str] = "TikTok"
    has_dialog: ClassVar[bool] = True
    uses_pkce: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = (
        ("user.info.basic",),
        ("user.info.profile",),
        ("user.info.stats",),
        ("video.list",),
    )

    def __init__(self, http: httpx.AsyncClient, settings: TikTokOrganicSettings) -> None:
        self._endpoint = Endpoint(http, platform=PLATFORM, title=self.title)
        self._base = settings.tiktok_open_base_url.rstrip("/")
        self._dialog = f"{settings.tiktok_dialog_url.rstrip('/')}/v2/auth/authorize/"
        self._key = settings.tiktok_client_key or ""
        self._secret = (
            settings.tiktok_client_secret.get_secret_value() if settings.tiktok_client_secret else ""
        )

    def missing_settings(self) -> tuple[str, ...]:
        """TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET, unless they are set."""
        known = {"TIKTOK_CLIENT_KEY": self._key, "TIKTOK_CLIENT_SECRET": self._secret}
        return tuple(name for name, value in known.items() if not value)

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """TikTok's page."""
        query = {
            "client_key": self._key,
            "scope": ",".join(need[0] for need in self.needs),
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "state": state,
        }
        if challenge is not None:
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self._dialog}?{urlencode(query)}"

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """The first pair of a consent."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if verifier is not None:
            form["code_verifier"] = verifier
        return self._tokens(await self._post(form), now)

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """The next pair. The refresh token it is asked for with may be dead from then on."""
        if not stored.refresh_token:
            raise self._endpoint.needs_token("refresh token")
        form = {"grant_type": "refresh_token", "refresh_token": stored.refresh_token}
        return self._tokens(await self._post(form), now)

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """The creator's profile, or what may be seen of it."""
        if not stored.access_token:
            raise self._endpoint.needs_token("access token")
        try:
            user = await self._user(stored.access_token, (*_BASIC, *_PROFILE))
        except PlatformError as error:
            if error.consequence is not Consequence.PERM:
                raise
            user = await self._user(stored.access_token, _BASIC)
        open_id = text_in(user, "open_id")
        if open_id is None:
            raise self._endpoint.lost("a creator without an id")
        username = text_in(user, "username")
        name = text_in(user, "display_name") or username or open_id
        profile = {
            "id": open_id,
            "name": name,
            "type": "profile",
            "username": username,
            "url": text_in(user, "profile_deep_link"),
        }
        return Discovered(open_id, f"{name} (@{username})" if username else name, accounts=[profile])

    async def revoke(self, stored: Stored) -> None:
        """Nothing: it would withdraw all that the creator allowed this app, in other teams too."""

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """After four fifths of its life; at once where its end is not known."""
        if tokens.expires_at is None or tokens.expires_at <= now:
            return now
        return now + (tokens.expires_at - now) * RENEW_AFTER

    def _tokens(self, answer: Json, now: datetime) -> TokenSet:
        token = text_in(answer, "access_token")
        if token is None:
            raise self._endpoint.lost("an answer without a token")
        scopes = (text_in(answer, "scope") or "").replace(" ", ",").split(",")
        return TokenSet(
            token,
            refresh_token=text_in(answer, "refresh_token"),
            expires_at=instant_after(answer, "expires_in", now),
            refresh_expires_at=instant_after(answer, "refresh_expires_in", now),
            scopes=tuple(filter(None, scopes)),
            external_id=text_in(answer, "open_id"),
        )

    async def _user(self, token: str, fields: Sequence[str]) -> Json:
        call = Call(
            "GET",
            f"{self._base}/v2/user/info/",
            "/v2/user/info/",
            params={"fields": ",".join(fields)},
            headers={"authorization": f"Bearer {token}"},
            secrets=(token,),
        )
        data = (await self._endpoint.ask(call, read)).get("data")
        user = data.get("user") if isinstance(data, dict) else None
        return user if isinstance(user, dict) else {}

    async def _post(self, form: Mapping[str, str]) -> Json:
        if missing := self.missing_settings():
            raise self._endpoint.needs_settings(missing)
        call = Call(
            "POST",
            f"{self._base}/v2/oauth/token/",
            "/v2/oauth/token/",
            form={"client_key": self._key, "client_secret": self._secret, **form},
            secrets=(
                self._secret,
                *(form.get(name) for name in ("code", "code_verifier", "refresh_token")),
            ),
        )
        return await self._endpoint.ask(call, read_oauth)
