"""What one run of a recording job is about: its templates, its sources, and the days it looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from common.automation_config.recording_sync import RecordingSyncConfig
from common.database.pool import DbSession
from common.errors import CarillonError
from common.recordings import catalog
from common.recordings.catalog import Reference, Source
from common.recordings.matching import Template


class TemplatesMissing(CarillonError):
    """None of the templates a job names can be used."""


class SourcesMissing(CarillonError):
    """There is nothing to look for recordings in."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when recordings are looked for, both included."""

    since: datetime
    until: datetime

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last of its days in UTC, by which Zoom lists recordings."""
        return self.since.astimezone(UTC).date(), self.until.astimezone(UTC).date()

    def __contains__(self, moment: datetime) -> bool:
        return self.since <= moment <= self.until


def window(slot: datetime, zone: str, sync_days: int) -> Window:
    """The day of the slot up to the slot, and `sync_days` whole days of `zone` before it. Pure."""
    local = ZoneInfo(zone)
    first = slot.astimezone(local).date() - timedelta(days=sync_days)
    return Window(datetime.combine(first, time(), local).astimezone(UTC), slot)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and why the rest is not: `unusable_templates` and `left_out` sources, by name."""

    templates: Sequence[Template]
    sources: Sequence[Source]
    unusable_templates: Mapping[str, str]
    left_out: Mapping[str, str]


async def plan(db: DbSession, tenant_id: UUID, config: RecordingSyncConfig) -> Plan:
    """Load what a job names.

    The sources are those its templates name. When one of them names none, it may take recordings of any, and
    all active sources are looked at.

    Raises TemplatesMissing and SourcesMissing, which say what to do.
    """
    loaded = await catalog.templates(db, tenant_id, config.template_ids)
    if not loaded.usable:
        reasons = "; ".join(f"template {name}: {reason}" for name, reason in loaded.unusable.items())
        raise TemplatesMissing(f"none of the job's templates can be used: {reasons}")
    templates = [
        replace(template, processing=template.processing.overridden_by(config.processing_config))
        for template in loaded.usable
    ]
    sources, left_out = await _sources(db, tenant_id, templates)
    if not sources:
        reasons = "; ".join(f"source {name}: {reason}" for name, reason in left_out.items())
        raise SourcesMissing(
            "there is no active recording source: add one for a connected Zoom account"
            if not reasons
            else f"none of the sources that the templates name can be used: {reasons}"
        )
    return Plan(templates, sources, loaded.unusable, left_out)


async def _sources(
    db: DbSession, tenant_id: UUID, templates: Sequence[Template]
) -> tuple[list[Source], dict[str, str]]:
    if not all(template.rules.source_ids for template in templates):
        return await catalog.active_sources(db, tenant_id), {}
    named: list[Reference] = [name for template in templates for name in template.rules.source_ids]
    found, missing = await catalog.sources(db, tenant_id, list(dict.fromkeys(named)))
    left_out = dict.fromkeys(missing, "there is no such source")
    left_out |= {str(source.number): "it is disabled" for source in found if not source.is_active}
    return [source for source in found if source.is_active], left_out
