"""Executors share the usage of a platform's limits and throttle together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from common.database.pool import ConnectionPool
from platforms.calls.shared_usage import SharedUsageStore
from platforms.calls.usage import Usage, UsageLimiter
from tests.factories import World
from tests.support.polling import eventually
from tests.support.statements import counted_pool

BUCKET = "facebook/acme/act_1"


@asynccontextmanager
async def executor(
    pool: ConnectionPool, *, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[UsageLimiter]:
    """What one executor knows of the limits."""
    store = SharedUsageStore(pool, clock=clock)
    task = asyncio.create_task(store.run())
    try:
        yield UsageLimiter(store, clock=clock)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def closed(limiter: UsageLimiter) -> float:
    return await limiter.admit(BUCKET)


async def test_an_exhausted_limit_is_shared_within_a_second(pool: ConnectionPool) -> None:
    # Their clocks have nothing in common.
    async with executor(pool) as one, executor(pool, clock=lambda: time.monotonic() - 50_000) as other:
        assert await closed(other) == 0
        await one.note(BUCKET, Usage(100, 900))
        began = time.monotonic()
        left = await eventually(lambda: closed(other), every=0.01)
        assert time.monotonic() - began < 1.0
        assert left == pytest.approx(900, abs=5)
        assert await other.admit("facebook/acme/act_2") == 0


async def test_an_executor_that_starts_later_learns_the_exhausted_limit(pool: ConnectionPool) -> None:
    async with executor(pool) as one:
        await one.note(BUCKET, Usage(100, 900))
        await eventually(lambda: pool.fetchval("SELECT count(*) FROM usage_sighting"))
    async with executor(pool) as other:
        assert await eventually(lambda: closed(other)) > 0


async def test_an_older_response_does_not_reopen_a_full_bucket(pool: ConnectionPool) -> None:
    one, other = SharedUsageStore(pool), SharedUsageStore(pool)
    limiters = UsageLimiter(one), UsageLimiter(other)
    await limiters[0].note(BUCKET, Usage(100, 900))
    await one.exchange()
    await limiters[1].note(BUCKET, Usage(40))
    await other.exchange()
    await one.exchange()
    assert await closed(limiters[0]) > 0
    assert await closed(limiters[1]) > 0
    assert await pool.fetchval("SELECT percent FROM usage_sighting") == 100


async def test_a_late_report_of_a_full_bucket_closes_it(pool: ConnectionPool) -> None:
    one, other = SharedUsageStore(pool), SharedUsageStore(pool)
    await UsageLimiter(one).note(BUCKET, Usage(100, 900))
    await UsageLimiter(other).note(BUCKET, Usage(40))
    await other.exchange()
    await one.exchange()
    await other.exchange()
    assert await closed(UsageLimiter(other)) > 0


async def test_a_bucket_reopens_for_all_when_the_platform_reports_it(pool: ConnectionPool) -> None:
    now = 1_000.0
    one, other = (SharedUsageStore(pool, clock=lambda: now) for _ in range(2))
    limiters = UsageLimiter(one, clock=lambda: now), UsageLimiter(other, clock=lambda: now)
    await limiters[0].note(BUCKET, Usage(100, 60))
    await one.exchange()
    await other.exchange()
    now += 61
    await pool.execute("UPDATE usage_sighting SET seen_at = seen_at - interval '61 s'")
    await limiters[0].note(BUCKET, Usage(30))
    await one.exchange()
    await other.exchange()
    assert [await closed(limiter) for limiter in limiters] == [0, 0]
    assert await pool.fetchval("SELECT percent FROM usage_sighting") == 30


async def test_calls_send_no_query(database_url: str) -> None:
    async with counted_pool(database_url) as (pool, statements):
        store = SharedUsageStore(pool)
        limiter = UsageLimiter(store)
        for number in range(500):
            await limiter.admit("app", f"act_{number}")
            await limiter.note(f"act_{number}", Usage(10))
        assert not [statement for statement in statements if "usage_sighting" in statement]
        await store.exchange()
        asked = [statement for statement in statements if "usage_sighting" in statement]
        assert len(asked) == 2, "one to send and one to fetch, however many there are"


async def test_without_the_database_each_executor_uses_its_own_observations(
    pool: ConnectionPool, world: World
) -> None:
    await world.sql.execute("ALTER TABLE usage_sighting RENAME TO away")
    store = SharedUsageStore(pool)
    limiter = UsageLimiter(store)
    await limiter.note(BUCKET, Usage(100, 900))
    with pytest.raises(Exception, match="usage_sighting"):
        await store.exchange()
    assert await closed(limiter) > 0
    await world.sql.execute("ALTER TABLE away RENAME TO usage_sighting")
    await store.exchange()
    assert await world.sql.fetchval("SELECT percent FROM usage_sighting") == 100, "told once it is back"
