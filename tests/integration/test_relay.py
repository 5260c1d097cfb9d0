"""The relay loses no event between PostgreSQL and Kafka, and keeps the order of each key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from common import telemetry
from common.broker import create_producer
from common.database import outbox
from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool, connect, create_pool
from common.events import AutomationChanged, Event, RunStarted, parse, to_record
from common.ids import new_id
from common.settings import KafkaSettings
from scheduler.relay import Relay
from tests.factories import World
from tests.support.fake_producer import FakeProducer
from tests.support.polling import eventually
from tests.support.spans import recorded_spans

TENANT = UUID(int=1)


def relay(pool: ConnectionPool, producer: Any, *, prefix: str = "", batch_size: int = 500) -> Relay:
    return Relay(pool, producer, topic_prefix=prefix, batch_size=batch_size)


def started(automation_id: UUID, attempt: int) -> Event:
    return RunStarted(
        run_id=new_id(),
        automation_id=automation_id,
        tenant_id=TENANT,
        attempt=attempt,
        scheduled_for=None,
        started_at=datetime.now(UTC),
        worker="executor-1",
    )


def changed() -> Event:
    return AutomationChanged(
        automation_id=new_id(),
        tenant_id=TENANT,
        change="created",
        status="active",
        version=1,
        next_run=None,
    )


async def write(
    db: asyncpg.Connection[asyncpg.Record], *events: Event, traceparent: str | None = None
) -> None:
    now = datetime.now(UTC)
    async with db.transaction():
        await outbox.write(
            db,
            [to_record(event, source="test", time=now, traceparent=traceparent) for event in events],
        )


async def left(world: World) -> int:
    count: int = await world.sql.fetchval("SELECT count(*) FROM outbox")
    return count


async def test_events_are_published_in_the_order_they_were_written_and_then_deleted(
    pool: ConnectionPool, world: World
) -> None:
    automations = [new_id() for _ in range(5)]
    events = [started(automation, attempt) for attempt in range(1, 8) for automation in automations]
    await write(world.sql, *events)
    broker = FakeProducer()
    assert await relay(pool, broker).publish_batch() == 35
    assert [sent.event() for sent in broker.sent] == events
    assert await left(world) == 0


async def test_a_batch_takes_the_oldest_and_no_more_than_its_size(pool: ConnectionPool, world: World) -> None:
    events = [started(new_id(), 1) for _ in range(5)]
    await write(world.sql, *events)
    broker = FakeProducer()
    small = relay(pool, broker, batch_size=2)
    assert [await small.publish_batch() for _ in range(4)] == [2, 2, 1, 0]
    assert [sent.event() for sent in broker.sent] == events


async def test_a_record_is_a_cloudevent_under_the_prefix(pool: ConnectionPool, world: World) -> None:
    event = started(new_id(), 1)
    await write(world.sql, event)
    broker = FakeProducer()
    await relay(pool, broker, prefix="team-a.").publish_batch()
    [sent] = broker.sent
    assert (sent.topic, sent.key) == ("team-a.automation.run", event.key)
    assert sent.headers["ce_type"] == event.type
    assert sent.headers["ce_specversion"] == "1.0"
    assert sent.headers["content-type"] == "application/json"
    assert "traceparent" not in sent.headers


async def test_the_traceparent_of_a_record_is_a_child_of_the_stored_one(
    pool: ConnectionPool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded_spans(monkeypatch) as spans:
        with telemetry.span("dispatch") as dispatch:
            stored = telemetry.traceparent_of(dispatch)
        await write(world.sql, started(new_id(), 1), traceparent=stored)
        broker = FakeProducer()
        await relay(pool, broker).publish_batch()
    [send] = [span for span in spans.ended() if span.name.startswith("send ")]
    assert send.parent is not None
    assert send.context is not None
    assert send.parent.span_id == dispatch.get_span_context().span_id
    [sent] = broker.sent
    _, trace_id, span_id, _ = sent.headers["traceparent"].split("-")
    assert trace_id == stored.split("-")[1]
    assert span_id == f"{send.context.span_id:016x}"


async def test_a_broker_failure_within_a_batch_keeps_the_whole_batch(
    pool: ConnectionPool, world: World
) -> None:
    events = [started(new_id(), 1) for _ in range(6)]
    await write(world.sql, *events)

    async def fails_at_the_fourth(number: int) -> None:
        if number == 4:
            raise KafkaTimeoutError

    broker = FakeProducer(acknowledge=fails_at_the_fourth)
    with pytest.raises(KafkaError):
        await relay(pool, broker).publish_batch()
    assert await left(world) == 6
    # At least once: the next attempt starts from the beginning, and in the same order.
    broker = FakeProducer()
    assert await relay(pool, broker).publish_batch() == 6
    assert [sent.event() for sent in broker.sent] == events


async def test_nothing_is_lost_between_the_acknowledgement_and_the_commit(
    pool: ConnectionPool, world: World
) -> None:
    await write(world.sql, *(started(new_id(), 1) for _ in range(3)))

    async def dies_at_the_last(number: int) -> None:
        if number == 3:
            assert await world.sql.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'service-under-test' AND state = 'idle in transaction'"
                "   AND datname = current_database()"
            )

    broker = FakeProducer(acknowledge=dies_at_the_last)
    with pytest.raises(TRANSIENT_DATABASE_ERRORS):
        await relay(pool, broker).publish_batch()
    assert await left(world) == 3
    again = FakeProducer()
    assert await relay(pool, again).publish_batch() == 3
    assert [sent.headers["ce_id"] for sent in again.sent] == [
        sent.headers["ce_id"] for sent in broker.sent
    ], "the second copy has the same idempotency key"


async def test_a_relay_that_is_stopped_while_publishing_keeps_the_batch(
    pool: ConnectionPool, world: World
) -> None:
    await write(world.sql, started(new_id(), 1))

    async def never(_number: int) -> None:
        await asyncio.Event().wait()

    broker = FakeProducer(acknowledge=never)
    publishing = asyncio.create_task(relay(pool, broker).publish_batch())
    await eventually(lambda: broker.sent)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    assert await left(world) == 1


async def test_a_slow_kafka_gets_each_batch_once(database_url: str, world: World) -> None:
    await write(world.sql, started(new_id(), 1))

    async def slow(_number: int) -> None:
        # Longer than a session of the scheduler may otherwise be idle in a transaction.
        async def was_idle_for_long() -> bool:
            idle: bool = await world.sql.fetchval(
                "SELECT clock_timestamp() - state_change > interval '0.4 s' FROM pg_stat_activity"
                " WHERE application_name = 'impatient' AND datname = current_database()"
            )
            return idle

        await eventually(was_idle_for_long)

    pool = await create_pool(
        database_url, application_name="impatient", size=1, idle_in_transaction_seconds=0.2
    )
    try:
        broker = FakeProducer(acknowledge=slow)
        assert await relay(pool, broker).publish_batch() == 1
        assert await left(world) == 0
    finally:
        pool.terminate()


async def test_relays_in_parallel_publish_each_event_once(pool: ConnectionPool, world: World) -> None:
    await write(world.sql, *(started(new_id(), 1) for _ in range(200)))
    broker = FakeProducer()

    async def all_of_it() -> None:
        one = relay(pool, broker, batch_size=10)
        while await one.publish_batch():
            pass

    await asyncio.gather(*(all_of_it() for _ in range(4)))
    assert len(broker.sent) == 200
    assert len({sent.headers["ce_id"] for sent in broker.sent}) == 200


async def test_an_event_written_first_and_committed_last_is_not_skipped(
    pool: ConnectionPool, world: World, database_url: str
) -> None:
    slow = await connect(database_url, application_name="slow-writer")
    try:
        early, late = started(new_id(), 1), started(new_id(), 1)
        transaction = slow.transaction()
        await transaction.start()
        await outbox.write(slow, [to_record(early, source="test", time=datetime.now(UTC))])
        await write(world.sql, late)
        broker = FakeProducer()
        assert await relay(pool, broker).publish_batch() == 1
        await transaction.commit()
        assert await relay(pool, broker).publish_batch() == 1
        assert [sent.event() for sent in broker.sent] == [late, early]
    finally:
        await slow.close()


async def test_through_a_real_broker_each_key_keeps_its_order(
    pool: ConnectionPool, world: World, kafka: KafkaSettings
) -> None:
    automations = [new_id() for _ in range(20)]
    events = [started(automation, attempt) for attempt in range(1, 11) for automation in automations]
    await write(world.sql, *events)
    producer = create_producer(kafka, client_id="relay-test")
    consumer = AIOKafkaConsumer(
        kafka.kafka_topic_prefix + "automation.run",
        bootstrap_servers=kafka.kafka_bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
    )
    await producer.start()
    await consumer.start()
    try:
        one = relay(pool, producer, prefix=kafka.kafka_topic_prefix, batch_size=30)
        while await one.publish_batch():
            pass
        received: dict[str, list[Event]] = {}
        async with asyncio.timeout(20):
            while sum(map(len, received.values())) < len(events):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        headers = {name: value.decode() for name, value in record.headers}
                        event = parse(headers, record.value, RunStarted)
                        received.setdefault(record.key.decode(), []).append(event)
    finally:
        await consumer.stop()
        await producer.stop()
    assert received == {
        str(automation): [event for event in events if event.key == str(automation)]
        for automation in automations
    }
