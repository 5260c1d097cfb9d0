"""The notifier's process: wires its consumer, claims, channels and outcomes together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faststream.kafka import KafkaBroker

from common import broker as kafka
from common.database.pool import create_pool
from common.http import create_client
from common.process.checks import database_check, require_current_schema
from common.process.serving import background
from common.process.worker import Health, run
from common.secrets.crypto import KeyRing
from common.work.consumer import start_consumers
from common.work.dead_letters import DeadLetters
from common.work.leases import DELIVERIES, Leases
from common.work.places import Places
from common.work.worker import Worker
from common.work.writing import GroupWriter
from notifier.channels import build_channels
from notifier.consumers import subscribe
from notifier.deliveries.claims import Claims
from notifier.deliveries.execution import LOOK_INTERVAL, Delivering, InTurn
from notifier.deliveries.outcomes import Outcomes
from notifier.pacing import Pacer
from notifier.settings import NotifierSettings


@asynccontextmanager
async def notifying(
    settings: NotifierSettings, instance: str, health: Health
) -> AsyncIterator[Worker[InTurn, Places]]:
    """Start consuming; at the end stop consuming first, then drain what is being sent."""
    ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
    pool = await create_pool(
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
        outcomes = GroupWriter(Outcomes(pool, worker=instance), name="outcomes")
        async with (
            create_client(allowed_hosts=settings.outbound_allowed_hosts) as http,
            background(outcomes.run(), name="outcomes"),
        ):
            claims = Claims(pool, ring, worker=instance, lease_seconds=settings.delivery_lease_seconds)
            deliveries = Worker(
                Delivering(
                    claims,
                    outcomes,
                    build_channels(settings, http),
                    Pacer(),
                    sweep_after=settings.sweep_after,
                ),
                Leases(pool, DELIVERIES, worker=instance, seconds=settings.delivery_lease_seconds),
                [Places(settings.notifier_concurrency)],
                sweep_interval=LOOK_INTERVAL,
            )
            consumer = subscribe(broker, settings, DeadLetters(producer), deliveries)
            async with background(deliveries.keep_leases(), name="leases"):
                try:
                    await start_consumers(broker)
                    health.checks = {"database": database_check(pool), consumer.name: consumer.check()}
                    async with background(
                        deliveries.sweep_regularly(claims.seconds_to_next_retry), name="retries"
                    ):
                        yield deliveries
                finally:
                    deliveries.close()
                    await broker.stop()
                    await deliveries.drain(settings.drain_timeout)
    finally:
        await producer.stop()
        await pool.close()


def main() -> None:
    """Run the notifier until told to stop."""
    run("notifier", NotifierSettings, notifying)
