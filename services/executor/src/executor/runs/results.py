"""What became of one attempt of a run, and the event that says so. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.events import RunCancelled, RunCompleted, RunFailed
from common.messages import Message
from common.models import RunStatus
from common.work.leases import Attempt
from common.work.worker import Stop
from executor.aftermath.table import Fault
from executor.runs.claims import ClaimedRun

SUMMARY_LENGTH = 500

CANCELLED = Stop.CANCELLED.value
HANDED_BACK = Stop.HANDED_BACK.value
DELAYED = "delayed"
"""A platform's limit was reached: the run waits, and is as far as before."""
UNCOUNTED = frozenset({HANDED_BACK, DELAYED})


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of one attempt.

    `outcome` is what the attempt's record says; `status` the run's next state. `traceparent` is the span
    that what follows (deliveries) continues from. `retry_after` counts from the moment it is recorded.
    """

    run: ClaimedRun
    status: RunStatus
    outcome: str
    summary: str = ""
    result: dict[str, Any] | None = None
    messages: Sequence[Message] = ()
    error_code: str | None = None
    error_message: str | None = None
    logs: Sequence[dict[str, Any]] = ()
    retry_after: timedelta = timedelta()
    traceparent: str | None = None
    state: Mapping[str, Any] | None = None
    """What the automation shall remember; None leaves it as it is."""
    faults: Sequence[Fault] = ()
    """What the attempt met that concerns an account or its owner."""
    retry_if_outdated: timedelta | None = None
    """It failed for a dead token: how long until another attempt, should there be a newer token by now."""

    @property
    def attempt(self) -> Attempt:
        """The attempt it is about; a group may hold two of one run."""
        return self.run.id, self.run.attempt


def without_result(completion: Completion) -> Completion:
    """What is recorded of an attempt whose result, messages or error text cannot be stored. Pure."""
    failed = completion.status is RunStatus.COMPLETED
    return replace(
        completion,
        status=RunStatus.FAILED if failed else completion.status,
        outcome="failed" if failed else completion.outcome,
        summary="",
        result=None,
        messages=(),
        state=None,
        faults=(),
        logs=(),
        error_code="unstorable",
        error_message="what the handler returned cannot be stored; see the executor's log",
    )


def run_event(
    completion: Completion, *, completed_at: datetime | None, retry_at: datetime, deliveries: tuple[UUID, ...]
) -> RunCompleted | RunFailed | RunCancelled:
    """The event that announces a completion. Pure."""
    run = completion.run
    common: dict[str, Any] = {
        "run_id": run.id,
        "automation_id": run.automation_id,
        "tenant_id": run.tenant_id,
        "attempt": run.attempt,
        "trace_id": run.trace_id,
    }
    if completion.status is RunStatus.COMPLETED:
        return RunCompleted(
            **common,
            scheduled_for=run.scheduled_for,
            completed_at=completed_at,
            summary=completion.summary[:SUMMARY_LENGTH],
            deliveries=deliveries,
        )
    if completion.status is RunStatus.CANCELLED:
        reason = completion.error_message if completion.outcome == CANCELLED else None
        return RunCancelled(**common, reason=reason or "requested; its last attempt had failed")
    return RunFailed(
        **common,
        error_code=completion.error_code or "error",
        error_message=(completion.error_message or "")[:SUMMARY_LENGTH],
        retry_at=retry_at if completion.status is RunStatus.RETRYING else None,
    )
