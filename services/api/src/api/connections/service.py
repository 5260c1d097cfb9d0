"""Connections: create, find, change. Tokens are sealed before they reach a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.connections.schemas import ConnectionCreate, ConnectionOut, ConnectionPatch
from api.pagination import PageRequest
from api.security import Principal
from common.crypto import KeyRing
from common.errors import NotFound
from common.ids import new_id
from common.models import Connection, ConnectionKind, ConnectionStatus, Platform

COLUMN = "token"
_USUAL_KIND = {
    Platform.FACEBOOK: ConnectionKind.FACEBOOK_USER,
    Platform.TIKTOK: ConnectionKind.TIKTOK_BUSINESS,
    Platform.ZOOM: ConnectionKind.ZOOM_USER,
    Platform.POSTGRESQL: ConnectionKind.POSTGRESQL,
    Platform.S3: ConnectionKind.S3,
}


async def create(
    session: AsyncSession, keys: KeyRing, principal: Principal, wanted: ConnectionCreate, *, now: datetime
) -> Connection:
    """Store a connection with its token sealed."""
    connection_id = new_id()
    connection = Connection(
        id=connection_id,
        tenant_id=principal.tenant_id,
        kind=_USUAL_KIND[wanted.platform],
        token_sealed=keys.seal(
            wanted.token.get_secret_value(),
            tenant_id=principal.tenant_id,
            row_id=connection_id,
            column=COLUMN,
        ),
        created_at=now,
        updated_at=now,
        **wanted.model_dump(exclude={"token"}),
    )
    session.add(connection)
    await session.flush()
    return connection


async def page(
    session: AsyncSession, tenant_id: UUID, wanted: PageRequest, *, platform: Platform | None = None
) -> Sequence[Connection]:
    """The tenant's connections, newest first, and one more than the page shows."""
    query = select(Connection).where(
        col(Connection.tenant_id) == tenant_id,
        *wanted.condition(col(Connection.created_at), col(Connection.id)),
    )
    if platform is not None:
        query = query.where(col(Connection.platform) == platform)
    query = query.order_by(col(Connection.created_at).desc(), col(Connection.id).desc())
    return (await session.execute(query.limit(wanted.limit + 1))).scalars().all()


async def find(
    session: AsyncSession, tenant_id: UUID, connection_id: UUID, *, lock: bool = False
) -> Connection:
    """One of the tenant's connections; raises NotFound."""
    query = select(Connection).where(
        col(Connection.id) == connection_id, col(Connection.tenant_id) == tenant_id
    )
    if lock:
        query = query.with_for_update()
    connection = (await session.execute(query)).scalar_one_or_none()
    if connection is None:
        raise NotFound("There is no such connection.")
    return connection


async def change(
    session: AsyncSession,
    keys: KeyRing,
    principal: Principal,
    connection_id: UUID,
    patch: ConnectionPatch,
    *,
    now: datetime,
) -> Connection:
    """Replace the fields given; a new token ends `reauth_required`. Raises NotFound."""
    connection = await find(session, principal.tenant_id, connection_id, lock=True)
    given = patch.given()
    token = given.pop("token", None)
    if token is not None:
        connection.token_sealed = keys.seal(
            token.get_secret_value(), tenant_id=connection.tenant_id, row_id=connection.id, column=COLUMN
        )
        connection.token_version += 1
        connection.status = ConnectionStatus.ACTIVE
        connection.status_reason = None
        connection.expires_at = None
    for name, value in given.items():
        setattr(connection, name, value)
    connection.updated_at = now
    await session.flush()
    return connection


async def remove(session: AsyncSession, principal: Principal, connection_id: UUID) -> None:
    """Delete it and its token; raises NotFound."""
    await find(session, principal.tenant_id, connection_id, lock=True)
    await session.execute(delete(Connection).where(col(Connection.id) == connection_id))


def shown(connection: Connection) -> ConnectionOut:
    """A connection as clients see it."""
    shown = connection.model_dump(include=set(ConnectionOut.model_fields))
    return ConnectionOut(**shown, has_token=connection.token_sealed is not None)
