"""Zoom as a platform: understands a call, has it answered, words the answer."""

import re

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call, Headerlist
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.limits import Limits
from sandbox.settings import Settings
from sandbox.world.zoom_account import Directory
from sandbox.zoom.answers import failure, success
from sandbox.zoom.consents import Consents
from sandbox.zoom.downloads import Downloads
from sandbox.zoom.errors import OAuthError, ZoomError
from sandbox.zoom.habits import Habits
from sandbox.zoom.library import Library
from sandbox.zoom.oauth import OAuth, worded
from sandbox.zoom.paging import Pages
from sandbox.zoom.recordings import Recordings
from sandbox.zoom.request import ZoomRequest
from sandbox.zoom.sealed import Seal
from sandbox.zoom.tokens import Tokens, expired
from sandbox.zoom.usage import Category, Usage
from sandbox.zoom.users import Users

_PREFIX = "/zoom/"
_USER_RECORDINGS = re.compile(r"users/([^/]+)/recordings")
_USER = re.compile(r"users/([^/]+)")
_MEETING_RECORDINGS = re.compile(r"meetings/(.+)/recordings")
_LABELS = (
    (re.compile(r"/zoom/v2/users/[^/]+/recordings"), "/zoom/v2/users/{id}/recordings"),
    (re.compile(r"/zoom/v2/users/[^/]+"), "/zoom/v2/users/{id}"),
    (re.compile(r"/zoom/v2/meetings/.+/recordings"), "/zoom/v2/meetings/{id}/recordings"),
    (re.compile(r"/zoom/rec/download/.+"), "/zoom/rec/download/{file}"),
    (re.compile(r"/zoom/files/.+"), "/zoom/files/{file}"),
)
_UNRECORDED = frozenset(
    {
        "access_token",
        "client_secret",
        "code",
        "code_verifier",
        "next_page_token",
        "refresh_token",
        "Signature",
        "token",
    }
)
"""Parameters that hold secrets, or nothing but noise."""


class Zoom:
    """The imitation of zoom.us and api.zoom.us, under /zoom."""

    name = "zoom"
    parses_bodies = True

    def __init__(self, settings: Settings, limits: Limits, clock: Clock, inbox: Inbox) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox = inbox
        seal = Seal(settings, clock)
        pages = Pages(seal)
        self.habits = Habits.of(settings)
        self.directory = Directory(settings.zoom_users)
        self.library = Library(settings, clock, self.directory)
        self.tokens = Tokens(settings, clock, self.directory, self.habits, seal)
        self._consents = Consents(settings, clock, self.directory)
        self.oauth = OAuth(settings, self._consents, self.tokens, self.habits)
        self._usage = Usage(limits, clock, self.habits)
        self._users = Users(settings, self.directory, pages)
        self._recordings = Recordings(
            settings, clock, self.habits, self.library, self._users, self.tokens, pages
        )
        self._downloads = Downloads(clock, self.habits, self.library, self.tokens, seal)

    def claims(self, method: str, path: str) -> bool:
        return path.startswith(_PREFIX)

    def label(self, path: str) -> str:
        for pattern, label in _LABELS:
            if pattern.fullmatch(path):
                return label
        return path if path.startswith("/zoom/oauth/") or path == "/zoom/v2/users" else "/zoom/{unknown}"

    def traits(self, call: Call) -> Traits:
        return Traits(token=_token(call))

    def answer(self, call: Call) -> Answer:
        area, _, path = call.path.removeprefix(_PREFIX).partition("/")
        try:
            if area == "v2":
                return self._api(call, path)
            if area == "oauth":
                return self._sign_in(call, path)
            if call.method in ("GET", "HEAD"):
                if area == "rec" and path.startswith("download/"):
                    return self._downloads.redirect(call, path.removeprefix("download/"))
                if area == "files" and path:
                    return self._downloads.file(call, path)
            raise ZoomError(2300)
        except ZoomError as error:
            return failure(error)

    def unreadable(self, detail: str) -> Answer:
        return failure(ZoomError(300, "Request Body should be a valid JSON object."))

    def refuse(self, fault: Fault, call: Call) -> Answer:
        if call.path.startswith("/zoom/oauth/"):
            return self.oauth.refusal(_scripted_sign_in(fault))
        if fault.kind == "code":
            return failure(ZoomError(fault.number or 300, fault.message, status=fault.status))
        if fault.kind == "server_error":
            return failure(ZoomError(500))
        if fault.kind == "rate_limit":
            return failure(self._usage.refused(_category(call), fault.retry_after))
        return failure(expired()) if call.path.startswith("/zoom/v2/") else self._downloads.sign_in()

    def observe(self, call: Call, status: int, fault: str) -> None:
        detail: dict[str, object] = {
            "method": call.method,
            "path": call.path,
            "status": status,
            "params": {name: value for name, value in call.text_params().items() if name not in _UNRECORDED},
        }
        if fault:
            detail["fault"] = fault
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add("zoom", self.label(call.path), detail)

    def reset(self) -> None:
        self.habits.reset(self._settings)
        self.directory.reset()
        self.library.reset()
        self.tokens.reset()
        self._consents.reset()
        self.oauth.reset()
        self._usage.reset()

    def _sign_in(self, call: Call, path: str) -> Answer:
        if path == "authorize" and call.method in ("GET", "POST"):
            return self._consents.answer(call.text_params())
        if path == "token" and call.method == "POST":
            return self.oauth.token(call)
        if path == "revoke" and call.method == "POST":
            return self.oauth.revoke(call)
        raise ZoomError(2300)

    def _api(self, call: Call, path: str) -> Answer:
        headers: Headerlist = []
        try:
            request = ZoomRequest(
                call.method, path, call.text_params(), call.base_url, self.tokens.identify(_bearer(call))
            )
            if call.method not in ("GET", "DELETE"):
                raise ZoomError(2300)
            headers = self._usage.charge(_category(call))
            payload = self._perform(request)
        except ZoomError as error:
            if error.code == 4711 and self.habits.old_wording:
                error = ZoomError(4700, error.message, status=401)
            error.headers = error.headers or headers
            return failure(error)
        return success(payload, headers)

    def _perform(self, request: ZoomRequest) -> dict[str, object] | None:
        """The answer's body; None for an answer without one."""
        if found := _MEETING_RECORDINGS.fullmatch(request.path):
            if request.method == "DELETE":
                self._recordings.delete(request, found[1])
                return None
            return self._recordings.show(request, found[1])
        if request.method == "GET":
            if found := _USER_RECORDINGS.fullmatch(request.path):
                return self._recordings.list(request, found[1])
            if found := _USER.fullmatch(request.path):
                return self._users.show(request, found[1])
            if request.path == "users":
                return self._users.list(request)
        raise ZoomError(2300)


def _category(call: Call) -> Category:
    """Lists cost more than single things."""
    path = call.path.removeprefix("/zoom/v2/")
    return Category.MEDIUM if path == "users" or _USER_RECORDINGS.fullmatch(path) else Category.LIGHT


def _bearer(call: Call) -> str:
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""


def _token(call: Call) -> str:
    """What a fault may be matched by: the bearer, the token in the address, or the one to be refreshed."""
    return _bearer(call) or call.query.get("access_token", "") or str(call.form.get("refresh_token", ""))


def _scripted_sign_in(fault: Fault) -> OAuthError:
    if fault.kind != "code":
        return worded(fault.kind)
    return OAuthError(fault.code, fault.message or "The sandbox was told to refuse.", fault.status or 400)
