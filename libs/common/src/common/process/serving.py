"""Serving an application until the process is told to stop.

SIGTERM and Ctrl-C end uvicorn, which runs the application's shutdown: the service drains there. Background
work that ends by itself ends the process too, and so does an event loop that stands still.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any
from uuid import uuid4

import structlog
import uvicorn

from common.process.slow_clients import GuardedProtocol
from common.process.tasks import end
from common.process.watchdog import Blame, Watchdog
from common.settings import ServiceSettings

log = structlog.get_logger()


def instance_name(service: str) -> str:
    """A name for this process that no other process ever has; it signs leases and claims."""
    return f"{service}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


END_LIMIT = 8.0
"""Seconds background work gets to end: longer than any of its own steps."""
ACCEPTED_AT_ONCE = 8
"""Connections the event loop takes before it turns to other work, because hundreds may come at one moment."""
WAITING_CONNECTIONS = 2_048
"""Connections the kernel keeps waiting meanwhile."""
STOP_LIMIT = 11.0
"""Seconds a process gets to stop beyond those for work in progress. Then it ends, whatever it waits for."""

_failed = False


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` for as long as the block lasts, then cancel it and wait for its end.

    Work that ends by itself ends the process: a service that only looks alive is worse than a restart.
    """

    def ended(task: asyncio.Task[None]) -> None:
        global _failed
        if task.cancelled():
            return
        error = task.exception()
        log.critical("background work ended", work=name, exc_info=error)
        _failed = True
        signal.raise_signal(signal.SIGTERM)

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    try:
        yield task
    finally:
        await end([task], within=END_LIMIT)


class _Server(uvicorn.Server):
    """uvicorn, with its event loop watched from start-up to the end of the drain, and an end to stopping."""

    def __init__(self, config: uvicorn.Config, watchdog: Watchdog, *, stop_within: float) -> None:
        super().__init__(config)
        self._watchdog = watchdog
        self._stop_within = stop_within
        self._stopping = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and make sure that it is done in time."""
        if not self._stopping:
            self._stopping = True
            # A thread of its own, because the event loop may be what does not come to an end.
            guard = threading.Timer(self._stop_within, _give_up, [self._stop_within])
            guard.daemon = True
            guard.start()
        super().handle_exit(sig, frame)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop, by SIGTERM or Ctrl-C, and return.

        uvicorn sends itself the signal again when it has stopped, for the handler that was there before. That
        is this one: to stop as told is a success, and no end by a signal.
        """
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            super().run(sockets)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen. The kernel keeps more connections waiting than the loop takes at a time."""
        await super().startup(sockets)
        for server in getattr(self, "servers", ()):  # none where the application did not start
            for listening in server.sockets:
                with socket.socket(fileno=os.dup(listening.fileno())) as same:
                    same.listen(WAITING_CONNECTIONS)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        with self._watchdog.watching(asyncio.get_running_loop()):
            await super().serve(sockets)


def _give_up(seconds: float) -> None:
    log.critical("not stopped in time, the process ends", seconds=seconds)
    sys.stdout.flush()
    os._exit(1)


def serve(
    app: Any, settings: ServiceSettings, *, trusted_proxies: str | None = None, blame: Blame | None = None
) -> None:
    """Run an ASGI application until it is told to stop.

    `trusted_proxies` are those whose `X-Forwarded-*` headers are believed: addresses or networks, or `*`.
    `blame` is told what blocks the event loop before the process ends.

    Exits with 0 when it has stopped as it was told to, and with 1 when start-up fails, background work ended
    by itself or stopping took too long.
    """
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=GuardedProtocol,
            backlog=ACCEPTED_AT_ONCE,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            proxy_headers=trusted_proxies is not None,
            forwarded_allow_ips=trusted_proxies,
            timeout_graceful_shutdown=max(1, int(settings.drain_timeout)),
        ),
        Watchdog(settings.event_loop_stall_limit, blame=blame),
        stop_within=settings.drain_timeout + STOP_LIMIT,
    )
    server.run()
    if not server.started or _failed:
        raise SystemExit(1)
