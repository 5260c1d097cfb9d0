"""Trying a template on the team's last recordings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.problems import unacceptable
from api.recordings.templates.references import check_rules
from api.recordings.templates.schemas import (
    MatchedRule,
    TakenBy,
    TemplatePreviewOut,
    TriedRecording,
)
from common.automation_config.recording_sync import TemplateId
from common.database.pool import driver_connection
from common.errors import Conflict, FieldError
from common.models import Recording, RecordingSource, RecordingStatus, RecordingTemplate
from common.recordings import catalog
from common.recordings.matching import Match, Matcher, SlowPattern, SourceName, Template
from common.recordings.rules import MatchingRules

LAST = 50
"""How many recordings a template is tried on."""
PATIENCE = 1.0
"""Seconds of processor time that all searches of one preview may take together."""
_NEW = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Look:
    """A recording as it is tried."""

    id: UUID
    topic: str
    started_at: datetime
    status: str
    is_blank: bool
    source_id: UUID
    source_number: int
    source_name: str


async def of_rules(
    session: AsyncSession, tenant_id: UUID, rules: MatchingRules, order: Sequence[TemplateId]
) -> TemplatePreviewOut:
    """Try rules that are not stored. Raises Unprocessable, which names the pattern that takes too long."""
    faults = await check_rules(session, tenant_id, rules)
    if faults:
        raise unacceptable(faults)
    return await _preview(session, tenant_id, Template(_NEW, 0, "these rules", rules), order)


async def of_template(
    session: AsyncSession, row: RecordingTemplate, order: Sequence[TemplateId]
) -> TemplatePreviewOut:
    """Try a stored template. Raises Conflict when its rules cannot be read (any more), and Unprocessable."""
    try:
        rules = MatchingRules.model_validate(row.matching_rules)
    except ValidationError as error:
        raise Conflict("The template's rules cannot be read; write them again.") from error
    return await _preview(session, row.tenant_id, Template(row.id, row.number, row.name, rules), order)


async def _preview(
    session: AsyncSession, tenant_id: UUID, tried: Template, order: Sequence[TemplateId]
) -> TemplatePreviewOut:
    known = await catalog.templates(await driver_connection(session), tenant_id, order)
    first = _before(known.usable, tried)
    looks = await _last_recordings(session, tenant_id, tried.rules)
    try:
        found = await asyncio.to_thread(_tried, tried, first, looks)
    except SlowPattern as error:
        own = error.template_id == tried.id
        raise unacceptable(
            [FieldError(_place(tried, error) if own else "/template_ids", error.detail)]
        ) from error
    recordings = [_shown(look, match, other) for look, match, other in zip(looks, *found, strict=True)]
    matched = [each for each in recordings if each.matched_by is not None]
    return TemplatePreviewOut(
        looked_at=len(recordings),
        matched=len(matched),
        taken_before=sum(each.taken_by is not None for each in matched),
        recordings=recordings,
        not_in_order=dict(known.unusable),
    )


def _before(order: Sequence[Template], tried: Template) -> list[Template]:
    ids = [template.id for template in order]
    return list(order[: ids.index(tried.id)] if tried.id in ids else order)


def _tried(
    tried: Template, first: Sequence[Template], looks: Sequence[_Look]
) -> tuple[list[Match | None], list[Match | None]]:
    """For each recording whether the template matches, and if so what takes it before."""
    own, others = Matcher([tried], patience=PATIENCE), Matcher(first, patience=PATIENCE)
    matches: list[Match | None] = []
    taken: list[Match | None] = []
    for look in looks:
        source = SourceName(look.source_id, look.source_number)
        match = own.find(look.topic, source)
        matches.append(match)
        taken.append(None if match is None else others.find(look.topic, source))
    return matches, taken


async def _last_recordings(session: AsyncSession, tenant_id: UUID, rules: MatchingRules) -> list[_Look]:
    """The last there are, of the sources that the rules name if they name any."""
    query = (
        select(
            col(Recording.id),
            col(Recording.topic),
            col(Recording.started_at),
            col(Recording.status),
            col(Recording.is_blank),
            col(Recording.source_id),
            col(RecordingSource.number),
            col(RecordingSource.name),
        )
        .join(RecordingSource, col(RecordingSource.id) == col(Recording.source_id))
        .where(col(Recording.tenant_id) == tenant_id)
        .order_by(col(Recording.started_at).desc(), col(Recording.id).desc())
        .limit(LAST)
    )
    if rules.source_ids:
        ids = [name for name in rules.source_ids if isinstance(name, UUID)]
        numbers = [name for name in rules.source_ids if isinstance(name, int)]
        query = query.where(col(RecordingSource.id).in_(ids) | col(RecordingSource.number).in_(numbers))
    return [_Look(*row) for row in await session.execute(query)]


def _shown(look: _Look, match: Match | None, other: Match | None) -> TriedRecording:
    return TriedRecording(
        id=look.id,
        topic=look.topic,
        started_at=look.started_at,
        status=RecordingStatus(look.status),
        is_blank=look.is_blank,
        source_id=look.source_id,
        source_number=look.source_number,
        source_name=look.source_name,
        matched_by=None if match is None else MatchedRule.model_validate(match),
        taken_by=None if other is None else TakenBy.model_validate(other.template),
    )


def _place(tried: Template, error: SlowPattern) -> str:
    return f"/matching_rules/patterns/{tried.rules.patterns.index(error.pattern)}"
