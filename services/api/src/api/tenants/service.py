"""A team, its people and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.pagination import PageRequest
from api.problems import unacceptable
from api.quotas.service import require_room_for
from api.rows import Lock, find_owned, owned, owned_page
from api.security import Principal
from api.tenants.schemas import ApiKeyCreate, UserCreate, UserPatch
from common.errors import Conflict, FieldError, Forbidden
from common.ids import new_id
from common.models import ApiKey, Tenant, UserAccount
from common.secrets.crypto import hash_api_key, new_api_key

HINT_LENGTH = 8


async def tenant_of(session: AsyncSession, principal: Principal) -> Tenant:
    """The caller's team."""
    return (await session.execute(select(Tenant).where(col(Tenant.id) == principal.tenant_id))).scalar_one()


async def add_user(
    session: AsyncSession, principal: Principal, wanted: UserCreate, *, now: datetime
) -> UserAccount:
    """Add a person. Raises Forbidden, or Conflict when the address is taken."""
    principal.require_owner()
    statement = (
        insert(UserAccount)
        .values(id=new_id(), tenant_id=principal.tenant_id, created_at=now, **wanted.model_dump())
        .on_conflict_do_nothing()
        .returning(UserAccount)
    )
    user = (await session.execute(statement)).scalar_one_or_none()
    if user is None:
        raise Conflict(
            "A member of the team has this address.", errors=[FieldError("/email", "already taken")]
        )
    return user


async def change_user(
    session: AsyncSession, principal: Principal, user_id: UUID, patch: UserPatch
) -> UserAccount:
    """Change a person's name or role. Raises Forbidden, NotFound or Conflict."""
    given = patch.given()
    if user_id != principal.user_id or "role" in given:
        principal.require_owner()
    user = await owned(session, UserAccount, principal.tenant_id, user_id, lock=Lock.WHOLE)
    if user.role == "owner" and given.get("role", "owner") != "owner":
        await _require_another_owner(session, principal.tenant_id, user_id)
    for name, value in given.items():
        setattr(user, name, value)
    await session.flush()
    return user


async def remove_user(session: AsyncSession, principal: Principal, user_id: UUID) -> None:
    """Remove a person and their keys; their automations stay. Raises Forbidden, NotFound or Conflict."""
    principal.require_owner()
    user = await owned(session, UserAccount, principal.tenant_id, user_id, lock=Lock.WHOLE)
    if user.role == "owner":
        await _require_another_owner(session, principal.tenant_id, user_id)
    await session.execute(delete(UserAccount).where(col(UserAccount.id) == user_id))


async def _require_another_owner(session: AsyncSession, tenant_id: UUID, user_id: UUID) -> None:
    # The team's row is locked: two owners leaving at the same moment must not leave none.
    await session.execute(select(col(Tenant.id)).where(col(Tenant.id) == tenant_id).with_for_update())
    others = await session.execute(
        select(func.count())
        .select_from(UserAccount)
        .where(
            col(UserAccount.tenant_id) == tenant_id,
            col(UserAccount.role) == "owner",
            col(UserAccount.id) != user_id,
        )
    )
    if not others.scalar_one():
        raise Conflict("This is the team's only owner; make another member an owner first.")


async def key_page(session: AsyncSession, principal: Principal, wanted: PageRequest) -> Sequence[ApiKey]:
    """The keys the caller may see, newest first, and one more than the page shows.

    Owners see all of the team's keys, members their own.
    """
    return await owned_page(session, ApiKey, principal.tenant_id, wanted, *_shown_to(principal))


async def find_key(session: AsyncSession, principal: Principal, key_id: UUID) -> ApiKey:
    """One of the keys the caller may see; raises NotFound."""
    return await owned(session, ApiKey, principal.tenant_id, key_id, *_shown_to(principal))


def _shown_to(principal: Principal) -> list[ColumnElement[bool]]:
    return [] if principal.is_owner else [col(ApiKey.user_id) == principal.user_id]


async def make_key(
    session: AsyncSession, principal: Principal, wanted: ApiKeyCreate, *, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key; answers with its row and the key itself.

    Raises Forbidden, QuotaExceeded or Unprocessable.
    """
    user_id = wanted.user_id or principal.user_id
    if user_id != principal.user_id:
        if not principal.is_owner:
            raise Forbidden("Only an owner of the team may make keys for others.")
        if await find_owned(session, UserAccount, principal.tenant_id, user_id) is None:
            raise unacceptable([FieldError("/user_id", "no user of your team has this id")])
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise unacceptable([FieldError("/expires_at", "lies in the past")])
    await require_room_for(session, principal.tenant_id, ApiKey)
    secret = new_api_key()
    key = ApiKey(
        tenant_id=principal.tenant_id,
        user_id=user_id,
        name=wanted.name,
        hint=secret[:HINT_LENGTH],
        key_hash=hash_api_key(secret),
        created_at=now,
        expires_at=wanted.expires_at,
    )
    session.add(key)
    await session.flush()
    return key, secret


async def revoke_key(session: AsyncSession, principal: Principal, key_id: UUID) -> None:
    """Make a key useless at once, also the one the request came with. Raises NotFound."""
    await find_key(session, principal, key_id)
    await session.execute(delete(ApiKey).where(col(ApiKey.id) == key_id))
