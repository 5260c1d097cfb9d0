"""Recording templates: create, find, change, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.problems import unacceptable
from api.quotas.limits import JOB_TYPE
from api.quotas.service import require_room_for
from api.recordings.numbering import next_number
from api.recordings.templates.references import check_processing, check_rules
from api.recordings.templates.schemas import TemplateCreate, TemplatePatch
from api.rows import Lock, owned
from api.security import Principal
from common.errors import Conflict
from common.models import Automation, Recording, RecordingTemplate

NAMED = 5
"""How many of the jobs that stand in the way of a deletion a refusal names."""


async def create(
    session: AsyncSession, principal: Principal, wanted: TemplateCreate, *, now: datetime
) -> RecordingTemplate:
    """Store a template under the next number. Raises QuotaExceeded or Unprocessable."""
    faults = await check_rules(session, principal.tenant_id, wanted.matching_rules)
    faults += await check_processing(session, principal.tenant_id, wanted.processing)
    if faults:
        raise unacceptable(faults)
    await require_room_for(session, principal.tenant_id, RecordingTemplate)
    template = RecordingTemplate(
        tenant_id=principal.tenant_id,
        number=await next_number(session, principal.tenant_id, RecordingTemplate),
        created_at=now,
        updated_at=now,
        **wanted.model_dump(mode="json"),
    )
    session.add(template)
    await session.flush()
    return template


async def change(
    session: AsyncSession, principal: Principal, template_id: UUID, patch: TemplatePatch, *, now: datetime
) -> RecordingTemplate:
    """Replace the fields given, for recordings that are taken from now on.

    Raises NotFound or Unprocessable.
    """
    template = await owned(session, RecordingTemplate, principal.tenant_id, template_id, lock=Lock.EDIT)
    given = patch.given()
    faults = []
    if "matching_rules" in given:
        faults += await check_rules(session, principal.tenant_id, given["matching_rules"])
    if "processing" in given:
        faults += await check_processing(session, principal.tenant_id, given["processing"])
    if faults:
        raise unacceptable(faults)
    for name, value in patch.model_dump(mode="json", include=patch.model_fields_set).items():
        setattr(template, name, value)
    template.updated_at = now
    await session.flush()
    return template


async def remove(session: AsyncSession, principal: Principal, template_id: UUID) -> None:
    """Delete it; recordings it took stay. Raises NotFound, or Conflict while recording jobs name it."""
    template = await owned(session, RecordingTemplate, principal.tenant_id, template_id, lock=Lock.EDIT)
    named_by = await jobs_naming(session, template)
    if named_by:
        told = ", ".join(f"“{name}” ({job_id})" for job_id, name in named_by[:NAMED])
        more = " and others" if len(named_by) > NAMED else ""
        raise Conflict(f"Recording jobs name it: {told}{more}. Take it out of them first.")
    await session.execute(delete(RecordingTemplate).where(col(RecordingTemplate.id) == template_id))


async def jobs_naming(
    session: AsyncSession, template: RecordingTemplate, *, limit: int = NAMED + 1
) -> list[tuple[UUID, str]]:
    """The first of the team's recording jobs that name the template, by number or by id."""
    # A job may name it in any spelling: 12, "12", "0198c0de-…" or the same in capitals.
    named = col(Automation.automation_config)["template_ids"]
    references = func.jsonb_array_elements_text(
        case((func.jsonb_typeof(named) == "array", named))
    ).table_valued("value")
    spelled = func.replace(func.lower(references.c.value), "-", "")
    query = (
        select(col(Automation.id), col(Automation.name))
        .where(
            col(Automation.tenant_id) == template.tenant_id,
            col(Automation.type) == JOB_TYPE,
            exists(select(references.c.value).where(spelled.in_([str(template.number), template.id.hex]))),
        )
        .order_by(col(Automation.created_at))
        .limit(limit)
    )
    return [(row.id, row.name) for row in await session.execute(query)]


async def recordings_of(session: AsyncSession, template_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many recordings each has taken."""
    counted = await session.execute(
        select(col(Recording.template_id), func.count())
        .where(col(Recording.template_id).in_(template_ids))
        .group_by(col(Recording.template_id))
    )
    return {template_id: count for template_id, count in counted if template_id is not None}
