"""`/api/tenant`, `/api/users` and `/api/api-keys`."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.context import Now, Transaction
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.rows import owned, owned_page
from api.security import Caller
from api.tenants import service
from api.tenants.schemas import (
    ApiKeyCreate,
    ApiKeyOut,
    NewApiKey,
    TenantOut,
    UserCreate,
    UserOut,
    UserPatch,
)
from common.models import UserAccount

router = APIRouter(prefix="/api", tags=["team"], route_class=JsonRoute, responses=problem_responses(401, 422))


@router.get("/tenant")
async def read_tenant(caller: Caller, session: Transaction) -> TenantOut:
    """The team your key belongs to."""
    return TenantOut.model_validate(await service.tenant_of(session, caller))


@router.get("/users")
async def list_users(
    request: Request, caller: Caller, session: Transaction, wanted: WantedPage
) -> Page[UserOut]:
    """The team's people, newest first."""
    rows = await owned_page(session, UserAccount, caller.tenant_id, wanted)
    return page(request, wanted, rows, [UserOut.model_validate(row) for row in rows])


@router.post("/users", status_code=201, responses=problem_responses(400, 403, 409, 413, 415))
async def create_user(
    body: UserCreate, caller: Caller, session: Transaction, now: Now, response: Response
) -> UserOut:
    """Add a person to the team. Owners only."""
    user = await service.add_user(session, caller, body, now=now)
    response.headers["Location"] = f"/api/users/{user.id}"
    return UserOut.model_validate(user)


@router.get("/users/{user_id}", responses=problem_responses(404))
async def read_user(user_id: UUID, caller: Caller, session: Transaction) -> UserOut:
    """One person of the team."""
    return UserOut.model_validate(await owned(session, UserAccount, caller.tenant_id, user_id))


@router.patch("/users/{user_id}", responses=problem_responses(400, 403, 404, 409, 413, 415))
async def change_user(user_id: UUID, body: UserPatch, caller: Caller, session: Transaction) -> UserOut:
    """Change a person's name, or, as an owner, their role."""
    return UserOut.model_validate(await service.change_user(session, caller, user_id, body))


@router.delete("/users/{user_id}", status_code=204, responses=problem_responses(403, 404, 409))
async def delete_user(user_id: UUID, caller: Caller, session: Transaction) -> None:
    """Remove a person and their keys. Their automations stay. Owners only."""
    await service.remove_user(session, caller, user_id)


@router.get("/api-keys")
async def list_api_keys(
    request: Request, caller: Caller, session: Transaction, wanted: WantedPage
) -> Page[ApiKeyOut]:
    """The keys you may see, newest first: all of the team's as an owner, else your own."""
    rows = await service.key_page(session, caller, wanted)
    return page(request, wanted, rows, [ApiKeyOut.model_validate(row) for row in rows])


@router.post("/api-keys", status_code=201, responses=problem_responses(400, 403, 413, 415))
async def create_api_key(
    body: ApiKeyCreate, caller: Caller, session: Transaction, now: Now, response: Response
) -> NewApiKey:
    """Make an API key. The key itself is in this answer only: keep it now."""
    row, key = await service.make_key(session, caller, body, now=now)
    response.headers["Location"] = f"/api/api-keys/{row.id}"
    return NewApiKey(**ApiKeyOut.model_validate(row).model_dump(), key=key)


@router.get("/api-keys/{key_id}", responses=problem_responses(404))
async def read_api_key(key_id: UUID, caller: Caller, session: Transaction) -> ApiKeyOut:
    """One key."""
    return ApiKeyOut.model_validate(await service.find_key(session, caller, key_id))


@router.delete("/api-keys/{key_id}", status_code=204, responses=problem_responses(404))
async def revoke_api_key(key_id: UUID, caller: Caller, session: Transaction) -> None:
    """Revoke a key. It stops working at once, also if it is the one you asked with."""
    await service.revoke_key(session, caller, key_id)
