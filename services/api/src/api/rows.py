"""A team's rows: the one a request names, or 404, and lists of them, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from api.pagination import PageRequest
from common.errors import NotFound
from common.models import (
    ApiKey,
    Automation,
    Backfill,
    Connection,
    Destination,
    Recording,
    RecordingSource,
    RecordingTemplate,
    UserAccount,
)

M = TypeVar("M", bound=SQLModel)
Q = TypeVar("Q", bound="Select[*tuple[Any, ...]]")

NOUNS: Mapping[type[SQLModel], str] = {
    ApiKey: "API key",
    Automation: "automation",
    Backfill: "backfill",
    Connection: "connection",
    Destination: "destination",
    Recording: "recording",
    RecordingSource: "recording source",
    RecordingTemplate: "recording template",
    UserAccount: "user",
}


class Lock(Enum):
    """What a lock on a row holds off until the end of the transaction: `(shared, key_share)`."""

    EDIT = (False, True)
    """Other edits. Rows that refer to it may still be added."""
    WHOLE = (False, False)
    """Also rows that would refer to it."""
    REFERENCE = (True, True)
    """Its deletion, until a row that refers to it is stored."""


async def find_owned(
    session: AsyncSession,
    model: type[M],
    tenant_id: UUID,
    row_id: UUID,
    *also: ColumnElement[bool],
    lock: Lock | None = None,
) -> M | None:
    """The tenant's row of this id, if it also meets `also`."""
    columns: Any = model
    query = select(model).where(col(columns.id) == row_id, col(columns.tenant_id) == tenant_id, *also)
    if lock is not None:
        shared, key_share = lock.value
        query = query.with_for_update(read=shared, key_share=key_share)
    return (await session.execute(query)).scalar_one_or_none()


async def owned(
    session: AsyncSession,
    model: type[M],
    tenant_id: UUID,
    row_id: UUID,
    *also: ColumnElement[bool],
    noun: str = "",
    lock: Lock | None = None,
) -> M:
    """The same; raises NotFound, which calls it `noun` where its usual name will not do."""
    row = await find_owned(session, model, tenant_id, row_id, *also, lock=lock)
    if row is None:
        raise NotFound(f"There is no such {noun or NOUNS[model]}.")
    return row


def newest_first(query: Q, model: type[SQLModel], wanted: PageRequest, *, by: str = "created_at") -> Q:
    """One page of a query on `model` by the instants of a column, and one row more than the page shows."""
    columns: Any = model
    instant, identifier = col(getattr(columns, by)), col(columns.id)
    return (
        query.where(*wanted.condition(instant, identifier))
        .order_by(instant.desc(), identifier.desc())
        .limit(wanted.limit + 1)
    )


async def owned_page(
    session: AsyncSession,
    model: type[M],
    tenant_id: UUID,
    wanted: PageRequest,
    *also: ColumnElement[bool],
    **equal: object,
) -> Sequence[M]:
    """The tenant's rows, newest first, and one more than the page shows.

    `equal` holds columns to be compared, those that are None left out.
    """
    columns: Any = model
    filters = [col(getattr(columns, name)) == value for name, value in equal.items() if value is not None]
    query = select(model).where(col(columns.tenant_id) == tenant_id, *also, *filters)
    return (await session.execute(newest_first(query, model, wanted))).scalars().all()
