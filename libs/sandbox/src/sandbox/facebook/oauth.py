"""Signing in: the consent dialog, codes, token exchange and token inspection."""

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sandbox.clock import Clock
from sandbox.facebook.errors import GraphError
from sandbox.facebook.request import GraphRequest
from sandbox.facebook.tokens import ALL_SCOPES, DATA_ACCESS, LONG_LIFE, SHORT_LIFE, Identity, TokenIssuer
from sandbox.settings import Settings
from sandbox.world.dice import throw

_CODE_LIFE = 600
_KEPT_CODES = 5_000


@dataclass(slots=True)
class Grant:
    """What a code stands for."""

    redirect_uri: str
    scopes: tuple[str, ...]
    issued_at: float
    used: bool = False


class OAuth:
    """The sign-in endpoints."""

    def __init__(self, settings: Settings, clock: Clock, tokens: TokenIssuer) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = tokens
        self._grants: OrderedDict[str, Grant] = OrderedDict()
        self._issued = 0

    def reset(self) -> None:
        """Forget all codes."""
        self._grants.clear()

    def requested_scopes(self, params: dict[str, str]) -> tuple[str, ...]:
        """What the dialog asks consent for; public_profile comes with every sign-in."""
        raw = params.get("scope", "").replace(" ", ",")
        names = tuple(dict.fromkeys(["public_profile", *filter(None, raw.split(","))]))
        if unknown := [name for name in names if name not in ALL_SCOPES]:
            raise GraphError(100, f"Invalid Scopes: {', '.join(unknown)}.")
        return names

    def check_client(self, params: dict[str, str]) -> None:
        """Raises code 101 unless the app is the configured one, or none is configured."""
        client_id = params.get("client_id", "")
        if not client_id:
            raise GraphError(101, "Missing client_id parameter.")
        if self._settings.facebook_app_id and client_id != self._settings.facebook_app_id:
            raise GraphError(
                101, "Error validating application. Cannot get application info due to a system error."
            )

    def allow(self, params: dict[str, str], scopes: tuple[str, ...]) -> str:
        """The person agreed: the address to send them to, with a code."""
        self._issued += 1
        name = throw(self._settings.seed, "code", self._issued, self._clock.now())
        code = "AQ" + "".join(f"{int(part * 2**32):08x}" for part in name)
        self._grants[code] = Grant(params["redirect_uri"], scopes, self._clock.now())
        if len(self._grants) > _KEPT_CODES:
            self._grants.popitem(last=False)
        return _redirect(params, {"code": code})

    def deny(self, params: dict[str, str]) -> str:
        """The person declined."""
        return _redirect(
            params,
            {
                "error": "access_denied",
                "error_code": "200",
                "error_description": "Permissions error",
                "error_reason": "user_denied",
            },
        )

    def access_token(self, request: GraphRequest) -> dict[str, Any]:
        """/oauth/access_token in its three kinds."""
        params = request.params
        self.check_client(params)
        self._check_secret(params)
        grant_type = params.get("grant_type", "")
        if grant_type == "fb_exchange_token":
            return self._exchange(params)
        if grant_type not in ("", "authorization_code"):
            raise GraphError(100, f"Invalid grant_type: {grant_type}")
        return self._redeem(params)

    def debug(self, request: GraphRequest) -> dict[str, Any]:
        """GET /debug_token."""
        token = request.params.get("input_token", "")
        if not token:
            raise GraphError(100, "(#100) The parameter input_token is required")
        if request.identity.kind == "NONE":
            raise GraphError(104, "An access token is required to request this resource.")
        try:
            identity = self._tokens.identify(token)
        except GraphError as error:
            return {"data": self._dead(token, error)}
        return {"data": self._facts(identity, valid=True)}

    def _dead(self, token: str, error: GraphError) -> dict[str, Any]:
        problem: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.subcode is not None:
            problem["subcode"] = error.subcode
        try:
            facts = self._facts(self._tokens.read(token), valid=False)
        except GraphError:
            facts = {"is_valid": False, "scopes": []}
            if error.subcode is not None:
                facts |= {"app_id": self._tokens.app_id, "type": "USER", "application": "Sandbox"}
        return {**facts, "error": problem}

    def _facts(self, identity: Identity, *, valid: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "app_id": self._tokens.app_id,
            "type": identity.kind,
            "application": "Sandbox",
            "is_valid": valid,
            "scopes": list(identity.scopes),
        }
        if identity.kind == "APP":
            return facts
        issued_at = identity.issued_at or int(self._clock.now()) - 86_400
        expires_at = identity.expires_at
        if identity.kind == "USER" and not identity.expires_at:
            expires_at = issued_at + LONG_LIFE
        facts |= {
            "data_access_expires_at": issued_at + DATA_ACCESS,
            "expires_at": expires_at,
            "issued_at": issued_at,
            "granular_scopes": [{"scope": scope} for scope in identity.scopes],
            "user_id": identity.user_id,
        }
        if identity.kind == "PAGE":
            facts["profile_id"] = identity.page_id
        return facts

    def _check_secret(self, params: dict[str, str]) -> None:
        secret = params.get("client_secret", "")
        if not secret:
            raise GraphError(1, "Missing client_secret parameter.")
        wanted = self._settings.facebook_app_secret
        if wanted and not hmac.compare_digest(secret.encode(), wanted.encode()):
            raise GraphError(1, "Error validating client secret.")

    def _exchange(self, params: dict[str, str]) -> dict[str, Any]:
        token = params.get("fb_exchange_token", "")
        if not token:
            raise GraphError(1, "fb_exchange_token parameter not specified")
        identity = self._tokens.identify(token)
        if identity.kind == "APP":
            raise GraphError(100, "(#100) fb_exchange_token requires a user token")
        if identity.kind == "PAGE":
            return {"access_token": token, "token_type": "bearer"}
        return self._bearer(identity.scopes, LONG_LIFE)

    def _redeem(self, params: dict[str, str]) -> dict[str, Any]:
        if not params.get("redirect_uri"):
            raise GraphError(191, "Missing redirect_uri parameter.")
        if not params.get("code"):
            raise GraphError(1, "Missing authorization code")
        grant = self._grants.get(params["code"])
        if grant is None:
            raise GraphError(100, "Invalid verification code format.")
        if grant.redirect_uri != params["redirect_uri"]:
            raise GraphError(
                100,
                "Error validating verification code. Please make sure your redirect_uri is identical to the "
                "one you used in the OAuth dialog request",
                subcode=36008,
            )
        if grant.used:
            raise GraphError(100, "This authorization code has been used.", subcode=36009)
        if self._clock.now() - grant.issued_at > _CODE_LIFE:
            raise GraphError(100, "This authorization code has expired.", subcode=36007)
        grant.used = True
        return self._bearer(grant.scopes, SHORT_LIFE)

    def _bearer(self, scopes: tuple[str, ...], lifetime: int) -> dict[str, Any]:
        token, expires_in = self._tokens.user_token(scopes, lifetime)
        return {"access_token": token, "token_type": "bearer", "expires_in": expires_in}


def _redirect(params: dict[str, str], result: dict[str, str]) -> str:
    if state := params.get("state"):
        result = {**result, "state": state}
    address = params["redirect_uri"]
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{urlencode(result)}#_=_"
