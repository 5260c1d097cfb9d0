"""A consumer acknowledges a batch once its work is claimed, and not before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker

from common.broker import create_producer
from common.events import AutomationDue, to_record
from common.ids import new_id
from common.models import Lane, Trigger
from common.settings import KafkaSettings
from common.work import consumer as consuming_module
from common.work.broker_watch import BrokerWatch
from common.work.consumer import ClaimConsumer
from common.work.dead_letters import DeadLetters
from common.work.places import Stopping
from common.work.waiting import Waiting
from tests.support.polling import eventually

TOPIC = "automation.due.high"
PARTITION = 0

Take = Callable[[Sequence[Waiting]], Awaitable[None]]


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming_module, "RETRY_PAUSE", 0.01)


@pytest.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    made = create_producer(kafka, client_id="claim-consumer-test")
    await made.start()
    yield made
    await made.stop()


async def announce(kafka: KafkaSettings, producer: AIOKafkaProducer, count: int) -> list[UUID]:
    """So many runs, one after the other in one partition."""
    runs = [new_id() for _ in range(count)]
    for run_id in runs:
        due = AutomationDue(
            run_id=run_id,
            automation_id=new_id(),
            tenant_id=new_id(),
            lane=Lane.HIGH,
            trigger=Trigger.SCHEDULE,
            scheduled_for=None,
        )
        record = to_record(due, source="scheduler", time=datetime.now(UTC))
        headers = [(name, text.encode()) for name, text in record.headers.items()]
        await producer.send_and_wait(
            kafka.kafka_topic_prefix + TOPIC, record.value, headers=headers, partition=PARTITION
        )
    return runs


@asynccontextmanager
async def consuming(
    kafka: KafkaSettings, producer: AIOKafkaProducer, take: Take, *, batch_size: int = 50
) -> AsyncIterator[ClaimConsumer[AutomationDue]]:
    """One process's consumer of the lane, until its orderly end."""
    broker = KafkaBroker(kafka.kafka_bootstrap_servers, graceful_timeout=5, logger=None)
    consumer = ClaimConsumer(
        broker,
        kafka,
        DeadLetters(producer),
        topic=TOPIC,
        group="executor.high",
        batch_size=batch_size,
        event=AutomationDue,
        item=lambda event: Waiting(event.run_id),
        take=take,
    )
    try:
        await broker.start()
        yield consumer
    finally:
        await broker.stop()


class Taker:
    """Takes everything, after it has raised what the test put there."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.taken: list[UUID] = []
        self.asked = 0

    async def take(self, items: Sequence[Waiting]) -> None:
        self.asked += 1
        if self.faults:
            raise self.faults.pop(0)
        self.taken += [each.id for each in items]


async def test_unclaimed_records_of_a_stopping_process_are_redelivered(
    kafka: KafkaSettings, producer: AIOKafkaProducer
) -> None:
    runs = await announce(kafka, producer, 5)
    stopping = Taker(Stopping("no more"))
    async with consuming(kafka, producer, stopping.take, batch_size=2):
        await eventually(lambda: stopping.asked)
        # A batch of nothing but poison asks for no place, so nothing would keep it from being acknowledged,
        # and with it the batch before it.
        await producer.send_and_wait(kafka.kafka_topic_prefix + TOPIC, b"{", partition=PARTITION)
    assert stopping.taken == []
    successor = Taker()
    async with consuming(kafka, producer, successor.take):
        await eventually(lambda: len(successor.taken) >= 5)
    assert successor.taken == runs


async def test_a_database_error_delays_the_batch_and_skips_no_record(
    kafka: KafkaSettings, producer: AIOKafkaProducer
) -> None:
    runs = await announce(kafka, producer, 3)
    taker = Taker(ConnectionResetError(), TimeoutError(), OSError())
    async with consuming(kafka, producer, taker.take) as consumer:
        await eventually(lambda: len(taker.taken) == 3)
        assert await consumer.check(BrokerWatch(lambda: None))() is None
    assert taker.taken == runs
    again = Taker()
    async with consuming(kafka, producer, again.take):
        more = await announce(kafka, producer, 1)
        await eventually(lambda: again.taken)
    assert again.taken == more, "the first three were acknowledged"


async def test_a_defect_in_one_batch_does_not_jam_the_lane(
    kafka: KafkaSettings, producer: AIOKafkaProducer
) -> None:
    taker = Taker(ZeroDivisionError())
    async with consuming(kafka, producer, taker.take):
        await announce(kafka, producer, 1)
        await eventually(lambda: taker.asked)
        more = await announce(kafka, producer, 1)
        await eventually(lambda: taker.taken)
    assert taker.taken == more


async def test_a_consumer_that_has_not_polled_is_not_ready(
    kafka: KafkaSettings, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = Taker()
    async with consuming(kafka, producer, taker.take) as consumer:
        assert await consumer.check(BrokerWatch(lambda: None))() is None
    watch = BrokerWatch(lambda: None)
    assert await consumer.check(watch)() == "not consuming yet"
    monkeypatch.setattr(watch, "silence", lambda: 60.0)
    assert await consumer.check(watch)() == "degraded: not consuming yet", (
        "PostgreSQL has what there is to do"
    )
