"""The three kinds of claimed work, each as one test double of its inside and the real machine around it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import asyncpg

from common.database.pool import ConnectionPool
from common.models import Lane
from common.secrets.crypto import KeyRing
from common.work.leases import RECORDINGS, Leases
from common.work.patience import Patience
from common.work.places import Flows, Places
from common.work.places import team as team_of
from common.work.waiting import Waiting
from common.work.worker import Worker
from executor.aftermath.application import AftermathWriter
from executor.handlers.base import Outcome, RunContext
from executor.recordings.processing.attempts import RecordingAttempts
from executor.recordings.processing.claims import RecordingClaims
from executor.recordings.processing.execution import Processing
from executor.recordings.processing.outcomes import RecordingOutcomes
from executor.recordings.processing.pipeline import Step
from executor.recordings.processing.progress import StepWork, Work
from notifier.channels.base import Parcel, Receipt
from notifier.deliveries.claims import flows as delivery_flows
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.executor_harness import PUBLIC_URL, SCRIPTED, succeed, working
from tests.support.leaders import admitted, rescued
from tests.support.notifier_harness import notifying
from tests.support.waiting import waiting


@dataclass
class Gate:
    """Attempts that have begun wait here until it is opened."""

    begun: list[UUID] = field(default_factory=list)
    contexts: dict[UUID, Context] = field(default_factory=dict)
    """In which each is worked on, as a signal's handler would find it."""
    stopped: list[UUID] = field(default_factory=list)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def go_through(self, item_id: UUID) -> None:
        """One attempt, which notes that it has begun and, if so, that it was stopped."""
        self.begun.append(item_id)
        self.contexts[item_id] = copy_context()
        try:
            await self.is_open.wait()
        except asyncio.CancelledError:
            self.stopped.append(item_id)
            raise

    def open(self) -> None:
        """Let every attempt end, from now on."""
        self.is_open.set()


@dataclass(frozen=True)
class Row:
    """What all kinds have in common of a row."""

    status: str
    worker: str | None
    lease_expires_at: datetime | None
    attempt: int
    uncounted: int


class Bench(ABC):
    """One process that works on one kind."""

    claims: Any
    """Has `claim`, which tests may slow down or break."""
    machine: Any
    """The worker of `common.work.worker`."""

    async def take(self, *ids: UUID) -> None:
        """As if events of these had come that name no team."""
        await self.take_events(waiting(*ids))

    @abstractmethod
    async def take_events(self, items: Sequence[Waiting]) -> None:
        """As if these events had come."""

    @abstractmethod
    async def sweep(self) -> None:
        """Take what waited too long straight from PostgreSQL."""

    @abstractmethod
    def close(self) -> None:
        """Take no more."""

    @abstractmethod
    async def drain(self, seconds: float) -> None:
        """Finish or hand back."""

    @abstractmethod
    async def abandon(self) -> None:
        """Stop at once and record nothing."""

    @property
    @abstractmethod
    def used(self) -> int:
        """Places that are taken."""

    @abstractmethod
    def lose_the_answer_of_the_record(self) -> None:
        """Break the connection after the COMMIT of the next last write of an attempt."""

    @abstractmethod
    def delay_the_record(self, reached: asyncio.Event, go_on: asyncio.Event) -> None:
        """Let the last write of every attempt wait for `go_on`."""


class Kind(ABC):
    """One kind of claimed work."""

    name: ClassVar[str]
    table: ClassVar[str]
    done: ClassVar[str]
    """The state of an item whose attempt succeeded."""
    has_side_effects: ClassVar[bool] = False
    """An attempt that is interrupted may have been received, and counts."""
    waiting: ClassVar[frozenset[str]]
    """The states of an item that waits for another attempt."""

    def __init__(self, world: World, team: Team, pool: ConnectionPool, ring: KeyRing) -> None:
        self.world = world
        self.team = team
        self.pool = pool
        self.ring = ring
        self._sources: dict[Team, UUID] = {}

    @abstractmethod
    async def add(
        self, *, team: Team | None = None, max_attempts: int = 5, age: timedelta = timedelta()
    ) -> UUID:
        """An item that waits for its first attempt since `age`, its event being on its way."""

    async def events(self, ids: Sequence[UUID]) -> list[Waiting]:
        """What their events say of these."""
        rows = await self.world.sql.fetch(f"SELECT * FROM {self.table} WHERE id = ANY($1::uuid[])", ids)
        return sorted(
            (Waiting(row["id"], self.flows(row)) for row in rows), key=lambda item: ids.index(item.id)
        )

    def flows(self, row: asyncpg.Record) -> Flows:
        """What the item of a row counts for."""
        return (team_of(row["tenant_id"]),)

    @abstractmethod
    def working(
        self,
        gate: Gate,
        name: str = "worker-1",
        *,
        pool: ConnectionPool | None = None,
        concurrency: int = 200,
        lease_seconds: float = 60.0,
    ) -> AbstractAsyncContextManager[Bench]:
        """A process with its background work; at the end it is stopped like one that is killed."""

    async def row(self, item_id: UUID) -> Row:
        """The row as it is now."""
        row = await self.world.row(self.table, item_id)
        return Row(row["status"], row["worker"], row["lease_expires_at"], row["attempt"], row["uncounted"])

    async def rows(self, ids: Sequence[UUID]) -> list[Row]:
        """Several rows."""
        return [await self.row(item_id) for item_id in ids]

    async def give_to(self, worker: str, item_id: UUID) -> None:
        """As if its lease had run out and another worker had claimed it since."""
        await self.world.sql.execute(
            f"UPDATE {self.table} SET worker = $2, attempt = attempt + 1,"
            " lease_expires_at = clock_timestamp() + interval '1 min' WHERE id = $1",
            item_id,
            worker,
        )

    async def expire_leases(self) -> None:
        """As if every worker had been silent for long."""
        await self.world.sql.execute(
            f"UPDATE {self.table} SET lease_expires_at = clock_timestamp() - interval '1 s'"
            " WHERE worker IS NOT NULL"
        )

    async def rescue(self) -> int:
        """What a leader does for the items of workers that fell silent; answers how many there were."""
        return await rescued(self.pool)

    async def make_due(self) -> None:
        """The leader's turn, which lets due retries go."""
        await self.rescue()
        await admitted(self.pool)


class _Runs(Kind):
    name, table, done = "runs", "automation_run", "completed"
    waiting = frozenset({"queued", "retrying"})
    _automations: list[UUID]

    async def add(
        self, *, team: Team | None = None, max_attempts: int = 5, age: timedelta = timedelta()
    ) -> UUID:
        team = team or self.team
        [automation_id] = await self.world.automations(team, None, kind=SCRIPTED, config={})
        return await self.world.run(
            team, automation_id, max_attempts=max_attempts, available_at=datetime.now(UTC) - age
        )

    @asynccontextmanager
    async def working(
        self,
        gate: Gate,
        name: str = "worker-1",
        *,
        pool: ConnectionPool | None = None,
        concurrency: int = 200,
        lease_seconds: float = 60.0,
    ) -> AsyncIterator[Bench]:
        async def act(context: RunContext) -> Outcome:
            await gate.go_through(context.run_id)
            return await succeed(context)

        async with working(
            pool or self.pool, self.ring, act, name=name, concurrency=concurrency, lease_seconds=lease_seconds
        ) as worker:
            yield _RunBench(worker)


class _RunBench(Bench):
    def __init__(self, worker: Any) -> None:
        self.claims = worker.claims
        self.machine = worker.execution
        self._worker = worker

    async def take_events(self, items: Sequence[Waiting]) -> None:
        machine = self._worker.execution
        await machine.take(items, next(each for each in machine.shares if each.lane is Lane.NORMAL))

    async def sweep(self) -> None:
        await self._worker.execution.sweep()

    def close(self) -> None:
        self._worker.execution.close()

    async def drain(self, seconds: float) -> None:
        await self._worker.execution.drain(seconds)

    async def abandon(self) -> None:
        await self._worker.execution.abandon()

    @property
    def used(self) -> int:
        used: int = self._worker.execution.used
        return used

    def delay_the_record(self, reached: asyncio.Event, go_on: asyncio.Event) -> None:
        _delay(self._worker.completions, "write", reached, go_on)

    def lose_the_answer_of_the_record(self) -> None:
        lose_answer(self._worker.completions, "write")


class _Recordings(Kind):
    name, table, done = "recordings", "recording", "TRANSCRIBED"
    waiting = frozenset({"INITIALIZED", "DOWNLOADING", "DOWNLOADED", "TRANSCRIBING"})
    _max_attempts: int = 5

    async def add(
        self, *, team: Team | None = None, max_attempts: int = 5, age: timedelta = timedelta()
    ) -> UUID:
        self._max_attempts = max_attempts
        team = team or self.team
        if team not in self._sources:
            connection_id = await self.world.connection(team, ZOOM_USER, "token")
            self._sources[team] = await recordings.source(self.world, team, connection_id)
        return await recordings.recording(
            self.world,
            team,
            self._sources[team],
            processing={"auto_upload": False},
            available_at=datetime.now(UTC) - age,
        )

    @asynccontextmanager
    async def working(
        self,
        gate: Gate,
        name: str = "worker-1",
        *,
        pool: ConnectionPool | None = None,
        concurrency: int = 200,
        lease_seconds: float = 60.0,
    ) -> AsyncIterator[Bench]:
        pool = pool or self.pool
        claims = RecordingClaims(pool, self.ring, worker=name, lease_seconds=lease_seconds)
        outcomes = RecordingOutcomes(pool, worker=name, aftermath=AftermathWriter(public_url=PUBLIC_URL))
        steps: dict[Step, StepWork] = {Step.DOWNLOAD: _GatedStep(gate), Step.TRANSCRIBE: _NoStep()}
        attempts = RecordingAttempts(outcomes, steps, step_timeout=60, max_attempts=self._max_attempts)
        processing = Worker(
            Processing(claims, attempts, sweep_after=Patience(15)),
            Leases(pool, RECORDINGS, worker=name, seconds=lease_seconds),
            [Places(concurrency)],
            sweep_interval=lambda: 5.0,
        )
        leases = asyncio.create_task(processing.keep_leases())
        try:
            yield _RecordingBench(claims, processing, outcomes)
        finally:
            leases.cancel()
            await asyncio.wait([leases])
            await processing.abandon()


class _GatedStep:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def run(self, work: Work, *, now: datetime) -> None:
        await self._gate.go_through(work.recording.id)
        stored = {"path": "film", "bytes": 1, "sha256": "", "kind": "video", "extension": "mp4"}
        await work.save(work.artifacts.model_validate({"files": {"film": stored}}))


class _NoStep:
    async def run(self, work: Work, *, now: datetime) -> None:
        return


class _RecordingBench(Bench):
    def __init__(self, claims: Any, processing: Any, outcomes: Any) -> None:
        self.claims = claims
        self.machine = processing
        self._processing = processing
        self._outcomes = outcomes

    async def take_events(self, items: Sequence[Waiting]) -> None:
        await self._processing.take(items)

    async def sweep(self) -> None:
        await self._processing.sweep()

    def close(self) -> None:
        self._processing.close()

    async def drain(self, seconds: float) -> None:
        await self._processing.drain(seconds)

    async def abandon(self) -> None:
        await self._processing.abandon()

    @property
    def used(self) -> int:
        used: int = self._processing.used
        return used

    def delay_the_record(self, reached: asyncio.Event, go_on: asyncio.Event) -> None:
        _delay(self._outcomes, "finish", reached, go_on)

    def lose_the_answer_of_the_record(self) -> None:
        # Only the last write of an attempt is about an event that is announced.
        announce, is_lost = self._outcomes._announce, False

        async def announced_and_committed(db: Any, *args: Any) -> None:
            nonlocal is_lost
            await announce(db, *args)
            if not is_lost:
                is_lost = True
                await db.execute("COMMIT")
                raise ConnectionResetError

        self._outcomes._announce = announced_and_committed


class _Deliveries(Kind):
    name, table, done = "deliveries", "delivery", "delivered"
    has_side_effects = True
    waiting = frozenset({"queued", "retrying"})

    async def add(
        self, *, team: Team | None = None, max_attempts: int = 5, age: timedelta = timedelta()
    ) -> UUID:
        team = team or self.team
        destination_id = await self.world.telegram(team)
        return await self.world.delivery(team, destination_id, next_attempt_at=datetime.now(UTC) - age)

    def flows(self, row: asyncpg.Record) -> Flows:
        return delivery_flows(row["tenant_id"], row["destination_id"])

    @asynccontextmanager
    async def working(
        self,
        gate: Gate,
        name: str = "worker-1",
        *,
        pool: ConnectionPool | None = None,
        concurrency: int = 200,
        lease_seconds: float = 60.0,
    ) -> AsyncIterator[Bench]:
        async def send(parcel: Parcel) -> Receipt:
            await gate.go_through(parcel.id)
            return Receipt(200, {})

        async with notifying(
            pool or self.pool,
            self.ring,
            send,
            name=name,
            concurrency=concurrency,
            lease_seconds=lease_seconds,
        ) as notifier:
            yield _DeliveryBench(notifier)


class _DeliveryBench(Bench):
    def __init__(self, notifier: Any) -> None:
        self.claims = notifier.claims
        self.machine = notifier.delivering
        self._notifier = notifier

    async def take_events(self, items: Sequence[Waiting]) -> None:
        await self._notifier.delivering.take(items)

    async def sweep(self) -> None:
        await self._notifier.delivering.sweep()

    def close(self) -> None:
        self._notifier.delivering.close()

    async def drain(self, seconds: float) -> None:
        await self._notifier.delivering.drain(seconds)

    async def abandon(self) -> None:
        await self._notifier.delivering.abandon()

    @property
    def used(self) -> int:
        used: int = self._notifier.delivering.used
        return used

    def delay_the_record(self, reached: asyncio.Event, go_on: asyncio.Event) -> None:
        _delay(self._notifier.outcomes, "write", reached, go_on)

    def lose_the_answer_of_the_record(self) -> None:
        lose_answer(self._notifier.outcomes, "write")


def _delay(of: Any, name: str, reached: asyncio.Event, go_on: asyncio.Event) -> None:
    original = getattr(of, name)

    async def delayed(*args: Any, **named: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await original(*args, **named)

    setattr(of, name, delayed)


def lose_answer(of: Any, name: str) -> None:
    """Let the next call of a method that does something raise as if its answer had been lost."""
    original, is_lost = getattr(of, name), False

    async def losing(*args: Any, **named: Any) -> Any:
        nonlocal is_lost
        answer = await original(*args, **named)
        if is_lost or not answer:
            return answer
        is_lost = True
        raise ConnectionResetError

    setattr(of, name, losing)


KINDS: tuple[type[Kind], ...] = (_Runs, _Recordings, _Deliveries)
