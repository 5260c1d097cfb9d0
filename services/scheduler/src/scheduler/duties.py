"""What the leader does within its term: dispatch · relay · rescue · admit · remind · clean up · observe.

Each duty is a loop of its own. A fault of the database or the broker delays it; a stale term ends all of
them; any other error ends the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from common import telemetry
from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool
from common.models import Lane
from common.process.loops import repeat, until_done
from scheduler.admission import Admission
from scheduler.cleanup import Cleanup
from scheduler.dispatch import Dispatcher
from scheduler.lease import Term
from scheduler.relay import Relay
from scheduler.repeated_failures import RepeatedFailures
from scheduler.rescue import Rescue
from scheduler.token_refresh import TokenRefresh
from scheduler.wakeups import Wakeups
from scheduler.zone_rules import ZoneRules

log = structlog.get_logger()

RELAY_INTERVAL = 1.0
"""Seconds after which the relay looks although no NOTIFY came: a connection may have missed one."""
RESCUE_INTERVAL = 1.0
OBSERVE_INTERVAL = 5.0
REMIND_PAUSE = 1.0
CLEANUP_DELAY = 30.0
"""Seconds into a term before the first pass."""
STALLED_AFTER = 12.0
"""Seconds dispatch may be overdue: longer than one silent connection can hold it up."""
ZONE_RULES_LIMIT = 120.0
"""Seconds new zone rules may take to be applied to every automation, before dispatch begins."""

_QUEUED = "SELECT lane, count(*) AS n FROM automation_run WHERE status = 'queued' GROUP BY lane"
_OUTBOX_AGE = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - created_at), 0)::float8
  FROM outbox ORDER BY id LIMIT 1
"""

FAULTS = (*TRANSIENT_DATABASE_ERRORS, KafkaError)


class Pulse:
    """By when a loop said it would be back."""

    def __init__(self) -> None:
        self._expected = time.monotonic()

    def beat(self, back_in: float = 0.0) -> None:
        """The loop works, and will say so again within `back_in` seconds."""
        self._expected = time.monotonic() + back_in

    def overdue(self) -> float:
        """Seconds by which the loop is late; 0 while it is not."""
        return max(0.0, time.monotonic() - self._expected)


class Duties:
    """The duties of a leader. `check_interval`: seconds after which it looks for what is due unasked."""

    def __init__(
        self,
        pool: ConnectionPool,
        wakeups: Wakeups,
        dispatcher: Dispatcher,
        relay: Relay,
        rescue: Rescue,
        admission: Admission,
        repeated_failures: RepeatedFailures,
        zone_rules: ZoneRules,
        token_refresh: TokenRefresh,
        cleanup: Cleanup,
        *,
        check_interval: float,
    ) -> None:
        self._pool = pool
        self._wakeups = wakeups
        self._dispatcher = dispatcher
        self._relay = relay
        self._rescue = rescue
        self._admission = admission
        self._repeated_failures = repeated_failures
        self._zone_rules = zone_rules
        self._token_refresh = token_refresh
        self._cleanup = cleanup
        self._check_interval = check_interval
        self._dispatching = Pulse()

    def within(self, term: Term) -> Mapping[str, Coroutine[Any, Any, object]]:
        """The duties of one term, by name, to be run together."""
        self._dispatching.beat(ZONE_RULES_LIMIT)
        return {
            "wake-ups": self._wakeups.listen(),
            "dispatch": self._dispatch_by_current_rules(term),
            "relay": self._duty("relay", self._publish),
            "rescue": self._duty("rescue", lambda: self._rescue_lost(term)),
            "admission": self._duty("admission", lambda: self._admit(term)),
            "cleanup": self._duty("cleanup", lambda: self._clean_up(term)),
            "token refresh": self._duty("token refresh", lambda: self._remind(term)),
            "observe": self._duty("observe", self._observe),
        }

    def stalled(self) -> str | None:
        """Why this leader is of no use, in a few words; None while dispatch is where it should be."""
        overdue = self._dispatching.overdue()
        return f"nothing dispatched for {overdue:.0f} s" if overdue > STALLED_AFTER else None

    async def overlooked(self) -> str | None:
        """What a leader that does not look would miss: slots that are long due while dispatch is at rest."""
        seconds = await self._dispatcher.seconds_to_next()
        if seconds is None or seconds > -STALLED_AFTER or self._dispatching.overdue() > 0:
            return None
        self._wakeups.schedule_changed.set()
        return f"a slot has been due for {-seconds:.0f} s"

    async def _dispatch_by_current_rules(self, term: Term) -> None:
        await until_done(
            lambda: self._zone_rules.apply(term),
            faults=FAULTS,
            on_fault=lambda fault: _delayed("zone rules", fault),
        )
        self._dispatching.beat()
        await self._duty("dispatch", lambda: self._dispatch(term))

    async def _dispatch(self, term: Term) -> None:
        wake = self._wakeups.schedule_changed
        wake.clear()
        if await self._dispatcher.resume_due(term) or await self._dispatcher.dispatch_batch(term):
            self._dispatching.beat()
            return
        seconds = await self._dispatcher.seconds_to_next()
        # What is due but locked by its editor is looked at again in a moment, not in a tight loop.
        delay = self._check_interval if seconds is None else min(self._check_interval, max(0.005, seconds))
        self._dispatching.beat(delay)
        await _wait(wake, delay)
        self._dispatching.beat()

    async def _duty(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def attempt() -> None:
            try:
                await work()
            except TRANSIENT_DATABASE_ERRORS:
                # Sessions that are idle may be as dead as this one: the next try gets a new one.
                await self.forget_sessions()
                raise

        await repeat(attempt, faults=FAULTS, on_fault=lambda fault: _delayed(name, fault))

    async def forget_sessions(self) -> None:
        """Use no session again that is open now: the network may have forgotten them."""
        await self._pool.expire_connections()

    async def _publish(self) -> None:
        self._wakeups.outbox_written.clear()
        if not await self._relay.publish_batch():
            await _wait(self._wakeups.outbox_written, RELAY_INTERVAL)

    async def _admit(self, term: Term) -> None:
        self._relay.run_ended.clear()
        changed = await self._admission.admit_batch(term) + await self._repeated_failures.stop_batch(term)
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
        # Not at once: a new leader has runs to dispatch before anything else.
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


def _delayed(duty: str, fault: BaseException) -> None:
    log.warning("duty delayed", duty=duty, error=type(fault).__name__, detail=str(fault)[:200])


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
