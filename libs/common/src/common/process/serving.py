"""Serving an application until the process is told to stop.

SIGTERM and Ctrl-C end uvicorn, which runs the application's shutdown: the service drains there. Background
work that ends by itself ends the process too, and so does an event loop that stands still.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import structlog
import uvicorn

from common.process.watchdog import Watchdog
from common.settings import ServiceSettings

log = structlog.get_logger()


def instance_name(service: str) -> str:
    """A name for this process that no other process ever has; it signs leases and claims."""
    return f"{service}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


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
        if not task.done():
            task.cancel()
        await asyncio.wait([task])


class _Server(uvicorn.Server):
    """uvicorn, with its event loop watched from start-up to the end of the drain."""

    def __init__(self, config: uvicorn.Config, watchdog: Watchdog) -> None:
        super().__init__(config)
        self._watchdog = watchdog

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        with self._watchdog.watching(asyncio.get_running_loop()):
            await super().serve(sockets)


def serve(app: Any, settings: ServiceSettings) -> None:
    """Run an ASGI application until it is told to stop.

    Exits with 1 when start-up fails or background work ended by itself.
    """
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=max(1, int(settings.drain_timeout)),
        ),
        Watchdog(settings.event_loop_stall_limit),
    )
    server.run()
    if not server.started or _failed:
        raise SystemExit(1)
