"""The numbers by which people and rules name a team's sources and templates."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from common.models import RecordingSource, RecordingTemplate, Tenant


async def take_turns(session: AsyncSession, tenant_id: UUID) -> None:
    """Serialise adding and renaming numbered things within the team, for the transaction."""
    await session.execute(
        select(col(Tenant.id)).where(col(Tenant.id) == tenant_id).with_for_update(key_share=True)
    )


async def next_number(
    session: AsyncSession, tenant_id: UUID, kind: type[RecordingSource] | type[RecordingTemplate]
) -> int:
    """One more than the highest there is, for a row of this transaction."""
    await take_turns(session, tenant_id)
    highest = await session.scalar(select(func.max(col(kind.number))).where(col(kind.tenant_id) == tenant_id))
    return (highest or 0) + 1
