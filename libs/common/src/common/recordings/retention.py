"""Deleting the files of old recordings: selecting them, deleting their objects, and recording the deletion.

Objects are deleted before the deletion is recorded, in separate transactions, because deleting is
idempotent and no row should be locked while a store is waited for. A recording that is restarted meanwhile
finds its files missing, and downloads them again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from common.database.pool import DbSession
from common.recordings import layout
from common.recordings.artifacts import Artifacts
from common.recordings.store import RecordingStore

_OLD = """
SELECT id, tenant_id, completed_at, artifacts FROM recording
 WHERE completed_at < $1 AND files_deleted_at IS NULL AND worker IS NULL AND available_at IS NULL
   AND (completed_at, id) > ($2, $3)
 ORDER BY completed_at, id LIMIT $4
"""
_NOTE = """
UPDATE recording r
   SET files_deleted_at = clock_timestamp(), artifacts = old.artifacts::jsonb, updated_at = now()
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS old (id, completed_at, artifacts)
 WHERE r.id = old.id AND r.completed_at = old.completed_at AND r.files_deleted_at IS NULL
   AND r.worker IS NULL AND r.available_at IS NULL
RETURNING r.id
"""


@dataclass(frozen=True, slots=True)
class OldRecording:
    """A recording whose files are past their retention. `artifacts` is what its row keeps."""

    id: UUID
    tenant_id: UUID
    completed_at: datetime
    paths: tuple[str, ...]
    artifacts: dict[str, Any]

    @property
    def place(self) -> tuple[datetime, UUID]:
        """Its position in the order of deletion."""
        return self.completed_at, self.id


async def old_recordings(
    db: DbSession, before: datetime, *, after: tuple[datetime, UUID], limit: int
) -> list[OldRecording]:
    """Those that ended before an instant, the oldest first, beginning after a place."""
    rows = await db.fetch(_OLD, before, *after, limit)
    old = []
    for row in rows:
        try:
            artifacts = Artifacts.model_validate(row["artifacts"])
        except ValidationError:
            # Unreadable artifacts name no file; everything below the recording's own folder is deleted
            # anyway.
            artifacts = Artifacts()
        old.append(
            OldRecording(
                row["id"],
                row["tenant_id"],
                row["completed_at"],
                tuple(artifacts.paths()),
                artifacts.without_stored().as_document(),
            )
        )
    return old


async def delete_files(store: RecordingStore, old: Sequence[OldRecording]) -> None:
    """Delete all their objects from the store, including those no artifact names. Raises StoreFault."""
    paths: set[str] = set()
    for recording in old:
        paths.update(recording.paths)
        paths.update(await store.paths_below(layout.folder(recording.tenant_id, recording.id)))
    await store.delete(sorted(paths))


async def note_deleted(db: DbSession, old: Sequence[OldRecording]) -> int:
    """Record that their files are deleted; returns for how many: the others were restarted meanwhile."""
    rows = await db.fetch(
        _NOTE,
        [recording.id for recording in old],
        [recording.completed_at for recording in old],
        [json.dumps(recording.artifacts) for recording in old],
    )
    return len(rows)
