"""What is happening now."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.context import Now, Transaction, Wired
from api.sessions import SignedIn
from api.web import activity
from api.web.attention import matters
from api.web.outcomes import day_chart, lag_line
from api.web.rendering import render

router = APIRouter()


@router.get("/")
async def overview(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, now: Now
) -> Response:
    """The present state of the team's automations, and what needs attention."""
    tenant = viewer.tenant_id
    day = await activity.day_of_runs(session, tenant, now)
    return render(
        request,
        "overview.html",
        viewer,
        day=day,
        bars=day_chart(day.hours, now),
        lag_points=lag_line(day.hours, now),
        deliveries=await activity.day_of_deliveries(session, tenant, now),
        due=await activity.next_due(session, tenant),
        unfinished=await activity.unfinished(session, tenant),
        matters=await matters(session, tenant, now),
        recent=await activity.recent(session, tenant),
        feed=wired.kafka.condition(),
    )
