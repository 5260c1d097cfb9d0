"""The organic API as a platform: understands a call, has it answered, words the answer."""

from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call
from sandbox.faults import Fault, Traits
from sandbox.grants import Grants
from sandbox.inbox import Inbox
from sandbox.limits import Limits
from sandbox.settings import Settings
from sandbox.tiktok_organic.consents import CreatorConsents
from sandbox.tiktok_organic.errors import ApiError, OAuthError
from sandbox.tiktok_organic.oauth import OrganicOAuth
from sandbox.tiktok_organic.resources import Resources
from sandbox.tiktok_organic.tokens import Identity, Tokens
from sandbox.windows import SlidingWindow
from sandbox.world.dice import throw
from sandbox.world.tiktok_creators import Creators

_DIALOG = "/v2/auth/authorize/"
_OAUTH = "/v2/oauth/"
_CLAIMED = ("/v2/auth/authorize", _OAUTH, "/v2/user/", "/v2/video/")
_MINUTE = 60.0
_UNRECORDED = frozenset({"client_secret", "code", "code_verifier", "refresh_token", "token"})
"""Parameters that hold secrets."""


class TikTokOrganic:
    """The imitation of open.tiktokapis.com and of the sign-in page on www.tiktok.com."""

    name = "tiktok_organic"
    parses_bodies = True

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        clock: Clock,
        creators: Creators,
        consents: CreatorConsents,
        inbox: Inbox,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._inbox = inbox
        self._consents = consents
        self.grants = Grants(
            self.name,
            clock,
            settings.seed,
            access_seconds=settings.tiktok_organic_access_seconds,
            refresh_seconds=settings.tiktok_organic_refresh_seconds,
            prefixes=("act.", "rft."),
            rotates=settings.tiktok_rotates_refresh_tokens,
        )
        self._tokens = Tokens(self.grants, creators)
        self._oauth = OrganicOAuth(settings, creators, self.grants, consents)
        self._logs = count(1)
        self._windows: defaultdict[tuple[str, str], SlidingWindow] = defaultdict(
            lambda: SlidingWindow(_MINUTE)
        )
        self._tokens_by_path: dict[str, Callable[[Call], dict[str, Any]]] = {
            "/v2/oauth/token/": self._oauth.token,
        }
        resources = Resources(clock)
        self._resources: dict[str, tuple[str, Callable[[Call, Identity], dict[str, Any]]]] = {
            "/v2/user/info/": ("GET", resources.user),
            "/v2/video/list/": ("POST", resources.videos),
            "/v2/video/query/": ("POST", resources.query),
        }

    def claims(self, method: str, path: str) -> bool:
        return path.startswith(_CLAIMED)

    def label(self, path: str) -> str:
        known = path == _DIALOG or path in self._tokens_by_path or path in self._resources
        return path if known else "/v2/…"

    def traits(self, call: Call) -> Traits:
        return Traits(token=_bearer(call) or str(call.form.get("refresh_token", "")))

    def answer(self, call: Call) -> Answer:
        if call.path == _DIALOG:
            return self._consents.answer(call.text_params())
        if call.path in self._tokens_by_path and call.method == "POST":
            try:
                return Answer.of_json(200, self._tokens_by_path[call.path](call))
            except OAuthError as error:
                return self._refuse_token(error)
        method, handler = self._resources.get(call.path, ("", None))
        if handler is None or call.method != method:
            return Answer(404, b"Unsupported path(Janus)", "text/plain; charset=utf-8")
        try:
            identity = self._tokens.identify(_bearer(call))
            self._charge(identity.client, call.path)
            data = handler(call, identity)
        except ApiError as error:
            return self._refuse(error)
        return self._envelope(200, data, "ok", "")

    def unreadable(self, detail: str) -> Answer:
        return self._refuse(ApiError("invalid_params", f"The body cannot be read: {detail}"))

    def refuse(self, fault: Fault, call: Call) -> Answer:
        about_tokens = call.path.startswith(_OAUTH)
        if fault.kind == "code":
            if about_tokens:
                return self._refuse_token(OAuthError(fault.code, fault.message, fault.status))
            return self._refuse(ApiError(fault.code, fault.message, fault.status))
        if about_tokens:
            errors = {
                "rate_limit": OAuthError("rate_limit_exceeded", status=429),
                "server_error": OAuthError("server_error", status=500),
                "expired_token": OAuthError("invalid_grant"),
            }
            return self._refuse_token(errors[fault.kind])
        codes = {
            "rate_limit": "rate_limit_exceeded",
            "server_error": "internal_error",
            "expired_token": "access_token_invalid",
        }
        return self._refuse(ApiError(codes[fault.kind]))

    def observe(self, call: Call, status: int, fault: str) -> None:
        params = {name: value for name, value in call.text_params().items() if name not in _UNRECORDED}
        detail: dict[str, object] = {
            "method": call.method,
            "path": call.path,
            "status": status,
            "params": params,
        }
        if fault:
            detail["fault"] = fault
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add(self.name, "", detail)

    def reset(self) -> None:
        self.grants.reset()
        self._oauth.reset()
        self._consents.reset()
        self._windows.clear()

    def _charge(self, client: str, path: str) -> None:
        """Count one call of a client to a path; raises rate_limit_exceeded."""
        limit = self._limits.tiktok_organic_per_minute
        if not limit:
            return
        window = self._windows[client, path]
        now = self._clock.now()
        if window.count(now) >= limit:
            raise ApiError("rate_limit_exceeded")
        window.add(now)

    def _refuse(self, error: ApiError) -> Answer:
        return self._envelope(error.status, {}, error.code, error.message)

    def _envelope(self, status: int, data: dict[str, Any], code: str, message: str) -> Answer:
        log_id = self._log_id()
        error = {"code": code, "message": message, "log_id": log_id}
        return Answer.of_json(status, {"data": data, "error": error}, [("x-tt-logid", log_id)])

    def _refuse_token(self, error: OAuthError) -> Answer:
        log_id = self._log_id()
        body = {"error": error.error, "error_description": error.description, "log_id": log_id}
        status = error.status or self._settings.tiktok_oauth_error_status
        return Answer.of_json(status, body, [("x-tt-logid", log_id)])

    def _log_id(self) -> str:
        digits = "".join(f"{int(chance * 2**32):08X}" for chance in throw("log", next(self._logs))[:2])
        return f"{self._clock.instant():%Y%m%d%H%M%S}0101{digits}"


def _bearer(call: Call) -> str:
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""
