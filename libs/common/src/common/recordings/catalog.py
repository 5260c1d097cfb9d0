"""A team's recording templates and sources, found by the names people give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ValidationError

from common.database.pool import DbSession
from common.recordings.matching import SourceName, Template
from common.recordings.rules import MatchingRules
from common.recordings.settings import ProcessingSettings

_TEMPLATES = """
SELECT id, number, name, is_active, matching_rules, processing
  FROM recording_template
 WHERE tenant_id = $1 AND (id = ANY($2::uuid[]) OR number = ANY($3::int[]))
"""
_ALL_TEMPLATES = """
SELECT id, number, name, is_active, matching_rules, processing
  FROM recording_template WHERE tenant_id = $1 AND is_active ORDER BY number
"""
_SOURCE = (
    "SELECT id, number, name, connection_id, external_user, status, last_synced_at FROM recording_source"
)
_SOURCES = (
    f"{_SOURCE} WHERE tenant_id = $1 AND (id = ANY($2::uuid[]) OR number = ANY($3::int[])) ORDER BY number"
)
_ACTIVE_SOURCES = f"{_SOURCE} WHERE tenant_id = $1 AND status = 'active' ORDER BY number"

M = TypeVar("M", bound=BaseModel)
Reference = int | str | UUID
"""A template or source by its number within the team, or by its id."""


class UnusableTemplate(ValueError):
    """A template whose rules or settings cannot be read; its text names the fields."""


@dataclass(frozen=True, slots=True)
class Source:
    """Whose recordings are taken."""

    id: UUID
    number: int
    name: str
    connection_id: UUID
    external_user: str
    is_active: bool
    last_synced_at: datetime | None

    @property
    def names(self) -> SourceName:
        """What rules may call it."""
        return SourceName(self.id, self.number)


@dataclass(frozen=True, slots=True)
class Templates:
    """Those that were found, in the order they were asked for, and why the others were not."""

    usable: Sequence[Template]
    unusable: Mapping[str, str]
    """Why, by the reference that was given."""

    def named(self, references: Sequence[Reference]) -> list[Template]:
        """Those of the usable ones that some of the references name, each once, in their order."""
        by_name = {name: template for template in self.usable for name in (template.id, template.number)}
        found = (by_name.get(key) for reference in references if (key := _key(reference)) is not None)
        return list({template.id: template for template in found if template is not None}.values())


async def templates(db: DbSession, tenant_id: UUID, references: Sequence[Reference]) -> Templates:
    """The active templates that `references` name, each once, in their order."""
    ids, numbers = _split(references)
    rows = await db.fetch(_TEMPLATES, tenant_id, ids, numbers)
    by_name = {name: row for row in rows for name in (row["id"], row["number"])}
    usable: dict[UUID, Template] = {}
    unusable: dict[str, str] = {}
    for reference in references:
        row = by_name.get(_key(reference))
        if row is None:
            unusable[str(reference)] = "there is no such template"
        elif not row["is_active"]:
            unusable[str(reference)] = "it is not active"
        elif row["id"] not in usable:
            try:
                usable[row["id"]] = _template(row)
            except UnusableTemplate as error:
                unusable[str(reference)] = str(error)
    return Templates(list(usable.values()), unusable)


async def active_templates(db: DbSession, tenant_id: UUID) -> Templates:
    """Every active template of a team, by number."""
    usable: list[Template] = []
    unusable: dict[str, str] = {}
    for row in await db.fetch(_ALL_TEMPLATES, tenant_id):
        try:
            usable.append(_template(row))
        except UnusableTemplate as error:
            unusable[str(row["number"])] = str(error)
    return Templates(usable, unusable)


async def sources(
    db: DbSession, tenant_id: UUID, references: Sequence[Reference]
) -> tuple[list[Source], list[str]]:
    """The sources that `references` name, disabled ones too, by number; and the references that name none."""
    ids, numbers = _split(references)
    found = [_source(row) for row in await db.fetch(_SOURCES, tenant_id, ids, numbers)]
    names = {name for source in found for name in (source.id, source.number)}
    return found, [str(reference) for reference in references if _key(reference) not in names]


async def active_sources(db: DbSession, tenant_id: UUID) -> list[Source]:
    """Every active source of a team, by number."""
    return [_source(row) for row in await db.fetch(_ACTIVE_SOURCES, tenant_id)]


def _key(reference: Reference) -> int | UUID | None:
    """What a reference is looked up by; None when it can name nothing."""
    if isinstance(reference, UUID):
        return reference
    if isinstance(reference, int):
        return reference if 0 < reference < 2**31 else None
    try:
        return UUID(reference)
    except ValueError:
        return _key(int(reference)) if reference.isascii() and reference.isdecimal() else None


def _split(references: Sequence[Reference]) -> tuple[list[UUID], list[int]]:
    keys = [_key(reference) for reference in references]
    return [key for key in keys if isinstance(key, UUID)], [key for key in keys if isinstance(key, int)]


def _template(row: asyncpg.Record) -> Template:
    return Template(
        row["id"],
        row["number"],
        row["name"],
        _read(MatchingRules, "matching_rules", row["matching_rules"]),
        _read(ProcessingSettings, "processing", row["processing"]),
    )


def _read(model: type[M], name: str, document: object) -> M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, (name, *fault['loc'])))}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)[:3]
        )
        raise UnusableTemplate(faults) from error


def _source(row: asyncpg.Record) -> Source:
    return Source(
        row["id"],
        row["number"],
        row["name"],
        row["connection_id"],
        row["external_user"],
        row["status"] == "active",
        row["last_synced_at"],
    )
