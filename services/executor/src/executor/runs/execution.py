"""Executing claimed runs: what the machine of `common.work.worker` must know of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from common import telemetry
from common.models import RunStatus
from common.work.leases import Attempt
from common.work.patience import Patience
from common.work.places import LanePlaces
from common.work.waiting import Waiting
from common.work.worker import Held
from common.work.writing import GroupWriter
from executor.handlers.base import RunLog
from executor.runs.attempts import Attempts
from executor.runs.claims import ClaimedRun, Claims
from executor.runs.results import Completion, without_result

log = structlog.get_logger()


class Execution:
    """Runs as a kind of claimed work. `sweep_after`: how long a run may wait for its event."""

    name = "run"

    def __init__(
        self,
        claims: Claims,
        completions: GroupWriter[Completion],
        attempts: Attempts,
        *,
        sweep_after: Patience,
    ) -> None:
        self._claims = claims
        self._completions = completions
        self._attempts = attempts
        self._sweep_after = sweep_after

    async def claim(self, wanted: Mapping[UUID, str | None]) -> Sequence[ClaimedRun]:
        """Those of the runs that are still queued."""
        return await self._claims.claim(wanted)

    async def waiting(
        self, places: LanePlaces, *, at_once: bool, without: Sequence[UUID], limit: int
    ) -> Sequence[Waiting]:
        """Runs of the places' lane that have waited too long."""
        waited = 0.0 if at_once else self._sweep_after.seconds
        return await self._claims.waiting(places.lane, waited_seconds=waited, without=without, limit=limit)

    async def read_back(self, known: Sequence[Attempt]) -> Sequence[ClaimedRun]:
        """Runs claimed without an answer."""
        return await self._claims.read_back(known)

    async def work(self, held: Held[ClaimedRun]) -> None:
        """Run the handler and record what became of the run."""
        run = held.item
        held.begin()
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
            completion = await self._attempts.make(run, run_log, traceparent, why_stopped=lambda: held.stop)
            held.settle()
            if completion.error_code:
                span.set_attribute("error.type", completion.error_code)
        elapsed = time.monotonic() - started
        telemetry.RUN_DURATION.labels(run.type).observe(elapsed)
        telemetry.RUNS_FINISHED.labels(run.type, completion.outcome).inc()
        if not await self._record(completion):
            logger.warning("late result rejected")
        elif completion.status is RunStatus.COMPLETED:
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
