"""Who is asking? `Authorization: Bearer <API key>`; only the key's hash is stored."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import idempotency
from api.clients import address_of
from api.context import Now, Transaction, Wired, collaborators, connected
from common.errors import Forbidden, Unauthenticated
from common.models import ApiKey, ConsoleSession, UserAccount
from common.secrets.crypto import hash_api_key

_bearer = HTTPBearer(
    auto_error=False, scheme_name="apiKey", bearerFormat="car_…", description="An API key of your team"
)

_CHECKED = "checked_key"
"""Under this name a request's state has the key that was checked before the body was read."""
_NO_KEY = "Send an API key: Authorization: Bearer car_…"
_NOT_VALID = "The API key is unknown, revoked or expired."


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request acts for."""

    tenant_id: UUID
    user_id: UUID
    key_id: UUID
    email: str
    role: str

    @property
    def is_owner(self) -> bool:
        """Whether this person administers the team."""
        return self.role == "owner"

    def require_owner(self) -> None:
        """Raise Forbidden unless this is an owner."""
        if not self.is_owner:
            raise Forbidden("Only an owner of the team may do this.")


def _key_query() -> Any:
    return select(
        col(ApiKey.id),
        col(ApiKey.tenant_id),
        col(ApiKey.user_id),
        col(ApiKey.key_hash),
        col(ApiKey.last_used_at),
        col(ApiKey.expires_at),
        col(UserAccount.email),
        col(UserAccount.role),
    ).join(UserAccount, col(UserAccount.id) == col(ApiKey.user_id))


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A valid key and whom it belongs to."""

    principal: Principal
    last_used_at: datetime | None


def _valid(row: Any, now: datetime) -> KnownKey | None:
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    principal = Principal(row.tenant_id, row.user_id, row.id, row.email, row.role)
    return KnownKey(principal, row.last_used_at)


async def check_key(
    request: Request, session: AsyncSession, wired: Wired, key: str, now: datetime
) -> KnownKey | None:
    """The key in clear → whose it is. Raises TooManyRequests for an address that tried many wrong ones."""
    address, digest = address_of(request.scope), hash_api_key(key)
    await wired.request_limits.check_guesses(address, digest)
    known = await _find(session, digest, now)
    if known is None:
        await wired.request_limits.note_wrong(address, digest)
    else:
        wired.request_limits.note_valid(digest)
    return known


async def _find(session: AsyncSession, digest: bytes, now: datetime) -> KnownKey | None:
    """The same work is done for a key that does not exist."""
    row = (await session.execute(_key_query().where(col(ApiKey.key_hash) == digest))).one_or_none()
    stored = row.key_hash if row is not None else bytes(len(digest))
    return _valid(row, now) if hmac.compare_digest(stored, digest) else None


async def find_by_session(session: AsyncSession, session_id: UUID, now: datetime) -> KnownKey | None:
    """The key of a console session, unless one of the two has ended."""
    query = _key_query().join(ConsoleSession, col(ConsoleSession.api_key_id) == col(ApiKey.id))
    row = await session.execute(
        query.where(col(ConsoleSession.id) == session_id, col(ConsoleSession.expires_at) > now)
    )
    return _valid(row.one_or_none(), now)


async def bearer_principal(
    request: Request,
    session: Transaction,
    wired: Wired,
    now: Now,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Principal | None:
    """FastAPI dependency: the principal of the request's API key, None without one.

    Raises Unauthenticated for a key that is not valid.
    """
    if credentials is None:
        return None
    known: KnownKey | None = getattr(request.state, _CHECKED, None)
    if known is None:
        known = await check_key(request, session, wired, credentials.credentials, now)
    if known is None:
        raise Unauthenticated(_NOT_VALID)
    return admit(request, known, wired, now)


async def check_before_body(request: Request) -> None:
    """Check the request's key before its body is read, for a route that needs one.

    Raises Unauthenticated. `bearer_principal` takes the result over.
    """
    credentials = await _bearer(request)
    if credentials is None:
        raise Unauthenticated(_NO_KEY)
    wired = collaborators(request)
    async with connected(wired) as session:
        known = await check_key(request, session, wired, credentials.credentials, wired.clock())
    if known is None:
        raise Unauthenticated(_NOT_VALID)
    setattr(request.state, _CHECKED, known)


def needs_key(dependant: Dependant) -> bool:
    """Whether a route is for those with an API key only."""
    return dependant.call is authenticate or any(map(needs_key, dependant.dependencies))


async def authenticate(
    request: Request,
    session: Transaction,
    wired: Wired,
    now: Now,
    principal: Annotated[Principal | None, Depends(bearer_principal)],
) -> Principal:
    """FastAPI dependency: the principal of the request's API key; raises Unauthenticated.

    A request under an `Idempotency-Key` that was answered before goes no further.
    """
    if principal is None:
        raise Unauthenticated(_NO_KEY)
    await idempotency.begin(
        request, session, wired, tenant_id=principal.tenant_id, user_id=principal.user_id, now=now
    )
    return principal


def admit(request: Request, known: KnownKey, wired: Wired, now: datetime) -> Principal:
    """Note who is asking: for the key's `last_used_at`, and in every log line of this request."""
    wired.key_usage.note(known.principal.key_id, known.last_used_at, now)
    request.state.tenant_id = known.principal.tenant_id
    structlog.contextvars.bind_contextvars(tenant_id=str(known.principal.tenant_id))
    return known.principal


Caller = Annotated[Principal, Depends(authenticate)]
