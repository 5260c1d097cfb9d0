"""Keeping what a person agreed to: the row of the account it is, new or known, with its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.waiting import resume_waiting
from api.connections import service
from api.connections.sealing import seal_granted
from api.quotas.service import require_room_for
from api.security import Principal
from common.ids import new_id
from common.models import Connection, ConnectionKind, OAuthAttempt, platform_of
from common.secrets.crypto import KeyRing
from platforms.oauth.base import Discovered, Grant, TokenSet

# Two people who connect the same new account at the same time get one row, not an error each.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('connection ' || :account, 0))")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of a consent.

    `instead_of` is the name of the connection that was to be connected again, when the person agreed as
    another account the team has; that one got the tokens. `problem`: what it reaches could not be seen.
    """

    connection: Connection
    created: bool
    resumed: int
    instead_of: str | None = None
    problem: str | None = None


class OtherAccount(Exception):
    """The person agreed as an account that is not the one to be connected again, and is not known."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class Place:
    """Where tokens go: the `row`, or a new one when it is None."""

    row: Connection | None
    instead_of: str | None = None


async def adopt(
    session: AsyncSession,
    keys: KeyRing,
    grant: Grant,
    principal: Principal,
    attempt: OAuthAttempt,
    tokens: TokenSet,
    found: Discovered | None,
    *,
    problem: str | None,
    now: datetime,
) -> Adopted:
    """Keep the tokens, and resume what waited for the account. Raises OtherAccount; nothing is kept then."""
    external_id = found.external_id if found is not None else tokens.external_id
    rows = await _candidates(session, attempt, external_id)
    place = choose(rows, wanted_id=attempt.connection_id, external_id=external_id, found=found)
    row = place.row
    if row is None:
        await require_room_for(session, attempt.tenant_id, Connection)
        row = Connection(
            id=new_id(),
            tenant_id=attempt.tenant_id,
            platform=platform_of(ConnectionKind(attempt.kind)),
            kind=attempt.kind,
            name=attempt.name or (found.external_name if found else "") or grant.title,
            created_at=now,
        )
        session.add(row)
    else:
        service.revive(row)
    seal_granted(keys, row, tokens, whole_grant=True)
    row.expires_at = tokens.expires_at or (found.expires_at if found else None)
    row.refresh_expires_at = tokens.refresh_expires_at
    row.refreshed_at = now
    row.refresh_at = grant.renew_at(replace(tokens, expires_at=row.expires_at), now=now)
    row.scopes = list((found.scopes if found else ()) or tokens.scopes)
    row.settings = {**row.settings, service.GRANTED_BY_DIALOG: True}
    row.external_id = external_id or row.external_id
    row.problem = problem
    row.updated_at = now
    if found is not None:
        show(row, found, now)
    await session.flush()
    resumed = await resume_waiting(session, principal, row.id, now=now) if place.row is not None else 0
    return Adopted(row, place.row is None, resumed, place.instead_of, problem)


def show(row: Connection, found: Discovered, now: datetime) -> None:
    """Put what an account was found to be and to reach into its row."""
    row.external_name = found.external_name
    row.accounts = [dict(account) for account in found.accounts]
    row.settings = {**row.settings, **found.settings}
    row.checked_at = now


def choose(
    rows: Sequence[Connection], *, wanted_id: UUID | None, external_id: str | None, found: Discovered | None
) -> Place:
    """The row of the account, among the one to be connected again and the one that is this account. Pure.

    The account decides, not the wish: tokens of one account in the row of another would feed automations
    with a stranger's figures. Raises OtherAccount.
    """
    wanted = next((row for row in rows if row.id == wanted_id), None)
    same = next((row for row in rows if external_id is not None and row.external_id == external_id), None)
    if wanted is None or same is wanted:
        return Place(wanted or same)
    if same is not None:
        return Place(same, instead_of=wanted.name)
    if wanted.external_id is None or external_id is None:
        return Place(wanted)
    other, own = found.external_name if found else external_id, wanted.external_name or wanted.external_id
    raise OtherAccount(
        f"You agreed as {other}, but “{wanted.name}” is the account {own}. "
        "Nothing was changed. Sign in there as that account and start again, or connect the other one as a "
        "new connection."
    )


async def _candidates(
    session: AsyncSession, attempt: OAuthAttempt, external_id: str | None
) -> Sequence[Connection]:
    """The rows that may get the tokens, locked: a refresher of one of them has finished, or comes later."""
    mine = col(Connection.tenant_id) == attempt.tenant_id
    if external_id is None:
        query = select(Connection).where(mine, col(Connection.id) == attempt.connection_id)
    else:
        account = f"{attempt.tenant_id} {attempt.kind} {external_id}"
        await session.execute(_ONE_AT_A_TIME, {"account": account})
        this_account = (col(Connection.kind) == attempt.kind) & (col(Connection.external_id) == external_id)
        query = select(Connection).where(mine, or_(col(Connection.id) == attempt.connection_id, this_account))
    locked = query.order_by(col(Connection.id)).with_for_update(key_share=True)
    return (await session.execute(locked)).scalars().all()
