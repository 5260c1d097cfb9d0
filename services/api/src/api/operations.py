"""`/healthz` and `/readyz`, and `/metrics` on a port of its own.

The API is ready when its database answers. Without Kafka the live feed pauses and everything else works, so
a silent broker is reported and does not take the service out of rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import start_http_server
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.context import Wired
from api.settings import ApiSettings
from common.clock import clock_check
from common.process.checks import Check, readiness

router = APIRouter(tags=["operations"])


def engine_check(engine: AsyncEngine) -> Check:
    """Well when a query comes back."""

    async def check() -> str | None:
        try:
            async with engine.connect() as db:
                await db.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return type(error).__name__
        return None

    return check


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process is alive."""
    return {"status": "alive"}


@router.get(
    "/readyz",
    responses={503: {"description": "The database does not answer, or this machine's clock is wrong"}},
)
async def readyz(wired: Wired) -> Response:
    """Whether requests can be answered, and whether the live feed is."""
    status, body = await readiness({"database": engine_check(wired.engine), "clock": clock_check})
    checks: dict[str, Any] = body["checks"]
    checks["kafka"] = wired.kafka.condition()
    return JSONResponse(body, status_code=status)


@contextmanager
def serving_metrics(settings: ApiSettings) -> Iterator[None]:
    """Serve `/metrics` on a port of its own for the length of the block, if there is one.

    Not beside the API: what is measured says how much each route is used, which is for the operator alone.
    """
    if settings.metrics_port is None:
        yield
        return
    server, thread = start_http_server(settings.metrics_port, settings.host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
