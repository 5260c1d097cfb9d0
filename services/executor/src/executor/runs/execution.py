"""Executing claimed runs: concurrently, within their time, under a lease.

The claim is committed before `start` is called, so nothing here is needed to be sure that a run will not be
lost: if this process dies, its lease expires and the leader queues the run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from common import telemetry
from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool
from common.models import Lane, RunStatus
from common.work.places import Capacity
from common.work.writing import GroupWriter
from executor.handlers.base import RunLog
from executor.runs.attempts import Attempts
from executor.runs.claims import ClaimedRun, Claims
from executor.runs.results import CANCELLED, HANDED_BACK, Attempt, Completion, without_result

log = structlog.get_logger()

HANDLER_STOP_GRACE = 2.0
"""Seconds a cancelled handler may take to end before its result is recorded without it."""

_HEARTBEAT = """
UPDATE automation_run r
   SET lease_expires_at = clock_timestamp() + make_interval(secs => $2)
  FROM unnest($3::uuid[], $4::int[]) AS mine (id, attempt)
 WHERE r.id = mine.id AND r.worker = $1 AND r.attempt = mine.attempt AND r.status = 'running'
RETURNING r.id, r.attempt, r.cancel_requested
"""


@dataclass(slots=True)
class _Running:
    """One attempt in this process. `lane` is where its place was taken from."""

    run: ClaimedRun
    lane: Lane
    task: asyncio.Task[None]
    reason: str | None = None
    """Why the handler was cancelled: `superseded`, `cancelled` or `handed_back`."""
    has_ended: bool = False
    """The handler is through; what is left is to record what became of it."""


def _attempt_of(run: ClaimedRun) -> Attempt:
    # Not the run alone: after a long pause a process may claim again what it is still running.
    return run.id, run.attempt


class Execution:
    """The runs this process is working on."""

    def __init__(
        self,
        pool: ConnectionPool,
        claims: Claims,
        completions: GroupWriter[Completion],
        capacity: Capacity,
        attempts: Attempts,
        *,
        worker: str,
        lease_seconds: float,
        sweep_after: float,
    ) -> None:
        self._pool = pool
        self._claims = claims
        self._completions = completions
        self._capacity = capacity
        self._attempts = attempts
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._sweep_after = sweep_after
        self._running: dict[Attempt, _Running] = {}
        self._claiming: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def take(self, lane: Lane, traceparents: Mapping[UUID, str | None]) -> None:
        """Claim and start the runs of one batch, as places become free; returns when all are claimed.

        Runs that somebody else claimed, cancelled or finished are left out silently: their events are
        duplicates. Raises Stopping when the executor is told to stop meanwhile.
        """
        waiting = list(traceparents.items())
        while waiting:
            places = await self._capacity.wait_and_take(lane, len(waiting))
            part, waiting = waiting[:places], waiting[places:]
            await self._claim_and_start(lane, places, self._claims.claim(dict(part)))

    async def sweep(self) -> None:
        """Take runs that waited too long straight from PostgreSQL, while there are free places."""
        for lane in Lane:
            places = self._capacity.take(lane, self._capacity.free(lane))
            if places:
                await self._claim_and_start(
                    lane,
                    places,
                    self._claims.claim_waiting(lane, limit=places, waited_seconds=self._sweep_after),
                )

    async def _claim_and_start(
        self, lane: Lane, places: int, claim: Coroutine[Any, Any, Sequence[ClaimedRun]]
    ) -> None:
        # Shielded: what a claim that was on its way has taken must be started, or nobody hands it back.
        task = asyncio.create_task(self._claim_places(lane, places, claim))
        self._claiming.add(task)
        task.add_done_callback(self._claiming.discard)
        await asyncio.shield(task)

    async def _claim_places(
        self, lane: Lane, places: int, claim: Coroutine[Any, Any, Sequence[ClaimedRun]]
    ) -> None:
        runs: Sequence[ClaimedRun] = ()
        try:
            runs = await claim
        finally:
            self._capacity.release(lane, places - len(runs))
        for run in runs:
            self._start(run, lane)

    def _start(self, run: ClaimedRun, lane: Lane) -> None:
        self._idle.clear()
        task = asyncio.create_task(self._execute(run), name=f"run {run.id}")
        self._running[_attempt_of(run)] = _Running(run, lane, task)
        task.add_done_callback(lambda _task: self._ended(run))

    def _ended(self, run: ClaimedRun) -> None:
        running = self._running.pop(_attempt_of(run))
        self._capacity.release(running.lane)
        if not self._running:
            self._idle.set()
        if not running.task.cancelled() and (error := running.task.exception()):
            log.error("run ended without a record", run_id=str(run.id), exc_info=error)

    async def _execute(self, run: ClaimedRun) -> None:
        logger = log.bind(
            tenant_id=str(run.tenant_id),
            automation_id=str(run.automation_id),
            run_id=str(run.id),
            trace_id=run.trace_id,
            attempt=run.attempt,
        )
        run_log = RunLog(logger, secrets=run.secrets)
        logger.info(
            f"Executing automation: {run.automation_name} ({run.automation_id}, {run.type})", type=run.type
        )
        started = time.monotonic()
        topic = f"automation.due.{run.lane.value}"
        with telemetry.tracer().start_as_current_span(
            f"process {topic}",
            context=telemetry.context_of(run.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={
                **telemetry.messaging_attributes(topic, "process"),
                "carillon.tenant.id": str(run.tenant_id),
                "carillon.automation.id": str(run.automation_id),
                "carillon.run.id": str(run.id),
                "carillon.run.attempt": run.attempt,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            traceparent = telemetry.traceparent_of(span)
            running = self._running[_attempt_of(run)]
            completion = await self._attempts.make(
                run, run_log, traceparent, why_stopped=lambda: running.reason
            )
            # From here on there is nothing to stop: the record is all that is missing.
            self._running[_attempt_of(run)].has_ended = True
            if completion.error_code:
                span.set_attribute("error.type", completion.error_code)
        elapsed = time.monotonic() - started
        telemetry.RUN_DURATION.labels(run.type).observe(elapsed)
        telemetry.RUNS_FINISHED.labels(run.type, completion.outcome).inc()
        if not await self._record(completion):
            return
        if completion.status is RunStatus.COMPLETED:
            logger.info(
                f"Automation {run.automation_name} completed successfully (Run {run.id})",
                duration_seconds=round(elapsed, 3),
                summary=completion.summary,
            )

    async def _record(self, completion: Completion) -> bool:
        try:
            return await self._completions.record(completion)
        except Exception as error:
            # Text that PostgreSQL cannot hold, a figure that JSON cannot: what became of the run is recorded
            # all the same, or it would be repeated for ever.
            log.error("result cannot be stored", run_id=str(completion.run.id), error=type(error).__name__)
            return await self._completions.record(without_result(completion))

    async def keep_leases(self) -> None:
        """Extend the leases of everything running, and stop what was cancelled or taken away."""
        last_success = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            mine = list(self._running.values())
            asked = time.monotonic()
            try:
                # A connection that is silent rather than broken must not outlast the leases.
                async with asyncio.timeout(self._lease_seconds / 4):
                    kept = await self._pool.fetch(
                        _HEARTBEAT,
                        self._worker,
                        self._lease_seconds,
                        [running.run.id for running in mine],
                        [running.run.attempt for running in mine],
                    )
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("leases not extended", error=type(error).__name__, running=len(mine))
                if time.monotonic() - last_success >= self._lease_seconds:
                    # The leader has given these runs away by now; going on would only repeat their effects.
                    self._stop(mine, "superseded")
                continue
            last_success = asked
            status = {(row["id"], row["attempt"]): row["cancel_requested"] for row in kept}
            self._stop([r for r in mine if _attempt_of(r.run) not in status], "superseded")
            self._stop([r for r in mine if status.get(_attempt_of(r.run))], CANCELLED)

    def _stop(self, runs: Sequence[_Running], reason: str) -> None:
        for running in runs:
            if not running.has_ended and running.reason is None:
                running.reason = reason
                running.task.cancel()

    async def sweep_regularly(self) -> None:
        """Sweep for as long as the process lives."""
        while True:
            await asyncio.sleep(self._sweep_after / 3)
            try:
                await self.sweep()
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("sweep failed", error=type(error).__name__)

    async def drain(self, seconds: float) -> None:
        """Let running work finish for a while, then hand back what is left; returns when all is recorded."""
        try:
            async with asyncio.timeout(max(0.0, seconds - HANDLER_STOP_GRACE)):
                while self._claiming:
                    await asyncio.wait(self._claiming)
                await self._idle.wait()
        except TimeoutError:
            if self._claiming:
                await asyncio.wait(self._claiming, timeout=HANDLER_STOP_GRACE)
            left = list(self._running.values())
            log.info("handing back unfinished runs", count=len(left))
            self._stop(left, HANDED_BACK)
            if left:
                await asyncio.wait([running.task for running in left], timeout=HANDLER_STOP_GRACE)
