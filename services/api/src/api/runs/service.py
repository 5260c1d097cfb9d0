"""Runs: find them, look into one, cancel one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import announce
from api.deliveries.attachments import picture, result_without_contents
from api.deliveries.service import deliveries_of_run
from api.pagination import PageRequest
from api.rows import newest_first
from api.runs.schemas import AttemptOut, RunDetail, RunSummary
from api.runs.waits import others_of, waits_because
from common.errors import Conflict, NotFound
from common.events import RunCancelled
from common.models import Automation, AutomationRun, Lane, RunAttempt, RunStatus, Trigger

_NOT_STARTED = (RunStatus.WAITING, RunStatus.QUEUED, RunStatus.RETRYING)
UNFINISHED = (*_NOT_STARTED, RunStatus.RUNNING)
CANCELLED_BY_REQUEST = "cancelled_by_request"

_OTHERWISE = {
    "automation_name": col(Automation.name),
    # What was handed back or put off is one attempt more, and none less.
    "max_attempts": col(AutomationRun.max_attempts) + col(AutomationRun.uncounted),
}
_SUMMARY = tuple(
    _OTHERWISE[name].label(name) if name in _OTHERWISE else col(getattr(AutomationRun, name))
    for name in RunSummary.model_fields
)


def _summaries(*more: Any) -> Select[Any]:
    """Without `logs` and `result`: lists must not read them."""
    return select(*_SUMMARY, *more).join(Automation, col(Automation.id) == col(AutomationRun.automation_id))


async def run_page(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: PageRequest,
    *,
    status: RunStatus | None = None,
    automation_id: UUID | None = None,
    trigger: Trigger | None = None,
) -> Sequence[RunSummary]:
    """The tenant's runs, newest first, and one more than the page shows; dry runs only if asked for."""
    query = _summaries().where(
        col(AutomationRun.tenant_id) == tenant_id,
        col(AutomationRun.trigger) == trigger if trigger else col(AutomationRun.trigger) != Trigger.DRY_RUN,
    )
    if status is not None:
        query = query.where(col(AutomationRun.status) == status)
    if automation_id is not None:
        query = query.where(col(AutomationRun.automation_id) == automation_id)
    rows = await session.execute(newest_first(query, AutomationRun, wanted))
    return [RunSummary.model_validate(row) for row in rows]


async def summary_of(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> RunSummary:
    """One run as lists show it; raises NotFound."""
    query = _summaries().where(col(AutomationRun.id) == run_id, col(AutomationRun.tenant_id) == tenant_id)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise _not_found()
    return RunSummary.model_validate(row)


async def detail_of(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> RunDetail:
    """One run with its attempts, logs and deliveries; raises NotFound."""
    query = _summaries(col(AutomationRun.logs), col(AutomationRun.result)).where(
        col(AutomationRun.id) == run_id, col(AutomationRun.tenant_id) == tenant_id
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise _not_found()
    attempts = await session.execute(
        select(RunAttempt).where(col(RunAttempt.run_id) == run_id).order_by(col(RunAttempt.number))
    )
    reason = None
    if row.status in _NOT_STARTED:
        others = await others_of(session, tenant_id, run_id)
        reason = waits_because(RunStatus(row.status), Lane(row.lane), others)
    return RunDetail(
        **{**row._mapping, "result": result_without_contents(row.result)},
        waits_because=reason,
        attempts=[AttemptOut.model_validate(attempt) for attempt in attempts.scalars()],
        deliveries=await deliveries_of_run(session, run_id),
    )


async def chart_of(session: AsyncSession, tenant_id: UUID, run_id: UUID, number: int) -> bytes:
    """The picture of the message of this number (from 0) that a dry run would have delivered.

    Raises NotFound.
    """
    stored = await session.scalar(
        select(col(AutomationRun.result)["would_deliver"][number]["chart"]).where(
            col(AutomationRun.id) == run_id, col(AutomationRun.tenant_id) == tenant_id
        )
    )
    found = picture(stored)
    if found is None:
        raise NotFound("There is no such picture.")
    return found


async def cancel(session: AsyncSession, tenant_id: UUID, run_id: UUID, *, now: datetime) -> RunSummary:
    """Cancel a waiting run at once; ask the worker of a running one to stop.

    Cancelling twice changes nothing. Raises NotFound, or Conflict when the run has ended.
    """
    waiting = col(AutomationRun.status).in_(_NOT_STARTED)
    changed = (
        await session.execute(
            update(AutomationRun)
            .where(
                col(AutomationRun.id) == run_id,
                col(AutomationRun.tenant_id) == tenant_id,
                col(AutomationRun.status).in_(UNFINISHED),
            )
            .values(
                cancel_requested=True,
                status=case((waiting, RunStatus.CANCELLED.value), else_=col(AutomationRun.status)),
                completed_at=case((waiting, now), else_=None),
            )
            .returning(
                col(AutomationRun.status),
                col(AutomationRun.automation_id),
                col(AutomationRun.attempt),
                col(AutomationRun.trace_id),
            )
            .execution_options(synchronize_session=False)
        )
    ).one_or_none()
    run = await summary_of(session, tenant_id, run_id)
    if changed is None:
        if run.status is RunStatus.CANCELLED:
            return run
        raise Conflict(f"The run is {run.status} already.")
    if changed.status == RunStatus.CANCELLED:
        await announce(
            session,
            RunCancelled(
                run_id=run_id,
                automation_id=changed.automation_id,
                tenant_id=tenant_id,
                attempt=changed.attempt,
                trace_id=changed.trace_id,
                reason=CANCELLED_BY_REQUEST,
            ),
            at=now,
        )
    return run


def _not_found() -> NotFound:
    return NotFound("There is no such run.")
