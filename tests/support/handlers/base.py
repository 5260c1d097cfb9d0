"""What the conformance suite asks of every handler, and the harness that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from uuid import UUID

import httpx
import structlog

from common.database.pool import ConnectionPool
from common.models import RunStatus
from common.secrets.crypto import KeyRing
from common.work.worker import Stop
from executor.aftermath.application import AftermathWriter
from executor.handlers.base import Handler, RunLog
from executor.runs.attempts import Attempts
from executor.runs.claims import ClaimedRun, Claims
from executor.runs.completions import Completions
from executor.runs.results import Completion
from platforms.calls.usage import UsageLimiter
from tests.factories import Team, World
from tests.support.channels import Sandbox
from tests.support.executor_harness import PUBLIC_URL, token_keeper
from tests.support.planted_secrets import PlantedSecrets

WORKER = "executor-1"
BOOKKEEPING = ("automation_run", "run_attempt", "outbox")
"""Where it is written that a dry run took place; it may touch nothing else."""


@dataclass(frozen=True, slots=True)
class HandlerEnvironment:
    """What a handler is set up on. `store_url` leads to an empty database of the user's."""

    world: World
    team: Team
    sandbox: Sandbox
    store_url: str
    planted: PlantedSecrets


@dataclass(frozen=True, slots=True)
class Mistake:
    """A slip in a configuration, and where it must be said to be: a pointer below /automation_config."""

    change: Mapping[str, Any]
    pointer: str


class HandlerDriver(Protocol):
    """One handler, set up so that a run has an effect."""

    name: ClassVar[str]
    """Tells apart drivers of the same handler."""
    type: ClassVar[str]
    platforms: ClassVar[Sequence[str]]
    mistakes: ClassVar[Sequence[Mistake]]
    config: Mapping[str, Any]

    async def set_up(self, environment: HandlerEnvironment, *, broken: bool = False) -> None:
        """Connect what it needs, with secrets of its own, all planted. `broken`: a secret is refused."""
        ...

    async def reset(self) -> None:
        """As if nothing had ever been passed on, where that is kept outside of our database."""
        ...

    async def effects(self, run_id: UUID) -> object:
        """What the world has had of a run, each thing once if the receiver can tell a repetition; comparable
        with that of another run. AssertionError when it has had something twice that it cannot tell."""
        ...


class CuttableTransport(httpx.AsyncBaseTransport):
    """An HTTP transport that can be cut before or after any call, or refuse all of them."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.calls = 0
        self.is_dead = False
        self.cut = asyncio.Event()
        """Set once the call at which the line is to be cut is there."""
        self._cut_at: int | None = None
        self._after = False

    def restore(self) -> None:
        """Nothing is cut, and calls are counted from 0."""
        self.calls, self.is_dead, self._cut_at = 0, False, None
        self.cut = asyncio.Event()

    def cut_at(self, call: int, *, after: bool) -> None:
        """From the call of this number on nothing comes back; `after`: that call still takes effect."""
        self.restore()
        self._cut_at, self._after = call, after

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One call."""
        self.calls += 1
        if self.is_dead:
            raise httpx.ConnectError("the line is dead")
        is_cut = self._cut_at is not None and self.calls >= self._cut_at
        if is_cut and not (self._after and self.calls == self._cut_at):
            await self._hang()
        response = await self._client.send(request, stream=True)
        if is_cut:
            await response.aread()
            await response.aclose()
            await self._hang()
        return response

    async def _hang(self) -> None:
        self.cut.set()
        await asyncio.Event().wait()


@dataclass
class HandlerHarness:
    """An executor in steps: the test decides what is claimed, attempted, recorded and lost."""

    pool: ConnectionPool
    ring: KeyRing
    world: World
    team: Team
    handlers: Mapping[str, Handler[Any]]
    transport: CuttableTransport
    http: httpx.AsyncClient
    driver: HandlerDriver
    destination_id: UUID
    automation_id: UUID | None = None
    _claims: Claims = field(init=False)
    _completions: Completions = field(init=False)

    def __post_init__(self) -> None:
        keeper = token_keeper(self.pool, self.ring, name=WORKER)
        self._claims = Claims(self.pool, keeper, worker=WORKER, lease_seconds=60)
        self._completions = Completions(self.pool, AftermathWriter(public_url=PUBLIC_URL), worker=WORKER)

    async def automation(self, config: Mapping[str, Any] | None = None) -> None:
        """Another automation, which has never run, and no trace of the one before."""
        await self.driver.reset()
        (self.automation_id,) = await self.world.automations(
            self.team,
            self.destination_id,
            kind=self.driver.type,
            config=self.driver.config if config is None else config,
            platforms=self.driver.platforms,
        )

    async def queue(self, **columns: Any) -> UUID:
        """A run of it that waits."""
        if self.automation_id is None:
            await self.automation()
        assert self.automation_id is not None
        return await self.world.run(self.team, self.automation_id, **columns)

    async def claim(self, run_id: UUID) -> ClaimedRun:
        """The run, held by this executor."""
        (run,) = await self._claims.claim({run_id: None})
        return run

    async def make(
        self,
        run: ClaimedRun,
        *,
        run_timeout: float = 60.0,
        why_stopped: Callable[[], Stop | None] = lambda: None,
    ) -> Completion:
        """One attempt."""
        attempts = Attempts(
            self.handlers, self.http, self.pool, limiter=UsageLimiter(), run_timeout=run_timeout
        )
        log = RunLog(structlog.get_logger(), secrets=run.secrets)
        return await attempts.make(run, log, "", why_stopped=why_stopped)

    async def record(self, completion: Completion) -> bool:
        """Commit what became of an attempt; False when it came too late."""
        (accepted,) = await self._completions.write([completion])
        return accepted

    async def die_at(self, run: ClaimedRun, call: int, *, after: bool) -> bool:
        """An attempt whose process ends with this outbound call; nobody records what became of it. False when
        it makes fewer calls."""
        self.transport.cut_at(call, after=after)
        attempt = asyncio.create_task(self.make(run))
        cut = asyncio.create_task(self.transport.cut.wait())
        await asyncio.wait([attempt, cut], return_when=asyncio.FIRST_COMPLETED)
        was_cut = self.transport.cut.is_set()
        for task in (attempt, cut):
            task.cancel()
        await asyncio.wait([attempt, cut])
        self.transport.restore()
        return was_cut

    async def rescue(self, run_id: UUID) -> None:
        """What the leader does with a run whose executor has died."""
        await self.world.sql.execute(
            "UPDATE automation_run SET status = 'queued', worker = NULL WHERE id = $1",
            run_id,
        )

    async def complete(self, run_id: UUID) -> Completion:
        """An attempt that nothing disturbs, recorded."""
        completion = await self.make(await self.claim(run_id))
        assert completion.status is RunStatus.COMPLETED, completion.error_message
        assert await self.record(completion)
        return completion


async def messages_of(world: World, run_id: UUID) -> list[tuple[str, str]]:
    """What a run delivers: titles and texts."""
    rows = await world.sql.fetch(
        "SELECT message ->> 'title' AS title, message ->> 'text' AS text FROM delivery WHERE run_id = $1"
        " ORDER BY 1, 2",
        run_id,
    )
    return [(row["title"], row["text"]) for row in rows]
