"""What becomes of a leader whose servers fall silent or die: it ends its term in time, and runs again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY

from tests.factories import Team, World
from tests.support.elections import behind
from tests.support.fake_producer import FakeProducer
from tests.support.polling import eventually
from tests.support.tcp_proxy import TcpProxy, proxy_to

LEASE = 2.0
BACK_WITHIN = 10.0
"""Seconds after which a duty must be back whose connection fell silent."""


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[TcpProxy]:
    """The way of a scheduler to PostgreSQL."""
    port = urlsplit(database_url).port
    assert port is not None
    async with proxy_to(port) as made:
        yield made


@pytest.fixture
async def lease_proxy(database_url: str) -> AsyncIterator[TcpProxy]:
    """Another way, for its lease alone."""
    port = urlsplit(database_url).port
    assert port is not None
    async with proxy_to(port) as made:
        yield made


def silent_broker() -> FakeProducer:
    """Takes records and never acknowledges any."""

    async def silent(_number: int) -> None:
        await asyncio.Event().wait()

    return FakeProducer(acknowledge=silent)


async def runs(world: World) -> int:
    count: int = await world.sql.fetchval("SELECT count(*) FROM automation_run")
    return count


async def test_a_term_ends_while_a_duty_is_in_a_transaction_whose_connection_is_gone(
    world: World, team: Team, proxy: TcpProxy, database_url: str
) -> None:
    """The rollback raises InterfaceError in place of CancelledError; the duty must end all the same."""
    broker = silent_broker()
    await world.automations(team, None, next_run=datetime.now(UTC))
    async with behind(proxy, database_url, broker, seconds=LEASE) as scheduler:
        await eventually(lambda: scheduler.term)
        await eventually(lambda: broker.sent, what="the relay is within its transaction")
        proxy.refuse()
        await eventually(lambda: scheduler.term is None, within=LEASE + 1)
        await eventually(lambda: REGISTRY.get_sample_value("carillon_leader_term") == 0, within=1)
        proxy.mend()
        term = await eventually(lambda: scheduler.term, within=BACK_WITHIN)
        assert term is not None
        assert term.number > 1
        assert await scheduler.ready() is None
        await world.automations(team, None, next_run=datetime.now(UTC))
        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        await eventually(lambda: _reached(world, 2), within=BACK_WITHIN)


async def test_a_leader_is_told_to_stop_while_every_connection_is_silent(
    world: World, proxy: TcpProxy, database_url: str
) -> None:
    async with behind(proxy, database_url, FakeProducer(), seconds=60) as scheduler:
        await eventually(lambda: scheduler.term)
        proxy.silence()
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 6


async def test_a_healed_leader_has_given_up_in_time_and_is_a_candidate_again_at_once(
    world: World, proxy: TcpProxy, database_url: str
) -> None:
    async with behind(proxy, database_url, FakeProducer(), seconds=LEASE) as scheduler:
        await eventually(lambda: scheduler.term)
        proxy.silence()
        await eventually(lambda: scheduler.term is None, within=LEASE + 0.5)
        await eventually(lambda: not_ready(scheduler.ready), within=LEASE + 20)
        proxy.mend()
        healed_at = time.monotonic()
        term = await eventually(lambda: scheduler.term, within=BACK_WITHIN)
        assert time.monotonic() - healed_at < 6
        assert term is not None
        assert term.number == 2


async def test_a_duty_whose_connection_falls_silent_is_back_before_long(
    world: World, team: Team, proxy: TcpProxy, lease_proxy: TcpProxy, database_url: str
) -> None:
    async with behind(proxy, database_url, FakeProducer(), lease_proxy=lease_proxy) as scheduler:
        await eventually(lambda: scheduler.term)
        await eventually(lambda: proxy.carried >= 2)
        proxy.silence_open()
        silent_since = time.monotonic()
        await world.automations(team, None, next_run=datetime.now(UTC))
        await eventually(lambda: runs(world), within=BACK_WITHIN)
        assert time.monotonic() - silent_since < BACK_WITHIN
        term = scheduler.term
        assert term is not None
        assert term.number == 1, "the lease has connections of its own"


async def test_a_leader_whose_duties_cannot_be_done_hands_over(
    world: World,
    team: Team,
    proxy: TcpProxy,
    lease_proxy: TcpProxy,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scheduler.duties.STALLED_AFTER", 2.0)
    monkeypatch.setattr("scheduler.election.STEP_ASIDE", 60.0)
    await world.automations(team, None, next_run=datetime.now(UTC))
    # It looks twice a second by itself: its wake-ups pass through the proxy too, and are silent with it.
    async with behind(
        proxy, database_url, FakeProducer(), lease_proxy=lease_proxy, check_interval=0.5
    ) as scheduler:
        await eventually(lambda: runs(world))
        proxy.silence()

        async def is_vacant() -> bool:
            vacant: bool = await world.sql.fetchval("SELECT expires_at <= clock_timestamp() FROM leadership")
            return vacant

        await eventually(is_vacant, within=20)
        assert scheduler.term is None


async def _reached(world: World, count: int) -> bool:
    return await runs(world) == count


async def not_ready(check: object) -> bool:
    assert callable(check)
    return await check() is not None
