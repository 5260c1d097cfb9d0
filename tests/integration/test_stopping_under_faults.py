"""SIGTERM while a server is silent: every step of stopping has its limit, and the process ends with 0."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from tests.factories import Team, World
from tests.support.backends import Broker
from tests.support.elections import through
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.tcp_proxy import TcpProxy, proxy_to

STOPPED_WITHIN = 20.0


@pytest.fixture
async def database(stack: Stack) -> AsyncIterator[TcpProxy]:
    """A service's way to PostgreSQL."""
    async with proxy_to(urlsplit(stack.environment["DATABASE_URL"]).port or 5432) as proxy:
        yield proxy


async def stopped(service: Service) -> tuple[float, int]:
    """Seconds a service takes to stop, and its status."""
    began = time.monotonic()
    service.terminate()
    status = await service.exited(within=60)
    return time.monotonic() - began, status


@pytest.mark.slow
@pytest.mark.parametrize("silent", [("broker",), ("database",), ("broker", "database")], ids="+".join)
@pytest.mark.parametrize("kind", ["scheduler", "api"])
async def test_a_service_stops_in_time_while_its_servers_are_silent(
    stack: Stack,
    world: World,
    team: Team,
    database: TcpProxy,
    broker: Broker,
    kind: str,
    silent: tuple[str, ...],
) -> None:
    [service] = await stack.start(kind, DATABASE_URL=through(database, stack.environment["DATABASE_URL"]))
    if "broker" in silent:
        broker.pause()
    if "database" in silent:
        database.silence()
    # It meets the silence before it is told to stop.
    await world.automations(team, None, next_run=datetime.now(UTC))
    await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
    asking = asyncio.create_task(_ask(service))
    await asyncio.wait([asking], timeout=1.5)
    try:
        seconds, status = await stopped(service)
        await asyncio.wait([asking])
    finally:
        broker.resume()
    assert seconds < STOPPED_WITHIN, service.log[-3000:]
    assert status == 0, service.log[-3000:]


@pytest.mark.slow
async def test_a_scheduler_starts_and_dispatches_while_the_broker_is_away(
    stack: Stack, world: World, team: Team, broker: Broker
) -> None:
    broker.kill()
    [service] = await stack.start("scheduler")
    await world.automations(team, None, next_run=datetime.now(UTC))
    await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

    async def is_queued() -> bool:
        found: bool = await world.sql.fetchval("SELECT EXISTS (SELECT FROM automation_run)")
        return found

    await eventually(is_queued, within=10)
    await broker.restart()
    await eventually(lambda: is_published(world), within=20)
    assert (await stopped(service))[1] == 0


async def is_published(world: World) -> bool:
    """Nothing waits in the outbox."""
    empty: bool = await world.sql.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)")
    return empty


async def _ask(service: Service) -> None:
    """A request that is under way when the service is told to stop."""
    async with httpx.AsyncClient(timeout=30) as client:
        try:
            await client.get(f"{service.url}/readyz")
        except httpx.HTTPError:
            return
