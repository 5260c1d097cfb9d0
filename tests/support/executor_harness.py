"""An executor in this process, with a scripted handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict

from common.database.pool import ConnectionPool
from common.messages import Message
from common.models import ConnectionKind, Lane
from common.secrets.crypto import KeyRing
from common.work.leases import RUNS, Leases
from common.work.patience import Patience
from common.work.places import LanePlaces, lanes
from common.work.worker import Worker as Machine
from common.work.writing import GroupWriter
from executor.aftermath.application import AftermathWriter
from executor.handlers.base import Handler, Outcome, RunContext
from executor.runs.attempts import Attempts
from executor.runs.claims import ClaimedRun, Claims
from executor.runs.completions import Completions
from executor.runs.execution import Execution
from executor.runs.results import Completion
from executor.tokens.keeper import TokenKeeper
from executor.tokens.refresher import Refresher
from executor.tokens.vault import Vault
from platforms.calls.usage import UsageLimiter
from platforms.oauth.base import Grant
from tests.support.waiting import waiting_with

SCRIPTED = "scripted"
PUBLIC_URL = "https://carillon.example"
REPORT = Message(type="report.completed", title="Report", text="Spend 12.00 EUR")


class Config(BaseModel):
    """What a scripted automation is configured with."""

    model_config = ConfigDict(extra="forbid")

    days: int = 1


Act = Callable[[RunContext], Awaitable[Outcome]]


class Scripted(Handler[Config]):
    """Does what the test says, and remembers each attempt it made."""

    name: ClassVar[str] = SCRIPTED
    title: ClassVar[str] = "Scripted"
    config = Config

    def __init__(self, act: Act) -> None:
        self._act = act
        self.attempts: list[tuple[UUID, int]] = []

    async def run(self, context: RunContext, config: Config) -> Outcome:
        """One attempt."""
        self.attempts.append((context.run_id, context.attempt))
        return await self._act(context)


async def succeed(_context: RunContext) -> Outcome:
    """A report with one message."""
    return Outcome("one report", {"spend": 12.0}, [REPORT])


@dataclass
class Gate:
    """Lets a test see that handlers have begun, and decide when they end."""

    begun: int = 0

    def __post_init__(self) -> None:
        self._open = asyncio.Event()

    async def act(self, context: RunContext) -> Outcome:
        """Wait at the gate, then succeed."""
        self.begun += 1
        await self._open.wait()
        return await succeed(context)

    def open(self) -> None:
        """Let everybody through, from now on."""
        self._open.set()


def token_keeper(
    pool: ConnectionPool,
    ring: KeyRing,
    grants: Mapping[ConnectionKind, Grant] | None = None,
    *,
    name: str = "executor-1",
) -> TokenKeeper:
    """One executor's keeper; without `grants` no token can be renewed."""
    vault = Vault(pool, ring, worker=name)
    return TokenKeeper(vault, Refresher(vault, AftermathWriter(public_url=PUBLIC_URL), grants or {}))


@dataclass
class Worker:
    """One executor without its broker."""

    name: str
    keeper: TokenKeeper
    claims: Claims
    execution: Machine[ClaimedRun, LanePlaces]
    handler: Scripted
    completions: Completions

    async def take(self, lane: Lane, runs: Mapping[UUID, str | None]) -> None:
        """As if the events of these runs had come in this lane."""
        share = next(each for each in self.execution.shares if each.lane is lane)
        await self.execution.take(waiting_with(runs), share)


@asynccontextmanager
async def working(
    pool: ConnectionPool,
    ring: KeyRing,
    act: Act = succeed,
    *,
    name: str = "executor-1",
    concurrency: int = 50,
    run_timeout: float = 60.0,
    lease_seconds: float = 15.0,
    sweep_after: float = 15.0,
    handlers: Mapping[str, Handler[Any]] | None = None,
    grants: Mapping[ConnectionKind, Grant] | None = None,
    limiter: UsageLimiter | None = None,
) -> AsyncIterator[Worker]:
    """A worker whose results are recorded and whose leases are kept; it is stopped like a killed process."""
    handler = Scripted(act)
    keeper = token_keeper(pool, ring, grants, name=name)
    claims = Claims(pool, keeper, worker=name, lease_seconds=lease_seconds)
    aftermath = AftermathWriter(public_url=PUBLIC_URL)
    written = Completions(pool, aftermath, worker=name)
    completions: GroupWriter[Completion] = GroupWriter(written, name="results")
    async with httpx.AsyncClient() as http:
        attempts = Attempts(
            {SCRIPTED: handler} if handlers is None else handlers,
            http,
            pool,
            limiter=limiter or UsageLimiter(),
            run_timeout=run_timeout,
        )
        execution = Machine(
            Execution(claims, completions, attempts, sweep_after=Patience(sweep_after)),
            Leases(pool, RUNS, worker=name, seconds=lease_seconds),
            list(lanes(concurrency).values()),
            sweep_interval=lambda: sweep_after / 3,
        )
        background = [
            asyncio.create_task(completions.run()),
            asyncio.create_task(execution.keep_leases()),
        ]
        try:
            yield Worker(name, keeper, claims, execution, handler, written)
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            await execution.abandon()


def ids(runs: list[ClaimedRun]) -> list[UUID]:
    """Which runs were claimed."""
    return [run.id for run in runs]
