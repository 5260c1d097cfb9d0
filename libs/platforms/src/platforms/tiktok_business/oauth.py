"""TikTok for Business: a code becomes a token without an end, for the advertisers its owner chose.

It dies when an advertiser takes the app's leave away; nothing announces that, so it is looked at daily.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

import httpx

from common.errors import Consequence, PlatformError
from common.models import ConnectionKind
from platforms.oauth.base import MAX_ACCOUNTS, Discovered, Need, Stored, TokenSet
from platforms.oauth.endpoint import Call, Endpoint, Json, rows_in, text_in
from platforms.tiktok_business import PLATFORM, TIKTOK_BUSINESS
from platforms.tiktok_business.refusals import read
from platforms.tiktok_business.settings import TikTokBusinessSettings

LOOK_EVERY = timedelta(days=1)
_IDS_A_CALL = 100
_API = "/open_api/v1.3"
_FIELDS = ("advertiser_id", "name", "currency", "timezone", "display_timezone", "status")


class TikTokBusiness:
    """An advertiser's token."""

    kind: ClassVar[ConnectionKind] = TIKTOK_BUSINESS
    title: ClassVar[str] = "TikTok Ads"
    has_dialog: ClassVar[bool] = True
    uses_pkce: ClassVar[bool] = False
    rotates: ClassVar[bool] = False
    needs: ClassVar[tuple[Need, ...]] = ()
    """TikTok numbers its permissions, and settles them where the app is registered."""

    def __init__(self, http: httpx.AsyncClient, settings: TikTokBusinessSettings) -> None:
        self._endpoint = Endpoint(http, platform=PLATFORM, title=self.title)
        self._base = f"{settings.tiktok_base_url.rstrip('/')}{_API}"
        self._portal = f"{settings.tiktok_portal_url.rstrip('/')}/portal/auth"
        self._app_id = settings.tiktok_app_id or ""
        self._secret = settings.tiktok_app_secret.get_secret_value() if settings.tiktok_app_secret else ""

    def missing_settings(self) -> tuple[str, ...]:
        """TIKTOK_APP_ID and TIKTOK_APP_SECRET, unless they are set."""
        known = {"TIKTOK_APP_ID": self._app_id, "TIKTOK_APP_SECRET": self._secret}
        return tuple(name for name, value in known.items() if not value)

    def authorize_url(self, *, state: str, redirect_uri: str, challenge: str | None) -> str:
        """TikTok's portal, which knows no PKCE."""
        query = {"app_id": self._app_id, "state": state, "redirect_uri": redirect_uri}
        return f"{self._portal}?{urlencode(query)}"

    async def exchange(
        self, code: str, *, redirect_uri: str, verifier: str | None, now: datetime
    ) -> TokenSet:
        """A token without an end."""
        answer = await self._post("/oauth2/access_token/", {"auth_code": code}, code)
        data = _data(answer)
        token = text_in(data, "access_token")
        if token is None:
            raise self._endpoint.lost("an answer without a token")
        ids, scopes = data.get("advertiser_ids"), data.get("scope")
        return TokenSet(
            token,
            scopes=tuple(str(number) for number in scopes) if isinstance(scopes, list) else (),
            external_id=(_oldest([str(each) for each in ids]) or None) if isinstance(ids, list) else None,
        )

    async def renew(self, stored: Stored, *, now: datetime) -> TokenSet:
        """The same token, if it still lives."""
        token = self._token_of(stored)
        await self._advertisers(token, stored.settings)
        return TokenSet(token, expires_at=stored.expires_at)

    async def discover(self, stored: Stored, *, now: datetime) -> Discovered:
        """The advertisers the token reaches. TikTok does not say who agreed; the oldest one stands for it.

        Advertisers have numbers that grow, so the least one stays the same while others come and go.
        """
        token = self._token_of(stored)
        names = await self._advertisers(token, stored.settings)
        if not names:
            raise self._endpoint.error("the token reaches no advertiser", Consequence.PERM)
        details = await self._details(token, list(names))
        oldest = _oldest(names)
        more = len(names) - 1
        name = names[oldest] or text_in(details.get(oldest, {}), "name") or oldest
        return Discovered(
            external_id=oldest,
            external_name=f"{name} and {more} more" if more else name,
            accounts=[_account(each, names[each], details.get(each, {})) for each in names],
        )

    async def revoke(self, stored: Stored) -> None:
        """End the token."""
        if not stored.access_token or self.missing_settings():
            return
        token = stored.access_token
        try:
            await self._post("/oauth2/revoke_token/", {"access_token": token}, token)
        except PlatformError as error:
            if error.consequence is not Consequence.REAUTH:
                raise

    def renew_at(self, tokens: TokenSet, *, now: datetime) -> datetime | None:
        """Looked at daily."""
        return now + LOOK_EVERY

    def _token_of(self, stored: Stored) -> str:
        if not stored.access_token:
            raise self._endpoint.needs_token("access token")
        return stored.access_token

    async def _advertisers(self, token: str, settings: Mapping[str, Any]) -> dict[str, str]:
        """The name of each advertiser by its id; without the app's secret, of those `settings` name."""
        if not (missing := self.missing_settings()):
            query = {"app_id": self._app_id, "secret": self._secret}
            rows = rows_in(_data(await self._get("/oauth2/advertiser/get/", query, token)), "list")
            named = {text_in(row, "advertiser_id"): text_in(row, "advertiser_name") for row in rows}
            return {each: name or "" for each, name in list(named.items())[:MAX_ACCOUNTS] if each}
        ids = settings.get("advertiser_ids")
        wanted = [str(each) for each in ids][:MAX_ACCOUNTS] if isinstance(ids, list) else []
        if not wanted:
            raise self._endpoint.needs_settings(missing)
        details = await self._details(token, wanted)
        return {each: text_in(row, "name") or "" for each, row in details.items()}

    async def _details(self, token: str, ids: Sequence[str]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for start in range(0, len(ids), _IDS_A_CALL):
            query = {
                "advertiser_ids": _listed(ids[start : start + _IDS_A_CALL]),
                "fields": _listed(_FIELDS),
            }
            rows = rows_in(_data(await self._get("/advertiser/info/", query, token)), "list")
            found |= {str(row["advertiser_id"]): row for row in rows if row.get("advertiser_id")}
        return found

    async def _get(self, path: str, query: Mapping[str, str], token: str) -> Json:
        call = Call(
            "GET",
            f"{self._base}{path}",
            f"{_API}{path}",
            params=query,
            headers={"access-token": token},
            secrets=(token, self._secret),
        )
        return await self._endpoint.ask(call, read)

    async def _post(self, path: str, document: Mapping[str, str], secret: str) -> Json:
        if missing := self.missing_settings():
            raise self._endpoint.needs_settings(missing)
        call = Call(
            "POST",
            f"{self._base}{path}",
            f"{_API}{path}",
            document={"app_id": self._app_id, "secret": self._secret, **document},
            secrets=(secret, self._secret),
        )
        return await self._endpoint.ask(call, read)


def _data(answer: Json) -> Json:
    data = answer.get("data")
    return data if isinstance(data, dict) else {}


def _listed(values: Sequence[str]) -> str:
    return json.dumps(list(values), separators=(",", ":"))


def _oldest(ids: Sequence[str] | Mapping[str, str]) -> str:
    return min(ids, key=lambda each: (len(each), each), default="")


def _account(advertiser_id: str, name: str, details: Json) -> dict[str, Any]:
    return {
        "id": advertiser_id,
        "name": name or text_in(details, "name") or advertiser_id,
        "type": "advertiser",
        "currency": text_in(details, "currency"),
        "timezone": text_in(details, "display_timezone") or text_in(details, "timezone"),
        "status": text_in(details, "status"),
    }
