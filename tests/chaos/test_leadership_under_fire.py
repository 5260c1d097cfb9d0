"""Two schedulers while PostgreSQL and the broker fall silent, die and come back: one of them leads in time.

Each has a way of its own to PostgreSQL, so that one can be cut off while the other is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from tests.factories import Team, World
from tests.support.backends import Broker
from tests.support.elections import through
from tests.support.figures import Figures
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.tcp_proxy import TcpProxy, proxy_to

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WITHOUT_LEADER = 6.0
"""Seconds from a fault of the leader's to its successor's term."""
STANDBY_WITHIN = 6.0
"""Seconds from the end of a fault until a former leader is ready to take over."""


@dataclass
class Candidate:
    """A scheduler and its way to PostgreSQL."""

    service: Service
    proxy: TcpProxy

    async def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{self.service.url}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False


@dataclass
class Pair:
    """Two schedulers, one of which leads."""

    world: World
    candidates: list[Candidate]

    async def term(self) -> int:
        """The present term; 0 while nothing holds a lease."""
        found: int | None = await self.world.sql.fetchval(
            "SELECT term FROM leadership WHERE expires_at > clock_timestamp()"
        )
        return found or 0

    async def is_vacant(self) -> bool:
        """Nothing holds a lease."""
        return await self.term() == 0

    async def leader(self) -> Candidate:
        """The one that leads."""
        await eventually(self.term, within=15)
        holder: str = await self.world.sql.fetchval("SELECT holder FROM leadership")
        [found] = [one for one in self.candidates if f"-{one.service.pid}-" in holder]
        return found

    async def succession(self, term: int, since: float) -> float:
        """Seconds from `since` until a later term has begun."""

        async def is_later() -> bool:
            return await self.term() > term

        await eventually(is_later, within=60, every=0.01)
        return time.monotonic() - since

    async def dispatches(self, team: Team) -> None:
        """Wait until the present leader has dispatched a due slot."""
        before = await self.runs()
        await self.world.automations(team, None, next_run=datetime.now(UTC))
        await self.world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

        async def is_dispatched() -> bool:
            return await self.runs() > before

        await eventually(is_dispatched, within=15)

    async def runs(self) -> int:
        """How many runs there are."""
        count: int = await self.world.sql.fetchval("SELECT count(*) FROM automation_run")
        return count


@pytest.fixture
async def team(world: World) -> Team:
    """The owner of what comes due."""
    return await world.team()


@pytest.fixture
async def pair(stack: Stack, world: World) -> AsyncIterator[Pair]:
    database_url = stack.environment["DATABASE_URL"]
    async with AsyncExitStack() as proxies:
        candidates = []
        for _ in range(2):
            proxy = await proxies.enter_async_context(proxy_to(urlsplit(database_url).port or 5432))
            candidates.append(
                Candidate(stack.add("scheduler", DATABASE_URL=through(proxy, database_url)), proxy)
            )
        await asyncio.gather(*(candidate.service.start() for candidate in candidates))
        yield Pair(world, candidates)
        stack.close()


async def test_a_silent_leader_is_followed_in_time_and_is_a_standby_as_soon_as_it_is_healed(
    pair: Pair, team: Team, figures: Figures
) -> None:
    """Each leader in turn falls silent and is healed: the second silence needs the first leader again."""
    worst = 0.0
    for _ in range(3):
        leader, term = await pair.leader(), await pair.term()
        leader.proxy.silence()
        worst = max(worst, await pair.succession(term, time.monotonic()))
        leader.proxy.mend()
        await eventually(leader.is_ready, within=STANDBY_WITHIN, every=0.1)
    figures.record("time without a leader after its PostgreSQL sessions fell silent, worst of 3", worst, "s")
    assert worst <= WITHOUT_LEADER
    await pair.dispatches(team)


async def test_both_schedulers_run_again_after_their_database_was_killed_while_the_broker_was_silent(
    pair: Pair, team: Team, broker: Broker, figures: Figures
) -> None:
    """The relay is within a transaction, waiting for the broker, when its connection is closed."""
    await pair.dispatches(team)
    broker.pause()
    try:
        await pair.dispatches(team)
        for candidate in pair.candidates:
            candidate.proxy.refuse()
        term = await pair.term()
        await eventually(pair.is_vacant, within=20, every=0.1)
        for candidate in pair.candidates:
            candidate.proxy.mend()
        took = await pair.succession(term, time.monotonic())
        figures.record("time without a leader once PostgreSQL is back, with a silent broker", took, "s")
        assert took <= WITHOUT_LEADER
        for candidate in pair.candidates:
            await eventually(candidate.is_ready, within=STANDBY_WITHIN, every=0.1)
        await pair.dispatches(team)
    finally:
        broker.resume()
    for candidate in pair.candidates:
        candidate.service.terminate()
        assert await candidate.service.exited(within=20) == 0


async def test_a_killed_and_a_frozen_leader_are_followed_in_time(
    pair: Pair, team: Team, figures: Figures
) -> None:
    leader, term = await pair.leader(), await pair.term()
    leader.service.pause()
    frozen = await pair.succession(term, time.monotonic())
    leader.service.resume()
    await eventually(leader.is_ready, within=STANDBY_WITHIN, every=0.1)
    leader, term = await pair.leader(), await pair.term()
    leader.service.kill()
    killed = await pair.succession(term, time.monotonic())
    figures.record("time without a leader after it was frozen", frozen, "s")
    figures.record("time without a leader after kill -9", killed, "s")
    assert frozen <= WITHOUT_LEADER
    assert killed <= WITHOUT_LEADER
    await pair.dispatches(team)
