"""`/api/recording-templates`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.context import Now, Transaction
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.recordings.templates import preview, service
from api.recordings.templates.schemas import (
    RulesPreviewRequest,
    TemplateCreate,
    TemplateOut,
    TemplatePatch,
    TemplatePreviewOut,
    TemplatePreviewRequest,
)
from api.rows import owned, owned_page
from api.security import Caller
from common.models import RecordingTemplate

router = APIRouter(
    prefix="/api/recording-templates",
    tags=["recording templates"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.post("", status_code=201, responses=problem_responses(400, 413, 415))
async def create_recording_template(
    body: TemplateCreate, caller: Caller, session: Transaction, now: Now, response: Response
) -> TemplateOut:
    """Create a template. It takes recordings once a recording job names it in its `template_ids`."""
    template = await service.create(session, caller, body, now=now)
    response.headers["Location"] = f"/api/recording-templates/{template.id}"
    return TemplateOut.model_validate(template)


@router.get("")
async def list_recording_templates(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    is_active: Annotated[bool | None, Query(description="Only those that are, or are not, active")] = None,
) -> Page[TemplateOut]:
    """The team's templates, newest first."""
    rows = await owned_page(session, RecordingTemplate, caller.tenant_id, wanted, is_active=is_active)
    return page(request, wanted, rows, [TemplateOut.model_validate(row) for row in rows])


@router.post("/preview", responses=problem_responses(400, 413, 415))
async def preview_matching_rules(
    body: RulesPreviewRequest, caller: Caller, session: Transaction
) -> TemplatePreviewOut:
    """Try rules that are not stored on your last 50 recordings, of the sources they name if they name any."""
    return await preview.of_rules(session, caller.tenant_id, body.matching_rules, body.template_ids)


@router.get("/{template_id}", responses=problem_responses(404))
async def read_recording_template(template_id: UUID, caller: Caller, session: Transaction) -> TemplateOut:
    """One template."""
    return TemplateOut.model_validate(await owned(session, RecordingTemplate, caller.tenant_id, template_id))


@router.patch("/{template_id}", responses=problem_responses(400, 404, 413, 415))
async def change_recording_template(
    template_id: UUID, body: TemplatePatch, caller: Caller, session: Transaction, now: Now
) -> TemplateOut:
    """Change a template. What it took before is processed as was decided then."""
    return TemplateOut.model_validate(await service.change(session, caller, template_id, body, now=now))


@router.delete("/{template_id}", status_code=204, responses=problem_responses(404, 409))
async def delete_recording_template(template_id: UUID, caller: Caller, session: Transaction) -> None:
    """Delete a template; the recordings it took stay. Refused while recording jobs name it."""
    await service.remove(session, caller, template_id)


@router.post("/{template_id}/preview", responses=problem_responses(400, 404, 409, 413, 415))
async def preview_recording_template(
    template_id: UUID, caller: Caller, session: Transaction, body: TemplatePreviewRequest | None = None
) -> TemplatePreviewOut:
    """Try a template on your last 50 recordings: which it matches, by which rule, and what another takes
    first.
    """
    row = await owned(session, RecordingTemplate, caller.tenant_id, template_id)
    return await preview.of_template(session, row, (body or TemplatePreviewRequest()).template_ids)
