"""What every service's process has in common: its HTTP port, its health and its end.

`/healthz` says that the process is alive, `/readyz` that it can do its work, `/metrics` how it does.
SIGTERM and Ctrl-C end uvicorn, which runs the application's shutdown: the service drains there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool, current_revision
from common.errors import CarillonError, ConfigurationError
from common.models import SCHEMA_REVISION
from common.settings import ServiceSettings

log = structlog.get_logger()

Check = Callable[[], Awaitable[str | None]]
"""A readiness check: None when well, else what is wrong in a few words."""

CHECK_TIMEOUT = 2.0


def instance_name(service: str) -> str:
    """A name for this process that no other process ever has; it signs leases and claims."""
    return f"{service}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


async def readiness(checks: Mapping[str, Check]) -> tuple[int, dict[str, Any]]:
    """Run every check with a timeout; 200 when all are well, else 503."""

    async def outcome(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT:g} s"
        except (*TRANSIENT_DATABASE_ERRORS, CarillonError) as error:
            return type(error).__name__

    results = dict(zip(checks, await asyncio.gather(*map(outcome, checks.values())), strict=True))
    well = all(result == "ok" for result in results.values())
    return (200 if well else 503), {"status": "ready" if well else "not ready", "checks": results}


def metrics_page() -> tuple[bytes, str]:
    """Prometheus exposition and its content type."""
    return generate_latest(), CONTENT_TYPE_LATEST


def database_check(pool: ConnectionPool) -> Check:
    """Well when a query comes back."""

    async def check() -> str | None:
        await pool.fetchval("SELECT 1")
        return None

    return check


async def require_current_schema(pool: ConnectionPool) -> None:
    """Refuse to work on a database of another version; raises ConfigurationError."""
    async with pool.acquire() as db:
        found = await current_revision(db)
    if found != SCHEMA_REVISION:
        raise ConfigurationError(
            f"the database is at revision {found or 'none'} and this code needs {SCHEMA_REVISION}: "
            "run `carillon migrate`"
        )


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


def serve(app: Any, settings: ServiceSettings) -> None:
    """Run an ASGI application until it is told to stop.

    Exits with 1 when start-up fails or background work ended by itself.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=max(1, int(settings.drain_timeout)),
        )
    )
    server.run()
    if not server.started or _failed:
        raise SystemExit(1)
