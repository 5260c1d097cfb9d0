"""Poison records on a lane of a real executor are dead-lettered with the error, others run, none is
redelivered."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from carillon.child import NotReady
from common.broker import DEAD_LETTER_SUFFIX, create_producer
from common.events import MAX_EVENT_BYTES, AutomationDue, RunStarted, to_record
from common.ids import new_id
from common.models import Lane, Trigger
from common.settings import KafkaSettings
from tests.factories import Team, World
from tests.support.polling import eventually
from tests.support.stack import Stack

TOPIC = "automation.due.normal"
GROUP = "executor.normal"
TYPE = ("ce_type", AutomationDue.type.encode())

Headers = Sequence[tuple[str, bytes | None]]


def event(run_id: UUID) -> tuple[bytes, Headers]:
    due = AutomationDue(
        run_id=run_id,
        automation_id=new_id(),
        tenant_id=new_id(),
        lane=Lane.NORMAL,
        trigger=Trigger.MANUAL,
        scheduled_for=None,
    )
    record = to_record(due, source="api", time=datetime.now(UTC))
    return record.value, [(name, text.encode()) for name, text in record.headers.items()]


def poison() -> dict[str, tuple[bytes | None, Headers, str]]:
    """What may arrive, and the reason it is set aside with."""
    value, headers = event(new_id())
    return {
        "malformed": (b'{"run_id": ', [TYPE], "not_json"),
        "not utf-8": (b"\xff\xfe\x00", [TYPE], "not_json"),
        "incomplete": (b"{}", [TYPE], "invalid"),
        "unknown type": (value, [("ce_type", b"carillon.automation.due.v9")], "unknown_type"),
        "another topic's type": (value, [("ce_type", RunStarted.type.encode())], "unknown_type"),
        "no headers": (value, [], "no_type"),
        "a header that is no text": (value, [("ce_type", b"\xff\xfe"), ("x", b"\x80")], "unknown_type"),
        "a header without a value": (value, [("ce_type", None)], "no_type"),
        "tombstone": (None, headers, "empty"),
        "oversized": (b" " * (MAX_EVENT_BYTES + 1), [TYPE], "too_large"),
    }


@asynccontextmanager
async def producing(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = create_producer(kafka, client_id="poisoner")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(
    kafka: KafkaSettings, records: Sequence[tuple[bytes | None, Headers]], *, partition: int = 0
) -> None:
    """All in one batch of one partition, so that they come to the executor together."""
    async with producing(kafka) as producer:
        batch = producer.create_batch()
        for value, headers in records:
            batch.append(timestamp=None, key=None, value=value, headers=list(headers))
        batch.close()
        await (await producer.send_batch(batch, kafka.kafka_topic_prefix + TOPIC, partition=partition))


async def dead_letters(kafka: KafkaSettings) -> list[ConsumerRecord[bytes, bytes]]:
    """Every dead letter of the lane."""
    consumer = AIOKafkaConsumer(
        kafka.kafka_topic_prefix + TOPIC + DEAD_LETTER_SUFFIX,
        bootstrap_servers=kafka.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        found: list[ConsumerRecord[bytes, bytes]] = []
        while batches := await consumer.getmany(timeout_ms=500):
            found += itertools.chain(*batches.values())
        return found
    finally:
        await consumer.stop()


async def acknowledged(kafka: KafkaSettings, partition: int = 0) -> int | None:
    """The offset from which the executors will go on; None: they have acknowledged nothing yet."""
    where = TopicPartition(kafka.kafka_topic_prefix + TOPIC, partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.kafka_bootstrap_servers,
        group_id=kafka.kafka_topic_prefix + GROUP,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign([where])
        offset: int | None = await consumer.committed(where)
        return offset
    finally:
        await consumer.stop()


async def status(world: World, run_id: UUID) -> str:
    found: str = (await world.row("automation_run", run_id))["status"]
    return found


@pytest.mark.slow
async def test_poison_is_set_aside_and_its_neighbours_are_processed(
    stack: Stack, world: World, team: Team, kafka: KafkaSettings
) -> None:
    # No executor has a handler for it, so each run ends as soon as it has been claimed.
    [automation_id] = await world.automations(team, None, kind="nobody_can_do_this")
    before, between, after, later = [await world.run(team, automation_id) for _ in range(4)]
    bad = poison()
    mixed: list[tuple[bytes | None, Headers]] = [(value, headers) for value, headers, _ in bad.values()]
    half = len(mixed) // 2
    value, headers = event(between)
    odd = (value, [*headers, ("traceparent", b"00-\x00\xff-nonsense"), ("baggage", b"\xff")])
    batch = [event(before), *mixed[:half], odd, *mixed[half:], event(new_id()), event(after)]

    # Disable the sweep, because it would find the runs without their events.
    executor, *_ = await stack.start("executor", SWEEP_AFTER="3600")
    await send(kafka, batch)

    for run_id in (before, between, after):

        async def has_ended(run_id: UUID = run_id) -> bool:
            return await status(world, run_id) == "failed"

        await eventually(has_ended, within=20)

    async def all_acknowledged() -> bool:
        return await acknowledged(kafka) == len(batch)

    await eventually(all_acknowledged, within=20, every=0.2)
    letters = await dead_letters(kafka)
    assert {(letter.value, dict(letter.headers)["error_reason"].decode()) for letter in letters} == {
        (value, reason) for value, _, reason in bad.values()
    }
    for letter in letters:
        marked = dict(letter.headers)
        assert marked["error_message"]
        assert marked["original_topic"].decode() == kafka.kafka_topic_prefix + TOPIC
        original = batch[int(marked["original_offset"])]
        assert letter.value == original[0]
        assert list(letter.headers)[: len(original[1])] == list(original[1]), "the record is kept as it was"
    assert "Traceback" not in executor.log

    # Nothing comes again after a restart: the next event is the next thing that happens.
    assert await executor.stop()
    await executor.start()
    await send(kafka, [event(later)])

    async def later_has_ended() -> bool:
        return await status(world, later) == "failed"

    await eventually(later_has_ended, within=20)
    assert len(await dead_letters(kafka)) == len(bad)
    attempts = await world.sql.fetch("SELECT run_id, count(*) AS n FROM run_attempt GROUP BY run_id")
    assert {row["run_id"]: row["n"] for row in attempts} == dict.fromkeys((before, between, after, later), 1)


async def test_an_executor_with_an_unusable_key_ring_ends_with_one_line(stack: Stack) -> None:
    executor = stack.add("executor", ENCRYPTION_KEYS="hunter2")
    with pytest.raises(NotReady, match="ended with status 78"):
        await executor.start()
    [line] = executor.log.splitlines()
    assert line.startswith("ENCRYPTION_KEYS: want id:base64-of-32-bytes")
    assert "hunter2" not in line
