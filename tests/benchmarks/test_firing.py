"""Firing lag and throughput: the figures of docs/figures.md.

Measured on the machine this runs on, with real processes, a real database and a real broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer

from common import broker as kafka_options
from common.database.pool import ConnectionPool, create_pool
from common.secrets.crypto import new_webhook_secret
from common.settings import KafkaSettings
from scheduler.dispatch import Dispatcher
from scheduler.lease import Lease
from scheduler.relay import Relay
from tests.factories import Team, World
from tests.support.figures import Figures
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EXISTING = 100_000
"""Automations that exist and are not due: cost must grow with what is due, never with what exists."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    async with await create_pool(database_url, application_name="benchmark") as opened:
        yield opened


async def crowd(world: World) -> Team:
    """A team with many automations that are not due for a month."""
    team = await world.team("Crowd")
    await world.automations(team, None, EXISTING, next_run=datetime.now(UTC) + timedelta(days=30))
    await world.sql.execute("ANALYZE automation")
    return team


async def test_firing_lag(world: World, stack: Stack, sandbox_server: Service, figures: Figures) -> None:
    """One automation due every 100 ms for 20 s, beside 100,000 that are not."""
    team = await crowd(world)
    await world.facebook(team, "sandbox-fb-lag")
    hook = await world.webhook(team, f"{sandbox_server.url}/hooks/lag", new_webhook_secret())
    await stack.start("scheduler", "executor", "executor", "notifier")
    begin = datetime.now(UTC) + timedelta(seconds=3)
    count = 200
    for position in range(count):
        due = begin + timedelta(milliseconds=100 * position)
        await world.automations(team, hook, next_run=due)
    await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

    async def all_delivered() -> bool:
        delivered = await world.sql.fetchval("SELECT count(*) FROM delivery WHERE status = 'delivered'")
        return bool(delivered == count)

    await eventually(all_delivered, within=120, every=0.25)
    for what, column in (
        ("slot to committed run", "r.created_at"),
        ("slot to start", "r.started_at"),
        ("slot to delivered report", "d.delivered_at"),
    ):
        quantiles = await world.sql.fetchval(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP"  # one pass over the same rows
            f" (ORDER BY extract(epoch FROM {column} - r.scheduled_for) * 1000)"
            " FROM automation_run r JOIN delivery d ON d.run_id = r.id"
        )
        for name, value in zip(("p50", "p95", "p99"), quantiles, strict=True):
            figures.record(f"firing lag, {what}, {name}", value, "ms")
        assert quantiles[0] < 5_000, f"{what} is far from on time"


async def test_dispatch_rate(
    world: World, pool: ConnectionPool, kafka: KafkaSettings, figures: Figures
) -> None:
    """10,000 automations due at once, beside 100,000 that are not: dispatched, then published."""
    team = await crowd(world)
    due = 10_000
    await world.automations(team, None, due, next_run=datetime.now(UTC))
    lease = Lease(pool, holder="benchmark", seconds=60)
    term = await lease.acquire()
    assert term is not None
    dispatcher = Dispatcher(pool, lease, batch_size=500, tenant_window=due)
    loop = asyncio.get_running_loop()
    started = loop.time()
    while await dispatcher.dispatch_batch(term):
        pass
    elapsed = loop.time() - started
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == due
    figures.record("automations dispatched per second by one leader", due / elapsed, "1/s")

    producer: AIOKafkaProducer = kafka_options.create_producer(kafka, client_id="benchmark")
    await producer.start()
    try:
        relay = Relay(pool, producer, topic_prefix=kafka.kafka_topic_prefix, batch_size=500)
        started = loop.time()
        published = 0
        while batch := await relay.publish_batch():
            published += batch
        elapsed = loop.time() - started
    finally:
        await producer.stop()
    assert published == due
    figures.record("events published per second by the relay", published / elapsed, "1/s")
