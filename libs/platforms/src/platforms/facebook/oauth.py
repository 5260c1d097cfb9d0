"""Facebook: a code becomes a short-lived token, that a long-lived one, and that another while it lives.

There is no refresh token. https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode

import httpx

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from platforms.calls.answers import Refusal
from platforms.facebook import FACEBOOK_USER, PLATFORM
from platforms.facebook.proof import proof_of
from platforms.facebook.refusals import GraphFault, read
from platforms.facebook.settings import FacebookSettings
from platforms.oauth.base import MAX_ACCOUNTS, Discovered, Need, Stored, TokenSet
from platforms.oauth.endpoint import Call, Endpoint, Json, instant_after, instant_at, rows_in, text_in

RENEW_BEFORE = timedelta(days=10)
LOOK_EVERY = timedelta(days=1)
"""How often a token without an end is looked at, and one near its end tried again: Facebook renews a token
once a day."""
_PAGE_SIZE = 100
_MAX_PAGES = 20
_PAGE = "PAGE"
_DEAD_CODES = (36007, 36009)
"""Subcodes of an authorisation code that has expired or was used."""
_ONE_TOKEN_ONLY = frozenset({Consequence.PERM, Consequence.INVALID, Consequence.GONE})


@dataclass(frozen=True, slots=True)
class _Facts:
    """What Facebook says about a token. `ours`: it was granted to this app, whose secret proves it."""

    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    data_access_expires_at: datetime | None = None
    kind: str = ""
    ours: bool = False


class FacebookUser:
    """A person's or a system user's token."""

    kind: ClassVar[ConnectionKind] = FACEBOOK_USER
    title: ClassVar[str] = "Facebook"
    has_dialog: ClassVar[bool] = True
    uses_pkce: ClassVar[bool] = False
    rotates: ClassVar[bool] = False
    needs: ClassVar[tuple[Need, ...]] = (
        ("ads_read", "ads_management"),
        ("pages_show_list",),
        ("pages_read_engagement",),
        ("read_insights",),
        ("business_management",),
    )

    def __init__(self, http: httpx.AsyncClient, settings: FacebookSettings) -> None:
        self._endpoint = Endpoint(http, platform=PLATFORM, title=self.title)
        version = settings.facebook_api_version
        self._graph = f"{settings.facebook_base_url.rstrip('/')}/{version}"
        self._dialog = f"{settings.facebook_dialog_url.rstrip('/')}/{version}/dialog/oauth"
        self._app_id = settings.facebook_app_id or ""
        self._secret = settings.facebook_app_secret.get_secret_value() if settings.facebook_app_secret else ""

    def missing_settings(self) -> tuple[str, ...]:
        """FACEBOOK_APP_ID and FACEBOOK_APP_SECRET, unless they are set."""
        known = {"FACEBOOK_APP_ID": self._app_id, "FACEBOOK_APP_SECRET": self._secret}
        return tuple(name for name, value in known.items() if not value)

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """Facebook's dialog, which knows no PKCE."""
        query = {
            "client_id": self._app_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "scope": ",".join(need[0] for need in self.needs),
            "response_type": "code",
        }
        return f"{self._dialog}?{urlencode(query)}"

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """A long-lived token: the short-lived one a code is worth is exchanged at once."""
        answer = await self._token({"redirect_uri": redirect_uri, "code": code}, code)
        return await self._prolong(self._bearer(answer), now)

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """The token's successor. One without an end is looked at, and comes back as it is."""
        token = stored.access_token
        if not token:
            raise self._endpoint.needs_token("access token")
        if stored.expires_at is None or self.missing_settings():
            facts = await self._facts(token)
            return TokenSet(token, expires_at=facts.expires_at or stored.expires_at, scopes=facts.scopes)
        return await self._prolong(token, now)

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """The person, or the page, and the ad accounts and pages the token reaches."""
        token = stored.access_token
        if not token:
            raise self._endpoint.needs_token("access token")
        facts = await self._facts(token)
        me = await self._get("me", token, {"fields": "id,name"}, facts)
        own_id, name = text_in(me, "id"), text_in(me, "name") or ""
        if own_id is None:
            raise self._endpoint.lost("a person without an id")
        if facts.kind == _PAGE:
            accounts = [{"id": own_id, "name": name, "type": "page"}]
        else:
            accounts = await self._ad_accounts(token, facts)
            accounts += await self._pages(token, facts, MAX_ACCOUNTS - len(accounts))
        ends = facts.data_access_expires_at
        return Discovered(
            external_id=own_id,
            external_name=name,
            accounts=accounts,
            scopes=facts.scopes,
            expires_at=facts.expires_at,
            settings={"data_access_expires_at": ends.isoformat()} if ends else {},
        )

    async def revoke(self, stored: Stored) -> None:
        """Nothing: it would withdraw all that the person allowed this app, in other teams too."""

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """Ten days before its end, then daily; a short-lived token halfway; one without an end daily."""
        if tokens.expires_at is None:
            return now + LOOK_EVERY
        due = tokens.expires_at - RENEW_BEFORE
        return due if due > now else now + max(min(LOOK_EVERY, (tokens.expires_at - now) / 2), timedelta(0))

    async def _prolong(self, token: str, now: datetime) -> TokenSet:
        form = {"grant_type": "fb_exchange_token", "fb_exchange_token": token}
        answer = await self._token(form, token)
        longer, expires_at = self._bearer(answer), instant_after(answer, "expires_in", now)
        if expires_at is not None:
            return TokenSet(longer, expires_at=expires_at)
        facts = await self._facts(longer)
        return TokenSet(longer, expires_at=facts.expires_at, scopes=facts.scopes)

    async def _token(self, form: Mapping[str, str], secret: str) -> Json:
        if missing := self.missing_settings():
            raise self._endpoint.needs_settings(missing)
        call = Call(
            "POST",
            f"{self._graph}/oauth/access_token",
            "/oauth/access_token",
            form={"client_id": self._app_id, "client_secret": self._secret, **form},
            secrets=(secret, self._secret),
        )
        return await self._endpoint.ask(call, _read_oauth)

    def _bearer(self, answer: Json) -> str:
        token = text_in(answer, "access_token")
        if token is None:
            raise self._endpoint.lost("an answer without a token")
        return token

    async def _facts(self, token: str) -> _Facts:
        """What is known of a living token; raises REAUTH for a dead one.

        Only the app a token was granted to may inspect it. Of another app's token, such as a system user's
        that was pasted, the permissions are all there is to know.
        """
        if not self.missing_settings():
            try:
                return self._inspected(await self._inspect(token), token)
            except _Foreign:
                pass
        granted = await self._rows("me/permissions", token, {}, _Facts(()), MAX_ACCOUNTS)
        names = (text_in(row, "permission") for row in granted if row.get("status") == "granted")
        return _Facts(tuple(name for name in names if name))

    async def _inspect(self, token: str) -> Json:
        call = Call(
            "GET",
            f"{self._graph}/debug_token",
            "/debug_token",
            params={"input_token": token},
            headers={"authorization": f"Bearer {self._app_id}|{self._secret}"},
            secrets=(token, self._secret),
        )
        try:
            answer = await self._endpoint.ask(call, _read)
        except PlatformError as error:
            if error.permanent:
                raise _Foreign from error
            raise
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    def _inspected(self, data: Json, token: str) -> _Facts:
        if data.get("is_valid") is not True:
            fault = data.get("error")
            told = fault if isinstance(fault, dict) else {}
            code, subcode = told.get("code"), told.get("subcode")
            number = f"{code}/{subcode}" if subcode is not None else str(code or 190)
            message = told.get("message")
            raise self._endpoint.error(
                message if isinstance(message, str) and message else "the token is no longer valid",
                Consequence.REAUTH,
                code=number,
                secrets=(token,),
            )
        scopes = data.get("scopes")
        return _Facts(
            tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else (),
            instant_at(data, "expires_at"),
            instant_at(data, "data_access_expires_at"),
            text_in(data, "type") or "",
            ours=True,
        )

    async def _ad_accounts(self, token: str, facts: _Facts) -> list[dict[str, Any]]:
        fields = {"fields": "id,account_id,name,account_status,currency,timezone_name"}
        return [
            {
                "id": row["id"],
                "name": text_in(row, "name") or row["id"],
                "type": "ad_account",
                "currency": text_in(row, "currency"),
                "timezone": text_in(row, "timezone_name"),
                "status": row.get("account_status"),
            }
            for row in await self._reached("me/adaccounts", token, fields, facts, MAX_ACCOUNTS)
        ]

    async def _pages(self, token: str, facts: _Facts, room: int) -> list[dict[str, Any]]:
        # Naming the fields leaves out the pages' own tokens, which each run fetches for itself.
        fields = {"fields": "id,name,category"}
        return [
            {"id": row["id"], "name": text_in(row, "name") or row["id"], "type": "page"}
            for row in await self._reached("me/accounts", token, fields, facts, room)
        ]

    async def _reached(
        self, path: str, token: str, params: Mapping[str, str], facts: _Facts, room: int
    ) -> list[Json]:
        """A list of accounts; empty where this token may not see one: what is missing shows in its scopes."""
        try:
            rows = await self._rows(path, token, params, facts, room)
        except PlatformError as error:
            if error.consequence in _ONE_TOKEN_ONLY:
                return []
            raise
        return [row for row in rows if text_in(row, "id")]

    async def _rows(
        self, path: str, token: str, params: Mapping[str, str], facts: _Facts, room: int
    ) -> list[Json]:
        rows: list[Json] = []
        after: str | None = None
        for _ in range(_MAX_PAGES):
            cursor = {} if after is None else {"after": after}
            page = await self._get(path, token, {**params, "limit": str(_PAGE_SIZE), **cursor}, facts)
            rows += rows_in(page, "data")
            following = _cursor_after(page)
            if following is None or following == after or len(rows) >= room:
                break
            after = following
        return rows[:room]

    async def _get(self, path: str, token: str, params: Mapping[str, str], facts: _Facts) -> Json:
        proof = proof_of(self._secret if facts.ours else "", token)
        call = Call(
            "GET",
            f"{self._graph}/{path}",
            f"/{path}",
            params={**params, **proof},
            headers={"authorization": f"Bearer {token}"},
            secrets=(token, self._secret),
        )
        return await self._endpoint.ask(call, _read)


class _Foreign(Exception):
    """The app may not inspect this token: it was granted to another one."""


def _read(status: int, body: bytes) -> Json | Refusal:
    answer = read(status, body)
    if isinstance(answer, GraphFault):
        return Refusal(answer.consequence, answer.code, answer.message)
    return answer


def _read_oauth(status: int, body: bytes) -> Json | Refusal:
    """As `_read`, for the endpoint that also refuses codes and the app's own credentials."""
    answer = _read(status, body)
    if not isinstance(answer, Refusal):
        return answer
    code, _, subcode = answer.code.partition("/")
    if subcode.isdecimal() and int(subcode) in _DEAD_CODES:
        return Refusal(Consequence.REAUTH, answer.code, answer.message)
    if code == "1" and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        # Elsewhere "unknown, try again"; here it is how a wrong client secret is told.
        return Refusal(Consequence.INVALID, answer.code, answer.message)
    return answer


def _cursor_after(page: Json) -> str | None:
    """The cursor of the next page; `cursors.after` is there on the last page too, `next` is not."""
    paging = page.get("paging")
    if not isinstance(paging, dict) or "next" not in paging:
        return None
    cursors = paging.get("cursors")
    return text_in(cursors, "after") if isinstance(cursors, dict) else None
