"""Deliveries: find them, and queue new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import announce, current_trace
from api.deliveries.attachments import picture, without_contents
from api.deliveries.schemas import DeliveryAttemptOut, DeliveryOut, DeliverySummary
from api.pagination import PageRequest
from api.rows import newest_first
from common.errors import NotFound
from common.events import NotificationRequested
from common.messages import Message
from common.models import Delivery, DeliveryAttempt, DeliveryStatus, Destination

_SUMMARY = tuple(
    col(getattr(Delivery, name))
    for name in DeliverySummary.model_fields
    if not name.startswith("destination_") or name == "destination_id"
)


def _deliveries(*more: Any) -> Select[Any]:
    return select(
        *_SUMMARY,
        col(Destination.name).label("destination_name"),
        col(Destination.type).label("destination_type"),
        *more,
    ).join(Destination, col(Destination.id) == col(Delivery.destination_id))


async def delivery_page(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: PageRequest,
    *,
    status: DeliveryStatus | None = None,
    destination_id: UUID | None = None,
) -> Sequence[DeliverySummary]:
    """The tenant's deliveries, newest first, and one more than the page shows."""
    query = _deliveries().where(col(Delivery.tenant_id) == tenant_id)
    if status is not None:
        query = query.where(col(Delivery.status) == status)
    if destination_id is not None:
        query = query.where(col(Delivery.destination_id) == destination_id)
    rows = await session.execute(newest_first(query, Delivery, wanted))
    return [DeliverySummary.model_validate(row) for row in rows]


async def deliveries_of_run(session: AsyncSession, run_id: UUID) -> list[DeliveryOut]:
    """What a run sent, oldest first, with the attempts."""
    return await _with_attempts(session, col(Delivery.run_id) == run_id)


async def find_delivery(session: AsyncSession, tenant_id: UUID, delivery_id: UUID) -> DeliveryOut:
    """One delivery with its attempts; raises NotFound."""
    found = await _with_attempts(
        session, (col(Delivery.id) == delivery_id) & (col(Delivery.tenant_id) == tenant_id)
    )
    if not found:
        raise NotFound("There is no such delivery.")
    return found[0]


async def chart_of(session: AsyncSession, tenant_id: UUID, delivery_id: UUID) -> bytes:
    """The picture that came with a delivery's message; raises NotFound."""
    stored = await session.scalar(
        select(col(Delivery.message)["chart"]).where(
            col(Delivery.id) == delivery_id, col(Delivery.tenant_id) == tenant_id
        )
    )
    found = picture(stored)
    if found is None:
        raise NotFound("There is no such picture.")
    return found


async def _with_attempts(session: AsyncSession, which: ColumnElement[bool]) -> list[DeliveryOut]:
    query = _deliveries(without_contents(col(Delivery.message)).label("message")).where(which)
    rows = (await session.execute(query.order_by(col(Delivery.created_at), col(Delivery.id)))).all()
    attempts: dict[UUID, list[DeliveryAttemptOut]] = defaultdict(list)
    if rows:
        tries = await session.execute(
            select(DeliveryAttempt)
            .where(col(DeliveryAttempt.delivery_id).in_([row.id for row in rows]))
            .order_by(col(DeliveryAttempt.number))
        )
        for attempt in tries.scalars():
            attempts[attempt.delivery_id].append(DeliveryAttemptOut.model_validate(attempt))
    return [DeliveryOut(**row._mapping, attempts=attempts[row.id]) for row in rows]


async def queue(
    session: AsyncSession, destination: Destination, message: Message, *, now: datetime
) -> DeliveryOut:
    """Queue a message that belongs to no run."""
    trace = current_trace()
    delivery = Delivery(
        tenant_id=destination.tenant_id,
        run_id=None,
        destination_id=destination.id,
        message=message.model_dump(mode="json"),
        next_attempt_at=now,
        trace_id=trace.trace_id,
        traceparent=trace.traceparent,
        created_at=now,
    )
    session.add(delivery)
    await announce(
        session,
        NotificationRequested(
            delivery_id=delivery.id,
            destination_id=destination.id,
            tenant_id=destination.tenant_id,
            run_id=None,
        ),
        at=now,
    )
    return await find_delivery(session, destination.tenant_id, delivery.id)
