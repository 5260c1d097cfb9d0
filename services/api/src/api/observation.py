"""One log line and one measurement for every request, and the last resort for defects."""

from __future__ import annotations

import time

import structlog
from fastapi import Request
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import unexpected

log = structlog.get_logger()

REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests, until the answer began",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET = frozenset({"/healthz", "/readyz"})
"""Asked every few seconds by machines: measured, not logged."""


def is_quiet(scope: Scope) -> bool:
    """Whether a request is one of a machine's, or for a static file: no span and no log line."""
    path: str = scope.get("path", "")
    return path in QUIET or path.startswith("/static/")


class Observation:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Observe a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status: int | None = None

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._note(scope, status, time.perf_counter() - started)
            await send(message)

        structlog.contextvars.unbind_contextvars("tenant_id")
        try:
            await self._app(scope, receive, observed)
        except Exception as error:
            answer = await unexpected(Request(scope), error)
            if status is None:
                await answer(scope, receive, observed)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        REQUESTS.labels(method, route, str(status)).observe(seconds)
        if not is_quiet(scope):
            log.info(
                "request",
                method=method,
                route=route,
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )
