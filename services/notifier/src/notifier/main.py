"""The notifier's process: wires its consumer, claims, channels and outcomes together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from faststream.kafka import KafkaBroker

from common import broker as kafka
from common.clock import clock_check, kept_by
from common.database.pool import TRANSIENT_DATABASE_ERRORS, create_pool, database_time
from common.http import create_client
from common.process.checks import database_check, require_current_schema
from common.process.serving import background
from common.process.stopping import stop
from common.process.worker import Health, run
from common.secrets.crypto import KeyRing
from common.work.broker_watch import BrokerWatch
from common.work.dead_letters import DeadLetters
from common.work.joining import join
from common.work.leases import DELIVERIES, Leases
from common.work.patience import Patience
from common.work.places import Places
from common.work.stopping import blame
from common.work.worker import DRAIN_MARGIN, Worker
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
        retry_backoff_ms=kafka.RETRY_BACKOFF_MS,
        logger=logging.getLogger("faststream"),
    )
    try:
        await require_current_schema(pool)
        outcomes = GroupWriter(Outcomes(pool, worker=instance), name="outcomes")
        async with (
            create_client(
                allowed_hosts=settings.outbound_allowed_hosts, receiver_hosts=settings.receiver_allowed_hosts
            ) as http,
            background(outcomes.run(), name="outcomes"),
            kept_by(partial(database_time, pool), faults=TRANSIENT_DATABASE_ERRORS),
        ):
            patience = Patience(settings.sweep_after)
            claims = Claims(pool, ring, worker=instance, lease_seconds=settings.delivery_lease_seconds)
            deliveries = Worker(
                Delivering(
                    claims,
                    outcomes,
                    build_channels(settings, http),
                    Pacer(),
                    sweep_after=patience,
                ),
                Leases(pool, DELIVERIES, worker=instance, seconds=settings.delivery_lease_seconds),
                [Places(settings.notifier_concurrency)],
                sweep_interval=lambda: LOOK_INTERVAL,
            )
            consumer = subscribe(broker, settings, DeadLetters(producer), deliveries)
            watch = BrokerWatch(lambda: consumer.connected)
            patience.watch(watch.silence)
            async with background(deliveries.keep_leases(), name="leases"):
                try:
                    health.checks = {
                        "database": database_check(pool),
                        "clock": clock_check,
                        "broker": watch.check,
                        consumer.name: consumer.check(watch),
                    }
                    async with (
                        background(watch.run(join(broker, producer)), name="broker watch"),
                        background(deliveries.sweep_regularly(claims.seconds_to_next_retry), name="retries"),
                    ):
                        yield deliveries
                finally:
                    deliveries.close()
                    await stop("consumers", broker.stop())
                    drain = deliveries.drain(settings.drain_timeout)
                    await stop("work in progress", drain, within=settings.drain_timeout + DRAIN_MARGIN)
    finally:
        await stop("producer", producer.stop())
        if not await stop("database", pool.close()):
            pool.terminate()


def main() -> None:
    """Run the notifier until told to stop."""
    run(
        "notifier",
        NotifierSettings,
        notifying,
        blame=lambda settings, instance: blame(settings.database_url.get_secret_value(), worker=instance),
    )
