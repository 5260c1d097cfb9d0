"""`/api/quota`."""

from __future__ import annotations

from fastapi import APIRouter

from api.context import Transaction
from api.limits import JsonRoute
from api.problems import problem_responses
from api.quotas.schemas import QuotaOut
from api.quotas.service import quota_of
from api.security import Caller

router = APIRouter(
    prefix="/api/quota", tags=["quota"], route_class=JsonRoute, responses=problem_responses(401, 422)
)


@router.get("")
async def read_quota(caller: Caller, session: Transaction) -> QuotaOut:
    """Your limits, and how much of them is used."""
    return await quota_of(session, caller)
