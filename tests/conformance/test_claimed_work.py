"""What is claimed is worked on once, kept while it is worked on, and never lost: one suite for every kind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import pytest
import structlog

from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool, create_pool
from common.secrets.crypto import KeyRing
from common.work.places import Stopping
from common.work.stopping import SET_ASIDE, blame
from common.work.waiting import EACH
from common.work.worker import LOOK
from tests.factories import Team, World
from tests.support.claimed_work import KINDS, Bench, Gate, Kind, lose_answer
from tests.support.polling import eventually
from tests.support.tcp_proxy import TcpProxy, proxy_to


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(
    request: pytest.FixtureRequest, world: World, team: Team, pool: ConnectionPool, ring: KeyRing
) -> Kind:
    made: Kind = request.param(world, team, pool, ring)
    return made


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[TcpProxy]:
    """The only way from a service under test to PostgreSQL."""
    async with proxy_to(urlsplit(database_url).port or 5432) as opened:
        yield opened


@pytest.fixture
async def proxied_pool(database_url: str, proxy: TcpProxy) -> AsyncIterator[ConnectionPool]:
    parts = urlsplit(database_url)
    host = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"
    opened = await create_pool(
        urlunsplit(parts._replace(netloc=host)), application_name="behind-a-proxy", size=10
    )
    yield opened
    opened.terminate()


async def all_done(kind: Kind, *ids: UUID) -> None:
    async def are_done() -> bool:
        return all(row.status == kind.done for row in await kind.rows(ids))

    await eventually(are_done)


def slow_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Claims are committed, and their answers held back: events for the first and for the second."""
    committed, answered = asyncio.Event(), asyncio.Event()
    original = bench.claims.claim

    async def claim(*args: Any, **named: Any) -> Any:
        items = await original(*args, **named)
        committed.set()
        await answered.wait()
        return items

    monkeypatch.setattr(bench.claims, "claim", claim)
    return committed, answered


async def test_duplicates_of_an_event_start_nothing(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add()
    gate.open()
    async with kind.working(gate) as bench:
        await asyncio.gather(*(bench.take(item_id) for _ in range(5)))
        await all_done(kind, item_id)
        await bench.take(item_id)
        await bench.drain(5)
        assert bench.used == 0
    assert gate.begun == [item_id]
    assert (await kind.row(item_id)).attempt == 1


async def test_an_event_of_what_is_being_worked_on_starts_nothing(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add()
    async with kind.working(gate) as bench, kind.working(gate, "worker-2") as other:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        await bench.take(item_id)
        await other.take(item_id)
        assert (bench.used, other.used) == (1, 0)
        gate.open()
        await all_done(kind, item_id)
    assert gate.begun == [item_id]


async def test_two_claimants_share(kind: Kind, gate: Gate) -> None:
    ids = [await kind.add() for _ in range(100)]
    gate.open()
    shuffled = random.Random(7).sample(ids, len(ids))
    async with kind.working(gate) as bench, kind.working(gate, "worker-2") as other:
        await asyncio.gather(
            bench.take(*ids), other.take(*reversed(ids)), bench.take(*shuffled), other.take(*shuffled)
        )
        await all_done(kind, *ids)
    assert sorted(gate.begun) == sorted(ids)
    assert {row.attempt for row in await kind.rows(ids)} == {1}


async def test_a_locked_item_holds_up_no_other(kind: Kind, gate: Gate) -> None:
    locked, free = await kind.add(), await kind.add()
    gate.open()
    async with kind.working(gate) as bench:
        async with kind.world.sql.transaction():
            await kind.world.sql.execute(f"SELECT FROM {kind.table} WHERE id = $1 FOR UPDATE", locked)
            async with asyncio.timeout(5):
                await bench.take(locked, free)
        await all_done(kind, free)
    assert gate.begun == [free]


async def test_work_waits_for_a_free_place(kind: Kind, gate: Gate) -> None:
    ids = [await kind.add() for _ in range(5)]
    async with kind.working(gate, concurrency=3) as bench:
        taking = asyncio.create_task(bench.take(*ids))
        await eventually(lambda: bench.used >= 1 and len(gate.begun) == bench.used)
        assert len(gate.begun) <= 3
        gate.open()
        await taking
        await all_done(kind, *ids)
    assert sorted(gate.begun) == sorted(ids)


async def test_what_finds_no_place_follows_as_places_become_free(kind: Kind, gate: Gate) -> None:
    """Without another event, without a sweep, and beyond what a process remembers."""
    ids = [await kind.add() for _ in range(EACH + 50)]
    gate.open()
    async with kind.working(gate, concurrency=8) as bench:
        await bench.take_events(await kind.events(ids))
        await all_done(kind, *ids)
        await eventually(lambda: bench.used == 0)
    assert sorted(gate.begun) == sorted(ids)
    assert {row.attempt for row in await kind.rows(ids)} == {1}


async def test_the_rest_of_a_long_line_is_found_although_no_place_was_free_at_its_end(
    kind: Kind, gate: Gate
) -> None:
    """Its items are too fresh for a sweep, and nothing else waits that would make the process look."""
    ids = [await kind.add() for _ in range(EACH + 20)]
    gate.open()
    async with kind.working(gate, concurrency=1) as bench:
        await bench.take(*ids)
        await all_done(kind, *ids)
    assert sorted(gate.begun) == sorted(ids)


async def test_one_team_does_not_make_another_wait(kind: Kind, gate: Gate) -> None:
    busy = [await kind.add() for _ in range(60)]
    other_team = await kind.world.team("Contoso")
    urgent = await kind.add(team=other_team)
    async with kind.working(gate, concurrency=8) as bench:
        await bench.take_events(await kind.events(busy))
        await eventually(lambda: len(gate.begun) == bench.used >= 4)
        await bench.take_events(await kind.events([urgent]))
        await eventually(lambda: urgent in gate.begun)
        assert len(gate.begun) < 8
        gate.open()
        await all_done(kind, urgent, *busy)


async def test_a_sweep_is_as_fair(kind: Kind, gate: Gate) -> None:
    """What lost its event waits behind more of another team than one look reads."""
    busy = [await kind.add(age=timedelta(minutes=5)) for _ in range(LOOK + 20)]
    other_team = await kind.world.team("Contoso")
    urgent = await kind.add(team=other_team, age=timedelta(minutes=1))
    async with kind.working(gate, concurrency=8) as bench:
        await bench.sweep()
        await eventually(lambda: urgent in gate.begun)
        assert len(gate.begun) < 8
        gate.open()
        await all_done(kind, urgent, *busy)
        await eventually(lambda: bench.used == 0)
    assert sorted(gate.begun) == sorted([urgent, *busy])


async def test_what_waits_for_a_place_is_left_to_others_when_its_process_dies(kind: Kind, gate: Gate) -> None:
    ids = [await kind.add(age=timedelta(minutes=1)) for _ in range(20)]
    async with kind.working(gate, concurrency=8) as bench, kind.working(gate, "worker-2") as other:
        await bench.take_events(await kind.events(ids))
        await eventually(lambda: len(gate.begun) == bench.used)
        held = bench.used
        await bench.abandon()
        await other.sweep()
        await eventually(lambda: other.used == 20 - held)
        gate.open()


async def test_a_claim_that_fails_as_places_become_free_is_tried_again(
    kind: Kind, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await kind.add() for _ in range(20)]
    async with kind.working(gate, concurrency=8) as bench:
        await bench.take_events(await kind.events(ids))
        await eventually(lambda: len(gate.begun) == bench.used)
        with monkeypatch.context() as patch:
            failed = asyncio.Event()

            async def fail(*_: Any) -> Any:
                failed.set()
                raise ConnectionResetError

            patch.setattr(bench.claims, "claim", fail)
            gate.open()
            await asyncio.wait_for(failed.wait(), 5)
            await eventually(lambda: bench.used == 0)
        await bench.sweep()
        await all_done(kind, *ids)
    assert sorted(gate.begun) == sorted(ids)


async def test_a_sweep_takes_what_lost_its_event_and_no_more_than_there_is_room_for(
    kind: Kind, gate: Gate
) -> None:
    lost = [await kind.add(age=timedelta(minutes=1)) for _ in range(5)]
    fresh = await kind.add()
    async with kind.working(gate, concurrency=3) as bench:
        await bench.sweep()
        await eventually(lambda: bench.used >= 1 and len(gate.begun) == bench.used)
        assert len(gate.begun) <= 3
        gate.open()
        await eventually(lambda: bench.used == 0)
        for _ in range(3):
            await bench.sweep()
            await eventually(lambda: bench.used == 0)
        await all_done(kind, *lost)
    assert sorted(gate.begun) == sorted(lost)
    assert (await kind.row(fresh)).attempt == 0, "its event is still to come"


async def test_a_lease_is_kept_while_the_work_takes_longer(kind: Kind, gate: Gate) -> None:
    ids = [await kind.add() for _ in range(2)]
    async with kind.working(gate, lease_seconds=1.0) as bench:
        await bench.take(*ids)
        await eventually(lambda: len(gate.begun) == 2)
        first = (await kind.row(ids[0])).lease_expires_at

        async def has_outlived_its_lease() -> bool:
            assert await kind.rescue() == 0, "it was taken away although its worker is alive"
            passed: bool = await kind.world.sql.fetchval(
                "SELECT clock_timestamp() > $1::timestamptz + interval '1.2 s'", first
            )
            return passed

        await eventually(has_outlived_its_lease)
        gate.open()
        await all_done(kind, *ids)
    assert {row.attempt for row in await kind.rows(ids)} == {1}


async def test_a_lost_lease_stops_the_work_and_leaves_no_trace(kind: Kind, gate: Gate) -> None:
    """At the next heartbeat, a quarter of a lease away, and not only when the lease would have run out."""
    item_id = await kind.add()
    lease = 6.0
    async with kind.working(gate, lease_seconds=lease) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        await kind.give_to("worker-2", item_id)
        before = await kind.world.row(kind.table, item_id)
        await eventually(lambda: gate.stopped == [item_id] and bench.used == 0, within=0.6 * lease)
        assert await kind.world.row(kind.table, item_id) == before


async def test_a_deleted_item_is_worked_on_no_longer(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add()
    async with kind.working(gate, lease_seconds=0.8) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        await kind.world.sql.execute(f"DELETE FROM {kind.table} WHERE id = $1", item_id)
        await eventually(lambda: gate.stopped == [item_id] and bench.used == 0)


async def test_a_silent_database_stops_the_work_within_a_lease(
    kind: Kind, gate: Gate, proxy: TcpProxy, proxied_pool: ConnectionPool
) -> None:
    """Not refused, which would be noticed at once: nothing answers any more."""
    item_id = await kind.add()
    lease = 2.0
    async with kind.working(gate, pool=proxied_pool, lease_seconds=lease) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        proxy.silence()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await eventually(lambda: gate.stopped, within=20)
        assert loop.time() - began < lease + 0.25, "another worker may have it by now"
        proxy.refuse()
    await kind.expire_leases()


async def test_a_worker_that_claims_its_own_lost_item_tells_the_attempts_apart(
    kind: Kind, gate: Gate
) -> None:
    """It was frozen, its lease ran out, and before its next heartbeat it was given the item again."""
    item_id = await kind.add()
    async with kind.working(gate) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        await kind.expire_leases()
        await kind.make_due()
        await bench.sweep()
        await bench.take(item_id)
        await eventually(lambda: len(gate.begun) == 2)
        assert bench.used == 2
        gate.open()
        await all_done(kind, item_id)
        await bench.drain(5)
        assert bench.used == 0
    row = await kind.row(item_id)
    assert (row.attempt, row.worker) == (2, None)


async def test_what_a_dead_worker_held_is_finished_by_another(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add()
    async with kind.working(gate) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        await bench.abandon()
    await kind.expire_leases()
    await kind.make_due()
    assert (await kind.row(item_id)).uncounted == 0, "what became of the attempt is not known: it counts"
    gate.open()
    async with kind.working(gate, "worker-2") as successor:
        await successor.sweep()
        await successor.take(item_id)
        await all_done(kind, item_id)
    assert (await kind.row(item_id)).attempt == 2


async def test_draining_lets_what_can_finish_in_time_finish(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add()
    async with kind.working(gate) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        bench.close()
        draining = asyncio.create_task(bench.drain(20))
        gate.open()
        await draining
        assert (await kind.row(item_id)).status == kind.done


async def test_draining_hands_back_what_is_under_way(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add(max_attempts=1)
    async with kind.working(gate) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        bench.close()
        await bench.drain(0.1)
        row = await kind.row(item_id)
        assert bench.used == 0
    assert row.status in kind.waiting
    assert (row.attempt, row.uncounted) == (1, int(not kind.has_side_effects))
    assert (row.worker, row.lease_expires_at) == (None, None)
    await kind.make_due()
    gate.open()
    async with kind.working(gate, "worker-2") as successor:
        await successor.take(item_id)
        await successor.sweep()
        await all_done(kind, item_id)


async def test_a_claim_under_way_at_drain_is_handed_back(
    kind: Kind, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes only when the time to drain is over: nothing was begun, and nothing counts."""
    item_id = await kind.add(max_attempts=1)
    async with kind.working(gate) as bench:
        committed, answered = slow_answers(bench, monkeypatch)
        taking = asyncio.create_task(bench.take(item_id))
        async with asyncio.timeout(5):
            await committed.wait()
        bench.close()
        asyncio.get_running_loop().call_later(0.5, answered.set)
        await bench.drain(0.2)
        await asyncio.wait([taking])
        row = await kind.row(item_id)
        assert bench.used == 0
    assert row.status in kind.waiting
    assert (row.attempt, row.uncounted, gate.begun) == (1, 1, [])
    assert (row.worker, row.lease_expires_at) == (None, None)
    await kind.make_due()
    gate.open()
    async with kind.working(gate, "worker-2") as successor:
        await successor.take(item_id)
        await successor.sweep()
        await all_done(kind, item_id)


async def test_a_claim_whose_caller_gave_up_is_not_forgotten(
    kind: Kind, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    item_id = await kind.add()
    gate.open()
    async with kind.working(gate) as bench:
        committed, answered = slow_answers(bench, monkeypatch)
        taking = asyncio.create_task(bench.take(item_id))
        async with asyncio.timeout(5):
            await committed.wait()
        taking.cancel()
        await asyncio.wait([taking])
        answered.set()
        await all_done(kind, item_id)


async def test_a_stop_after_the_end_is_ignored(kind: Kind, gate: Gate) -> None:
    """The work is through and its time is up: there is a record to wait for and nothing to stop."""
    item_id = await kind.add()
    gate.open()
    async with kind.working(gate, lease_seconds=60) as bench:
        reached, go_on = asyncio.Event(), asyncio.Event()
        bench.delay_the_record(reached, go_on)
        await bench.take(item_id)
        async with asyncio.timeout(5):
            await reached.wait()
        bench.close()
        draining = asyncio.create_task(bench.drain(0.1))
        await asyncio.wait([draining], timeout=0.4)
        assert not draining.done()
        go_on.set()
        await draining
    row = await kind.row(item_id)
    assert (row.status, row.attempt, row.worker) == (kind.done, 1, None)
    assert gate.begun == [item_id]


async def test_abandoning_leaves_rows_to_their_leases(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add()
    async with kind.working(gate) as bench:
        await bench.take(item_id)
        await eventually(lambda: gate.begun)
        before = await kind.row(item_id)
        async with asyncio.timeout(5):
            await bench.abandon()
        assert gate.stopped == [item_id]
        assert bench.used == 0
    row = await kind.row(item_id)
    assert (row.worker, row.attempt, row.status) == (before.worker, before.attempt, before.status)
    assert row.worker is not None
    assert row.lease_expires_at is not None


async def test_nothing_waits_for_ever_after_the_close(kind: Kind, gate: Gate) -> None:
    held, waiting = await kind.add(), await kind.add()
    async with kind.working(gate, concurrency=1) as bench:
        await bench.take(held)
        await eventually(lambda: gate.begun)
        blocked = asyncio.create_task(bench.take(waiting))
        await asyncio.wait([blocked], timeout=0.1)
        bench.close()
        async with asyncio.timeout(5):
            await blocked
            with pytest.raises(Stopping):
                await bench.take(waiting)
            await bench.sweep()
            gate.open()
            await bench.drain(5)
    assert (await kind.row(waiting)).attempt == 0
    assert gate.begun == [held]


def _has_begun(gate: Gate, item_id: UUID, times: int) -> bool:
    return gate.begun.count(item_id) == times


async def test_what_stopped_two_processes_is_set_aside_with_its_reason(
    kind: Kind, gate: Gate, database_url: str
) -> None:
    item_id, other_id = await kind.add(), await kind.add()
    for number in (1, 2):
        name = f"worker-{number}"
        async with kind.working(gate, name) as bench:
            await kind.make_due()
            await bench.take(item_id)
            await bench.sweep()
            await eventually(partial(_has_begun, gate, item_id, number))
            # Moments before its end the process counts what its watchdog found in hand.
            await asyncio.to_thread(blame(database_url, worker="another"), gate.contexts[item_id])
            await asyncio.to_thread(blame(database_url, worker=name), gate.contexts[item_id])
            await bench.abandon()
        row = await kind.world.row(kind.table, item_id)
        assert row["stopped_workers"] == number
    gate.open()
    async with kind.working(gate, "worker-3") as bench:
        await kind.make_due()
        await bench.take(item_id, other_id)
        await bench.sweep()
        await all_done(kind, other_id)

        async def is_set_aside() -> bool:
            return (await kind.row(item_id)).status.lower() == "failed"

        await eventually(is_set_aside)
    assert gate.begun.count(item_id) == 2
    row = await kind.world.row(kind.table, item_id)
    assert SET_ASIDE in " ".join(str(value) for value in dict(row).values())
    assert (await kind.world.row(kind.table, other_id))["stopped_workers"] == 0


async def test_a_claim_whose_answer_was_lost_is_read_back_and_started(kind: Kind, gate: Gate) -> None:
    """It was committed: otherwise it would wait for its lease, and have failed in its last attempt."""
    item_id = await kind.add(max_attempts=1)
    gate.open()
    async with kind.working(gate, lease_seconds=4.0) as bench:
        lose_answer(bench.machine.kind, "claim")
        with pytest.raises(ConnectionResetError):
            await bench.take(item_id)
        await bench.take(item_id)
        await all_done(kind, item_id)
        await eventually(lambda: bench.used == 0)
    row = await kind.row(item_id)
    assert (row.attempt, gate.begun) == (1, [item_id])


async def test_a_sweep_whose_answer_was_lost_is_read_back_and_started(kind: Kind, gate: Gate) -> None:
    ids = [await kind.add(max_attempts=1, age=timedelta(minutes=1)) for _ in range(3)]
    gate.open()
    async with kind.working(gate, lease_seconds=4.0) as bench:
        lose_answer(bench.machine.kind, "claim")
        with pytest.raises(ConnectionResetError):
            await bench.sweep()
        await eventually(lambda: len(gate.begun) >= 1)
        await bench.sweep()
        await all_done(kind, *ids)
        await eventually(lambda: bench.used == 0)
    assert sorted(gate.begun) == sorted(ids)
    assert {row.attempt for row in await kind.rows(ids)} == {1}


async def test_a_claim_that_comes_after_it_was_read_back_starts_nothing(
    kind: Kind, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer was only late: reading back has found, finished and recorded it before."""
    item_id = await kind.add()
    gate.open()
    async with kind.working(gate, lease_seconds=4.0) as bench:
        committed, answered = slow_answers(bench, monkeypatch)
        taking = asyncio.create_task(bench.take(item_id))
        async with asyncio.timeout(5):
            await committed.wait()
        monkeypatch.undo()
        lose_answer(bench.machine.kind, "claim")
        other = await kind.add(age=timedelta(minutes=1))
        with pytest.raises(ConnectionResetError):
            await bench.sweep()
        await all_done(kind, item_id, other)
        answered.set()
        await taking
        await eventually(lambda: bench.used == 0)
    assert sorted(gate.begun) == sorted([item_id, other])


async def test_what_was_claimed_without_an_answer_is_handed_back_at_drain(kind: Kind, gate: Gate) -> None:
    item_id = await kind.add(max_attempts=1)
    async with kind.working(gate, lease_seconds=60.0) as bench:
        lose_answer(bench.machine.kind, "claim")
        with pytest.raises(ConnectionResetError):
            await bench.take(item_id)
        bench.close()
        await bench.drain(0.1)
        row = await kind.row(item_id)
    assert row.status in kind.waiting
    assert (row.worker, row.attempt, row.uncounted, gate.begun) == (None, 1, 1, [])


async def test_a_record_whose_answer_was_lost_was_made_once_and_is_not_told_to_be_late(
    kind: Kind, gate: Gate
) -> None:
    item_id = await kind.add()
    gate.open()
    with structlog.testing.capture_logs() as logs:
        async with kind.working(gate) as bench:
            bench.lose_the_answer_of_the_record()
            await bench.take(item_id)
            await all_done(kind, item_id)
            await eventually(lambda: bench.used == 0)
    events = [entry["event"] for entry in logs]
    assert not [event for event in events if "late" in event], events
    row = await kind.row(item_id)
    assert (row.status, row.attempt, row.worker) == (kind.done, 1, None)
    assert gate.begun == [item_id]


async def test_a_commit_whose_answer_the_network_lost_is_read_back(
    gate: Gate, world: World, team: Team, ring: KeyRing, proxy: TcpProxy, proxied_pool: ConnectionPool
) -> None:
    """The only attempt of a run, on the wire: the claim, and then the result."""
    runs = next(kind for kind in KINDS if kind.name == "runs")(world, team, proxied_pool, ring)
    item_id = await runs.add(max_attempts=1)
    async with runs.working(gate, lease_seconds=4.0) as bench:
        proxy.lose_commit_answers()
        with pytest.raises(TRANSIENT_DATABASE_ERRORS):
            await bench.take(item_id)
        await eventually(lambda: gate.begun)
        proxy.lose_commit_answers()
        gate.open()
        await all_done(runs, item_id)
        await eventually(lambda: bench.used == 0)
    row = await runs.row(item_id)
    assert (row.attempt, row.status, gate.begun) == (1, "completed", [item_id])


async def test_a_silent_worker_takes_nothing_until_it_is_answered_again(
    kind: Kind, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    item_id = await kind.add()
    gate.open()
    async with kind.working(gate, lease_seconds=1.0) as bench:
        failed = asyncio.Event()
        original = bench.machine._leases.extend

        async def broken(*_args: Any) -> Any:
            failed.set()
            raise ConnectionResetError

        monkeypatch.setattr(bench.machine._leases, "extend", broken)
        async with asyncio.timeout(5):
            await failed.wait()
        taking = asyncio.create_task(bench.take(item_id))
        await asyncio.wait([taking], timeout=0.6)
        assert not taking.done()
        assert (await kind.row(item_id)).attempt == 0
        monkeypatch.setattr(bench.machine._leases, "extend", original)
        await taking
        await all_done(kind, item_id)
