"""What a team whose receiver hangs, and whose runs are long, does to another team's lag."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.models import POSTGRESQL
from common.secrets.crypto import new_webhook_secret
from tests.factories import Team, World
from tests.support.figures import Figures
from tests.support.hostile_servers import serving
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLOTS = 50
EVERY = timedelta(milliseconds=100)
HANGING_DELIVERIES = 300
LONG_RUNS = 130
STARVED = 5.0
"""Seconds of lag that only waiting for the other team's work explains."""


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept everything and answer nothing."""
    await reader.read()


async def _lag(world: World, team: Team, hook: UUID) -> tuple[float, float]:
    """99th percentiles in seconds of a team with one slot every 100 ms: to its start and to its delivery."""
    begin = datetime.now(UTC) + timedelta(seconds=1)
    ids = []
    for position in range(SLOTS):
        ids += await world.automations(team, hook, next_run=begin + EVERY * position)
    await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

    async def delivered() -> bool:
        count = await world.sql.fetchval(
            "SELECT count(*) FROM delivery d JOIN automation_run r ON r.id = d.run_id"
            " WHERE r.automation_id = ANY($1) AND d.status = 'delivered'",
            ids,
        )
        return bool(count == SLOTS)

    await eventually(delivered, within=120, every=0.1)
    started, arrived = await world.sql.fetchval(
        """
        SELECT ARRAY[percentile_cont(0.99) WITHIN GROUP
                     (ORDER BY extract(epoch FROM r.started_at - r.scheduled_for)),
                     percentile_cont(0.99) WITHIN GROUP
                     (ORDER BY extract(epoch FROM d.delivered_at - r.scheduled_for))]
          FROM automation_run r JOIN delivery d ON d.run_id = r.id WHERE r.automation_id = ANY($1)
        """,
        ids,
    )
    return started, arrived


async def test_another_team_waits_for_neither(
    world: World, stack: Stack, sandbox_server: Service, figures: Figures
) -> None:
    """One executor and one notifier, so that there is no place but theirs."""
    quiet, noisy = await world.team("Quiet"), await world.team("Noisy")
    for team in (quiet, noisy):
        await world.facebook(team, "sandbox-fb-noisy")
    hook = await world.webhook(quiet, f"{sandbox_server.url}/hooks/quiet", new_webhook_secret())
    async with serving(_silence) as port:
        allowed = f"{stack.environment['RECEIVER_ALLOWED_HOSTS']},127.0.0.1:{port}"
        await stack.start("scheduler", "executor", "notifier", RECEIVER_ALLOWED_HOSTS=allowed)
        await _lag(world, quiet, hook)  # the first runs of a process are slower
        before = await _lag(world, quiet, hook)

        now = datetime.now(UTC)
        hanging = await world.webhook(noisy, f"http://127.0.0.1:{port}/hook", new_webhook_secret())
        await world.automations(noisy, hanging, HANGING_DELIVERIES, next_run=now)

        async def are_hanging() -> bool:
            count = await world.sql.fetchval(
                "SELECT count(*) FROM delivery WHERE destination_id = $1", hanging
            )
            return bool(count == HANGING_DELIVERIES)

        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        await eventually(are_hanging, within=60)
        with_receiver = await _lag(world, quiet, hook)
        still = await world.sql.fetchval(
            "SELECT count(*) FROM delivery WHERE destination_id = $1 AND status IN ('queued', 'sending')",
            hanging,
        )
        assert still > HANGING_DELIVERIES // 2, "they hung all the while"

        store = await world.connection(
            noisy, POSTGRESQL, f"postgresql://x:y@127.0.0.1:{port}/x?sslmode=disable"
        )
        config = {
            "sync_type": "database",
            "connection_id": str(store),
            "table": "ads.days",
            "level": "campaign",
        }
        await world.automations(
            noisy, None, LONG_RUNS, kind="data_sync", config=config, next_run=datetime.now(UTC)
        )
        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

        async def are_running() -> bool:
            running = await world.sql.fetchval(
                "SELECT count(*) FROM automation_run WHERE tenant_id = $1 AND status = 'running'",
                noisy.tenant_id,
            )
            return bool(running >= 20)

        await eventually(are_running, within=60)
        with_runs = await _lag(world, quiet, hook)
    for what, busy in (("a receiver that hangs", with_receiver), ("long runs", with_runs)):
        for name, alone, beside in zip(("start", "delivered report"), before, busy, strict=True):
            figures.record(f"beside {what}, slot to {name}, p99, quiet", alone * 1_000, "ms")
            figures.record(f"beside {what}, slot to {name}, p99", beside * 1_000, "ms")
            figures.record(f"beside {what}, slot to {name}, p99, ratio", beside / alone, "times")
            assert beside < STARVED
