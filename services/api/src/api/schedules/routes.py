"""`/api/schedules`."""

from __future__ import annotations

from fastapi import APIRouter

from api.context import Now, Transaction
from api.limits import JsonRoute
from api.problems import problem_responses
from api.schedules.schemas import SchedulePreviewOut, SchedulePreviewRequest
from api.schedules.service import look_ahead
from api.security import Caller

router = APIRouter(
    prefix="/api/schedules",
    tags=["schedules"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.post("/preview", responses=problem_responses(400, 413, 415))
async def preview_schedule(
    body: SchedulePreviewRequest, caller: Caller, session: Transaction, now: Now
) -> SchedulePreviewOut:
    """Try a schedule out: what it means in words, its next runs, and what may surprise about it."""
    return await look_ahead(session, caller, body, now=now)
