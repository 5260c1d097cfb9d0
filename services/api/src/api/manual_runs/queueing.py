"""Queueing a run by hand, ahead of scheduled ones."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.schemas import RunRequest
from api.context import announce, current_trace
from api.manual_runs.slots import past_slot
from api.rows import Lock, owned
from api.security import Principal
from common.automation_policy import AutomationPolicy
from common.events import AutomationDue
from common.models import (
    Automation,
    AutomationRun,
    Lane,
    Plan,
    RunStatus,
    Tenant,
    Trigger,
)

_LIMIT = "max_concurrent_runs"


async def run_now(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    wanted: RunRequest,
    *,
    now: datetime,
) -> AutomationRun:
    """Queue a run ahead of scheduled ones. It belongs to the request's trace.

    The run of a slot that has none yet is that slot's run; a dry run never is. Where the team's plan limits
    how many run at once, the run waits for the leader to let it go. Raises NotFound or Unprocessable.
    """
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    slot = None if wanted.slot is None else past_slot(automation, wanted.slot, now)
    takes_slot = slot is not None and not wanted.dry_run and not await _has_run(session, automation, slot)
    retry = AutomationPolicy.read(automation.policy).retry
    limited = await _is_limited(session, principal.tenant_id)
    trace = current_trace()
    run = AutomationRun(
        tenant_id=automation.tenant_id,
        automation_id=automation.id,
        trigger=Trigger.DRY_RUN if wanted.dry_run else Trigger.MANUAL,
        scheduled_for=slot if takes_slot else None,
        as_of=None if takes_slot else slot or wanted.as_of,
        status=RunStatus.WAITING if limited else RunStatus.QUEUED,
        lane=Lane.HIGH,
        max_attempts=1 if wanted.dry_run else retry.max_attempts,
        trace_id=trace.trace_id,
        traceparent=trace.traceparent,
        available_at=now,
        created_at=now,
    )
    if not wanted.dry_run:
        automation.last_run = now
    session.add(run)
    due = AutomationDue(
        run_id=run.id,
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        lane=Lane.HIGH,
        trigger=Trigger(run.trigger),
        scheduled_for=run.scheduled_for,
    )
    if not limited:
        await announce(session, due, at=now)
    else:
        await session.flush()
    return run


async def _has_run(session: AsyncSession, automation: Automation, slot: datetime) -> bool:
    # The automation's row is locked, and everything that makes runs for slots locks it first.
    query = select(col(AutomationRun.id)).where(
        col(AutomationRun.automation_id) == automation.id, col(AutomationRun.scheduled_for) == slot
    )
    return (await session.execute(query)).one_or_none() is not None


async def _is_limited(session: AsyncSession, tenant_id: UUID) -> bool:
    row = (
        await session.execute(
            select(col(Tenant.quota), col(Plan.max_concurrent_runs))
            .join(Plan, col(Plan.name) == col(Tenant.plan))
            .where(col(Tenant.id) == tenant_id)
        )
    ).one()
    return row.quota.get(_LIMIT, row.max_concurrent_runs) is not None
