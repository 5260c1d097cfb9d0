"""A thousand automations due at one instant, while processes are killed in the middle of it.

Every test ends with the same question to the checker: one completed run for each automation, delivered
once, none missing and none extra.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.secrets.crypto import new_webhook_secret
from tests.chaos.checker import check, unfinished
from tests.factories import World
from tests.support.backends import Broker
from tests.support.figures import Figures
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

HERD = 1_000
FINISHED_WITHIN = 240.0
FAILOVER_SECONDS = 6.0


@dataclass
class Herd:
    """A thousand automations and where their reports go."""

    world: World
    stack: Stack
    sandbox: Service
    hook: str
    destination_id: UUID
    automations: list[UUID]

    async def due_in(self, seconds: float) -> datetime:
        """Create the herd, all due at one instant."""
        team = await self.world.team()
        await self.world.facebook(team, f"sandbox-fb-{self.hook}")
        secret = new_webhook_secret()
        async with httpx.AsyncClient(base_url=self.sandbox.url) as client:
            await client.put(f"/_sandbox/hooks/{self.hook}", json={"secret": secret, "reject_invalid": True})
        destination = await self.world.webhook(team, f"{self.sandbox.url}/hooks/{self.hook}", secret)
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        self.automations = await self.world.automations(team, destination, HERD, next_run=due)
        await self.world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        return due

    async def runs(self, status: str, worker: str = "") -> int:
        """How many runs are in this state, in the hands of this process."""
        count: int = await self.world.sql.fetchval(
            "SELECT count(*) FROM automation_run WHERE status = $1 AND coalesce(worker, '') LIKE $2",
            status,
            f"%-{worker}-%" if worker else "%",
        )
        return count

    async def total(self) -> int:
        """Runs in any state."""
        count: int = await self.world.sql.fetchval("SELECT count(*) FROM automation_run")
        return count

    async def finish(self) -> None:
        """Wait for the end and ask the checker."""

        async def nothing_left() -> bool:
            return await unfinished(self.world, self.automations) == 0

        try:
            await eventually(nothing_left, within=FINISHED_WITHIN, every=0.25)
        finally:
            verdict = await check(self.world, self.automations, self.sandbox.url, self.hook)
        assert not verdict.faults(), verdict.faults()
        assert verdict.received == HERD


@pytest.fixture
async def herd(
    database_url: str, encryption_keys: str, stack: Stack, sandbox_server: Service
) -> AsyncIterator[Herd]:
    world = await World.open(database_url, encryption_keys)
    yield Herd(world, stack, sandbox_server, f"herd-{new_id().hex}", UUID(int=0), [])
    await world.sql.close()


@asynccontextmanager
async def slow_platform(sandbox: Service, token: str, seconds: float) -> AsyncIterator[None]:
    """Make Facebook slow for one token, so that handlers are still running when a test strikes."""
    async with httpx.AsyncClient(base_url=sandbox.url) as client:
        fault = {"kind": "slow", "match": {"platform": "facebook", "token": token}, "seconds": seconds}
        response = await client.post("/_sandbox/faults", json=fault)
        response.raise_for_status()
        fault_id = response.json()["id"]
        try:
            yield
        finally:
            await client.delete(f"/_sandbox/faults/{fault_id}")


async def test_each_run_is_completed_and_delivered_exactly_once(herd: Herd, figures: Figures) -> None:
    await herd.stack.start("scheduler", "executor", "executor", "notifier")
    due = await herd.due_in(1)
    await herd.finish()
    took = (datetime.now(UTC) - due).total_seconds()
    dispatched = await herd.world.sql.fetchval(
        "SELECT extract(epoch FROM max(created_at - scheduled_for))::float8 FROM automation_run"
    )
    started = await herd.world.sql.fetchval(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - scheduled_for))"
        " FROM automation_run"
    )
    figures.record(f"{HERD} automations due at one instant: until the last run is committed", dispatched, "s")
    figures.record(f"{HERD} automations due at one instant: median from slot to start", started, "s")
    figures.record(f"{HERD} automations due at one instant: until the last is delivered", took, "s")


async def test_an_executor_is_killed_with_fifty_running_handlers(herd: Herd) -> None:
    # Of which one team may use 54 for its scheduled runs.
    await herd.stack.start("scheduler", "executor", "executor", "notifier", EXECUTOR_CONCURRENCY="80")
    victim = herd.stack["executor"]
    async with slow_platform(herd.sandbox, f"sandbox-fb-{herd.hook}", 3.0):
        await herd.due_in(1)

        async def holds_fifty() -> bool:
            return await herd.runs("running", str(victim.pid)) >= 50

        await eventually(holds_fifty, within=30)
        victim.kill()
        assert await herd.runs("running", str(victim.pid)) >= 50
    await victim.restart()
    await herd.finish()


async def test_the_leader_is_killed_while_dispatching(herd: Herd, figures: Figures) -> None:
    # Small batches, so that a thousand are many transactions and the leader dies between two of them.
    await herd.stack.start("scheduler", DISPATCH_BATCH_SIZE="20")
    leader = herd.stack["scheduler"]
    await herd.stack.start("scheduler", "executor", "executor", "notifier", DISPATCH_BATCH_SIZE="20")
    await herd.due_in(1)

    async def has_begun() -> bool:
        return await herd.total() >= 20

    await eventually(has_begun, within=30, every=0.002)
    leader.kill()
    died = asyncio.get_running_loop().time()
    at_death = await herd.total()
    assert at_death < HERD, "the leader died too late for this test to show anything"

    async def successor_dispatches() -> bool:
        return await herd.total() > at_death

    await eventually(successor_dispatches, within=FAILOVER_SECONDS)
    failover = asyncio.get_running_loop().time() - died
    figures.record("time from the leader's kill -9 to its successor's first dispatch", failover, "s")
    await herd.finish()


async def test_a_leader_that_was_frozen_writes_nothing_after_waking(herd: Herd) -> None:
    await herd.stack.start("scheduler", DISPATCH_BATCH_SIZE="20")
    old = herd.stack["scheduler"]
    await herd.stack.start("scheduler", "executor", "executor", "notifier", DISPATCH_BATCH_SIZE="20")
    await herd.due_in(1)

    async def has_begun() -> bool:
        return await herd.total() >= 20

    await eventually(has_begun, within=30, every=0.002)
    old.pause()
    frozen = await herd.total()

    async def successor_dispatches() -> bool:
        return await herd.total() > frozen

    try:
        await eventually(successor_dispatches, within=FAILOVER_SECONDS + 2)
    finally:
        old.resume()
    await herd.finish()
    assert old.is_alive
    assert await herd.world.sql.fetchval("SELECT term FROM leadership") == 2


async def test_the_broker_loses_everything(herd: Herd, broker: Broker) -> None:
    """PostgreSQL alone must be enough to finish every run."""
    await herd.stack.start("scheduler", "executor", "executor", "notifier", SWEEP_AFTER="2")
    async with slow_platform(herd.sandbox, f"sandbox-fb-{herd.hook}", 0.5):
        await herd.due_in(1)

        async def some_are_done() -> bool:
            return await herd.runs("completed") >= 100

        await eventually(some_are_done, within=60)
        await broker.restart()
    await herd.finish()
