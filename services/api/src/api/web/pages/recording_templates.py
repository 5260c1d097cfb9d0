"""Recording templates: the list, and the form with its rules tried on the last recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import Now, Transaction, Wired
from api.pagination import MAX_LIMIT, PageRequest
from api.recordings.templates import preview, service
from api.recordings.templates.schemas import TemplateCreate, TemplatePatch, TemplatePreviewOut
from api.rows import owned, owned_page
from api.sessions import SignedIn, Viewer
from api.web import template_form
from api.web.flashes import redirect_with_flash
from api.web.forms import Faults, SentForm
from api.web.pages.recordings import sources_of
from api.web.recording_words import KINDS, RULES
from api.web.rendering import render
from common.errors import Conflict, RequestError
from common.models import S3, Connection, Destination, DestinationType, RecordingTemplate
from common.recordings.rules import MatchingRules
from common.recordings.settings import PLACEHOLDERS

router = APIRouter(prefix="/recordings/templates")
_ALL = PageRequest(limit=MAX_LIMIT, after=None)


@router.get("")
async def templates(request: Request, viewer: SignedIn, session: Transaction) -> Response:
    """Which recordings belong together, and what each template has taken."""
    rows = (await owned_page(session, RecordingTemplate, viewer.tenant_id, _ALL))[:MAX_LIMIT]
    return render(
        request,
        "recording_templates.html",
        viewer,
        items=rows,
        recordings=await service.recordings_of(session, [row.id for row in rows]),
        sources={
            key: each.name
            for each in await sources_of(session, viewer.tenant_id)
            for key in (each.number, str(each.id))
        },
        rule_words=RULES,
    )


@router.get("/new")
async def new_template(request: Request, viewer: SignedIn, session: Transaction) -> Response:
    """The form for a new template."""
    return await _form(request, viewer, session, values=template_form.BLANK, faults=Faults())


@router.post("/new")
async def create_template(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Make a template of the form."""
    values, faults = template_form.entered(form), Faults()
    if not form.text("look"):
        try:
            wanted = TemplateCreate.model_validate(template_form.document_of(values, {}))
            async with session.begin_nested():
                made = await service.create(session, viewer.principal, wanted, now=now)
        except (RequestError, ValidationError) as error:
            faults.take(error, template_form.FIELDS)
        else:
            told = (
                f"{made.name} is template {made.number}. It takes recordings once a recording job names it."
            )
            return redirect_with_flash(request, wired.keys, "/recordings/templates", told)
    return await _form(request, viewer, session, values=values, faults=faults)


@router.post("/preview")
async def preview_rules(request: Request, viewer: SignedIn, session: Transaction, form: SentForm) -> Response:
    """The rules in the form on the last recordings: a part of the form's page, for its script."""
    tried = await _tried(session, viewer, template_form.entered(form))
    return render(request, "parts/template_preview.html", viewer, tried=tried, rule_words=RULES)


@router.get("/{template_id:uuid}")
async def template(request: Request, template_id: UUID, viewer: SignedIn, session: Transaction) -> Response:
    """The form to change one."""
    row = await owned(session, RecordingTemplate, viewer.tenant_id, template_id)
    values = template_form.shown(row, await sources_of(session, viewer.tenant_id))
    return await _form(request, viewer, session, values=values, faults=Faults(), row=row)


@router.post("/{template_id:uuid}")
async def change_template(
    request: Request,
    template_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Change one as the form says."""
    row = await owned(session, RecordingTemplate, viewer.tenant_id, template_id)
    values, faults = template_form.entered(form), Faults()
    if not form.text("look"):
        try:
            patch = TemplatePatch.model_validate(template_form.document_of(values, row.processing))
            async with session.begin_nested():
                await service.change(session, viewer.principal, template_id, patch, now=now)
        except (RequestError, ValidationError) as error:
            faults.take(error, template_form.FIELDS)
            await session.refresh(row)
        else:
            return redirect_with_flash(
                request, wired.keys, "/recordings/templates", "Your changes are saved."
            )
    return await _form(request, viewer, session, values=values, faults=faults, row=row)


@router.post("/{template_id:uuid}/delete")
async def delete(
    request: Request,
    template_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
) -> Response:
    """Delete one that no recording job names."""
    try:
        await service.remove(session, viewer.principal, template_id)
    except Conflict as refused:
        path = f"/recordings/templates/{template_id}"
        return redirect_with_flash(request, wired.keys, path, refused.detail, tone="bad")
    return redirect_with_flash(request, wired.keys, "/recordings/templates", "The template is deleted.")


async def _tried(
    session: AsyncSession, viewer: Viewer, values: Mapping[str, Any]
) -> TemplatePreviewOut | list[str]:
    """The preview, or what is wrong with the rules; nothing while there are none."""
    faults = Faults()
    try:
        rules = MatchingRules.model_validate(template_form.rules_of(values))
        if not rules.names_topics and not rules.source_ids:
            return []
        return await preview.of_rules(session, viewer.tenant_id, rules, ())
    except (RequestError, ValidationError) as error:
        faults.take(error, {})
        return faults.above


async def _targets(session: AsyncSession, tenant_id: UUID) -> tuple[Sequence[Any], Sequence[Any]]:
    """The buckets and webhooks that files can go to."""
    buckets = await session.execute(
        select(col(Connection.id), col(Connection.name))
        .where(col(Connection.tenant_id) == tenant_id, col(Connection.platform) == S3)
        .order_by(col(Connection.name))
    )
    webhooks = await session.execute(
        select(col(Destination.id), col(Destination.name))
        .where(col(Destination.tenant_id) == tenant_id, col(Destination.type) == DestinationType.WEBHOOK)
        .order_by(col(Destination.name))
    )
    return buckets.all(), webhooks.all()


async def _form(
    request: Request,
    viewer: Viewer,
    session: AsyncSession,
    *,
    values: Mapping[str, Any],
    faults: Faults,
    row: RecordingTemplate | None = None,
) -> Response:
    buckets, webhooks = await _targets(session, viewer.tenant_id)
    return render(
        request,
        "recording_template_form.html",
        viewer,
        status_code=422 if faults else 200,
        row=row,
        values=values,
        faults=faults,
        sources=await sources_of(session, viewer.tenant_id),
        kinds=[(kind.value, KINDS[kind]) for kind in template_form.KINDS],
        buckets=buckets,
        webhooks=webhooks,
        placeholders=sorted(PLACEHOLDERS),
        jobs=await service.jobs_naming(session, row, limit=MAX_LIMIT) if row else [],
        tried=await _tried(session, viewer, values),
        rule_words=RULES,
    )
