"""The executor's process: wires consumers, claims, handlers and completions together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faststream.kafka import KafkaBroker

from common import broker as kafka
from common import database
from common.capacity import Capacity
from common.consumer import DeadLetters, start_consumers
from common.crypto import KeyRing
from common.grouping import GroupWriter
from common.health import Health, run
from common.http import create_client
from common.service import background, database_check, require_current_schema
from executor.announcement import announce
from executor.attempts import Attempts
from executor.claims import Claims
from executor.completions import Completions
from executor.consumers import subscribe
from executor.execution import Execution
from executor.handlers import load_handlers
from executor.settings import ExecutorSettings


@asynccontextmanager
async def executing(settings: ExecutorSettings, instance: str, health: Health) -> AsyncIterator[Execution]:
    """Start consuming; at the end stop consuming first, then drain what is running."""
    ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
    pool = await database.create_pool(
        settings.database_url.get_secret_value(), application_name=instance, size=settings.database_pool_size
    )
    producer = kafka.create_producer(settings, client_id=instance)
    broker = KafkaBroker(
        settings.kafka_bootstrap_servers,
        client_id=instance,
        graceful_timeout=settings.drain_timeout,
        logger=logging.getLogger("faststream"),
    )
    try:
        await require_current_schema(pool)
        await producer.start()
        handlers = load_handlers(settings)
        await announce(pool, handlers)
        completions = GroupWriter(Completions(pool, worker=instance).write, name="results")
        async with (
            create_client(
                timeout=settings.platform_timeout, allowed_hosts=settings.outbound_allowed_hosts
            ) as http,
            background(completions.run(), name="completions"),
        ):
            capacity = Capacity(settings.executor_concurrency)
            execution = Execution(
                pool,
                Claims(pool, ring, worker=instance, lease_seconds=settings.lease_seconds),
                completions,
                capacity,
                Attempts(handlers, http, pool, run_timeout=settings.run_timeout),
                worker=instance,
                lease_seconds=settings.lease_seconds,
                sweep_after=settings.sweep_after,
            )
            lanes = subscribe(broker, settings, DeadLetters(producer), execution)
            async with background(execution.keep_leases(), name="leases"):
                try:
                    await start_consumers(broker)
                    health.checks = {
                        "database": database_check(pool),
                        **{lane.name: lane.check() for lane in lanes},
                    }
                    async with background(execution.sweep_regularly(), name="sweep"):
                        yield execution
                finally:
                    capacity.close()
                    await broker.stop()
                    await execution.drain(settings.drain_timeout)
    finally:
        await producer.stop()
        await pool.close()


def main() -> None:
    """Run the executor until told to stop."""
    run("executor", ExecutorSettings, executing)
