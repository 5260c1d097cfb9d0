"""Deleting recordings with what Carillon keeps of them: without their rows their files could not be found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.problems import Unavailable
from api.recordings.service import artifacts_of
from api.rows import Lock, owned
from api.security import Principal
from common.clock import utc_now
from common.errors import Conflict
from common.models import Recording
from common.recordings.retention import OldRecording, delete_files
from common.recordings.store import RecordingStore, StoreFault

MOST = 200
"""Recordings whose files one request deletes: each is looked up in the store by itself."""
PATIENCE = 20.0
"""Seconds the store may take; the rows are locked meanwhile."""
_KEPT = (col(Recording.files_deleted_at).is_(None), col(Recording.artifacts) != {})


async def remove_recording(
    session: AsyncSession, store: RecordingStore | None, principal: Principal, recording_id: UUID
) -> None:
    """Delete its record and its files. Raises NotFound, Conflict while it is being processed, Unavailable."""
    recording = await owned(session, Recording, principal.tenant_id, recording_id, lock=Lock.WHOLE)
    if recording.worker is not None or recording.available_at is not None:
        raise Conflict("The recording is being processed; delete it when that has ended.")
    await forget_files(session, store, col(Recording.id) == recording_id)
    await session.execute(delete(Recording).where(col(Recording.id) == recording_id))


async def forget_files(
    session: AsyncSession, store: RecordingStore | None, which: ColumnElement[bool]
) -> None:
    """Delete the files of these recordings from Carillon's own store, before their rows are deleted.

    In this order a file is never left behind; what is deleted twice is deleted once. Raises Conflict when
    there are too many, and Unavailable when the store cannot be reached.
    """
    count = await session.scalar(select(func.count()).select_from(Recording).where(which, *_KEPT))
    if not count:
        return
    if store is None:
        raise Unavailable(
            "This server has no access to the files of recordings (RECORDING_STORE_URL), and would leave "
            "them behind. Nothing was changed."
        )
    if count > MOST:
        raise Conflict(
            f"{count} recordings have files in Carillon's own store, and {MOST} can be deleted at once. "
            "Delete some of the recordings first, or wait until their retention is over."
        )
    try:
        async with asyncio.timeout(PATIENCE):
            await delete_files(store, await _kept(session, which))
    except (StoreFault, TimeoutError) as error:
        raise Unavailable("The files of recordings cannot be deleted now; try again.") from error


async def _kept(session: AsyncSession, which: ColumnElement[bool]) -> Sequence[OldRecording]:
    rows = await session.execute(
        select(col(Recording.id), col(Recording.tenant_id), col(Recording.artifacts)).where(which, *_KEPT)
    )
    return [_as_old(*row) for row in rows]


def _as_old(recording_id: UUID, tenant_id: UUID, artifacts: object) -> OldRecording:
    paths = tuple(artifacts_of(artifacts).paths())
    # Its row goes as well, so that when it ended and what would be kept of it do not matter.
    return OldRecording(recording_id, tenant_id, utc_now(), paths, {})
