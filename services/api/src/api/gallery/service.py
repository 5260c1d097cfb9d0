"""From a template and a team's answers to an automation."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from api.automations import service as automations
from api.automations.schemas import AutomationCreate
from api.faults import field_errors
from api.gallery.schemas import FromTemplate, GalleryTemplateOut
from api.gallery.templates import TEMPLATES, AnyTemplate
from api.problems import unacceptable
from api.security import Principal
from common.errors import FieldError, NotFound
from common.models import Automation

PARAMETERS = "parameters"


def shown(template: AnyTemplate) -> GalleryTemplateOut:
    """A template as clients see it."""
    return GalleryTemplateOut(
        id=template.id,
        title=template.title,
        summary=template.summary,
        category=template.category,
        type=template.automation_type,
        platforms=list(template.platforms),
        parameters_schema=template.parameters.model_json_schema(),
    )


def find(template_id: str) -> AnyTemplate:
    """One template; raises NotFound."""
    template = TEMPLATES.get(template_id)
    if template is None:
        raise NotFound("There is no such template.")
    return template


def filled(wanted: FromTemplate) -> AutomationCreate:
    """The automation asked for. Pure.

    Raises:
        Unprocessable: there is no such template, or an answer is not acceptable; it names the answer.
    """
    template = TEMPLATES.get(wanted.template)
    if template is None:
        raise unacceptable([FieldError("/template", "no template of the gallery has this id")])
    try:
        draft = template.draft(wanted.parameters)
    except ValidationError as error:
        raise unacceptable(field_errors(error, wanted.parameters, PARAMETERS)) from error
    return AutomationCreate.model_validate(
        {
            "destination_id": wanted.destination_id,
            "name": wanted.name or template.title,
            "type": template.automation_type,
            "schedule_config": dict(draft.schedule),
            "automation_config": dict(draft.config),
            "platforms": list(draft.platforms),
            "policy": dict(draft.policy),
        }
    )


async def create(
    session: AsyncSession, principal: Principal, wanted: FromTemplate, *, now: datetime
) -> Automation:
    """Store the automation. Raises what creating any automation raises."""
    return await automations.create(session, principal, filled(wanted), now=now)
