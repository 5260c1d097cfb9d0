"""The election: the leader wakes in time, hands over when it is stopped, and survives its servers' faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.errors import KafkaConnectionError

from common.database import outbox
from common.database.pool import ConnectionPool
from common.events import AutomationChanged, AutomationDue, to_record
from scheduler.admission import Admission
from scheduler.cleanup import Cleanup, Retention
from scheduler.dispatch import Dispatcher
from scheduler.duties import Duties
from scheduler.election import Elector
from scheduler.lease import Lease
from scheduler.relay import Relay
from scheduler.repeated_failures import RepeatedFailures
from scheduler.rescue import Rescue
from scheduler.token_refresh import TokenRefresh
from scheduler.wakeups import Wakeups
from scheduler.zone_rules import ZoneRules
from tests.factories import Team, World
from tests.support.fake_producer import FakeProducer
from tests.support.polling import eventually

Electors = Callable[..., Elector]

KEEP = Retention(*[timedelta(days=90)] * 4)


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def elector_of(pool: ConnectionPool, database_url: str, producer: FakeProducer) -> Electors:
    def build(holder: str = "first", *, seconds: float = 4.0) -> Elector:
        lease = Lease(pool, holder=holder, seconds=seconds)
        duties = Duties(
            pool,
            Wakeups(database_url),
            Dispatcher(pool, lease, batch_size=500),
            Relay(pool, producer, topic_prefix="", batch_size=500),
            Rescue(pool, lease),
            Admission(pool, lease, tenant_window=100),
            RepeatedFailures(pool, lease, public_url="http://localhost:8000"),
            ZoneRules(pool, lease),
            TokenRefresh(pool, lease, interval=3_600),
            Cleanup(pool, lease, retention=KEEP, interval=86_400),
            # An hour: whatever happens sooner was caused by a wake-up.
            check_interval=3_600,
        )
        return Elector(lease, duties)

    return build


@asynccontextmanager
async def leading(elector: Elector) -> AsyncIterator[asyncio.Task[None]]:
    """`elector`, from the moment it leads and has nothing left to do."""
    task = asyncio.create_task(elector.run())
    try:
        await eventually(lambda: elector.term)
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def runs(world: World) -> int:
    count: int = await world.sql.fetchval("SELECT count(*) FROM automation_run")
    return count


async def listens(world: World) -> bool:
    """The leader has a connection that waits for wake-ups."""
    found: bool = await world.sql.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'carillon-scheduler-listen'"
        " AND query = 'SELECT 1' AND state = 'idle' AND datname = current_database())"
    )
    return found


async def test_what_comes_due_is_dispatched_and_published_without_being_asked(
    world: World, team: Team, elector_of: Electors, producer: FakeProducer
) -> None:
    due = datetime.now(UTC) + timedelta(seconds=0.5)
    [automation_id] = await world.automations(team, None, next_run=due)
    async with leading(elector_of()):
        await eventually(lambda: producer.sent)
    event = producer.sent[0].event()
    assert isinstance(event, AutomationDue)
    assert (event.automation_id, event.scheduled_for) == (automation_id, due)
    assert await world.sql.fetchval("SELECT created_at >= scheduled_for FROM automation_run"), "never early"


async def test_a_next_run_moved_by_sql_wakes_the_leader(
    world: World, team: Team, elector_of: Electors
) -> None:
    await world.automations(team, None, next_run=datetime.now(UTC) + timedelta(days=1))
    async with leading(elector_of()):
        await eventually(lambda: listens(world))
        await world.sql.execute("UPDATE automation SET next_run = clock_timestamp()")
        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        await eventually(lambda: runs(world))


async def test_an_edit_wakes_the_leader_while_the_broker_is_away(
    world: World, team: Team, elector_of: Electors, producer: FakeProducer
) -> None:
    async def away(_number: int) -> None:
        raise KafkaConnectionError

    producer.acknowledge = away
    async with leading(elector_of()):
        await eventually(lambda: listens(world))
        async with world.sql.transaction():
            [automation_id] = await world.automations(team, None, next_run=datetime.now(UTC))
            event = AutomationChanged(
                automation_id=automation_id,
                tenant_id=team.tenant_id,
                change="created",
                status="active",
                version=1,
                next_run=None,
            )
            await outbox.write(world.sql, [to_record(event, source="api", time=datetime.now(UTC))])
        await eventually(lambda: runs(world))


async def test_a_leader_that_is_stopped_hands_over_at_once(world: World, elector_of: Electors) -> None:
    async with leading(elector_of("first", seconds=60)):
        pass
    left = await world.sql.fetchval(
        "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM leadership"
    )
    assert left <= 0
    async with leading(elector_of("second", seconds=60)):
        assert await world.sql.fetchval("SELECT holder FROM leadership") == "second"


async def test_a_leader_renews_its_lease_and_keeps_its_term(world: World, elector_of: Electors) -> None:
    elector = elector_of(seconds=2.0)
    async with leading(elector):
        first = await world.sql.fetchval("SELECT expires_at FROM leadership")

        async def renewed() -> bool:
            longer: bool = await world.sql.fetchval(
                "SELECT expires_at > $1::timestamptz + interval '1 s' FROM leadership", first
            )
            return longer

        await eventually(renewed)
        assert await world.sql.fetchval("SELECT term FROM leadership") == 1


async def test_a_deposed_leader_stops_its_duties_and_runs_again(
    world: World, team: Team, elector_of: Electors
) -> None:
    elector = elector_of("first", seconds=1.0)
    async with leading(elector) as task:
        await world.sql.execute(
            "UPDATE leadership SET term = term + 1, holder = 'second',"
            " expires_at = clock_timestamp() + interval '1.5 s'"
        )
        await eventually(lambda: elector.term is None)
        # In the other one's term it writes nothing, whatever comes due.
        await world.automations(team, None, next_run=datetime.now(UTC) - timedelta(seconds=1))
        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        await eventually(lambda: elector.term)
        assert not task.done()
        await eventually(lambda: runs(world))
        assert elector.term is not None
        assert elector.term.number == 3
    assert await world.sql.fetchval(
        "SELECT r.created_at >= l.acquired_at FROM automation_run r, leadership l"
    ), "dispatched in the new term, not in the other one's"


async def test_a_term_outlives_the_loss_of_every_connection(
    world: World, team: Team, elector_of: Electors
) -> None:
    elector = elector_of(seconds=10)
    async with leading(elector) as task:
        await eventually(lambda: listens(world))
        await world.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await eventually(lambda: listens(world))
        await world.automations(team, None, next_run=datetime.now(UTC))
        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        await eventually(lambda: runs(world))
        assert not task.done()
        assert elector.term is not None
        assert elector.term.number == 1


async def test_a_broker_that_is_away_delays_events_and_nothing_else(
    world: World, team: Team, elector_of: Electors, producer: FakeProducer
) -> None:
    async def away(_number: int) -> None:
        raise KafkaConnectionError

    producer.acknowledge = away
    await world.automations(team, None, next_run=datetime.now(UTC))
    async with leading(elector_of()) as task:
        await eventually(lambda: runs(world))
        await eventually(lambda: len(producer.sent) > 1)
        assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 1
        producer.acknowledge = None
        await eventually(lambda: _published(world))
        assert not task.done()


async def test_a_defect_ends_the_process_instead_of_hiding(
    world: World, elector_of: Electors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defective(*_args: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(Dispatcher, "dispatch_batch", defective)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(10):
            await elector_of(seconds=60).run()
    led = await world.sql.fetchval("SELECT expires_at > clock_timestamp() FROM leadership")
    assert not led, "it resigned, so that another one can lead at once"


async def _published(world: World) -> bool:
    empty: bool = await world.sql.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)")
    return empty
