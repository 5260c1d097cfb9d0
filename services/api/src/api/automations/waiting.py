"""Automations that were paused because an account had to be connected again, once it is."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.lifecycle import resume
from api.security import Principal
from common.automation_policy import AutomationPolicy
from common.errors import RequestError
from common.models import Automation, AutomationStatus

log = structlog.get_logger()


async def resume_waiting(
    session: AsyncSession, principal: Principal, connection_id: UUID, *, now: datetime
) -> int:
    """Resume what waits for this connection, and answer how many automations that were.

    What passed meanwhile is made up for by each automation's own policy, because this pause was not chosen.
    One
    that cannot be resumed, because its plan is full or its schedule has ended, stays paused and says so.
    """
    query = (
        select(Automation)
        .where(
            col(Automation.paused_for_connection_id) == connection_id,
            col(Automation.tenant_id) == principal.tenant_id,
            col(Automation.status) == AutomationStatus.PAUSED,
        )
        # All at once and by id, the order in which pausing locks them.
        .order_by(col(Automation.id))
        .with_for_update(key_share=True)
    )
    resumed = 0
    for automation in (await session.execute(query)).scalars().all():
        policy = AutomationPolicy.read(automation.policy)
        choice = None if automation.catch_up_on_resume else policy.catch_up
        try:
            async with session.begin_nested():
                await resume(session, principal, automation.id, catch_up=choice, now=now)
            resumed += 1
        except RequestError as error:
            await session.refresh(automation)
            automation.status_reason = f"the account is connected again, but: {error.detail}"
            log.warning(
                "automation stays paused", automation_id=str(automation.id), reason=type(error).__name__
            )
    return resumed
