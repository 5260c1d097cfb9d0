"""The application of a service whose only routes are `/healthz`, `/readyz` and `/metrics`.

The first says that the process is alive, the second that it can do its work, the third how it does.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg

from common import telemetry
from common.broker import BROKER_ERRORS
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import CarillonError
from common.process.checks import Check, liveness, metrics_page, readiness
from common.process.serving import instance_name, serve
from common.process.watchdog import Blame
from common.scheduling import use_newest_tzdata
from common.settings import ServiceSettings, load

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]
Answer = tuple[int, bytes, str]
Route = Callable[[], Awaitable[Answer]]

START_FAULTS = (CarillonError, *TRANSIENT_DATABASE_ERRORS, asyncpg.PostgresError, *BROKER_ERRORS)
"""What keeps a service from starting through no fault of its code: one line says enough."""
S = TypeVar("S", bound=ServiceSettings)


async def _starting() -> str:
    return "starting"


@dataclass
class Health:
    """The readiness checks of a service; not ready until start-up has filled them in."""

    checks: Mapping[str, Check] = field(default_factory=lambda: {"startup": _starting})
    liveness: Mapping[str, Check] = field(default_factory=dict)
    """What only a restart can mend. A server that is away is not of that kind."""

    def routes(self) -> dict[str, Route]:
        """`/healthz`, `/readyz` and `/metrics`."""
        return {"/healthz": self._alive, "/readyz": self._ready, "/metrics": _metrics}

    async def _alive(self) -> Answer:
        status, body = await liveness(self.liveness)
        return status, json.dumps(body).encode(), "application/json"

    async def _ready(self) -> Answer:
        status, body = await readiness(self.checks)
        return status, json.dumps(body).encode(), "application/json"


def run(
    service: str,
    settings_type: type[S],
    work: Callable[[S, str, Health], AbstractAsyncContextManager[object]],
    *,
    blame: Callable[[S, str], Blame] | None = None,
) -> None:
    """Run a service without a web framework until told to stop.

    `work` is given the settings, the name of this process and the health to fill in; `blame` makes what is
    told which work blocks the event loop.
    """
    use_newest_tzdata()
    settings = load(settings_type)
    instance = instance_name(service)
    telemetry.configure(service, settings, instance=instance)
    health = Health()
    serve(
        Worker(health, lambda: work(settings, instance, health)),
        settings,
        blame=None if blame is None else blame(settings, instance),
    )


class Worker:
    """The ASGI application of a service that does `work` for as long as it lives and serves its health.

    When entering `work` fails the process does not start, and says why in one line.
    """

    def __init__(self, health: Health, work: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        self._routes = health.routes()
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the application's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            route = self._routes.get(scope["path"], _nothing_here)
            await _send(send, *await route())

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            async with self._work():
                await send({"type": "lifespan.startup.complete"})
                await receive()
                phase = "shutdown"
        except START_FAULTS as error:
            reason = getattr(error, "detail", None) or f"{type(error).__name__}: {error}"
            verb = "start" if phase == "startup" else "stop in order"
            await send({"type": f"lifespan.{phase}.failed", "message": f"cannot {verb}: {reason}"})
        else:
            await send({"type": "lifespan.shutdown.complete"})


async def _send(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _nothing_here() -> Answer:
    return 404, b'{"title":"Not found","status":404}', "application/problem+json"


async def _metrics() -> Answer:
    body, content_type = metrics_page()
    return 200, body, content_type
