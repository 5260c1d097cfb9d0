"""Taking recordings: those whose events came, and by the sweep those that no event will bring."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog
from pydantic import TypeAdapter, ValidationError

from common.database.pool import ConnectionPool
from common.models import ConnectionKind, RecordingStatus
from common.recordings.artifacts import Artifacts
from common.recordings.files import RecordedFile
from common.recordings.settings import ProcessingSettings
from common.secrets.crypto import KeyRing, Undecryptable
from common.work.leases import RECORDINGS, Attempt, patience
from common.work.places import Flows, team
from common.work.stopping import SET_ASIDE, is_set_aside
from common.work.waiting import Waiting

log = structlog.get_logger()

_NEVER = "('FAILED', 'SKIPPED')"
# An event that comes twice does not cut short the wait for the next attempt; the first attempt waits for
# nothing, whatever the clocks say.
_WANTED = f"""
SELECT id FROM recording
 WHERE id = ANY($1::uuid[]) AND worker IS NULL AND available_at IS NOT NULL AND status NOT IN {_NEVER}
   AND (attempt = 0 OR available_at <= now())
 ORDER BY id FOR UPDATE SKIP LOCKED
"""
# Attempts whose time has come, and recordings whose event was lost: PostgreSQL alone is enough.
_WAITING = f"""
SELECT id, tenant_id FROM recording
 WHERE worker IS NULL AND available_at <= now() AND status NOT IN {_NEVER}
   AND (attempt > 0 OR available_at < now() - make_interval(secs => $1))
   AND tenant_id <> ALL($2::uuid[])
 ORDER BY available_at LIMIT $3
"""
_CLAIMED = """
SELECT r.id, r.tenant_id, r.source_id, r.template_id, r.automation_id, r.status, r.attempt, r.uncounted,
       r.stopped_workers,
       r.meeting_id, r.topic, r.host, r.started_at, r.timezone, r.duration_minutes, r.files, r.processing,
       r.artifacts, r.trace_id, r.traceparent,
       CASE WHEN r.download_token_expires_at > clock_timestamp() THEN r.download_token_sealed END AS sealed,
       s.name AS source, coalesce(t.name, '') AS template,
       c.id AS connection_id, c.kind
  FROM claimed r
  JOIN recording_source s ON s.id = r.source_id
  JOIN connection c ON c.id = s.connection_id
  LEFT JOIN recording_template t ON t.id = r.template_id
"""
_CLAIM = f"WITH {RECORDINGS.claim(_WANTED)}{_CLAIMED}"
_READ_BACK = f"WITH {RECORDINGS.read_back}{_CLAIMED}"

_FILES = TypeAdapter(tuple[RecordedFile, ...])


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """The connected account a recording comes from."""

    connection_id: UUID
    kind: ConnectionKind


@dataclass(frozen=True, slots=True)
class ClaimedRecording:
    """A recording that is this worker's until its lease expires.

    `unprocessable` is why it can never be processed as it is stored. `download_token` opens this recording's
    files alone, and is None once it has expired.
    """

    id: UUID
    tenant_id: UUID
    source_id: UUID
    template_id: UUID | None
    automation_id: UUID | None
    account: SourceAccount
    status: RecordingStatus
    attempt: int
    uncounted: int
    meeting_id: str
    topic: str
    host: str
    source: str
    template: str
    started_at: datetime
    timezone: str
    duration_minutes: int
    files: tuple[RecordedFile, ...]
    processing: ProcessingSettings
    artifacts: Artifacts
    unprocessable: str | None
    download_token: str | None = field(repr=False)
    trace_id: str | None
    traceparent: str | None

    @property
    def flows(self) -> Flows:
        """Its team's."""
        return (team(self.tenant_id),)

    @property
    def secrets(self) -> list[str]:
        """What must not be shown of it."""
        return [self.download_token] if self.download_token else []


class RecordingClaims:
    """Claims recordings for one worker."""

    def __init__(self, pool: ConnectionPool, ring: KeyRing, *, worker: str, lease_seconds: float) -> None:
        self._pool = pool
        self._ring = ring
        self._worker = worker
        self._lease_seconds = lease_seconds

    async def claim(self, traceparents: Mapping[UUID, str | None]) -> list[ClaimedRecording]:
        """Claim those of the recordings that wait; `traceparents` is what their events carried."""
        rows = await self._pool.fetch(_CLAIM, list(traceparents), self._worker, self._lease_seconds)
        return [self._read(row, traceparents.get(row["id"])) for row in rows]

    async def waiting(self, *, waited_seconds: float, without: Sequence[UUID], limit: int) -> list[Waiting]:
        """Recordings whose time has come, and those that have waited so long for their event."""
        rows = await self._pool.fetch(_WAITING, waited_seconds, without, limit)
        return [Waiting(row["id"], (team(row["tenant_id"]),)) for row in rows]

    async def read_back(self, known: Sequence[Attempt]) -> list[ClaimedRecording]:
        """Recordings that are this worker's by a claim whose answer was lost: all it holds but `known`."""
        async with asyncio.timeout(patience(self._lease_seconds)):
            rows = await self._pool.fetch(
                _READ_BACK,
                [recording_id for recording_id, _ in known],
                self._worker,
                self._lease_seconds,
                [number for _, number in known],
            )
        return [self._read(row, None) for row in rows]

    def _read(self, row: asyncpg.Record, traceparent: str | None) -> ClaimedRecording:
        files: tuple[RecordedFile, ...] = ()
        processing, artifacts, fault = ProcessingSettings(), Artifacts(), None
        try:
            files = _FILES.validate_python(row["files"])
            processing = ProcessingSettings.model_validate(row["processing"])
            artifacts = Artifacts.model_validate(row["artifacts"])
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
                for each in error.errors(include_input=False, include_url=False)[:3]
            )
            fault = f"{error.title} cannot be read: {faults}"
        if is_set_aside(row["stopped_workers"]):
            fault = SET_ASIDE
        return ClaimedRecording(
            id=row["id"],
            tenant_id=row["tenant_id"],
            source_id=row["source_id"],
            template_id=row["template_id"],
            automation_id=row["automation_id"],
            account=SourceAccount(row["connection_id"], ConnectionKind(row["kind"])),
            status=RecordingStatus(row["status"]),
            attempt=row["attempt"],
            uncounted=row["uncounted"],
            meeting_id=row["meeting_id"],
            topic=row["topic"],
            host=row["host"],
            source=row["source"],
            template=row["template"],
            started_at=row["started_at"],
            timezone=row["timezone"],
            duration_minutes=row["duration_minutes"],
            files=files,
            processing=processing,
            artifacts=artifacts,
            unprocessable=fault,
            download_token=self._download_token(row),
            trace_id=row["trace_id"],
            traceparent=traceparent or row["traceparent"],
        )

    def _download_token(self, row: asyncpg.Record) -> str | None:
        if row["sealed"] is None:
            return None
        try:
            return self._ring.open(
                row["sealed"], tenant_id=row["tenant_id"], row_id=row["id"], column="download_token"
            )
        except Undecryptable as error:
            # The account's own token does as well.
            log.error("download token cannot be opened", recording_id=str(row["id"]), error=error.detail)
            return None
