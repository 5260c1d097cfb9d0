"""Getting tokens: the advertiser's long-term one, and the creator's pair."""

import hmac
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.codes import DeadCode, OneTimeCodes
from sandbox.grants import DeadToken, Grants, Pair
from sandbox.settings import Settings
from sandbox.tiktok_business.errors import BusinessError
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.tiktok_business.tokens import Tokens
from sandbox.tiktok_organic.consents import CreatorConsents
from sandbox.world.dice import throw
from sandbox.world.tiktok_ads import Advertiser, TikTokAds
from sandbox.world.tiktok_creators import Creators

_CODE_LIFE = 3_600.0
_SCOPE = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""TikTok numbers the permissions of a Business app; 4 is reporting."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an advertiser's code stands for."""

    app_id: str
    declined: tuple[str, ...]


class BusinessOAuth:
    """The token endpoints under /oauth2/ and /tt_user/oauth2/."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        ads: TikTokAds,
        creators: Creators,
        tokens: Tokens,
        grants: Grants,
        consents: CreatorConsents,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._ads = ads
        self._creators = creators
        self._tokens = tokens
        self._grants = grants
        self._consents = consents
        self._codes: OneTimeCodes[Authorization] = OneTimeCodes(clock, _CODE_LIFE)

    def reset(self) -> None:
        """Forget all codes."""
        self._codes.reset()

    def check_app_id(self, app_id: str) -> None:
        """Raises code 40113 unless the app is the configured one, or none is configured."""
        if not app_id or (self._settings.tiktok_app_id and app_id != self._settings.tiktok_app_id):
            raise BusinessError(40113)

    def issue_code(self, app_id: str, declined: tuple[str, ...]) -> str:
        """The advertiser agreed: a code for the app."""
        name = throw(self._settings.seed, "auth_code", self._codes.next_number(), self._clock.now())
        code = "".join(f"{int(part * 2**32):08x}" for part in name[:5])
        self._codes.add(code, Authorization(app_id, declined))
        return code

    def access_token(self, request: BusinessRequest) -> dict[str, Any]:
        """POST /oauth2/access_token/ and, with a form and OAuth's usual names, /oauth/token/."""
        params = request.params
        if request.path == "/oauth/token/":
            params |= {
                "app_id": params.get("client_id", params.get("app_id", "")),
                "secret": params.get("client_secret", params.get("secret", "")),
                "auth_code": params.get("code", params.get("auth_code", "")),
            }
        app_id, secret, code = request.need("app_id", "secret", "auth_code")
        self._check_app(app_id, secret)
        try:
            consent = self._codes.look(code)
        except DeadCode:
            raise BusinessError(40110) from None
        if consent.app_id != app_id:
            raise BusinessError(40101)
        self._codes.spend(code)
        granted = [it.id for it in self._ads.advertisers if it.id not in consent.declined]
        token = self._tokens.mint(app_id, consent.declined, self._clock.now())
        return {"access_token": token, "advertiser_ids": granted, "scope": _SCOPE}

    def revoke(self, request: BusinessRequest) -> dict[str, Any]:
        """POST /oauth2/revoke_token/."""
        app_id, secret, token = request.need("app_id", "secret", "access_token")
        self._check_app(app_id, secret)
        self._tokens.revoke(token)
        return {}

    def advertisers(self, request: BusinessRequest) -> dict[str, Any]:
        """GET /oauth2/advertiser/get/."""
        app_id, secret = request.need("app_id", "secret")
        self._check_app(app_id, secret)
        return {
            "list": [{"advertiser_id": it.id, "advertiser_name": it.name} for it in self.visible(request)]
        }

    def visible(self, request: BusinessRequest) -> list[Advertiser]:
        """The advertisers the token was allowed to see."""
        return [it for it in self._ads.advertisers if it.id not in request.identity.declined]

    def creator_token(self, request: BusinessRequest) -> dict[str, Any]:
        """POST /tt_user/oauth2/token/."""
        client = self._creator_client(request, "authorization_code")
        code, redirect_uri = request.need("auth_code", "redirect_uri")
        try:
            consent = self._consents.codes.look(code)
        except DeadCode:
            raise BusinessError(40110) from None
        if (consent.client, consent.redirect_uri) != (client, redirect_uri):
            raise BusinessError(40101)
        self._consents.codes.spend(code)
        return self._pair(self._grants.open(client, consent.creator.username, consent.scopes))

    def creator_refresh(self, request: BusinessRequest) -> dict[str, Any]:
        """POST /tt_user/oauth2/refresh_token/."""
        client = self._creator_client(request, "refresh_token")
        (token,) = request.need("refresh_token")
        try:
            return self._pair(self._grants.refresh(token, client))
        except DeadToken as dead:
            raise BusinessError(40103 if dead.reason == "expired" else 40107) from None

    def creator_revoke(self, request: BusinessRequest) -> dict[str, Any]:
        """POST /tt_user/oauth2/revoke/."""
        client, secret, token = request.need("client_id", "client_secret", "access_token")
        self._check_app(client, secret)
        if not self._grants.revoke(token):
            raise BusinessError(40105)
        return {}

    def _creator_client(self, request: BusinessRequest, grant_type: str) -> str:
        client, secret, given = request.need("client_id", "client_secret", "grant_type")
        self._check_app(client, secret)
        if given != grant_type:
            raise BusinessError(40108)
        return client

    def _check_app(self, app_id: str, secret: str) -> None:
        self.check_app_id(app_id)
        wanted = self._settings.tiktok_app_secret
        if wanted and not hmac.compare_digest(secret.encode(), wanted.encode()):
            raise BusinessError(40101)

    def _pair(self, pair: Pair) -> dict[str, Any]:
        creator = self._creators.named(pair.grant.owner)
        return {
            "access_token": pair.access_token,
            "token_type": "Bearer",
            "scope": ",".join(pair.grant.scopes),
            "expires_in": pair.expires_in,
            "refresh_token": pair.refresh_token,
            "refresh_token_expires_in": pair.refresh_expires_in,
            "open_id": creator.open_id(pair.grant.client),
        }
