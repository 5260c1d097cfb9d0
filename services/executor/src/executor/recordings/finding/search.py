"""Looking for the recordings of sources, page by page: what is found is written, matched and started."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.clock import utc_now
from common.database.pool import ConnectionPool
from common.errors import Consequence, PlatformError
from common.recordings import intake
from common.recordings.catalog import Source
from common.recordings.found import FoundRecording
from common.recordings.intake import Change, Entry, Taking
from common.recordings.matching import Matcher, Template
from common.recordings.selection import Standing, Verdict, Wanted, decide
from executor.recordings.finding.outcome import MOST_EXAMPLES, NOT_CONNECTED, Tally, example
from executor.recordings.finding.plan import Window
from platforms.zoom import PLATFORM
from platforms.zoom.client import ZoomClient
from platforms.zoom.recordings import UnreadableRecording, read_meeting

AT_ONCE = 4
"""Sources looked at at a time: what bounds a run's memory, with the size of a page."""
USER_GONE = "1001"
"""Zoom's code for a person it does not know."""
_LONGEST_ERROR = 500

_NOTE = """
UPDATE recording_source
   SET last_synced_at = CASE WHEN $3::text IS NULL THEN clock_timestamp() ELSE last_synced_at END,
       last_error = $3, updated_at = now(),
       status = CASE WHEN $4 THEN 'disabled' ELSE status END,
       status_reason = CASE WHEN $4 AND status = 'active' THEN $3 ELSE status_reason END
 WHERE id = $2 AND tenant_id = $1
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run looks for. `trace_id` and `traceparent` are what the processing of recordings continues."""

    tenant_id: UUID
    automation_id: UUID
    window: Window
    wanted: Wanted
    matcher: Matcher
    dry_run: bool = False
    trace_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    recording: FoundRecording
    template: Template | None


class RecordingSync:
    """Syncs sources for one job. `clients` are those of the connected accounts, by connection."""

    def __init__(
        self,
        pool: ConnectionPool,
        job: Job,
        clients: Mapping[UUID, ZoomClient],
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._pool = pool
        self._job = job
        self._clients = clients
        self._now = now
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self, sources: Sequence[Source]) -> list[Tally]:
        """What was found in each source. A source that fails ends with its error, and the others go on.

        Raises SlowPattern, and what the database raises.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._sync(source)) for source in sources]
        except ExceptionGroup as several:
            # The first is told as itself: what follows from a failure is decided by its type.
            raise several.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _sync(self, source: Source) -> Tally:
        tally = Tally(source)
        async with self._turn:
            try:
                first, last = self._job.window.days
                async for documents in self._client(source).recordings(source.external_user, first, last):
                    await self._take(source, documents, tally)
            except PlatformError as error:
                tally.error = error
            if not self._job.dry_run:
                await self._note(tally)
        return tally

    def _client(self, source: Source) -> ZoomClient:
        client = self._clients.get(source.connection_id)
        if client is None:
            raise PlatformError(
                "its Zoom account must be connected again",
                Consequence.REAUTH,
                platform=PLATFORM,
                code=NOT_CONNECTED,
                connection_id=str(source.connection_id),
            )
        return client

    async def _take(self, source: Source, documents: Sequence[Mapping[str, Any]], tally: Tally) -> None:
        # Not on the event loop: a page has hundreds of recordings, and a job may have thousands of rules.
        candidates = await asyncio.to_thread(self._read, source, documents, tally)
        if not candidates:
            return
        if self._job.dry_run:
            await self._look(source, candidates, tally)
        else:
            await self._write(source, candidates, tally)

    def _read(
        self, source: Source, documents: Sequence[Mapping[str, Any]], tally: Tally
    ) -> dict[str, _Candidate]:
        """The recordings within the job's days, and the template each would go to."""
        found: dict[str, _Candidate] = {}
        for document in documents:
            try:
                recording = read_meeting(document)
            except UnreadableRecording:
                tally.unreadable += 1
                continue
            if recording.started_at in self._job.window:
                template = self._job.matcher.match(recording.topic, source.names)
                found[recording.external_id] = _Candidate(recording, template)
        return found

    async def _look(self, source: Source, candidates: Mapping[str, _Candidate], tally: Tally) -> None:
        """What would be done, by what is there now."""
        async with self._pool.acquire() as db:
            entries = await intake.read(db, source.id, candidates)
        for external_id, candidate in candidates.items():
            entry = entries.get(external_id)
            tally.changes[Change.SAME if entry else Change.NEW] += 1
            verdict = self._decide(candidate, entry.standing if entry else Standing())
            tally.verdicts[verdict] += 1
            if verdict is Verdict.STARTED and candidate.template is not None:
                tally.taken[candidate.template.id] += 1
                if len(tally.examples) < MOST_EXAMPLES:
                    recording = candidate.recording
                    tally.examples.append(
                        example(recording.topic, recording.started_at.isoformat(), source, candidate.template)
                    )

    async def _write(self, source: Source, candidates: Mapping[str, _Candidate], tally: Tally) -> None:
        """One page in one transaction: its rows, what follows for them, and the events of it."""
        job = self._job
        async with self._pool.acquire() as db, db.transaction():
            entries = await intake.record(
                db, job.tenant_id, source.id, [each.recording for each in candidates.values()]
            )
            verdicts = {name: self._decide(candidates[name], entries[name].standing) for name in entries}

            def takings(verdict: Verdict) -> list[Taking]:
                return [
                    _taking(entries[name], template)
                    for name, each in verdicts.items()
                    if each is verdict and (template := candidates[name].template) is not None
                ]

            started = await intake.start(
                db,
                job.tenant_id,
                takings(Verdict.STARTED),
                automation_id=job.automation_id,
                service="executor",
                now=self._now(),
                trace_id=job.trace_id,
                traceparent=job.traceparent,
            )
            await intake.hold(db, job.tenant_id, takings(Verdict.HELD), automation_id=job.automation_id)
            await intake.skip(
                db,
                job.tenant_id,
                [entries[name].id for name, each in verdicts.items() if each is Verdict.UNMATCHED],
                automation_id=job.automation_id,
            )
        # Counted once it is committed: what was rolled back has not happened.
        tally.changes.update(entry.change for entry in entries.values())
        tally.verdicts.update(verdicts.values())
        tally.taken.update(_by_template(started, entries, candidates))

    def _decide(self, candidate: _Candidate, standing: Standing) -> Verdict:
        return decide(
            self._job.wanted,
            standing,
            candidate.template,
            is_blank=candidate.recording.is_blank,
            is_ready=candidate.recording.is_ready(self._now()),
        )

    async def _note(self, tally: Tally) -> None:
        """Tell on the source how it went; one whose person is gone is not asked again."""
        error = tally.error
        await self._pool.execute(
            _NOTE,
            self._job.tenant_id,
            tally.source.id,
            None if error is None else error.detail[:_LONGEST_ERROR],
            error is not None and error.consequence is Consequence.GONE and error.code == USER_GONE,
        )


def _taking(entry: Entry, template: Template) -> Taking:
    return Taking(entry.id, template.id, template.processing.as_document())


def _by_template(
    started: Sequence[UUID], entries: Mapping[str, Entry], candidates: Mapping[str, _Candidate]
) -> Counter[UUID]:
    names = {entry.id: name for name, entry in entries.items()}
    taken = (candidates[names[recording_id]].template for recording_id in started)
    return Counter(template.id for template in taken if template is not None)
