"""POST /oauth/token and /oauth/revoke."""

import base64
import binascii
import hashlib
import hmac
from collections import Counter

from sandbox.codes import DeadCode
from sandbox.exchange import Answer, Call
from sandbox.grants import Pair
from sandbox.settings import Settings
from sandbox.zoom.consents import Consents
from sandbox.zoom.errors import OAuthError, dead_grant
from sandbox.zoom.habits import Habits
from sandbox.zoom.scopes import ACCOUNT_SCOPES
from sandbox.zoom.tokens import Tokens

_FORM = "application/x-www-form-urlencoded"
_NO_STORE = [("cache-control", "no-store"), ("pragma", "no-cache")]
_INVALID_CLIENT = "Invalid client_id or client_secret"
GRANT_TYPES = ("authorization_code", "refresh_token", "account_credentials")


class OAuth:
    """The token endpoints."""

    def __init__(self, settings: Settings, consents: Consents, tokens: Tokens, habits: Habits) -> None:
        self._settings = settings
        self._consents = consents
        self._tokens = tokens
        self._habits = habits
        self.requests: Counter[str] = Counter()
        """How often each kind of grant was asked for, answered or not."""

    def reset(self) -> None:
        """Count from zero."""
        self.requests.clear()

    def token(self, call: Call) -> Answer:
        """Every kind of grant."""
        try:
            return Answer.of_json(200, self._grant(call), [*_NO_STORE])
        except OAuthError as error:
            return self.refusal(error)

    def revoke(self, call: Call) -> Answer:
        """The consent of an access or refresh token ends."""
        try:
            params = _form(call)
            token = params.get("token", "")
            self._client(call, "account_credentials" if self._tokens.is_of_account(token) else "")
            if not token:
                raise OAuthError("invalid_request", "Missing token.")
            self._tokens.revoke(token)
        except OAuthError as error:
            return self.refusal(error)
        return Answer.of_json(200, {"status": "success"})

    def refusal(self, error: OAuthError) -> Answer:
        """The error on the wire."""
        if self._habits.old_wording and error.error == "invalid_grant":
            error = OAuthError("invalid_request", error.reason, 401)
        return Answer.of_json(error.status, error.body(), [*_NO_STORE])

    def _grant(self, call: Call) -> dict[str, object]:
        params = _form(call)
        grant_type = params.get("grant_type", "")
        self.requests[grant_type if grant_type in GRANT_TYPES else "other"] += 1
        if not grant_type:
            raise OAuthError("invalid_request", "Missing grant type.")
        client = self._client(call, grant_type)
        if grant_type == "authorization_code":
            return _answer(call, self._redeem(params, client))
        if grant_type == "refresh_token":
            if not params.get("refresh_token"):
                raise OAuthError("invalid_request", "Missing refresh token.")
            return _answer(call, self._tokens.refresh(params["refresh_token"], client))
        if grant_type == "account_credentials":
            if params.get("account_id") != self._settings.zoom_account_id:
                raise OAuthError("invalid_request", "Invalid account_id.")
            return {
                "access_token": self._tokens.whole_account(client),
                "token_type": "bearer",
                "expires_in": self._tokens.access_seconds,
                "scope": " ".join(ACCOUNT_SCOPES),
                "api_url": _api_url(call),
            }
        raise OAuthError("unsupported_grant_type", "Unsupported grant type.")

    def _client(self, call: Call, grant_type: str) -> str:
        """The client id of the Basic credentials; raises invalid_client unless they are right."""
        scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
        try:
            client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            client = secret = ""
        settings = self._settings
        wanted_client, wanted_secret = settings.zoom_client_id, settings.zoom_client_secret
        if grant_type == "account_credentials":
            wanted_client, wanted_secret = settings.zoom_s2s_client_id, settings.zoom_s2s_client_secret
        if (
            scheme.lower() != "basic"
            or not (client and secret)
            or (wanted_client and client != wanted_client)
            or (wanted_secret and not hmac.compare_digest(secret.encode(), wanted_secret.encode()))
        ):
            raise OAuthError("invalid_client", _INVALID_CLIENT, 401)
        return client

    def _redeem(self, params: dict[str, str], client: str) -> Pair:
        codes = self._consents.codes
        try:
            consent = codes.look(params.get("code", ""))
        except DeadCode:
            raise OAuthError("invalid_grant", "Invalid authorization code") from None
        if consent.client != client:
            raise OAuthError("invalid_grant", "Invalid authorization code")
        if consent.redirect_uri != params.get("redirect_uri"):
            raise OAuthError("invalid_request", "Redirect URI mismatch.")
        if consent.challenge and not _proves(params.get("code_verifier", ""), consent.challenge):
            raise OAuthError("invalid_grant", "Invalid code verifier.")
        codes.spend(params["code"])
        return self._tokens.authorise(consent.host, client, consent.scopes)


def _form(call: Call) -> dict[str, str]:
    """The fields of the body: parameters in the address and bodies of other kinds are refused."""
    if call.query:
        raise OAuthError("invalid_request", "Parameters must be in the body of the request.")
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise OAuthError("invalid_request", "Missing grant type.")
    return {name: str(value) for name, value in call.form.items()}


def _answer(call: Call, pair: Pair) -> dict[str, object]:
    return {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "refresh_token": pair.refresh_token,
        "expires_in": pair.expires_in,
        "scope": " ".join(pair.grant.scopes),
        "api_url": _api_url(call),
    }


def _api_url(call: Call) -> str:
    """Where the API is, without its version."""
    return f"{call.base_url}/zoom"


def _proves(verifier: str, challenge: str) -> bool:
    """RFC 7636, 4.6."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return hmac.compare_digest(digest.encode(), challenge.encode())


def worded(kind: str) -> OAuthError:
    """How the sign-in words a fault."""
    if kind == "rate_limit":
        return OAuthError("too_many_requests", "You have reached the maximum per-second rate limit.", 429)
    if kind == "expired_token":
        return dead_grant()
    return OAuthError("server_error", "Internal server error.", 500)
