"""A leader's reign: its duties run while it holds the lease, and all end with it.

candidate ──acquire──▶ leader: renew · dispatch · relay · rescue · admit · clean up ──lost──▶ candidate
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aiokafka.errors import KafkaError

from common import telemetry
from common.database.outbox import SCHEDULE_CHANGED, WAKE_CHANNEL
from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool, connect
from common.models import Lane
from scheduler.admission import Admission
from scheduler.cleanup import Cleanup
from scheduler.dispatch import Dispatcher
from scheduler.failing import Failing
from scheduler.lease import Lease, StaleTerm, Term
from scheduler.relay import Relay
from scheduler.rescue import Rescue
from scheduler.token_refresh import TokenRefresh
from scheduler.zone_rules import ZoneRules

log = structlog.get_logger()

RELAY_INTERVAL = 1.0
"""Seconds after which the relay looks although no NOTIFY came: a connection may have missed one."""
RESCUE_INTERVAL = 1.0
OBSERVE_INTERVAL = 5.0
REMIND_PAUSE = 1.0
CLEANUP_DELAY = 30.0
"""Seconds into a reign before the first pass."""
FAULT_PAUSE = 0.5

_QUEUED = "SELECT lane, count(*) AS n FROM automation_run WHERE status = 'queued' GROUP BY lane"
_OUTBOX_AGE = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - created_at), 0)::float8
  FROM outbox ORDER BY id LIMIT 1
"""

_FAULTS = (*TRANSIENT_DATABASE_ERRORS, KafkaError)


class Reign:
    """Runs for leadership, and leads."""

    def __init__(
        self,
        pool: ConnectionPool,
        lease: Lease,
        dispatcher: Dispatcher,
        relay: Relay,
        rescue: Rescue,
        admission: Admission,
        failing: Failing,
        zone_rules: ZoneRules,
        token_refresh: TokenRefresh,
        cleanup: Cleanup,
        *,
        database_url: str,
        check_interval: float,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._dispatcher = dispatcher
        self._relay = relay
        self._rescue = rescue
        self._admission = admission
        self._failing = failing
        self._zone_rules = zone_rules
        self._token_refresh = token_refresh
        self._cleanup = cleanup
        self._database_url = database_url
        self._check_interval = check_interval
        self._outbox_written = asyncio.Event()
        self.term: Term | None = None

    async def run(self) -> None:
        """Candidate and leader in turns, until cancelled; a cancelled leader resigns."""
        log.info(
            f"Automation scheduler started (check interval: {self._check_interval:g}s)",
            check_interval=self._check_interval,
            holder=self._lease.holder,
        )
        while True:
            term = await self._become_leader()
            try:
                await self._lead(term)
            finally:
                self.term = None
                telemetry.LEADER_TERM.set(0)

    async def _become_leader(self) -> Term:
        while True:
            try:
                term = await self._lease.acquire()
                if term is not None:
                    return term
                # Try again just after the present lease would expire, and at least once a second in case
                # its holder resigns.
                await asyncio.sleep(min(1.0, await self._lease.remaining() + 0.02))
            except _FAULTS as error:
                log.warning("cannot run for leadership", error=type(error).__name__)
                await asyncio.sleep(FAULT_PAUSE)

    async def _lead(self, term: Term) -> None:
        self.term = term
        telemetry.LEADER_TERM.set(term.number)
        log.info("leadership gained", term=term.number, holder=self._lease.holder)
        try:
            async with asyncio.TaskGroup() as duties:
                duties.create_task(self._renew(term))
                duties.create_task(self._listen())
                duties.create_task(self._dispatch_by_current_rules(term))
                duties.create_task(self._duty("relay", self._publish))
                duties.create_task(self._duty("rescue", lambda: self._rescue_lost(term)))
                duties.create_task(self._duty("admission", lambda: self._admit(term)))
                duties.create_task(self._duty("cleanup", lambda: self._clean_up(term)))
                duties.create_task(self._duty("token refresh", lambda: self._remind(term)))
                duties.create_task(self._duty("observe", self._observe))
        except* StaleTerm:
            log.warning("leadership lost", term=term.number, holder=self._lease.holder)
        finally:
            # Told to stop: hand over at once instead of letting the lease run out. A reign that is over
            # already has nothing to resign, and the statement finds no row.
            with suppress(*_FAULTS):
                await self._lease.resign(term)

    async def _renew(self, term: Term) -> None:
        """Keep the lease; raises StaleTerm when it is lost or can no longer be trusted."""
        while True:
            await asyncio.sleep(self._lease.seconds / 4)
            try:
                async with asyncio.timeout(max(0.1, term.trusted_until - time.monotonic())):
                    renewed = await self._lease.renew(term)
            except (*_FAULTS, TimeoutError) as error:
                if time.monotonic() >= term.trusted_until:
                    raise StaleTerm(f"could not renew term {term.number} in time") from error
                log.warning("lease not renewed yet", error=type(error).__name__, term=term.number)
                continue
            if renewed is None:
                raise StaleTerm(f"term {term.number} is over")
            self.term = term = renewed

    async def _duty(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat one duty. A fault of the database or broker delays it; anything else ends the process."""
        while True:
            try:
                await work()
            except _FAULTS as error:
                log.warning("duty delayed", duty=name, error=type(error).__name__, detail=str(error)[:200])
                await asyncio.sleep(FAULT_PAUSE)

    async def _dispatch_by_current_rules(self, term: Term) -> None:
        while True:
            try:
                await self._zone_rules.apply(term)
                break
            except _FAULTS as error:
                log.warning("duty delayed", duty="zone rules", error=type(error).__name__)
                await asyncio.sleep(FAULT_PAUSE)
        await self._duty("dispatch", lambda: self._dispatch(term))

    async def _dispatch(self, term: Term) -> None:
        wake = self._relay.schedule_changed
        wake.clear()
        if await self._dispatcher.resume_due(term) or await self._dispatcher.dispatch_batch(term):
            return
        seconds = await self._dispatcher.seconds_to_next()
        # Something due that is locked by its editor is looked at again in a moment, not in a tight loop.
        delay = self._check_interval if seconds is None else min(self._check_interval, max(0.005, seconds))
        await _wait(wake, delay)

    async def _publish(self) -> None:
        self._outbox_written.clear()
        if not await self._relay.publish_batch():
            await _wait(self._outbox_written, RELAY_INTERVAL)

    async def _admit(self, term: Term) -> None:
        self._relay.run_ended.clear()
        changed = await self._admission.admit_batch(term) + await self._failing.stop_batch(term)
        if not changed:
            await _wait(self._relay.run_ended, RESCUE_INTERVAL)

    async def _remind(self, term: Term) -> None:
        if await self._token_refresh.remind_batch(term):
            return
        # One that is locked by its refresher is looked at again in a moment.
        await asyncio.sleep(max(REMIND_PAUSE, await self._token_refresh.seconds_to_next()))

    async def _rescue_lost(self, term: Term) -> None:
        if not await self._rescue.rescue_batch(term):
            await asyncio.sleep(RESCUE_INTERVAL)

    async def _clean_up(self, term: Term) -> None:
        # Not at once: whoever takes over has runs to dispatch before anything else.
        await asyncio.sleep(max(CLEANUP_DELAY, await self._cleanup.seconds_to_next()))
        await self._cleanup.run(term)

    async def _observe(self) -> None:
        depths = dict.fromkeys(Lane, 0) | {
            Lane(row["lane"]): row["n"] for row in await self._pool.fetch(_QUEUED)
        }
        for lane, depth in depths.items():
            telemetry.QUEUE_DEPTH.labels(lane.value).set(depth)
        telemetry.OUTBOX_AGE.set(max(0.0, await self._pool.fetchval(_OUTBOX_AGE) or 0.0))
        await asyncio.sleep(OBSERVE_INTERVAL)

    async def _listen(self) -> None:
        """Turn NOTIFYs into wake-ups; the duties' own intervals cover the time without a connection."""
        while True:
            try:
                connection = await connect(self._database_url, application_name="carillon-scheduler-listen")
            except _FAULTS as error:
                log.warning("cannot listen for wake-ups", error=type(error).__name__)
                await asyncio.sleep(FAULT_PAUSE)
                continue
            closed = asyncio.Event()
            connection.add_termination_listener(lambda _connection, closed=closed: closed.set())
            try:
                await connection.add_listener(WAKE_CHANNEL, self._on_notify)
                self._outbox_written.set()
                await closed.wait()
            except _FAULTS as error:
                log.warning("wake-ups interrupted", error=type(error).__name__)
            finally:
                with suppress(*_FAULTS):
                    await connection.close(timeout=1)

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._outbox_written.set()
        if payload == SCHEDULE_CHANGED:
            self._relay.schedule_changed.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
