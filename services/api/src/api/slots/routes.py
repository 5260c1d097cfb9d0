"""`/api/automations/{automation_id}/slots` and `/schedules`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from api.automations.slots import in_words
from api.context import Now, Transaction
from api.fields import Moment
from api.limits import JsonRoute
from api.pagination import Page, PageRequest, page, page_request
from api.problems import BadParameter, problem_responses
from api.rows import owned
from api.security import Caller
from api.slots.schemas import SchedulePeriodOut, SlotOut, SlotPage
from api.slots.service import MAX_SLOTS, period_page, read_slots
from common.models import Automation
from common.strict import Digits

router = APIRouter(
    prefix="/api", tags=["runs"], route_class=JsonRoute, responses=problem_responses(401, 404, 422)
)

_A_DAY = timedelta(days=1)


@router.get("/automations/{automation_id}/slots")
async def list_slots(
    request: Request,
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    now: Now,
    first: Annotated[
        Moment | None, Query(alias="from", description="Beginning of the range; a day ago by default")
    ] = None,
    last: Annotated[
        Moment | None, Query(alias="to", description="End of the range; a day ahead by default")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_SLOTS, description="Slots on a page"), Digits] = 200,
) -> SlotPage:
    """Why didn't it run? Every slot of a range, what became of it, and why; also the slots still to come."""
    first = (first or (last or now) - _A_DAY).astimezone(UTC)
    last = (last or max(first, now) + _A_DAY).astimezone(UTC)
    if last < first:
        raise BadParameter("to", "lies before from")
    automation = await owned(session, Automation, caller.tenant_id, automation_id)
    found = await read_slots(session, automation, first, last, limit=limit, now=now)
    items = [SlotOut(**fate.as_values()) for fate in found.fates]
    if found.next_slot is None:
        return SlotPage(items=items)
    target = request.url.include_query_params(
        **{"from": _utc(found.next_slot), "to": _utc(last), "limit": limit}
    )
    return SlotPage(items=items, next=f"{target.path}?{target.query}")


@router.get("/automations/{automation_id}/schedules", tags=["automations"])
async def list_schedules(
    request: Request,
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    wanted: Annotated[PageRequest, Depends(page_request)],
) -> Page[SchedulePeriodOut]:
    """The schedules it has had, the latest first, each with the slots it named."""
    automation = await owned(session, Automation, caller.tenant_id, automation_id)
    periods = await period_page(session, automation, wanted)
    items = [
        SchedulePeriodOut(**one.model_dump(), schedule_text=in_words(one.schedule_config)) for one in periods
    ]
    return page(request, wanted, periods, items, by="changed_at")


def _utc(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
