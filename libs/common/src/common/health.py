"""The three operational routes, and the application of a service that has no others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.routing import Route

from common import telemetry
from common.schedule import use_newest_tzdata
from common.service import Check, instance_name, metrics_page, readiness, serve
from common.settings import ServiceSettings, load

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]
S = TypeVar("S", bound=ServiceSettings)


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


def run(
    service: str,
    settings_type: type[S],
    work: Callable[[S, str, Health], AbstractAsyncContextManager[object]],
) -> None:
    """Run a service without a web framework until told to stop.

    `work` is given the settings, the name of this process and the health to fill in.
    """
    use_newest_tzdata()
    settings = load(settings_type)
    instance = instance_name(service)
    telemetry.configure(service, settings, instance=instance)
    health = Health()
    serve(health.application(lambda: work(settings, instance, health)), settings)


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
