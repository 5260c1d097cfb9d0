"""What browsers are told besides the page: limits on what it may do, and pages where programs get problems.

Browsers are answered in pages: a refusal or failure that the API answers with a problem document becomes a
page with the same words, and a page that needs a session leads to the sign-in page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE
from api.sessions import is_https

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_A_YEAR = 31_536_000
STATIC = "/static/"
SIGN_IN = "/sign-in"

ShowProblem = Callable[[Request, dict[str, Any]], Response]


def wants_page(request: Request) -> bool:
    """Whether a person's browser asked for a page of the console."""
    path = request.url.path
    return not path.startswith(("/api/", STATIC)) and "text/html" in request.headers.get("accept", "")


def sign_in_path(request: Request) -> str:
    """Where to sign in, and come back from to the page that was asked for."""
    if request.method != "GET" or request.url.path == "/":
        return SIGN_IN
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{SIGN_IN}?next={quote(target, safe='')}"


def safe_next(target: str) -> str:
    """A path of this console to go to, `/` for anything else: an address must not lead elsewhere."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return "/"


class SecurityHeaders:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, show: ShowProblem) -> None:
        self._app = app
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        hardened = _hardened(scope, send)
        if not wants_page(request):
            await self._app(scope, receive, hardened)
            return
        held: list[bytes] | None = None
        retry_after: str | None = None

        async def shown(message: Message) -> None:
            nonlocal held, retry_after
            if message["type"] == "http.response.start":
                headers = Headers(raw=message["headers"])
                if headers.get("content-type", "").startswith(MEDIA_TYPE):
                    held, retry_after = [], headers.get("retry-after")
                    return
            elif held is not None:
                held.append(message.get("body", b""))
                if not message.get("more_body"):
                    page = self._as_page(request, json.loads(b"".join(held)))
                    if retry_after is not None:
                        page.headers["Retry-After"] = retry_after
                    await page(scope, receive, hardened)
                return
            await hardened(message)

        await self._app(scope, receive, shown)

    def _as_page(self, request: Request, problem: dict[str, Any]) -> Response:
        if problem["status"] == 401:
            return RedirectResponse(sign_in_path(request), status_code=303)
        return self._show(request, problem)


def _hardened(scope: Scope, send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if is_https(Request(scope)):
                headers.setdefault("Strict-Transport-Security", f"max-age={_A_YEAR}")
            # Static files are checked again each time, which an ETag makes cheap; pages hold a team's data.
            headers.setdefault(
                "Cache-Control", "no-cache" if scope["path"].startswith(STATIC) else "no-store"
            )
        await send(message)

    return hardened
