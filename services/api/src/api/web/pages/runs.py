"""Runs and deliveries: the list of runs, and one of each from its slot to its receiver."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.context import Now, Transaction, Wired
from api.deliveries import service as deliveries
from api.deliveries.attachments import SHOWN_TYPE
from api.pagination import PageRequest, WantedPage, next_cursor
from api.runs import service
from api.sessions import SignedIn
from api.web.flashes import redirect_with_flash
from api.web.forms import SentForm
from api.web.rendering import render
from api.web.timeline import spans, timeline
from common.models import Automation, RunStatus

router = APIRouter()
ON_PAGE = 40
LEVELS = ("debug", "info", "warning", "error")


@router.get("/runs")
async def runs(
    request: Request,
    viewer: SignedIn,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[RunStatus | None, Query()] = None,
) -> Response:
    """The team's runs, newest first."""
    page = PageRequest(ON_PAGE, wanted.after)
    rows = await service.run_page(session, viewer.tenant_id, page, status=status)
    return render(
        request,
        "runs.html",
        viewer,
        runs=rows[:ON_PAGE],
        later=wanted.after is not None,
        more=next_cursor(page, rows),
        status=status,
        statuses=list(RunStatus),
    )


@router.get("/runs/{run_id:uuid}")
async def run(request: Request, run_id: UUID, viewer: SignedIn, session: Transaction) -> Response:
    """One run, from its slot to its delivery."""
    detail = await service.detail_of(session, viewer.tenant_id, run_id)
    automation = await session.get_one(Automation, detail.automation_id)
    steps = timeline(detail)
    return render(
        request,
        "run.html",
        viewer,
        run=detail,
        steps=steps,
        spans=spans(steps),
        levels=LEVELS,
        zone=str(automation.schedule_config.get("timezone", "UTC")),
        unfinished=detail.status in service.UNFINISHED,
    )


@router.get("/runs/{run_id:uuid}/charts/{number}")
async def run_chart(
    run_id: UUID, number: Annotated[int, Path(ge=0, le=99)], viewer: SignedIn, session: Transaction
) -> Response:
    """The picture of a message that a dry run would have delivered."""
    return _picture(await service.chart_of(session, viewer.tenant_id, run_id, number))


@router.post("/runs/{run_id:uuid}/cancel")
async def cancel(
    request: Request,
    run_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form: SentForm,
    now: Now,
) -> Response:
    """Cancel a run."""
    cancelled = await service.cancel(session, viewer.tenant_id, run_id, now=now)
    asked = cancelled.status is RunStatus.RUNNING
    text = "The run was asked to stop." if asked else "The run is cancelled."
    return redirect_with_flash(request, wired.keys, f"/runs/{run_id}", text)


@router.get("/deliveries/{delivery_id:uuid}")
async def delivery(request: Request, delivery_id: UUID, viewer: SignedIn, session: Transaction) -> Response:
    """One delivery: the message, and how it got there."""
    detail = await deliveries.find_delivery(session, viewer.tenant_id, delivery_id)
    return render(request, "delivery.html", viewer, delivery=detail)


@router.get("/deliveries/{delivery_id:uuid}/chart")
async def delivery_chart(delivery_id: UUID, viewer: SignedIn, session: Transaction) -> Response:
    """The picture that came with a message."""
    return _picture(await deliveries.chart_of(session, viewer.tenant_id, delivery_id))


def _picture(content: bytes) -> Response:
    return Response(content, media_type=SHOWN_TYPE, headers={"Cache-Control": "private, max-age=3600"})
