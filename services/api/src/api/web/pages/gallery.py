"""The gallery: templates to choose from, and the questions of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from api.context import Now, Transaction, Wired
from api.gallery import service
from api.gallery.base import Category
from api.gallery.schemas import FromTemplate
from api.gallery.templates import TEMPLATES, AnyTemplate
from api.sessions import SignedIn, Viewer
from api.web import schema_form
from api.web.flashes import redirect_with_flash
from api.web.forms import Faults, SentForm
from api.web.pages.automation_forms import destinations_of
from api.web.rendering import render, timezones
from common.errors import RequestError

router = APIRouter(prefix="/automations/templates")
_BLANK = {"name": "", "destination_id": ""}
_FIELDS: Mapping[str, str] = {"/name": "name", "/destination_id": "destination_id"}


@router.get("")
async def gallery(request: Request, viewer: SignedIn) -> Response:
    """Every template, by what people look for."""
    categories = [
        (category, [each for each in TEMPLATES.values() if each.category is category])
        for category in Category
    ]
    return render(request, "gallery.html", viewer, categories=categories)


@router.get("/{template_id}")
async def questions(request: Request, template_id: str, viewer: SignedIn, session: Transaction) -> Response:
    """The questions of one template."""
    template = service.find(template_id)
    return await _form(
        request, viewer, session, template, values={**_BLANK, "name": template.title}, faults=Faults()
    )


@router.post("/{template_id}")
async def create_of_template(
    request: Request,
    template_id: str,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Make an automation of the answers."""
    template = service.find(template_id)
    fields = _fields(template)
    faults = Faults()
    try:
        wanted = FromTemplate.model_validate(
            {
                "template": template_id,
                "name": form.text("name"),
                "destination_id": form.text("destination_id"),
                service.PARAMETERS: schema_form.read(fields, form),
            }
        )
        async with session.begin_nested():
            made = await service.create(session, viewer.principal, wanted, now=now)
    except (RequestError, ValidationError) as error:
        asked = {f"/{service.PARAMETERS}/{field.name}": field.key for field in fields}
        faults.take(error, {**_FIELDS, **asked})
        entered = {name: values[0] if len(values) == 1 else list(values) for name, values in form.items()}
        values = {**_BLANK, **entered}
        return await _form(request, viewer, session, template, values=values, faults=faults)
    return redirect_with_flash(request, wired.keys, f"/automations/{made.id}", f"{made.name} is set up.")


def _fields(template: AnyTemplate) -> list[schema_form.Field]:
    return schema_form.fields_of(template.parameters.model_json_schema())


async def _form(
    request: Request,
    viewer: Viewer,
    session: AsyncSession,
    template: AnyTemplate,
    *,
    values: Mapping[str, Any],
    faults: Faults,
) -> Response:
    return render(
        request,
        "gallery_form.html",
        viewer,
        status_code=422 if faults else 200,
        chosen=template,
        fields=_fields(template),
        destinations=await destinations_of(session, viewer),
        values=values,
        faults=faults,
        zones=timezones(),
    )
