"""Asking a platform now how an account is: whether its token lives, whose it is, and what it reaches."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.waiting import resume_waiting
from api.commits import commit, transaction
from api.connections.adoption import show
from api.connections.schemas import CheckOutcome
from api.connections.sealing import open_stored, seal_granted
from api.context import Collaborators, announce
from api.rows import Lock, owned
from api.security import Principal
from common.errors import Conflict, Consequence, PlatformError
from common.events import TokenRefreshDue
from common.models import Connection, ConnectionKind, ConnectionStatus, platform_of
from platforms.oauth.base import Discovered, Grant, Stored, TokenSet

log = structlog.get_logger()

CHECK_SECONDS = 30.0
_DEAD = frozenset({Consequence.REAUTH, Consequence.REFRESH, Consequence.GONE})
_LATER = frozenset({Consequence.TRANSIENT, Consequence.RATE})


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look came to, and the connection as it is afterwards."""

    outcome: CheckOutcome
    detail: str | None
    connection: Connection
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    found: Discovered
    tokens: TokenSet | None


async def check(
    session: AsyncSession,
    wired: Collaborators,
    principal: Principal,
    connection_id: UUID,
    *,
    now: datetime,
) -> Checked:
    """Look at the account and keep what was found. Raises NotFound, or Conflict for a store.

    Rotating tokens are renewed by executors alone, one at a time: where one is dead or has ended, they are
    asked to, and whether the account must be connected again is what they find out. Ends the session's
    transaction: none is open while the platform is asked.
    """
    connection = await owned(session, Connection, principal.tenant_id, connection_id)
    grant = wired.grants.get(ConnectionKind(connection.kind))
    if grant is None:
        raise Conflict("A store has no account to look at.")
    stored, version = open_stored(wired.keys, connection), connection.token_version
    await commit(session, wired.engine)
    answer = await _ask(grant, stored, now)
    async with transaction(wired.sessions, wired.engine) as later:
        connection = await owned(later, Connection, principal.tenant_id, connection_id, lock=Lock.EDIT)
        if connection.token_version != version:
            detail = "it got another token meanwhile; look again"
            return Checked(CheckOutcome.UNANSWERED, detail, connection)
        if isinstance(answer, _Seen):
            return await _keep(later, wired, grant, principal, connection, answer, now)
        return await _note(later, connection, stored, answer, now)


async def _ask(grant: Grant, stored: Stored, now: datetime) -> _Seen | PlatformError:
    tokens: TokenSet | None = None
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            if stored.credentials:
                # Tokens of a server-to-server app live side by side: a fresh one proves its credentials.
                tokens = await grant.renew(stored, now=now)
                stored = Stored(tokens.access_token, None, stored.credentials, stored.settings)
            return _Seen(await grant.discover(stored, now=now), tokens)
    except PlatformError as error:
        return error
    except TimeoutError:
        return PlatformError(
            f"{grant.title}: no answer in time",
            Consequence.TRANSIENT,
            platform=platform_of(grant.kind),
        )


async def _keep(
    session: AsyncSession,
    wired: Collaborators,
    grant: Grant,
    principal: Principal,
    connection: Connection,
    seen: _Seen,
    now: datetime,
) -> Checked:
    was_dead = connection.status == ConnectionStatus.REAUTH_REQUIRED
    found, tokens = seen.found, seen.tokens
    if tokens is not None:
        seal_granted(wired.keys, connection, tokens, whole_grant=False)
        connection.token_version += 1
        connection.refreshed_at = now
        connection.expires_at = tokens.expires_at
    else:
        connection.expires_at = found.expires_at or connection.expires_at
    if was_dead or tokens is not None or found.expires_at is not None:
        current = tokens or TokenSet("", expires_at=connection.expires_at)
        connection.refresh_at = grant.renew_at(current, now=now)
        connection.refresh_requested_at = None
    connection.status = ConnectionStatus.ACTIVE
    connection.status_reason = connection.problem = connection.reauth_required_at = None
    connection.scopes = list(found.scopes or (tokens.scopes if tokens else ()) or connection.scopes)
    if connection.external_id is None and not await _is_taken(session, connection, found.external_id):
        connection.external_id = found.external_id
    show(connection, found, now)
    connection.updated_at = now
    await session.flush()
    resumed = await resume_waiting(session, principal, connection.id, now=now) if was_dead else 0
    return Checked(CheckOutcome.ALIVE, None, connection, resumed)


async def _note(
    session: AsyncSession, connection: Connection, stored: Stored, error: PlatformError, now: datetime
) -> Checked:
    log.info(
        "connection refused a look", connection_id=str(connection.id), code=error.code, reason=error.detail
    )
    if error.consequence in _LATER:
        return Checked(CheckOutcome.UNANSWERED, error.detail, connection)
    connection.updated_at = now
    if error.consequence not in _DEAD:
        connection.problem = error.detail
        return Checked(CheckOutcome.REFUSED, error.detail, connection)
    if connection.status == ConnectionStatus.REAUTH_REQUIRED:
        return Checked(CheckOutcome.REFUSED, error.detail, connection)
    if error.consequence is not Consequence.REFRESH or stored.refresh_token is None:
        connection.problem = f"its token is no longer accepted ({error.detail})"
    connection.refresh_at = connection.refresh_requested_at = now
    due = TokenRefreshDue(
        connection_id=connection.id,
        tenant_id=connection.tenant_id,
        platform=connection.platform,
        kind=connection.kind,
        version=connection.token_version,
        expires_at=connection.expires_at,
    )
    await announce(session, due, at=now)
    return Checked(CheckOutcome.RENEWAL_REQUESTED, error.detail, connection)


async def _is_taken(session: AsyncSession, connection: Connection, external_id: str) -> bool:
    """Whether the team has another connection of this account, which then keeps being the one found by it."""
    query = select(col(Connection.id)).where(
        col(Connection.tenant_id) == connection.tenant_id,
        col(Connection.kind) == connection.kind,
        col(Connection.external_id) == external_id,
    )
    return (await session.execute(query)).first() is not None
