"""Recording how far a recording has come: state and events in one transaction, guarded by worker and attempt.

A write that comes after the recording was taken away is rejected, and with it what it would have announced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import asyncpg
import structlog

from common.clock import utc_now
from common.database import outbox
from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool, DbSession
from common.errors import CarillonError
from common.events import (
    EventRecord,
    RecordingEvent,
    RecordingFailed,
    RecordingProcessed,
    RecordingProcessingRequested,
    to_record,
)
from common.models import RecordingStatus
from common.process.loops import end_if_cancelled
from common.recordings.artifacts import Artifacts, Retries
from executor.aftermath.table import Condemned
from executor.recordings.processing.claims import ClaimedRecording

log = structlog.get_logger()

ERROR_LENGTH = 2_000
RETRY_PAUSE = 0.5

_MINE = "id = $1 AND worker = $2 AND attempt = $3"
_NOTE = f"""
UPDATE recording
   SET status = $4, artifacts = $5, uncounted = $6, error_code = NULL, error_message = NULL,
       updated_at = now(), files_deleted_at = NULL
 WHERE {_MINE}
RETURNING id
"""
_FINISH = f"""
UPDATE recording
   SET status = $4, artifacts = $5, error_code = NULL, error_message = NULL, updated_at = now(),
       worker = NULL, lease_expires_at = NULL, completed_at = clock_timestamp(),
       download_token_sealed = NULL, download_token_expires_at = NULL
 WHERE {_MINE}
RETURNING completed_at
"""
_FAIL = f"""
UPDATE recording
   SET status = 'FAILED', error_code = $4, error_message = $5, updated_at = now(),
       worker = NULL, lease_expires_at = NULL, completed_at = clock_timestamp()
 WHERE {_MINE}
RETURNING completed_at
"""
# Of the artifacts only what the attempts met: a step that was cut off may have noted more than its worker
# knows of.
_POSTPONE = f"""
UPDATE recording
   SET artifacts = artifacts || jsonb_build_object('retries', $4::jsonb), uncounted = $5,
       error_code = $6, error_message = $7, updated_at = now(), worker = NULL,
       lease_expires_at = NULL, available_at = clock_timestamp() + make_interval(secs => $8)
 WHERE {_MINE}
RETURNING available_at
"""
_ENDED = """
SELECT EXISTS (SELECT FROM recording
                WHERE id = $1 AND attempt = $2 AND worker IS NULL AND status = coalesce($3, status)
                  AND error_code IS NOT DISTINCT FROM $4)
"""


class Superseded(CarillonError):
    """Another worker holds the recording by now, or it was deleted."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step ended without its result. `message` is fit to be shown."""

    step: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the row looks once this attempt has been recorded: without a worker, and with its number still.

    `status` is None where the attempt leaves it as it is.
    """

    recording: ClaimedRecording
    status: str | None
    error_code: str | None

    async def is_found(self, db: DbSession) -> bool:
        """Whether it looks so now: then a write without an answer was committed."""
        found: bool = await db.fetchval(
            _ENDED, self.recording.id, self.recording.attempt, self.status, self.error_code
        )
        return found


class Condemnation(Protocol):
    """What follows for an account whose token was found dead."""

    async def condemn(
        self, db: DbSession, condemned: Sequence[Condemned], *, now: datetime
    ) -> list[EventRecord]:
        """Within the caller's transaction; answers the events that announce it."""
        ...


class RecordingOutcomes:
    """Writes for one worker. Every method waits for a database that is away, and raises Superseded."""

    def __init__(self, pool: ConnectionPool, *, worker: str, aftermath: Condemnation) -> None:
        self._pool = pool
        self._worker = worker
        self._aftermath = aftermath

    async def note(
        self, recording: ClaimedRecording, status: RecordingStatus, artifacts: Artifacts, uncounted: int
    ) -> None:
        """How far it has come; it goes on here."""

        async def write(db: DbSession) -> None:
            await self._mine(db, _NOTE, recording, status.value, artifacts.as_document(), uncounted)

        await self._insist(write)

    async def finish(
        self, recording: ClaimedRecording, status: RecordingStatus, artifacts: Artifacts
    ) -> None:
        """Every step is done."""

        async def write(db: DbSession) -> None:
            row = await self._mine(db, _FINISH, recording, status.value, artifacts.as_document())
            event = RecordingProcessed(
                **_about(recording),
                status=status.value,
                attempt=recording.attempt,
                completed_at=row["completed_at"],
                uploads=sum(upload.completed_at is not None for upload in artifacts.uploads.values()),
            )
            await self._announce(db, recording, event)

        await self._insist(write, _Ended(recording, status.value, None))

    async def fail(
        self,
        recording: ClaimedRecording,
        failure: Failure,
        *,
        dead: Condemned | None = None,
    ) -> None:
        """It will not be tried again by itself."""

        async def write(db: DbSession) -> None:
            await self._mine(
                db,
                _FAIL,
                recording,
                failure.code,
                failure.message[:ERROR_LENGTH],
            )
            condemned = [dead] if dead is not None else []
            following = await self._aftermath.condemn(db, condemned, now=utc_now())
            await self._announce(db, recording, _failed(recording, failure, None), *following)

        await self._insist(write, _Ended(recording, RecordingStatus.FAILED.value, failure.code))

    async def postpone(
        self,
        recording: ClaimedRecording,
        retries: Retries,
        uncounted: int,
        failure: Failure,
        delay: timedelta,
    ) -> datetime:
        """It will be tried again after `delay`; answers when."""

        async def write(db: DbSession) -> None:
            row = await self._mine(
                db,
                _POSTPONE,
                recording,
                retries.model_dump(mode="json"),
                uncounted,
                failure.code,
                failure.message[:ERROR_LENGTH],
                delay.total_seconds(),
            )
            await self._announce(db, recording, _failed(recording, failure, row["available_at"]))

        await self._insist(write, _Ended(recording, None, failure.code))
        return utc_now() + delay

    async def hand_back(self, recording: ClaimedRecording, retries: Retries, uncounted: int) -> None:
        """Another executor shall go on with it at once."""

        async def write(db: DbSession) -> None:
            await self._mine(
                db, _POSTPONE, recording, retries.model_dump(mode="json"), uncounted, None, None, 0.0
            )
            event = RecordingProcessingRequested(
                **_about(recording),
                template_id=recording.template_id,
                automation_id=recording.automation_id,
            )
            await self._announce(db, recording, event)

        await self._insist(write, _Ended(recording, None, None))

    async def _mine(
        self, db: DbSession, statement: str, recording: ClaimedRecording, *values: object
    ) -> asyncpg.Record:
        row = await db.fetchrow(statement, recording.id, self._worker, recording.attempt, *values)
        if row is None:
            raise Superseded("the recording was taken over or deleted")
        return row

    async def _announce(
        self, db: DbSession, recording: ClaimedRecording, event: RecordingEvent, *more: EventRecord
    ) -> None:
        record = to_record(event, source="executor", time=utc_now(), traceparent=recording.traceparent)
        await outbox.write(db, [record, *more])

    async def _insist(
        self, write: Callable[[DbSession], Awaitable[None]], ended: _Ended | None = None
    ) -> None:
        """Write until it is committed. `ended` is how to tell that it was, when the answer was lost."""
        is_doubtful = False
        while True:
            try:
                async with self._pool.acquire() as db:
                    try:
                        async with db.transaction():
                            return await write(db)
                    except Superseded:
                        if is_doubtful and ended is not None and await ended.is_found(db):
                            return None
                        raise
            except TRANSIENT_DATABASE_ERRORS as error:
                end_if_cancelled()
                is_doubtful = True
                log.warning("recording's progress not recorded yet", error=type(error).__name__)
                await asyncio.sleep(RETRY_PAUSE)


def _about(recording: ClaimedRecording) -> dict[str, Any]:
    return {
        "recording_id": recording.id,
        "source_id": recording.source_id,
        "tenant_id": recording.tenant_id,
        "trace_id": recording.trace_id,
    }


def _failed(recording: ClaimedRecording, failure: Failure, retry_at: datetime | None) -> RecordingFailed:
    return RecordingFailed(
        **_about(recording),
        step=failure.step,
        attempt=recording.attempt,
        error_code=failure.code,
        error_message=failure.message[:500],
        retry_at=retry_at,
    )
