"""What follows from an event of Zoom's, in one transaction.

The events come in any order and more than once: what they tell is merged into what is known, and what has
begun already does not begin again.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog
from pydantic import SecretStr, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from api.context import SERVICE, current_trace
from api.quotas.limits import JOB_TYPE
from api.recordings.hooks import known_files
from api.recordings.service import files_of
from api.recordings.sources.schemas import ME
from common.automation_config.recording_sync import RecordingSyncConfig
from common.database.pool import DbSession, driver_connection
from common.recordings import catalog, intake
from common.recordings.catalog import Templates
from common.recordings.files import RecordedFile, is_blank
from common.recordings.found import FoundRecording
from common.recordings.intake import Entry, Taking
from common.recordings.matching import Matcher, SlowPattern, SourceName, Template
from common.recordings.selection import Verdict, Wanted, decide
from common.secrets.crypto import KeyRing, Undecryptable
from platforms.zoom import ZOOM_SERVER
from platforms.zoom import events as zoom_events
from platforms.zoom.events import ZoomEvent
from platforms.zoom.recordings import read_meeting

log = structlog.get_logger()

WEBHOOK_SECRET, DOWNLOAD_TOKEN = "webhook_secret", "download_token"
GONE = "its recording was deleted on Zoom"
"""Reason of a recording that is skipped because its platform has it no longer."""
PATIENCE = 0.5
"""Seconds of processor time that matching one event may take; Zoom waits three for the answer."""

_RECEIVER = """
SELECT tenant_id, kind, external_id, accounts, webhook_secret_sealed
  FROM connection WHERE id = $1 AND platform = 'zoom'
"""
# In the order of their ids, as `intake.record` locks one after the other.
_SOURCES = """
SELECT id, number FROM recording_source
 WHERE connection_id = $1 AND tenant_id = $2 AND status = 'active'
   AND (lower(external_user) = ANY($3::text[]))
 ORDER BY id FOR NO KEY UPDATE
"""
_KNOWN = """
SELECT id, source_id, files, is_blank FROM recording
 WHERE source_id = ANY($1::uuid[]) AND external_id = $2 ORDER BY id
"""
_JOBS = """
SELECT id, automation_config FROM automation
 WHERE tenant_id = $1 AND type = $2 AND status = 'active' ORDER BY created_at, id
"""
# An event that comes late does not put an older token in the place of a newer one.
_KEEP_TOKENS = """
UPDATE recording r
   SET download_token_sealed = g.sealed, download_token_expires_at = $3
  FROM unnest($1::uuid[], $2::bytea[]) AS g (id, sealed)
 WHERE r.id = g.id AND (r.download_token_expires_at IS NULL OR r.download_token_expires_at < $3)
"""
_FILES_LEFT = """
UPDATE recording r SET files = g.files::jsonb, is_blank = g.is_blank, updated_at = now()
  FROM unnest($1::uuid[], $2::text[], $3::bool[]) AS g (id, files, is_blank)
 WHERE r.id = g.id AND r.files IS DISTINCT FROM g.files::jsonb
"""
_BACK = """
UPDATE recording SET status = 'INITIALIZED', status_reason = NULL, updated_at = now()
 WHERE source_id = ANY($1::uuid[]) AND external_id = $2 AND status = 'SKIPPED' AND status_reason = $3
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The connection an event is for."""

    id: UUID
    tenant_id: UUID
    own_names: frozenset[str] | None
    """Its owner's id and e-mail addresses in lower case; None when they are not known (yet)."""
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Job:
    """An active recording job, as far as it decides about one recording."""

    id: UUID
    wanted: Wanted
    matcher: Matcher


async def receiver_of(session: AsyncSession, keys: KeyRing, connection_id: UUID) -> Receiver | None:
    """The connection, if it takes events: None when there is none, or it has no secret."""
    connection = await driver_connection(session)
    row = await connection.fetchrow(_RECEIVER, connection_id)
    if row is None or row["webhook_secret_sealed"] is None:
        return None
    try:
        secret = keys.open(
            row["webhook_secret_sealed"],
            tenant_id=row["tenant_id"],
            row_id=connection_id,
            column=WEBHOOK_SECRET,
        )
    except Undecryptable as error:
        log.error("webhook secret cannot be opened", connection_id=str(connection_id), error=error.detail)
        return None
    return Receiver(connection_id, row["tenant_id"], _own_names(row), secret)


def _own_names(row: asyncpg.Record) -> frozenset[str] | None:
    """Who `me` is. A server-to-server app has no user."""
    if row["kind"] == ZOOM_SERVER:
        return frozenset()
    external_id, accounts = row["external_id"], row["accounts"]
    if not isinstance(external_id, str):
        return None
    emails = (
        [each.get("email") for each in accounts if isinstance(each, dict)]
        if isinstance(accounts, list)
        else []
    )
    return frozenset(name.lower() for name in (external_id, *emails) if isinstance(name, str) and name)


async def take(
    session: AsyncSession, keys: KeyRing, receiver: Receiver, event: ZoomEvent, *, now: datetime
) -> None:
    """Handle an event; does nothing when its user is no recording source.

    Raises UnreadableRecording.
    """
    connection = await driver_connection(session)
    match event.event:
        case zoom_events.COMPLETED | zoom_events.RECOVERED | zoom_events.TRANSCRIPT_COMPLETED:
            await _take_in(connection, keys, receiver, event, now)
        case zoom_events.TRASHED | zoom_events.DELETED:
            await _let_go(connection, receiver, event)
        case _:
            pass


async def _take_in(db: DbSession, keys: KeyRing, receiver: Receiver, event: ZoomEvent, now: datetime) -> None:
    told = read_meeting(event.meeting)
    sources = await _sources(db, receiver, event)
    if not sources:
        log.info("zoom event without a source", zoom_event=event.event, connection_id=str(receiver.id))
        return
    if event.event == zoom_events.RECOVERED:
        await db.execute(_BACK, [source.id for source in sources], told.external_id, GONE)
    known = await _known_files(db, sources, told.external_id)
    taken: list[tuple[SourceName, FoundRecording, Entry]] = []
    for source in sources:
        found = known_files.merged(told, known.get(source.id, ()))
        entries = await intake.record(db, receiver.tenant_id, source.id, [found])
        taken += [(source, found, entry) for entry in entries.values()]
    if event.download_token is not None:
        await _keep_token(
            db,
            keys,
            receiver.tenant_id,
            [entry.id for _, _, entry in taken],
            event.download_token,
            event.token_expires_at(now),
        )
    if event.event != zoom_events.TRANSCRIPT_COMPLETED:
        await _start(db, receiver.tenant_id, taken, now)
    log.info(
        "zoom event taken",
        zoom_event=event.event,
        connection_id=str(receiver.id),
        recordings=[str(entry.id) for _, _, entry in taken],
    )


async def _sources(db: DbSession, receiver: Receiver, event: ZoomEvent) -> list[SourceName]:
    """The sources the host's recordings are taken by."""
    names = set(event.host_names)
    own = receiver.own_names
    # It is not known yet whose account it is. Its app sends the events of those who agreed to it, and it is
    # this connection's own address they come to.
    if own is None or not names.isdisjoint(own):
        names.add(ME)
    rows = await db.fetch(_SOURCES, receiver.id, receiver.tenant_id, sorted(names))
    return [SourceName(row["id"], row["number"]) for row in rows]


async def _known_files(
    db: DbSession, sources: Sequence[SourceName], external_id: str
) -> dict[UUID, tuple[RecordedFile, ...]]:
    rows = await db.fetch(_KNOWN, [source.id for source in sources], external_id)
    return {row["source_id"]: files_of(row["files"]) for row in rows}


async def _keep_token(
    db: DbSession,
    keys: KeyRing,
    tenant_id: UUID,
    ids: Sequence[UUID],
    token: SecretStr,
    expires_at: datetime,
) -> None:
    text = token.get_secret_value()
    sealed = [keys.seal(text, tenant_id=tenant_id, row_id=each, column=DOWNLOAD_TOKEN) for each in ids]
    await db.execute(_KEEP_TOKENS, list(ids), sealed, expires_at)


async def _start(
    db: DbSession,
    tenant_id: UUID,
    taken: Sequence[tuple[SourceName, FoundRecording, Entry]],
    now: datetime,
) -> None:
    """Let the first job that takes it process it at once.

    What no job takes is left as it is, for their next runs to decide about.
    """
    jobs = await _jobs(db, tenant_id)
    starting: dict[UUID, list[Taking]] = defaultdict(list)
    holding: dict[UUID, list[Taking]] = defaultdict(list)
    for source, found, entry in taken:
        # Not on the event loop: teams may have many patterns, and slow ones.
        decided = await asyncio.to_thread(_decide, jobs, source, found, entry, now)
        if decided is None:
            continue
        job, template, verdict = decided
        taking = Taking(entry.id, template.id, template.processing.as_document())
        (starting if verdict is Verdict.STARTED else holding)[job.id].append(taking)
    trace = current_trace()
    for job_id, takings in sorted(starting.items()):
        await intake.start(
            db,
            tenant_id,
            takings,
            automation_id=job_id,
            service=SERVICE,
            now=now,
            trace_id=trace.trace_id,
            traceparent=trace.traceparent,
        )
    for job_id, takings in sorted(holding.items()):
        await intake.hold(db, tenant_id, takings, automation_id=job_id)


def _decide(
    jobs: Sequence[_Job], source: SourceName, found: FoundRecording, entry: Entry, now: datetime
) -> tuple[_Job, Template, Verdict] | None:
    """The job that takes a recording, by which template, and whether it begins at once."""
    for job in jobs:
        try:
            template = job.matcher.match(found.topic, source)
        except SlowPattern as error:
            # The job's own run fails with it, and tells its owner.
            log.warning("pattern too slow for an event", automation_id=str(job.id), reason=error.detail)
            continue
        verdict = decide(
            job.wanted, entry.standing, template, is_blank=found.is_blank, is_ready=found.is_ready(now)
        )
        if template is not None and verdict in (Verdict.STARTED, Verdict.HELD):
            return job, template, verdict
    return None


async def _jobs(db: DbSession, tenant_id: UUID) -> list[_Job]:
    """The team's active recording jobs, the oldest first, each with its templates in its order."""
    configs: list[tuple[UUID, RecordingSyncConfig]] = []
    for row in await db.fetch(_JOBS, tenant_id, JOB_TYPE):
        try:
            configs.append((row["id"], RecordingSyncConfig.model_validate(row["automation_config"])))
        except ValidationError:
            log.warning("recording job cannot be read", automation_id=str(row["id"]))
    references = dict.fromkeys(name for _, config in configs for name in config.template_ids)
    known = await catalog.templates(db, tenant_id, list(references))
    patience = PATIENCE / max(len(configs), 1)
    return [_job(job_id, config, known, patience) for job_id, config in configs]


def _job(job_id: UUID, config: RecordingSyncConfig, known: Templates, patience: float) -> _Job:
    templates: list[Template] = []
    for template in known.named(config.template_ids):
        try:
            processing = template.processing.overridden_by(config.processing_config)
        except ValidationError:
            log.warning("template left out", automation_id=str(job_id), template=template.number)
            continue
        templates.append(Template(template.id, template.number, template.name, template.rules, processing))
    return _Job(
        job_id,
        Wanted(frozenset(config.filters.status), not config.filters.exclude_blank, job_id),
        Matcher(templates, patience=patience),
    )


async def _let_go(db: DbSession, receiver: Receiver, event: ZoomEvent) -> None:
    """A recording, or some of its files, are gone from the platform.

    What has not begun is skipped, for there is nothing left to process. What was stored of it stays, and what
    is being processed finds out by itself.
    """
    told = read_meeting(event.meeting)
    sources = await _sources(db, receiver, event)
    if not sources:
        return
    rows = await db.fetch(_KNOWN, [source.id for source in sources], told.external_id)
    named = [file.id for file in told.files]
    left = {row["id"]: known_files.without(files_of(row["files"]), named) for row in rows}
    gone = [recording_id for recording_id, files in left.items() if not files]
    fewer = {recording_id: files for recording_id, files in left.items() if files}
    await intake.skip(db, receiver.tenant_id, gone, automation_id=None, reason=GONE)
    await db.execute(
        _FILES_LEFT,
        list(fewer),
        [json.dumps([file.model_dump(mode="json") for file in files]) for files in fewer.values()],
        [is_blank(files) for files in fewer.values()],
    )
