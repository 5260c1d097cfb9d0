"""The three operational routes, and the application of a service that has no others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from common.service import Check, metrics_page, readiness

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]


async def _starting() -> str:
    return "starting"


@dataclass
class Health:
    """The readiness checks of a service; not ready until start-up has filled them in."""

    checks: Mapping[str, Check] = field(default_factory=lambda: {"startup": _starting})

    def routes(self) -> list[tuple[str, Endpoint]]:
        """`/healthz`, `/readyz` and `/metrics`."""
        return [
            ("/healthz", Endpoint(_alive)),
            ("/readyz", Endpoint(self._ready)),
            ("/metrics", Endpoint(_metrics)),
        ]

    def application(self, work: Callable[[], AbstractAsyncContextManager[object]]) -> Starlette:
        """An ASGI application that serves these routes and does `work` for as long as it lives.

        When entering `work` fails, the process does not start.
        """

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            async with work():
                yield

        return Starlette(
            routes=[Route(path, endpoint) for path, endpoint in self.routes()], lifespan=lifespan
        )

    async def _ready(self) -> Answer:
        status, body = await readiness(self.checks)
        return status, json.dumps(body).encode(), "application/json"


Answer = tuple[int, bytes, str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An ASGI application that gives one answer. An object, not a function: frameworks wrap functions."""

    answer: Callable[[], Awaitable[Answer]]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer the request."""
        status, body, content_type = await self.answer()
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _alive() -> Answer:
    return 200, b'{"status":"alive"}', "application/json"


async def _metrics() -> Answer:
    body, content_type = metrics_page()
    return 200, body, content_type
