"""The executor's process: wires consumers, claims, handlers and completions together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from faststream.kafka import KafkaBroker

from common import broker as kafka
from common.clock import clock_check, kept_by
from common.database.pool import TRANSIENT_DATABASE_ERRORS, create_pool, database_time
from common.http import create_client
from common.process.checks import database_check, require_current_schema
from common.process.serving import background
from common.process.stopping import stop
from common.process.worker import Health, run
from common.recordings.store import RecordingStore
from common.secrets.crypto import KeyRing
from common.work.broker_watch import BrokerWatch
from common.work.consumer import ClaimConsumer
from common.work.dead_letters import DeadLetters
from common.work.joining import join
from common.work.leases import RUNS, Leases
from common.work.patience import Patience
from common.work.places import LanePlaces, lanes
from common.work.stopping import blame
from common.work.worker import DRAIN_MARGIN, Worker
from common.work.writing import GroupWriter
from executor.aftermath.application import AftermathWriter
from executor.announcement import announce
from executor.consumers import subscribe, subscribe_to_recordings, subscribe_to_tokens
from executor.handlers import load_handlers
from executor.recordings.processing.wiring import processing_of
from executor.runs.attempts import Attempts
from executor.runs.claims import ClaimedRun, Claims
from executor.runs.completions import Completions
from executor.runs.execution import Execution
from executor.settings import ExecutorSettings
from executor.tokens.credential import KeptCredential
from executor.tokens.keeper import TokenKeeper
from executor.tokens.refresher import Refresher
from executor.tokens.reminders import TokenReminders
from executor.tokens.vault import Vault
from platforms.calls.shared_usage import SharedUsageStore
from platforms.calls.usage import UsageLimiter
from platforms.registry import grants

log = structlog.get_logger()

STOP_RENEWING_SECONDS = 1.0
"""For renewals that are under way when the runs are through; the next executor finds out about the rest."""


def renewals_at_once(pool_size: int) -> int:
    """How many connections of the pool may be held while platforms answer; others must not wait for them."""
    return max(1, pool_size // 4)


@asynccontextmanager
async def executing(
    settings: ExecutorSettings, instance: str, health: Health
) -> AsyncIterator[Worker[ClaimedRun, LanePlaces]]:
    """Start consuming; at the end stop consuming first, then drain what is running."""
    ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
    store = (
        None if settings.recording_store_url is None else RecordingStore.open(settings.recording_store_url)
    )
    if store is None:
        log.warning("recordings cannot be processed: RECORDING_STORE_URL is not set")
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
        handlers = load_handlers(settings)
        await announce(pool, handlers)
        aftermath = AftermathWriter(public_url=settings.public_url)
        completions = GroupWriter(Completions(pool, aftermath, worker=instance), name="results")
        usage = SharedUsageStore(pool)
        async with (
            create_client(
                timeout=settings.platform_timeout,
                allowed_hosts=settings.outbound_allowed_hosts,
                receiver_hosts=settings.receiver_allowed_hosts,
            ) as http,
            background(completions.run(), name="completions"),
            background(usage.run(), name="usage"),
            kept_by(partial(database_time, pool), faults=TRANSIENT_DATABASE_ERRORS),
        ):
            places = renewals_at_once(settings.database_pool_size)
            vault, known = Vault(pool, ring, worker=instance), grants(http, settings)
            refresher = Refresher(vault, aftermath, known)
            keeper = TokenKeeper(vault, refresher, places=places)
            reminders = TokenReminders(vault, keeper, refresher, known, places=places)
            patience = Patience(settings.sweep_after)
            runs = Worker(
                Execution(
                    Claims(pool, keeper, worker=instance, lease_seconds=settings.lease_seconds),
                    completions,
                    Attempts(
                        handlers, http, pool, limiter=UsageLimiter(usage), run_timeout=settings.run_timeout
                    ),
                    sweep_after=patience,
                ),
                Leases(pool, RUNS, worker=instance, seconds=settings.lease_seconds),
                list(lanes(settings.executor_concurrency).values()),
                sweep_interval=patience.interval,
            )
            recordings = processing_of(
                settings,
                pool=pool,
                ring=ring,
                http=http,
                store=store,
                credentials=lambda account: KeptCredential(keeper, account.connection_id, account.kind, None),
                aftermath=aftermath,
                worker=instance,
                patience=patience,
            )
            dead_letters = DeadLetters(producer)
            consumers: list[ClaimConsumer[Any]] = [
                *subscribe(broker, settings, dead_letters, runs),
                subscribe_to_tokens(broker, settings, dead_letters, reminders),
                subscribe_to_recordings(broker, settings, dead_letters, recordings),
            ]
            watch = BrokerWatch(lambda: consumers[0].connected)
            patience.watch(watch.silence)
            async with (
                background(runs.keep_leases(), name="leases"),
                background(recordings.keep_leases(), name="recording leases"),
            ):
                try:
                    health.checks = {
                        "database": database_check(pool),
                        "clock": clock_check,
                        "broker": watch.check,
                        **({} if store is None else {"recording_store": store.check}),
                        **{consumer.name: consumer.check(watch) for consumer in consumers},
                    }
                    async with (
                        background(watch.run(join(broker, producer)), name="broker watch"),
                        background(runs.sweep_regularly(), name="sweep"),
                        background(reminders.run(), name="tokens"),
                        background(recordings.sweep_regularly(), name="recording sweep"),
                    ):
                        yield runs
                finally:
                    runs.close()
                    reminders.close()
                    recordings.close()
                    await stop("consumers", broker.stop())
                    drains = asyncio.gather(
                        runs.drain(settings.drain_timeout), recordings.drain(settings.drain_timeout)
                    )
                    await stop("work in progress", drains, within=settings.drain_timeout + DRAIN_MARGIN)
                    await keeper.close(STOP_RENEWING_SECONDS)
    finally:
        await stop("producer", producer.stop())
        if not await stop("database", pool.close()):
            pool.terminate()


def main() -> None:
    """Run the executor until told to stop."""
    run(
        "executor",
        ExecutorSettings,
        executing,
        blame=lambda settings, instance: blame(settings.database_url.get_secret_value(), worker=instance),
    )
