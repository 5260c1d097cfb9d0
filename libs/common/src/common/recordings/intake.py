"""Storing the recordings a platform lists, and starting the processing of some of them.

Every function is a fixed number of statements for any number of recordings, within the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from common.database import outbox
from common.database.pool import DbSession
from common.events import RecordingProcessingRequested, to_record
from common.ids import new_id
from common.models import RecordingStatus
from common.recordings.found import FoundRecording
from common.recordings.selection import STARTABLE, UNMATCHED, Standing

# Lock the source, because two jobs that store its recordings lock overlapping rows in no common order. A
# deleted source has no recordings.
_ENTER = "SELECT id FROM recording_source WHERE id = $2 AND tenant_id = $1 FOR NO KEY UPDATE"
# Unchanged rows are neither written nor locked. The status is not the platform's to set: a new row gets the
# default, and it is never changed here.
_WRITE = """
WITH given AS (
    SELECT * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
                         $9::text[], $10::int[], $11::bigint[], $12::bool[], $13::text[])
        AS g (id, external_id, meeting_id, topic, host, started_at, timezone, duration_minutes, total_bytes,
              is_blank, files)
)
INSERT INTO recording AS r (id, tenant_id, source_id, external_id, meeting_id, topic, host, started_at,
                            timezone, duration_minutes, total_bytes, is_blank, files)
SELECT g.id, $1, $2, g.external_id, g.meeting_id, g.topic, g.host, g.started_at, g.timezone,
       g.duration_minutes, g.total_bytes, g.is_blank, g.files::jsonb
  FROM given g
  LEFT JOIN recording old ON old.source_id = $2 AND old.external_id = g.external_id
 WHERE old.id IS NULL
    OR (old.meeting_id, old.topic, old.host, old.started_at, old.timezone, old.duration_minutes,
        old.total_bytes, old.is_blank, old.files)
       IS DISTINCT FROM (g.meeting_id, g.topic, g.host, g.started_at, g.timezone, g.duration_minutes,
                         g.total_bytes, g.is_blank, g.files::jsonb)
 ORDER BY g.external_id
    ON CONFLICT (source_id, external_id) DO UPDATE
   SET meeting_id = excluded.meeting_id, topic = excluded.topic, host = excluded.host,
       started_at = excluded.started_at, timezone = excluded.timezone,
       duration_minutes = excluded.duration_minutes, total_bytes = excluded.total_bytes,
       is_blank = excluded.is_blank, files = excluded.files, updated_at = now()
RETURNING r.id
"""
_READ = """
SELECT id, external_id, status, status_reason, automation_id,
       (worker IS NOT NULL OR available_at IS NOT NULL) AS is_under_way
  FROM recording WHERE source_id = $1 AND external_id = ANY($2::text[])
"""
# Losing branch: a recording started by another job meanwhile is no longer in a startable state, and is left
# out.
_START = """
WITH given AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS g (id, template_id, processing)
),
free AS (
    SELECT r.id FROM recording r JOIN given g USING (id)
     WHERE r.tenant_id = $1 AND r.status = ANY($5::text[]) AND r.worker IS NULL AND r.available_at IS NULL
     ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE recording r
   SET status = 'INITIALIZED', status_reason = NULL, error_code = NULL, error_message = NULL,
       template_id = g.template_id, automation_id = $6, processing = g.processing::jsonb,
       available_at = clock_timestamp(), attempt = 0, completed_at = NULL, trace_id = $7, traceparent = $8,
       updated_at = now()
  FROM given g JOIN free USING (id)
 WHERE r.id = g.id
RETURNING r.id, r.source_id, r.template_id
"""
_HOLD = """
WITH given AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS g (id, template_id, processing)
),
free AS (
    SELECT r.id FROM recording r JOIN given g USING (id)
     WHERE r.tenant_id = $1 AND r.status = ANY($5::text[]) AND r.worker IS NULL AND r.available_at IS NULL
       AND (r.status, r.template_id, r.automation_id, r.processing)
           IS DISTINCT FROM ('INITIALIZED', g.template_id, $6, g.processing::jsonb)
     ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE recording r
   SET status = 'INITIALIZED', status_reason = NULL, error_code = NULL, error_message = NULL,
       template_id = g.template_id, automation_id = $6, processing = g.processing::jsonb, updated_at = now()
  FROM given g JOIN free USING (id)
 WHERE r.id = g.id
RETURNING r.id
"""
_SKIP = """
WITH free AS (
    SELECT id FROM recording
     WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'INITIALIZED'
       AND worker IS NULL AND available_at IS NULL
     ORDER BY id FOR NO KEY UPDATE
)
UPDATE recording r
   SET status = 'SKIPPED', status_reason = $3, template_id = NULL, automation_id = $4, updated_at = now()
  FROM free WHERE r.id = free.id
RETURNING r.id
"""


class Change(StrEnum):
    """What storing a recording did to its row."""

    NEW = "new"
    UPDATED = "updated"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording's row."""

    id: UUID
    standing: Standing
    change: Change = Change.SAME


@dataclass(frozen=True, slots=True)
class Taking:
    """A recording, the template that takes it, and what is to be done with it."""

    recording_id: UUID
    template_id: UUID | None
    processing: Mapping[str, Any]


async def record(
    db: DbSession, tenant_id: UUID, source_id: UUID, found: Collection[FoundRecording]
) -> dict[str, Entry]:
    """Write new and changed recordings; returns the rows of all of them by the platform's ids.

    Returns nothing when the team has no such source (any more).
    """
    given = list({each.external_id: each for each in found}.values())
    if not given or await db.fetchrow(_ENTER, tenant_id, source_id) is None:
        return {}
    ids = [new_id() for _ in given]
    written = await db.fetch(
        _WRITE,
        tenant_id,
        source_id,
        ids,
        [each.external_id for each in given],
        [each.meeting_id for each in given],
        [each.topic for each in given],
        [each.host for each in given],
        [each.started_at for each in given],
        [each.timezone for each in given],
        [each.duration_minutes for each in given],
        [each.total_bytes for each in given],
        [each.is_blank for each in given],
        [json.dumps([file.model_dump(mode="json") for file in each.files]) for each in given],
    )
    fresh, touched = frozenset(ids), {row["id"] for row in written}
    return await read(
        db,
        source_id,
        [each.external_id for each in given],
        changes={id_: Change.NEW if id_ in fresh else Change.UPDATED for id_ in touched},
    )


async def read(
    db: DbSession,
    source_id: UUID,
    external_ids: Collection[str],
    *,
    changes: Mapping[UUID, Change] | None = None,
) -> dict[str, Entry]:
    """The rows there are, by the platform's ids; changes nothing."""
    rows = await db.fetch(_READ, source_id, list(external_ids))
    return {
        row["external_id"]: Entry(
            row["id"],
            Standing(
                RecordingStatus(row["status"]),
                row["status_reason"],
                row["automation_id"],
                row["is_under_way"],
            ),
            (changes or {}).get(row["id"], Change.SAME),
        )
        for row in rows
    }


async def start(
    db: DbSession,
    tenant_id: UUID,
    takings: Sequence[Taking],
    *,
    automation_id: UUID | None,
    service: str,
    now: datetime,
    trace_id: str | None = None,
    traceparent: str | None = None,
    statuses: Collection[RecordingStatus] = STARTABLE,
) -> list[UUID]:
    """Start processing, and announce it in the same transaction; returns the recordings that were started.

    Those not in one of `statuses` (any more), in progress or already queued are left out. What was stored
    of a recording before stays and is used again. `service` is whose events these
    are, and `now` their time. Call it once a transaction, for the sake of the events.
    """
    if not takings:
        return []
    started = await db.fetch(
        _START,
        tenant_id,
        [taking.recording_id for taking in takings],
        [taking.template_id for taking in takings],
        [json.dumps(dict(taking.processing)) for taking in takings],
        [status.value for status in statuses],
        automation_id,
        trace_id,
        traceparent,
    )
    events = [
        RecordingProcessingRequested(
            recording_id=row["id"],
            source_id=row["source_id"],
            tenant_id=tenant_id,
            trace_id=trace_id,
            template_id=row["template_id"],
            automation_id=automation_id,
        )
        for row in started
    ]
    await outbox.write(
        db, [to_record(event, source=service, time=now, traceparent=traceparent) for event in events]
    )
    return [row["id"] for row in started]


async def hold(
    db: DbSession, tenant_id: UUID, takings: Sequence[Taking], *, automation_id: UUID | None
) -> list[UUID]:
    """Record the matching template without starting anything; returns those where it changed."""
    if not takings:
        return []
    held = await db.fetch(
        _HOLD,
        tenant_id,
        [taking.recording_id for taking in takings],
        [taking.template_id for taking in takings],
        [json.dumps(dict(taking.processing)) for taking in takings],
        [status.value for status in STARTABLE],
        automation_id,
    )
    return [row["id"] for row in held]


async def skip(
    db: DbSession,
    tenant_id: UUID,
    recording_ids: Collection[UUID],
    *,
    automation_id: UUID | None,
    reason: str = UNMATCHED,
) -> list[UUID]:
    """Mark new recordings as skipped; returns those that were not marked yet."""
    if not recording_ids:
        return []
    skipped = await db.fetch(_SKIP, tenant_id, list(recording_ids), reason, automation_id)
    return [row["id"] for row in skipped]
