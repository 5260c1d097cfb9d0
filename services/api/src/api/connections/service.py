"""Connections: create, find, change, delete. Secrets are sealed before they reach a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.waiting import resume_waiting
from api.connection_kinds import (
    ALL_KINDS,
    PASTED,
    STORE_TITLES,
    USUAL_KIND,
    KindName,
    PlatformName,
    Secrets,
    unusable,
)
from api.connections.health import health_of, missing_of
from api.connections.schemas import (
    ConnectionCreate,
    ConnectionOut,
    ConnectionPatch,
    HealthOut,
    KindOut,
    PastedFieldOut,
)
from api.connections.sealing import open_stored, seal_pasted
from api.pagination import PageRequest
from api.problems import unacceptable
from api.quotas.service import require_room_for
from api.rows import Lock, newest_first, owned
from api.security import Principal
from common.errors import Conflict, FieldError, PlatformError
from common.ids import new_id
from common.models import (
    Connection,
    ConnectionKind,
    ConnectionStatus,
    RecordingSource,
    TokenRefresh,
    platform_of,
)
from common.secrets.crypto import KeyRing
from platforms.oauth.base import Grant, Stored, TokenSet
from platforms.platform import WEBHOOK_SECRET

log = structlog.get_logger()

Grants = Mapping[ConnectionKind, Grant]

GRANTED_BY_DIALOG = "granted_by_dialog"
"""Setting of a connection whose token its person granted to this server's app, and to no other app."""
_NAMED = 5
_SECRETS = {"token", "refresh_token", "credentials", WEBHOOK_SECRET}


async def create(
    session: AsyncSession,
    keys: KeyRing,
    grants: Grants,
    principal: Principal,
    wanted: ConnectionCreate,
    *,
    now: datetime,
) -> Connection:
    """Store a connection with its secrets sealed. Raises QuotaExceeded or Unprocessable."""
    kind = ConnectionKind(wanted.kind or USUAL_KIND[wanted.platform])
    if platform_of(kind) != wanted.platform:
        raise unacceptable([FieldError("/kind", f"is no kind of {wanted.platform} connection")])
    secrets = wanted.secrets()
    if faults := unusable(kind, secrets, complete=True):
        raise unacceptable(faults)
    await require_room_for(session, principal.tenant_id, Connection)
    connection = Connection(
        id=new_id(),
        tenant_id=principal.tenant_id,
        kind=kind,
        created_at=now,
        updated_at=now,
        **wanted.model_dump(exclude={"kind", *_SECRETS}),
    )
    seal_pasted(keys, connection, secrets)
    connection.refresh_at = renewal_of(grants, connection, secrets, now)
    session.add(connection)
    await session.flush()
    return connection


async def change(
    session: AsyncSession,
    keys: KeyRing,
    grants: Grants,
    principal: Principal,
    connection_id: UUID,
    patch: ConnectionPatch,
    *,
    now: datetime,
) -> Connection:
    """Replace the fields given; a new token ends `reauth_required`, and what waited for it goes on.

    Whose account a pasted token is of is not known until it is looked at. Raises NotFound or Unprocessable.
    """
    connection = await owned(session, Connection, principal.tenant_id, connection_id, lock=Lock.EDIT)
    given, secrets = patch.given(), patch.secrets()
    if faults := unusable(ConnectionKind(connection.kind), secrets, complete=secrets.grants):
        raise unacceptable(faults)
    seal_pasted(keys, connection, secrets)
    if given.get(WEBHOOK_SECRET, ...) is None:
        connection.webhook_secret_sealed = None
    if secrets.grants:
        revive(connection)
        connection.external_id = connection.external_name = connection.checked_at = None
        connection.accounts = []
        connection.expires_at = connection.refresh_expires_at = None
        connection.settings = _without_mark(connection.settings)
    for name, value in given.items():
        if name not in _SECRETS:
            setattr(connection, name, value)
    if secrets.grants:
        connection.refresh_at = renewal_of(grants, connection, secrets, now)
    connection.updated_at = now
    await session.flush()
    if secrets.grants:
        await resume_waiting(session, principal, connection.id, now=now)
    return connection


async def remove(
    session: AsyncSession, keys: KeyRing, principal: Principal, connection_id: UUID
) -> tuple[ConnectionKind, Stored] | None:
    """Delete it and its secrets; raises NotFound, and Conflict while recordings are taken from it.

    Those would go with it, and leave their files behind. Answers what can be given back to the platform once
    the deletion is committed: a grant that was made for this connection by the platform's dialog. A token
    that was pasted may serve others as well.
    """
    connection = await owned(session, Connection, principal.tenant_id, connection_id, lock=Lock.EDIT)
    sources = (
        await session.scalars(
            select(col(RecordingSource.name))
            .where(col(RecordingSource.connection_id) == connection_id)
            .order_by(col(RecordingSource.number))
            .limit(_NAMED + 1)
        )
    ).all()
    if sources:
        told = ", ".join(f"“{name}”" for name in sources[:_NAMED])
        more = " and others" if len(sources) > _NAMED else ""
        raise Conflict(f"Recordings are taken from it: delete the sources {told}{more} first.")
    kind = ConnectionKind(connection.kind)
    given_back: tuple[ConnectionKind, Stored] | None = None
    if connection.settings.get(GRANTED_BY_DIALOG) is True:
        given_back = (kind, open_stored(keys, connection))
    await session.execute(delete(Connection).where(col(Connection.id) == connection_id))
    return given_back


async def refreshes(
    session: AsyncSession, tenant_id: UUID, connection_id: UUID, wanted: PageRequest
) -> Sequence[TokenRefresh]:
    """The connection's renewals, latest first, and one more than the page shows; raises NotFound."""
    await owned(session, Connection, tenant_id, connection_id)
    query = select(TokenRefresh).where(col(TokenRefresh.connection_id) == connection_id)
    return (await session.scalars(newest_first(query, TokenRefresh, wanted, by="started_at"))).all()


async def give_back(grant: Grant, stored: Stored, connection_id: UUID) -> None:
    """Tell the platform that a deleted connection's token is no longer needed, as best as can be done."""
    try:
        await grant.revoke(stored)
    except PlatformError as error:
        log.warning("grant not given back", connection_id=str(connection_id), code=error.code)


def revive(connection: Connection) -> None:
    """It has another token: whatever was said about the one before no longer holds."""
    connection.token_version += 1
    connection.status = ConnectionStatus.ACTIVE
    connection.status_reason = None
    connection.problem = None
    connection.reauth_required_at = None
    connection.refresh_requested_at = None


def renewal_of(grants: Grants, connection: Connection, secrets: Secrets, now: datetime) -> datetime | None:
    """When a pasted token should be renewed or looked at; None where this server can do neither."""
    grant = grants.get(ConnectionKind(connection.kind))
    if grant is None or grant.missing_settings():
        return None
    if grant.rotates and secrets.refresh_token is None:
        return connection.expires_at
    if secrets.token is None:
        return now
    tokens = TokenSet(secrets.token.get_secret_value(), expires_at=connection.expires_at)
    return grant.renew_at(tokens, now=now)


def kinds(grants: Grants) -> list[KindOut]:
    """Every kind of connection as this server can make it."""
    return [_kind(kind, grants.get(kind)) for kind in ALL_KINDS]


def shown(connection: Connection, now: datetime) -> ConnectionOut:
    """A connection as clients see it."""
    shown = connection.model_dump(include=set(ConnectionOut.model_fields))
    shown["settings"] = _without_mark(connection.settings)
    return ConnectionOut(
        **shown,
        health=HealthOut.model_validate(health_of(connection, now)),
        missing_scopes=missing_of(connection),
        has_token=connection.token_sealed is not None,
        has_refresh_token=connection.refresh_token_sealed is not None,
        has_credentials=connection.credentials_sealed is not None,
        has_webhook_secret=connection.webhook_secret_sealed is not None,
    )


def _without_mark(settings: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in settings.items() if name != GRANTED_BY_DIALOG}


def _kind(kind: ConnectionKind, grant: Grant | None) -> KindOut:
    missing = () if grant is None else grant.missing_settings()
    return KindOut(
        kind=KindName(kind),
        platform=PlatformName(platform_of(kind)),
        title=STORE_TITLES[kind] if grant is None else grant.title,
        has_dialog=grant is not None and grant.has_dialog,
        is_configured=not missing,
        missing_settings=list(missing),
        needs=[] if grant is None else [need[0] for need in grant.needs],
        paste=[PastedFieldOut.model_validate(field) for field in PASTED[kind]],
    )
