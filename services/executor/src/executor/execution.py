"""Executing claimed runs: concurrently, within their time, under a lease.

The claim is committed before `start` is called, so nothing here is needed to be sure that a run will not be
lost: if this process dies, its lease expires and the leader queues the run again.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import structlog
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, ValidationError

from common import telemetry
from common.capacity import Capacity
from common.database import TRANSIENT_DATABASE_ERRORS, ConnectionPool
from common.errors import CarillonError, RemoteError
from common.grouping import GroupWriter
from common.models import Lane, RunStatus
from common.retry import next_attempt
from common.telemetry import hide_secrets
from executor.claims import ClaimedRun, Claims
from executor.completions import CANCELLED, HANDED_BACK, Attempt, Completion, without_result
from executor.handlers.base import Handler, Outcome, RunContext, RunLog

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


class RunTimeout(CarillonError):
    """The handler took longer than a run may."""

    permanent = False


class InvalidConfiguration(CarillonError):
    """The automation's configuration is not what its handler takes."""


class UnknownType(CarillonError):
    """No handler of this executor does this kind of automation."""


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
        handlers: Mapping[str, Handler[Any]],
        http: httpx.AsyncClient,
        *,
        worker: str,
        run_timeout: float,
        lease_seconds: float,
        sweep_after: float,
    ) -> None:
        self._pool = pool
        self._claims = claims
        self._completions = completions
        self._capacity = capacity
        self._handlers = handlers
        self._http = http
        self._worker = worker
        self._run_timeout = run_timeout
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
        run_log = RunLog(logger, secrets=_secrets_of(run))
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
            completion = await self._attempt(run, run_log, traceparent)
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
                f"Automation {run.automation_name} completed successfully ({run.id})",
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

    async def _attempt(self, run: ClaimedRun, run_log: RunLog, traceparent: str) -> Completion:
        """Run the handler once and say what became of it. Never raises."""
        seconds = run.policy.timeout_seconds or self._run_timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                outcome = await self._handle(run, run_log)
            return self._completed(run, run_log, outcome, traceparent)
        except asyncio.CancelledError:
            return self._interrupted(run, run_log, traceparent)
        except Exception as caught:  # whatever a handler raises is that run's failure, not the executor's
            error = caught
            if isinstance(caught, TimeoutError) and limit.expired():
                error = RunTimeout(f"the run took longer than {seconds:g} s")
        return self._failed(run, run_log, error, traceparent)

    async def _handle(self, run: ClaimedRun, run_log: RunLog) -> Outcome:
        handler = self._handlers.get(run.type)
        if handler is None:
            raise UnknownType(f"no handler for automations of type {run.type!r} is installed here")
        try:
            config: BaseModel = handler.config.model_validate(run.config)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise InvalidConfiguration(f"automation_config: {faults}") from error
        context = RunContext(
            run_id=run.id,
            automation_id=run.automation_id,
            automation_name=run.automation_name,
            tenant_id=run.tenant_id,
            slot=run.slot,
            attempt=run.attempt,
            timezone=run.timezone,
            platforms=run.platforms,
            accounts=run.accounts,
            http=self._http,
            log=run_log,
            last_attempt=run.dry_run or run.attempt >= run.max_attempts,
            dry_run=run.dry_run,
        )
        return await handler.run(context, config)

    def _completed(self, run: ClaimedRun, run_log: RunLog, outcome: Outcome, traceparent: str) -> Completion:
        result = {**outcome.result, "summary": outcome.summary}
        if run.dry_run:
            result["would_deliver"] = [message.model_dump(mode="json") for message in outcome.messages]
        return Completion(
            run,
            RunStatus.COMPLETED,
            "completed",
            summary=outcome.summary,
            result=result,
            messages=() if run.dry_run else outcome.messages,
            logs=run_log.entries,
            traceparent=traceparent,
        )

    def _failed(self, run: ClaimedRun, run_log: RunLog, error: Exception, traceparent: str) -> Completion:
        code, message = describe(error, secrets=_secrets_of(run))
        delay = self._retry_after(run, error)
        run_log.error(
            "Error executing automation",
            error_code=code,
            error=message,
            retry_in_seconds=None if delay is None else round(delay.total_seconds(), 1),
        )
        if not isinstance(error, CarillonError):
            text = "".join(traceback.format_exception(error))
            log.error(
                "handler raised an unexpected error",
                run_id=str(run.id),
                exception=hide_secrets(text, _secrets_of(run)),
            )
        return Completion(
            run,
            RunStatus.FAILED if delay is None else RunStatus.RETRYING,
            "failed",
            error_code=code,
            error_message=message,
            logs=run_log.entries,
            retry_after=delay or timedelta(),
            traceparent=traceparent,
        )

    def _retry_after(self, run: ClaimedRun, error: Exception) -> timedelta | None:
        """How long until the next attempt; None when there is none. Somebody waits for a dry run: one try."""
        choice = run.policy.retry
        if run.dry_run or (isinstance(error, RemoteError) and error.consequence in choice.never):
            return None
        policy = choice.as_policy(max_attempts=run.max_attempts)
        return next_attempt(policy, attempt=run.attempt, error=error, random=random.random())  # noqa: S311

    def _interrupted(self, run: ClaimedRun, run_log: RunLog, traceparent: str) -> Completion:
        reason = self._running[_attempt_of(run)].reason or HANDED_BACK
        if reason == CANCELLED:
            run_log.warning("run cancelled on request")
            status, message = RunStatus.CANCELLED, "cancelled on request"
        else:
            # A superseded run takes this way too: its completion is rejected by the guard.
            run_log.warning("run handed back: the executor is stopping")
            status, message = RunStatus.RETRYING, "the executor stopped before the run was finished"
        return Completion(
            run,
            status,
            reason,
            error_code=reason,
            error_message=message,
            logs=run_log.entries,
            traceparent=traceparent,
        )

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


def describe(error: Exception, *, secrets: Sequence[str] = ()) -> tuple[str, str]:
    """A stable code and a message fit to be shown, for any error a run may end with.

    `secrets` are those the run was given: a vendor may repeat them in its answer.
    """
    if isinstance(error, RemoteError):
        code = error.consequence.value if error.code is None else f"{error.consequence.value}:{error.code}"
        return code, hide_secrets(error.detail, secrets)
    if isinstance(error, CarillonError):
        return _snake(type(error).__name__), hide_secrets(error.detail, secrets)
    # The text of an unforeseen error may hold anything, secrets included: only its type is shown.
    return "internal_error", f"{type(error).__name__} in the handler; see the executor's log"


def _secrets_of(run: ClaimedRun) -> list[str]:
    return [account.token for account in run.accounts]


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
