"""Recording sources: create, find, change, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.problems import unacceptable
from api.recordings.numbering import next_number, take_turns
from api.recordings.removal import forget_files
from api.recordings.sources.schemas import ME, SourceCreate, SourcePatch
from api.rows import Lock, find_owned, owned
from api.security import Principal
from common.errors import Conflict, FieldError
from common.models import (
    Connection,
    Recording,
    RecordingSource,
    RecordingTemplate,
    SourceStatus,
)
from common.recordings.store import RecordingStore
from platforms.zoom import PLATFORM as ZOOM
from platforms.zoom import ZOOM_SERVER

NAMED = 5
"""How many of those that stand in the way of a deletion a refusal names."""
_BY_A_MEMBER = "disabled by a member of the team"


async def create(
    session: AsyncSession, principal: Principal, wanted: SourceCreate, *, now: datetime
) -> RecordingSource:
    """Store a source under the next number. Raises Unprocessable, or Conflict when there is one like it."""
    connection = await _zoom_connection(session, principal.tenant_id, wanted.connection_id)
    _check_person(connection, wanted.external_user)
    # Lock before looking for a duplicate, so that concurrent requests of the team wait.
    number = await next_number(session, principal.tenant_id, RecordingSource)
    await _refuse_twin(session, wanted.connection_id, wanted.external_user)
    source = RecordingSource(
        tenant_id=principal.tenant_id,
        number=number,
        created_at=now,
        updated_at=now,
        **wanted.model_dump(),
    )
    session.add(source)
    await session.flush()
    return source


async def change(
    session: AsyncSession, principal: Principal, source_id: UUID, patch: SourcePatch, *, now: datetime
) -> RecordingSource:
    """Replace the fields given. Raises NotFound, Conflict or Unprocessable.

    Of another person nothing is known yet, so that what the last listing said is forgotten.
    """
    given = patch.given()
    external_user = given.get("external_user")
    if external_user is not None:
        await take_turns(session, principal.tenant_id)
    source = await owned(session, RecordingSource, principal.tenant_id, source_id, lock=Lock.EDIT)
    if external_user is not None and external_user != source.external_user:
        connection = await session.get_one(Connection, source.connection_id)
        _check_person(connection, external_user)
        await _refuse_twin(session, source.connection_id, external_user, but=source.id)
        source.external_user = external_user
        source.last_synced_at = source.last_error = None
    if "name" in given:
        source.name = given["name"]
    if "status" in given and given["status"] != source.status:
        source.status = given["status"]
        active = source.status == SourceStatus.ACTIVE
        source.status_reason = None if active else _BY_A_MEMBER
        source.last_error = None if active else source.last_error
    source.updated_at = now
    await session.flush()
    return source


async def remove(
    session: AsyncSession, store: RecordingStore | None, principal: Principal, source_id: UUID
) -> None:
    """Delete it with its recordings and their files.

    Raises NotFound; Conflict while a template names it, one of its recordings is being processed, or too many
    have files; Unavailable when the files cannot be deleted.
    """
    source = await owned(session, RecordingSource, principal.tenant_id, source_id, lock=Lock.EDIT)
    named_by = await _templates_naming(session, source)
    if named_by:
        told = ", ".join(f"“{row.name}” (number {row.number})" for row in named_by[:NAMED])
        more = " and others" if len(named_by) > NAMED else ""
        raise Conflict(f"Templates name it: {told}{more}. Take it out of their rules first.")
    under_way = await session.scalar(
        select(func.count()).where(
            col(Recording.source_id) == source_id,
            or_(col(Recording.worker).is_not(None), col(Recording.available_at).is_not(None)),
        )
    )
    if under_way:
        what = "1 recording is" if under_way == 1 else f"{under_way} recordings are"
        raise Conflict(f"{what} being processed. Disable the source, and delete it when they are done.")
    await forget_files(session, store, col(Recording.source_id) == source_id)
    await session.execute(delete(RecordingSource).where(col(RecordingSource.id) == source_id))


async def recordings_of(session: AsyncSession, source_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many recordings there are of each."""
    counted = await session.execute(
        select(col(Recording.source_id), func.count())
        .where(col(Recording.source_id).in_(source_ids))
        .group_by(col(Recording.source_id))
    )
    return {row[0]: row[1] for row in counted}


async def _zoom_connection(session: AsyncSession, tenant_id: UUID, connection_id: UUID) -> Connection:
    connection = await find_owned(session, Connection, tenant_id, connection_id, lock=Lock.REFERENCE)
    if connection is None:
        raise unacceptable([FieldError("/connection_id", "no connection of yours has this id")])
    if connection.platform != ZOOM:
        raise unacceptable([FieldError("/connection_id", "recordings come from Zoom connections only")])
    return connection


def _check_person(connection: Connection, external_user: str) -> None:
    if external_user == ME and connection.kind == ZOOM_SERVER:
        detail = "a server-to-server app has no user of its own: write a user's id or e-mail address"
        raise unacceptable([FieldError("/external_user", detail)])


async def _refuse_twin(
    session: AsyncSession, connection_id: UUID, external_user: str, *, but: UUID | None = None
) -> None:
    """A person who is there twice would have every recording processed twice."""
    query = select(RecordingSource).where(
        col(RecordingSource.connection_id) == connection_id,
        func.lower(col(RecordingSource.external_user)) == external_user.lower(),
    )
    if but is not None:
        query = query.where(col(RecordingSource.id) != but)
    twin = (await session.execute(query.limit(1))).scalar_one_or_none()
    if twin is not None:
        told = f"source {twin.number} ({twin.name}) takes this person's recordings already"
        raise Conflict("There is such a source.", errors=[FieldError("/external_user", told)])


async def _templates_naming(session: AsyncSession, source: RecordingSource) -> Sequence[RecordingTemplate]:
    named = col(RecordingTemplate.matching_rules)["source_ids"]
    query = select(RecordingTemplate).where(
        col(RecordingTemplate.tenant_id) == source.tenant_id,
        or_(*(named.op("@>")(literal([reference], JSONB)) for reference in (source.number, str(source.id)))),
    )
    return (
        (await session.execute(query.order_by(col(RecordingTemplate.number)).limit(NAMED + 1)))
        .scalars()
        .all()
    )
