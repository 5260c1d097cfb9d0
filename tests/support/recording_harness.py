"""Recording processing in this process, against the sandbox and with a folder as the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from common.database.pool import ConnectionPool
from common.ids import new_id
from common.models import ConnectionKind, RecordingStatus
from common.recordings import intake
from common.recordings.artifacts import Artifacts
from common.recordings.intake import Taking
from common.recordings.store import RecordingStore
from common.secrets.crypto import KeyRing
from common.work.leases import RECORDINGS, Leases
from common.work.patience import Patience
from common.work.places import Places
from common.work.worker import Worker as Machine
from executor.aftermath.application import AftermathWriter
from executor.recordings.processing.attempts import RecordingAttempts
from executor.recordings.processing.claims import ClaimedRecording, RecordingClaims
from executor.recordings.processing.execution import Processing
from executor.recordings.processing.outcomes import RecordingOutcomes
from executor.recordings.processing.wiring import steps_of
from executor.settings import ExecutorSettings
from executor.tokens.credential import KeptCredential
from platforms.oauth.base import Grant
from platforms.zoom import ZOOM_USER
from platforms.zoom.recordings import read_meeting
from tests.factories import Team, World
from tests.support import recordings
from tests.support.executor_harness import PUBLIC_URL, token_keeper
from tests.support.leaders import rescued
from tests.support.polling import eventually
from tests.support.waiting import waiting
from tests.support.zoom_sandbox import SandboxZoom

TOKEN = "sandbox-zoom-recordings"
Noted = Callable[[RecordingStatus, Artifacts], Awaitable[None]]


class ScriptedOutcomes(RecordingOutcomes):
    """Lets a test step in before something is written down: as a crash does, or a long pause."""

    before: Noted | None = None

    async def note(
        self, recording: ClaimedRecording, status: RecordingStatus, artifacts: Artifacts, uncounted: int
    ) -> None:
        """As the real one, unless the test does not come back."""
        if self.before is not None:
            await self.before(status, artifacts)
        await super().note(recording, status, artifacts, uncounted)

    async def finish(
        self, recording: ClaimedRecording, status: RecordingStatus, artifacts: Artifacts
    ) -> None:
        """As the real one, unless the test does not come back."""
        if self.before is not None:
            await self.before(status, artifacts)
        await super().finish(recording, status, artifacts)


@dataclass
class RecordingWorker:
    """One executor without its broker."""

    name: str
    processing: Machine[ClaimedRecording, Places]
    outcomes: ScriptedOutcomes
    claims: RecordingClaims


@dataclass
class RecordingHarness:
    """A team whose Zoom account records, and everything a worker needs to process that."""

    world: World
    team: Team
    pool: ConnectionPool
    ring: KeyRing
    http: httpx.AsyncClient
    zoom: SandboxZoom
    origin: str
    store: RecordingStore
    overrides: Mapping[str, Any] = field(default_factory=dict)
    grants: Mapping[ConnectionKind, Grant] = field(default_factory=dict)
    source_id: UUID | None = None

    async def connect(self, token: str = TOKEN, **columns: Any) -> UUID:
        """Connect the account whose recordings are taken."""
        connection_id = await self.world.connection(self.team, ZOOM_USER, token, **columns)
        self.source_id = await recordings.source(self.world, self.team, connection_id)
        return connection_id

    async def record(
        self,
        topic: str = "Weekly call",
        *,
        processing: Mapping[str, Any] | None = None,
        start: bool = True,
        change: Callable[[dict[str, Any]], None] | None = None,
        **more: Any,
    ) -> UUID:
        """A recording that Zoom has, taken in and, unless told otherwise, waiting to be processed."""
        if self.source_id is None:
            await self.connect()
        assert self.source_id is not None
        document = await self.zoom.record(topic, **more)
        if change is not None:
            change(document)
        found = read_meeting(document)
        async with self.pool.acquire() as db, db.transaction():
            entries = await intake.record(db, self.team.tenant_id, self.source_id, [found])
            recording_id = entries[found.external_id].id
            if start:
                started = await intake.start(
                    db,
                    self.team.tenant_id,
                    [Taking(recording_id, None, dict(processing or {}))],
                    automation_id=None,
                    service="executor",
                    now=datetime.now(UTC),
                    traceparent=f"00-{new_id().hex}-{new_id().hex[:16]}-01",
                )
                assert started == [recording_id]
        return recording_id

    @asynccontextmanager
    async def working(
        self,
        name: str = "executor-1",
        *,
        concurrency: int = 4,
        lease_seconds: float = 15.0,
        sweep_after: float = 15.0,
        max_attempts: int = 5,
        step_timeout: float = 60.0,
        has_store: bool = True,
        **overrides: Any,
    ) -> AsyncIterator[RecordingWorker]:
        """A worker; at the end it is stopped like a process that is killed."""
        settings = ExecutorSettings(
            **{
                "database_url": "postgresql://unused",
                "kafka_bootstrap_servers": "localhost:1",
                "encryption_keys": ",".join(_texts(self.ring)),
                "zoom_base_url": self.zoom.base_url,
                "transcription_base_url": f"{self.origin}/transcription",
                "transcription_api_key": "sandbox-transcription-key",
                "platform_timeout": 5.0,
                **self.overrides,
                **overrides,
            }
        )
        keeper = token_keeper(self.pool, self.ring, self.grants, name=name)
        claims = RecordingClaims(self.pool, self.ring, worker=name, lease_seconds=lease_seconds)
        outcomes = ScriptedOutcomes(self.pool, worker=name, aftermath=AftermathWriter(public_url=PUBLIC_URL))
        steps = steps_of(
            settings,
            self.pool,
            self.ring,
            self.http,
            self.store,
            lambda account: KeptCredential(keeper, account.connection_id, account.kind, None),
        )
        attempts = RecordingAttempts(
            outcomes, steps if has_store else None, step_timeout=step_timeout, max_attempts=max_attempts
        )
        processing = Machine(
            Processing(claims, attempts, sweep_after=Patience(sweep_after)),
            Leases(self.pool, RECORDINGS, worker=name, seconds=lease_seconds),
            [Places(concurrency)],
            sweep_interval=lambda: sweep_after / 3,
        )
        leases = asyncio.create_task(processing.keep_leases())
        try:
            yield RecordingWorker(name, processing, outcomes, claims)
        finally:
            leases.cancel()
            await asyncio.wait([leases])
            await processing.abandon()

    async def ended(self, *recording_ids: UUID, within: float = 20.0) -> list[asyncpg.Record]:
        """The rows of these recordings once nobody works on them."""

        async def all_ended() -> list[asyncpg.Record]:
            rows = await self.world.sql.fetch(
                "SELECT * FROM recording WHERE id = ANY($1::uuid[]) AND worker IS NULL AND attempt > 0",
                recording_ids,
            )
            return rows if len(rows) == len(recording_ids) else []

        rows = await eventually(all_ended, within=within)
        return sorted(rows, key=lambda row: recording_ids.index(row["id"]))

    async def process(self, worker: RecordingWorker, *recording_ids: UUID) -> list[asyncpg.Record]:
        """Hand the recordings to a worker and wait for what becomes of them."""
        await worker.processing.take(waiting(*recording_ids))
        return await self.ended(*recording_ids)

    async def let_leases_expire(self) -> None:
        """As if the workers had been silent for long, and the leader had noticed."""
        await self.world.sql.execute(
            "UPDATE recording SET lease_expires_at = now() - interval '1 second' WHERE worker IS NOT NULL"
        )
        await rescued(self.pool)

    async def let_wait_pass(self) -> None:
        """As if the time of every attempt that waits had come."""
        await self.world.sql.execute(
            "UPDATE recording SET available_at = now() - interval '1 second' WHERE available_at IS NOT NULL"
        )


def artifacts_of(row: asyncpg.Record) -> Artifacts:
    """What a row says has been stored and sent."""
    return Artifacts.model_validate(row["artifacts"])


async def content_of(store: RecordingStore, path: str) -> bytes:
    """An object of the store."""
    return b"".join([piece async for piece in store.read(path)])


def _texts(ring: KeyRing) -> list[str]:
    import base64

    return [f"{name}:{base64.b64encode(key).decode()}" for name, key in ring.keys.items()]
