"""The scheduler's process: wires the leader's duties together and serves its health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from common import broker
from common.clock import clock_check, kept_by
from common.database.pool import TRANSIENT_DATABASE_ERRORS, create_pool, database_time
from common.process.checks import database_check, require_current_schema
from common.process.serving import background
from common.process.stopping import stop
from common.process.worker import Health, run
from common.recordings.store import RecordingStore
from scheduler.admission import Admission
from scheduler.cleanup import Cleanup, Retention
from scheduler.dispatch import Dispatcher
from scheduler.duties import Duties
from scheduler.election import Elector
from scheduler.lease import Lease
from scheduler.relay import Relay
from scheduler.repeated_failures import RepeatedFailures
from scheduler.rescue import Rescue
from scheduler.settings import SchedulerSettings
from scheduler.stored_files import StoredFiles
from scheduler.token_refresh import TokenRefresh
from scheduler.wakeups import Wakeups
from scheduler.zone_rules import ZoneRules

# A stalled leader must not hold the rows its successor waits for.
IDLE_IN_TRANSACTION_SECONDS = 2.0
# Seconds one command of a duty may take: a silent connection must not hold a duty up for longer.
COMMAND_LIMIT = 5.0
# One connection for the lease, and one to turn to while the first is silent.
LEASE_POOL_SIZE = 2


@asynccontextmanager
async def scheduling(settings: SchedulerSettings, instance: str, health: Health) -> AsyncIterator[Elector]:
    """Start the scheduler's work and stop it again, resigning if it leads."""
    database_url = settings.database_url.get_secret_value()
    store = (
        None if settings.recording_store_url is None else RecordingStore.open(settings.recording_store_url)
    )
    pool = await create_pool(
        database_url,
        application_name=instance,
        size=settings.database_pool_size,
        idle_in_transaction_seconds=IDLE_IN_TRANSACTION_SECONDS,
        command_timeout=COMMAND_LIMIT,
    )
    # Of its own, so that duties which wait for their connections do not cost the lease.
    lease_pool = await create_pool(
        database_url,
        application_name=f"{instance} lease",
        size=LEASE_POOL_SIZE,
        command_timeout=settings.leader_lease_seconds / 2,
    )
    producer = broker.create_producer(settings, client_id=instance)
    try:
        await require_current_schema(pool)
        lease = Lease(lease_pool, holder=instance, seconds=settings.leader_lease_seconds)
        duties = Duties(
            pool,
            Wakeups(database_url),
            Dispatcher(
                pool, lease, batch_size=settings.dispatch_batch_size, tenant_window=settings.tenant_window
            ),
            Relay(
                pool,
                producer,
                topic_prefix=settings.kafka_topic_prefix,
                batch_size=settings.relay_batch_size,
                start=producer.start,
            ),
            Rescue(pool, lease),
            Admission(pool, lease, tenant_window=settings.tenant_window),
            RepeatedFailures(pool, lease, public_url=settings.public_url),
            ZoneRules(pool, lease),
            TokenRefresh(pool, lease, interval=settings.token_refresh_interval),
            Cleanup(
                pool,
                lease,
                retention=Retention(
                    runs=timedelta(days=settings.retention_runs_days),
                    logs=timedelta(days=settings.retention_logs_days),
                    deliveries=timedelta(days=settings.retention_deliveries_days),
                    tokens=timedelta(days=settings.retention_tokens_days),
                    recordings=timedelta(days=settings.retention_recordings_days),
                ),
                interval=settings.cleanup_interval,
                stored_files=None if store is None else StoredFiles(pool, lease, store),
            ),
            check_interval=settings.automation_check_interval,
        )
        elector = Elector(lease, duties)
        health.checks = {
            "database": database_check(pool),
            "clock": clock_check,
            "election": elector.ready,
        }
        health.liveness = {"election": elector.alive}
        async with (
            kept_by(partial(database_time, pool), faults=TRANSIENT_DATABASE_ERRORS),
            background(elector.run(), name="election"),
        ):
            yield elector
    finally:
        await asyncio.gather(
            stop("producer", producer.stop()),
            stop("database", pool.close()),
            stop("lease", lease_pool.close()),
        )


def main() -> None:
    """Run the scheduler until told to stop."""
    run("scheduler", SchedulerSettings, scheduling)
