"""POST /v2/oauth/token/ and /v2/oauth/revoke/: codes become pairs, and pairs rotate."""

import base64
import hashlib
import hmac
from typing import Any

from sandbox.codes import DeadCode
from sandbox.exchange import Call
from sandbox.grants import DeadToken, Grants, Pair
from sandbox.settings import Settings
from sandbox.tiktok_organic.consents import CreatorConsents
from sandbox.tiktok_organic.errors import OAuthError
from sandbox.tiktok_organic.tokens import PASTED_REFRESH, READ_SCOPES
from sandbox.world.tiktok_creators import Creators

_FORM = "application/x-www-form-urlencoded"


class OrganicOAuth:
    """The token endpoints."""

    def __init__(
        self,
        settings: Settings,
        creators: Creators,
        grants: Grants,
        consents: CreatorConsents,
    ) -> None:
        self._settings = settings
        self._creators = creators
        self._grants = grants
        self._consents = consents
        self._adopted: set[str] = set()

    def reset(self) -> None:
        """Every pasted refresh token is unused again."""
        self._adopted.clear()

    def token(self, call: Call) -> dict[str, Any]:
        """In its two kinds; raises `OAuthError`."""
        params = self._understand(call)
        grant_type = params.get("grant_type", "")
        if grant_type == "authorization_code":
            return self._redeem(params)
        if grant_type == "refresh_token":
            return self._refresh(params)
        if not grant_type:
            raise OAuthError("invalid_request", "The grant_type is missing.")
        if grant_type == "client_credentials":
            raise OAuthError("unauthorized_client")
        raise OAuthError("unsupported_grant_type")

    def _understand(self, call: Call) -> dict[str, str]:
        """The form's fields, of a client that proved to be one."""
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise OAuthError("invalid_request", f"Only `{_FORM}` is accepted as Content-Type.")
        params = {name: str(value) for name, value in call.form.items()}
        key, secret = params.get("client_key", ""), params.get("client_secret", "")
        wanted_key, wanted_secret = self._settings.tiktok_client_key, self._settings.tiktok_client_secret
        if (
            not key
            or not secret
            or (wanted_key and key != wanted_key)
            or (wanted_secret and not hmac.compare_digest(secret.encode(), wanted_secret.encode()))
        ):
            raise OAuthError("invalid_client")
        return params

    def _redeem(self, params: dict[str, str]) -> dict[str, Any]:
        codes = self._consents.codes
        try:
            consent = codes.look(params.get("code", ""))
        except DeadCode as dead:
            raise OAuthError("invalid_grant", f"Authorization code is {_CODE_DEATHS[dead.reason]}.") from None
        if consent.client != params["client_key"]:
            raise OAuthError("invalid_grant", "Authorization code was issued to another client.")
        if consent.redirect_uri != params.get("redirect_uri"):
            raise OAuthError(
                "invalid_request", "Redirect_uri is not matched with the uri when requesting code."
            )
        if consent.challenge and not _proves(params.get("code_verifier", ""), consent.challenge):
            raise OAuthError("invalid_request", "Code verifier or code challenge is invalid.")
        codes.spend(params["code"])
        return self._pair(self._grants.open(consent.client, consent.creator.username, consent.scopes))

    def _refresh(self, params: dict[str, str]) -> dict[str, Any]:
        token, client = params.get("refresh_token", ""), params["client_key"]
        if not token:
            raise OAuthError("invalid_request", "The refresh_token is missing.")
        if token.startswith(PASTED_REFRESH) and token not in self._adopted:
            self._adopted.add(token)
            creator = self._creators.named(token.removeprefix(PASTED_REFRESH))
            self._grants.adopt(client, creator.username, READ_SCOPES, token)
        try:
            return self._pair(self._grants.refresh(token, client))
        except DeadToken:
            raise OAuthError("invalid_grant") from None

    def _pair(self, pair: Pair) -> dict[str, Any]:
        creator = self._creators.named(pair.grant.owner)
        return {
            "access_token": pair.access_token,
            "expires_in": pair.expires_in,
            "open_id": creator.open_id(pair.grant.client),
            "refresh_expires_in": pair.refresh_expires_in,
            "refresh_token": pair.refresh_token,
            "scope": ",".join(pair.grant.scopes),
            "token_type": "Bearer",
        }


_CODE_DEATHS = {"unknown": "invalid", "used": "used", "expired": "expired"}


def _proves(verifier: str, challenge: str) -> bool:
    """Whether the verifier hashes to the challenge, in base64url as RFC 7636 has it or in hexadecimal.

    TikTok's desktop kit wants hexadecimal digits, everything else follows the RFC.
    """
    digest = hashlib.sha256(verifier.encode()).digest()
    encoded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return any(hmac.compare_digest(it.encode(), challenge.encode()) for it in (encoded, digest.hex()))
