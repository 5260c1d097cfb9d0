"""The lease: one leader at a time, by the database's clock, and nothing written by a leader that was."""

from __future__ import annotations

import asyncio
import time

import pytest

from common.database.pool import ConnectionPool
from scheduler.lease import Lease, StaleTerm, Term
from tests.factories import World
from tests.support.polling import eventually


def lease(pool: ConnectionPool, holder: str = "first", seconds: float = 30.0) -> Lease:
    return Lease(pool, holder=holder, seconds=seconds)


async def acquired(candidate: Lease) -> Term:
    term = await candidate.acquire()
    assert term is not None
    return term


async def expire(world: World) -> None:
    """Let the present lease run out, by the only clock that counts."""
    await world.sql.execute("UPDATE leadership SET expires_at = clock_timestamp() - interval '1 ms'")


async def waits_for_a_lock(world: World) -> bool:
    waiting: bool = await world.sql.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    return waiting


async def test_one_of_twenty_candidates_becomes_the_leader(pool: ConnectionPool) -> None:
    candidates = [lease(pool, f"candidate-{number}") for number in range(20)]
    terms = await asyncio.gather(*(candidate.acquire() for candidate in candidates))
    assert [term.number for term in terms if term is not None] == [1]


async def test_one_of_twenty_candidates_succeeds_a_leader_that_fell_silent(
    pool: ConnectionPool, world: World
) -> None:
    await acquired(lease(pool))
    await expire(world)
    candidates = [lease(pool, f"candidate-{number}") for number in range(20)]
    terms = await asyncio.gather(*(candidate.acquire() for candidate in candidates))
    assert [term.number for term in terms if term is not None] == [2]


async def test_nobody_else_leads_while_the_lease_lasts(pool: ConnectionPool) -> None:
    await acquired(lease(pool))
    assert await lease(pool, "second").acquire() is None
    again = await lease(pool).acquire()
    assert again is not None, "its own holder need not wait: it asks because it does not know"
    assert again.number == 2, "what it began in the term before is fenced off"


async def test_terms_grow_with_every_change_of_leader(pool: ConnectionPool, world: World) -> None:
    numbers = []
    for holder in ("first", "second", "first"):
        numbers.append((await acquired(lease(pool, holder))).number)
        await expire(world)
    assert numbers == [1, 2, 3]


async def test_renewing_extends_the_reign_and_keeps_its_term(pool: ConnectionPool, world: World) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await world.sql.execute("UPDATE leadership SET expires_at = clock_timestamp() + interval '1 s'")
    renewed = await leader.renew(term)
    assert renewed is not None
    assert renewed.number == term.number
    assert await leader.remaining() > 25


async def test_a_lease_that_ran_out_is_not_renewed(pool: ConnectionPool, world: World) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await expire(world)
    assert await leader.renew(term) is None
    assert await leader.remaining() == 0


async def test_a_successors_lease_is_not_renewed_by_the_predecessor(
    pool: ConnectionPool, world: World
) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await expire(world)
    await acquired(lease(pool, "second"))
    assert await leader.renew(term) is None


async def test_the_databases_clock_decides(
    pool: ConnectionPool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await acquired(lease(pool, seconds=30))
    # A process whose clocks are a day ahead thinks that the lease ran out long ago.
    ahead = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: ahead)
    assert await lease(pool, "second").acquire() is None
    left = await world.sql.fetchval(
        "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM leadership"
    )
    assert 25 < left <= 30


async def test_a_leader_trusts_its_lease_from_the_moment_it_asked(pool: ConnectionPool, world: World) -> None:
    leader = lease(pool, seconds=30)
    term = await acquired(leader)
    async with world.sql.transaction():
        await world.sql.execute("SELECT FROM leadership FOR UPDATE")
        asked = time.monotonic()
        renewal = asyncio.create_task(leader.renew(term))
        await eventually(lambda: waits_for_a_lock(world))
        answered_after = time.monotonic()
    renewed = await renewal
    assert renewed is not None
    assert asked <= renewed.trusted_until - 30 < answered_after


async def test_resigning_hands_over_at_once(pool: ConnectionPool) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await leader.resign(term)
    assert await leader.remaining() == 0
    assert (await acquired(lease(pool, "second"))).number == 2


async def test_a_predecessor_that_resigns_late_ends_nobodys_reign(pool: ConnectionPool, world: World) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await expire(world)
    successor = lease(pool, "second")
    await acquired(successor)
    await leader.resign(term)
    assert await successor.remaining() > 25


async def test_the_fence_lets_the_present_leader_through(pool: ConnectionPool) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    async with pool.acquire() as db, db.transaction():
        await leader.fence(db, term)


async def test_the_fence_rejects_a_lease_that_ran_out(pool: ConnectionPool, world: World) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await expire(world)
    async with pool.acquire() as db, db.transaction():
        with pytest.raises(StaleTerm):
            await leader.fence(db, term)


async def test_the_fence_rejects_an_earlier_term_of_the_same_holder(
    pool: ConnectionPool, world: World
) -> None:
    leader = lease(pool)
    term = await acquired(leader)
    await expire(world)
    await acquired(leader)
    async with pool.acquire() as db, db.transaction():
        with pytest.raises(StaleTerm):
            await leader.fence(db, term)


async def test_a_successor_waits_for_a_fenced_transaction(pool: ConnectionPool, world: World) -> None:
    leader, successor = lease(pool, seconds=0.2), lease(pool, "second")
    term = await acquired(leader)
    async with pool.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        await leader.fence(db, term)
        # By its clock the lease runs out now, in the middle of the fenced transaction.
        await eventually(lambda: _has_run_out(world))
        succession = asyncio.create_task(successor.acquire())
        await eventually(lambda: waits_for_a_lock(world))
        assert not succession.done()
        await transaction.commit()
    succeeded = await succession
    assert succeeded is not None
    assert succeeded.number == 2


async def _has_run_out(world: World) -> bool:
    over: bool = await world.sql.fetchval("SELECT expires_at < clock_timestamp() FROM leadership")
    return over
