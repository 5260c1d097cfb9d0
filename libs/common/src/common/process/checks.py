"""Whether a service can do its work: the checks behind `/readyz`, and `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool, current_revision
from common.errors import CarillonError, ConfigurationError, Unreachable
from common.models import SCHEMA_REVISION
from common.process import watchdog

Check = Callable[[], Awaitable[str | None]]
"""A readiness check: None when well, else what is wrong in a few words. See `DEGRADED`."""

DEGRADED = "degraded: "
"""Begins what a check says when the service does its work all the same, slower or in part."""
CHECK_TIMEOUT = 2.0


async def readiness(checks: Mapping[str, Check]) -> tuple[int, dict[str, Any]]:
    """Run every check with a timeout; 200 when all are well, else 503.

    Not ready either for a while after the event loop stood still: others do better with new work.
    """
    results = await outcomes(checks)
    if stall := watchdog.recent_stall():
        results["event_loop"] = stall
    well = is_well(results)
    return (200 if well else 503), {"status": "ready" if well else "not ready", "checks": results}


async def liveness(checks: Mapping[str, Check]) -> tuple[int, dict[str, Any]]:
    """The same for checks of what only a restart can mend."""
    results = await outcomes(checks)
    well = is_well(results)
    return (200 if well else 503), {"status": "alive"} if well else {"status": "not alive", "checks": results}


def is_well(results: Mapping[str, str]) -> bool:
    """Whether the service does its work, in part at least."""
    return all(result == "ok" or result.startswith(DEGRADED) for result in results.values())


async def outcomes(checks: Mapping[str, Check]) -> dict[str, str]:
    """What each check says: `ok`, or what is wrong."""

    async def outcome(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT:g} s"
        except (*TRANSIENT_DATABASE_ERRORS, CarillonError) as error:
            return type(error).__name__

    return dict(zip(checks, await asyncio.gather(*map(outcome, checks.values())), strict=True))


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
    """Refuse to work on a database of another version, or on none.

    Raises ConfigurationError or Unreachable.
    """
    try:
        async with pool.acquire() as db:
            found = await current_revision(db)
    except TRANSIENT_DATABASE_ERRORS as error:
        raise Unreachable(
            f"PostgreSQL does not answer ({type(error).__name__}{f': {error}' if str(error) else ''})"
        ) from error
    if found != SCHEMA_REVISION:
        raise ConfigurationError(
            f"the database is at revision {found or 'none'} and this code needs {SCHEMA_REVISION}: "
            "run `carillon migrate`"
        )
