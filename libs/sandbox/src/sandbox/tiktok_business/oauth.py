"""Getting an advertiser's long-term token."""

import hmac
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.codes import DeadCode, OneTimeCodes
from sandbox.settings import Settings
from sandbox.tiktok_business.errors import BusinessError
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.tiktok_business.tokens import Tokens
from sandbox.world.dice import throw
from sandbox.world.tiktok_ads import Advertiser, TikTokAds

_CODE_LIFE = 3_600.0
_SCOPE = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""TikTok numbers the permissions of a Business app; 4 is reporting."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an advertiser's code stands for."""

    app_id: str
    declined: tuple[str, ...]


class BusinessOAuth:
    """The token endpoints under /oauth2/."""

    def __init__(self, settings: Settings, clock: Clock, ads: TikTokAds, tokens: Tokens) -> None:
        self._settings = settings
        self._clock = clock
        self._ads = ads
        self._tokens = tokens
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
        """POST /oauth2/access_token/."""
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

    def _check_app(self, app_id: str, secret: str) -> None:
        self.check_app_id(app_id)
        wanted = self._settings.tiktok_app_secret
        if wanted and not hmac.compare_digest(secret.encode(), wanted.encode()):
            raise BusinessError(40101)
