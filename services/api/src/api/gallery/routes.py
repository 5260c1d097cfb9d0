"""`/api/automation-templates`, and automations made of them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.automations.routes import out
from api.automations.schemas import AutomationOut
from api.context import Now, Transaction
from api.gallery import service
from api.gallery.schemas import FromTemplate, GalleryTemplateOut
from api.gallery.templates import TEMPLATES
from api.limits import JsonRoute
from api.problems import problem_responses
from api.security import Caller

router = APIRouter(
    prefix="/api", tags=["gallery"], route_class=JsonRoute, responses=problem_responses(401, 422)
)


@router.get("/automation-templates")
async def list_automation_templates(caller: Caller) -> list[GalleryTemplateOut]:
    """The gallery: automations that are ready but for a few questions."""
    return [service.shown(template) for template in TEMPLATES.values()]


@router.get("/automation-templates/{template_id}", responses=problem_responses(404))
async def read_automation_template(template_id: str, caller: Caller) -> GalleryTemplateOut:
    """One template, with the JSON Schema of its questions."""
    return service.shown(service.find(template_id))


@router.post(
    "/automations/from-template",
    status_code=201,
    tags=["automations"],
    responses=problem_responses(400, 403, 409, 413, 415),
)
async def create_automation_from_template(
    body: FromTemplate, caller: Caller, session: Transaction, now: Now, response: Response
) -> AutomationOut:
    """Create an automation of a template. It is active at once, and can be changed like any other."""
    automation = await service.create(session, caller, body, now=now)
    response.headers["Location"] = f"/api/automations/{automation.id}"
    return out(automation, response)
