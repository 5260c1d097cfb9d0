"""Stopping a service hands work back in time, loses nothing and repeats nothing needlessly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.secrets.crypto import new_webhook_secret
from tests.factories import Team, World
from tests.support.backends import Broker
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.tcp_proxy import proxy_to

DRAIN = 2.5
SERVICES = ("scheduler", "executor", "notifier")


@asynccontextmanager
async def slow(sandbox: Service, **fault: Any) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """A vendor that responds long after the test; yields an event that is set by the first request."""
    async with httpx.AsyncClient(base_url=sandbox.url) as client:
        response = await client.post("/_sandbox/faults", json={"kind": "slow", "seconds": 30, **fault})
        response.raise_for_status()
        number = response.json()["id"]

        async def was_asked() -> bool:
            faults = (await client.get("/_sandbox/faults")).json()["faults"]
            return any(one["id"] == number and one["struck"] for one in faults)

        try:
            yield was_asked
        finally:
            await client.delete(f"/_sandbox/faults/{number}")


@pytest.mark.slow
async def test_runs_in_progress_are_handed_back_and_finished_by_successors(
    stack: Stack, world: World, team: Team, sandbox_server: Service
) -> None:
    token, hook, secret = f"sandbox-fb-{new_id().hex}", new_id().hex, new_webhook_secret()
    async with httpx.AsyncClient(base_url=sandbox_server.url) as client:
        await client.put(f"/_sandbox/hooks/{hook}", json={"secret": secret, "reject_invalid": True})
    await world.facebook(team, token)
    destination_id = await world.webhook(team, f"{sandbox_server.url}/hooks/{hook}", secret)
    [automation_id] = await world.automations(team, destination_id, next_run=datetime.now(UTC))
    # Received by the receiver, who never gets to say so.
    delivery_id = await world.delivery(
        team, destination_id, next_attempt_at=datetime.now(UTC) - timedelta(minutes=1)
    )

    async def is_running() -> UUID | None:
        run_id: UUID | None = await world.sql.fetchval(
            "SELECT id FROM automation_run WHERE automation_id = $1 AND status = 'running'", automation_id
        )
        return run_id

    async with (
        slow(sandbox_server, match={"platform": "facebook", "token": token}) as platform_was_asked,
        slow(sandbox_server, match={"hook": hook}, stage="answer") as receiver_was_asked,
    ):
        services = await stack.start(*SERVICES, DRAIN_TIMEOUT=str(DRAIN))
        run_id = await eventually(is_running, within=20)
        await eventually(platform_was_asked, within=20)
        await eventually(receiver_was_asked, within=20)
        assert run_id is not None
        for service in services:
            service.terminate()
        ended = await asyncio.gather(*(service.exited(within=DRAIN + 6) for service in services))
        assert set(ended) == {0}

    run = await world.row("automation_run", run_id)
    assert (run["status"], run["worker"], run["error_code"]) == ("retrying", None, "handed_back")
    assert run["uncounted"] == 1, "what was handed back is no attempt"
    delivery = await world.row("delivery", delivery_id)
    assert (delivery["status"], delivery["worker"]) == ("retrying", None)
    assert await world.sql.fetchval("SELECT outcome FROM delivery_attempt") == "unknown"
    assert await world.sql.fetchval("SELECT expires_at <= clock_timestamp() FROM leadership")

    await asyncio.gather(*(service.start() for service in services))

    async def all_delivered() -> bool:
        statuses = await world.sql.fetch("SELECT status FROM delivery")
        return [row["status"] for row in statuses] == ["delivered", "delivered"]

    await eventually(all_delivered, within=30)
    run = await world.row("automation_run", run_id)
    assert (run["status"], run["attempt"]) == ("completed", 2)


@pytest.mark.slow
@pytest.mark.parametrize("silent", ["database", "broker"])
async def test_services_leave_in_time_although_a_server_is_silent(
    silent: str,
    stack: Stack,
    world: World,
    team: Team,
    sandbox_server: Service,
    broker: Broker,
    database_url: str,
) -> None:
    """While they are in the middle of something: a server that answers no more keeps nobody from leaving."""
    token = f"sandbox-fb-{new_id().hex}"
    await world.facebook(team, token)
    await world.automations(team, None, next_run=datetime.now(UTC))
    parts = urlsplit(database_url)
    async with (
        proxy_to(parts.port or 5432) as proxy,
        slow(sandbox_server, match={"platform": "facebook", "token": token}) as platform_was_asked,
    ):
        netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
        services = await stack.start(
            "executor", "notifier", DATABASE_URL=urlunsplit(parts._replace(netloc=netloc))
        )
        await stack.start("scheduler")
        await eventually(platform_was_asked, within=20)
        if silent == "database":
            proxy.silence()
        else:
            broker.pause()
        try:
            began = time.monotonic()
            for service in services:
                service.terminate()
            ended = await asyncio.gather(*(service.exited(within=30) for service in services))
            assert time.monotonic() - began <= 20
            assert set(ended) == {0}
        finally:
            if silent == "broker":
                broker.resume()
