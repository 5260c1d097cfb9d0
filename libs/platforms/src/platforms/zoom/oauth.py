"""Zoom: a person's consent with a refresh token that changes with each use, and server-to-server apps.

Of a person and an app only one pair of tokens lives: agreeing again, anywhere, ends the pair of before.
https://developers.zoom.us/docs/integrations/oauth/ and https://developers.zoom.us/docs/internal-apps/s2s-oauth/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

import httpx

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from platforms.oauth.base import MAX_ACCOUNTS, Discovered, Need, Stored, TokenSet
from platforms.oauth.endpoint import Call, Endpoint, Json, instant_after, rows_in, text_in
from platforms.zoom import PLATFORM, ZOOM_SERVER, ZOOM_USER
from platforms.zoom.refusals import read, read_oauth
from platforms.zoom.settings import ZoomSettings

RENEW_USER_BEFORE = timedelta(minutes=5)
RENEW_SERVER_BEFORE = timedelta(seconds=60)
SERVER_CREDENTIALS = ("account_id", "client_id", "client_secret")
_PAGE_SIZE = "300"
_MAX_PAGES = 20
_OWNER = "0"


class _Zoom:
    """What both kinds share: one token endpoint, and one API."""

    def __init__(self, http: httpx.AsyncClient, settings: ZoomSettings) -> None:
        self._endpoint = Endpoint(http, platform=PLATFORM, title="Zoom")
        self._oauth = settings.zoom_oauth_url.rstrip("/")
        self._api = settings.zoom_base_url.rstrip("/")

    async def _post(self, path: str, client: tuple[str, str], form: Mapping[str, str]) -> Json:
        client_id, client_secret = client
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        call = Call(
            "POST",
            f"{self._oauth}/{path}",
            f"/oauth/{path}",
            form=form,
            headers={"authorization": f"Basic {basic}"},
            secrets=(
                client_secret,
                basic,
                *(form.get(name) for name in ("code", "code_verifier", "refresh_token", "token")),
            ),
        )
        return await self._endpoint.ask(call, read_oauth)

    async def _get(self, path: str, token: str, params: Mapping[str, str]) -> Json:
        call = Call(
            "GET",
            f"{self._api}/{path}",
            f"/{path}",
            params=params,
            headers={"authorization": f"Bearer {token}"},
            secrets=(token,),
        )
        return await self._endpoint.ask(call, read)

    def _tokens(self, answer: Json, now: datetime) -> TokenSet:
        token = text_in(answer, "access_token")
        if token is None:
            raise self._endpoint.lost("an answer without a token")
        return TokenSet(
            token,
            refresh_token=text_in(answer, "refresh_token"),
            expires_at=instant_after(answer, "expires_in", now),
            refresh_expires_at=instant_after(answer, "refresh_expires_in", now),
            scopes=tuple((text_in(answer, "scope") or "").split()),
        )


class ZoomUser(_Zoom):
    """One person's consent."""

    kind: ClassVar[ConnectionKind] = ZOOM_USER
    title: ClassVar[str] = "Zoom"
    has_dialog: ClassVar[bool] = True
    uses_pkce: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = (
        ("user:read:user", "user:read"),
        ("cloud_recording:read:list_user_recordings", "recording:read"),
        ("cloud_recording:read:list_recording_files", "recording:read"),
    )

    def __init__(self, http: httpx.AsyncClient, settings: ZoomSettings) -> None:
        super().__init__(http, settings)
        self._dialog = f"{settings.zoom_dialog_url.rstrip('/')}/authorize"
        self._client_id = settings.zoom_client_id or ""
        self._secret = settings.zoom_client_secret.get_secret_value() if settings.zoom_client_secret else ""

    def missing_settings(self) -> tuple[str, ...]:
        """ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET, unless they are set."""
        known = {"ZOOM_CLIENT_ID": self._client_id, "ZOOM_CLIENT_SECRET": self._secret}
        return tuple(name for name, value in known.items() if not value)

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """Zoom's page; which scopes are asked for is settled where the app is registered."""
        query = {
            "response_type": "code",
            "client_id": self._client_id,
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
        return self._tokens(await self._token_call(form), now)

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """The next pair. The refresh token it is asked for with is dead from then on."""
        if not stored.refresh_token:
            raise self._endpoint.needs_token("refresh token")
        form = {"grant_type": "refresh_token", "refresh_token": stored.refresh_token}
        return self._tokens(await self._token_call(form), now)

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """The person: an app with one person's consent may not read others."""
        if not stored.access_token:
            raise self._endpoint.needs_token("access token")
        me = await self._get("users/me", stored.access_token, {})
        user_id = text_in(me, "id")
        if user_id is None:
            raise self._endpoint.lost("a user without an id")
        account = _account(me, user_id)
        settings = {"account_id": me["account_id"]} if text_in(me, "account_id") else {}
        return Discovered(user_id, account["name"], accounts=[account], settings=settings)

    async def revoke(self, stored: Stored) -> None:
        """End the consent."""
        token = stored.access_token or stored.refresh_token
        if not token or self.missing_settings():
            return
        try:
            await self._post("revoke", (self._client_id, self._secret), {"token": token})
        except PlatformError as error:
            if error.consequence is not Consequence.REAUTH:
                raise

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """Five minutes before its end; at once where its end is not known."""
        return max(tokens.expires_at - RENEW_USER_BEFORE, now) if tokens.expires_at else now

    async def _token_call(self, form: Mapping[str, str]) -> Json:
        if missing := self.missing_settings():
            raise self._endpoint.needs_settings(missing)
        return await self._post("token", (self._client_id, self._secret), form)


class ZoomServer(_Zoom):
    """A server-to-server app of the tenant's own: its credentials ask for tokens at will, and any number of
    them live side by side."""

    kind: ClassVar[ConnectionKind] = ZOOM_SERVER
    title: ClassVar[str] = "Zoom (server-to-server)"
    has_dialog: ClassVar[bool] = False
    uses_pkce: ClassVar[bool] = False
    rotates: ClassVar[bool] = False
    needs: ClassVar[tuple[Need, ...]] = (
        ("user:read:list_users:admin", "user:read:admin"),
        ("cloud_recording:read:list_user_recordings:admin", "recording:read:admin"),
        ("cloud_recording:read:list_recording_files:admin", "recording:read:admin"),
    )

    def missing_settings(self) -> tuple[str, ...]:
        """Nothing: its credentials come with each connection."""
        return ()

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """Refused: server-to-server apps have no consent page."""
        raise self._endpoint.error("a server-to-server app has no dialog", Consequence.INVALID)

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """Refused: there are no codes."""
        raise self._endpoint.error("a server-to-server app has no codes", Consequence.INVALID)

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """A new token for each request."""
        account_id, client_id, client_secret = self._credentials(stored)
        form = {"grant_type": "account_credentials", "account_id": account_id}
        return self._tokens(await self._post("token", (client_id, client_secret), form), now)

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """The account and its users; no users where the app may not list them."""
        if not stored.access_token:
            raise self._endpoint.needs_token("access token")
        account_id, _, _ = self._credentials(stored)
        try:
            users = await self._users(stored.access_token)
        except PlatformError as error:
            if error.consequence is not Consequence.PERM:
                raise
            users = []
        owner = next((user for user in users if user.get("role_id") == _OWNER), None)
        name = f"{_name(owner)}'s account" if owner else f"Account {account_id}"
        accounts = [_account(user, user["id"]) for user in users if text_in(user, "id")]
        return Discovered(account_id, name, accounts=accounts)

    async def revoke(self, stored: Stored) -> None:
        """Nothing to give back: tokens end within the hour, and the app is the tenant's."""

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """A minute before its end; at once where its end is not known."""
        return max(tokens.expires_at - RENEW_SERVER_BEFORE, now) if tokens.expires_at else now

    async def _users(self, token: str) -> list[Json]:
        users: list[Json] = []
        position = ""
        for _ in range(_MAX_PAGES):
            params = {"page_size": _PAGE_SIZE, "status": "active"}
            if position:
                params["next_page_token"] = position
            page = await self._get("users", token, params)
            users += rows_in(page, "users")
            position = text_in(page, "next_page_token") or ""
            if not position or len(users) >= MAX_ACCOUNTS:
                break
        return users[:MAX_ACCOUNTS]

    def _credentials(self, stored: Stored) -> tuple[str, str, str]:
        given = [stored.credentials.get(name, "") for name in SERVER_CREDENTIALS]
        if not all(given):
            raise self._endpoint.needs_token("account id, client id and client secret")
        account_id, client_id, client_secret = given
        return account_id, client_id, client_secret


def _account(user: Json, user_id: str) -> dict[str, Any]:
    return {
        "id": user_id,
        "name": _name(user) or user_id,
        "type": "user",
        "email": text_in(user, "email"),
        "timezone": text_in(user, "timezone"),
    }


def _name(user: Json) -> str:
    parts = (text_in(user, "first_name"), text_in(user, "last_name"))
    return text_in(user, "display_name") or " ".join(filter(None, parts)) or text_in(user, "email") or ""
