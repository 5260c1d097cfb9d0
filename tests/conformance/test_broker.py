"""What Carillon relies on in a broker, held against whichever one `--backend` chose."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from common.broker import (
    DEAD_LETTER_SUFFIX,
    MAX_RECORD_BYTES,
    PARTITIONS,
    TOPICS,
    consumer_options,
    create_producer,
    ensure_topics,
)
from common.settings import KafkaProfile, KafkaSettings
from tests.support.polling import eventually

Record: TypeAlias = "ConsumerRecord[bytes, bytes]"
Name: TypeAlias = Callable[[str], str]

NORMAL = "automation.due.normal"
OVERHEAD = 512
"""More than a record adds to its value on the wire."""
# Where a consumer is killed in a test, nobody waits 45 seconds for the broker to notice.
SHORT_SESSION = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_000}


@pytest.fixture
def name(kafka: KafkaSettings) -> Name:
    """Topics and groups under this test's own prefix."""
    return lambda plain: kafka.kafka_topic_prefix + plain


@pytest.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """As the relay has one."""
    made = create_producer(kafka, client_id="conformance")
    await made.start()
    yield made
    await made.stop()


@asynccontextmanager
async def consuming(
    kafka: KafkaSettings, *topics: str, group: str | None = "conformance", **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """As the services consume; without a group, everything from the beginning."""
    consumer = AIOKafkaConsumer(
        *(kafka.kafka_topic_prefix + topic for topic in topics),
        bootstrap_servers=kafka.kafka_bootstrap_servers,
        group_id=group and kafka.kafka_topic_prefix + group,
        enable_auto_commit=False,
        **{**consumer_options(kafka), **options},
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def received(consumer: AIOKafkaConsumer, count: int, *, within: float = 30.0) -> list[Record]:
    """The next `count` records."""
    found: list[Record] = []
    async with asyncio.timeout(within):
        while len(found) < count:
            batches = await consumer.getmany(timeout_ms=100, max_records=count - len(found))
            found += itertools.chain(*batches.values())
    return found


async def numbered(producer: AIOKafkaProducer, topic: str, numbers: range) -> None:
    """One record a number, spread over the partitions by its key."""
    acknowledgements = [
        await producer.send(topic, str(number).encode(), key=f"key-{number % 40}".encode())
        for number in numbers
    ]
    await asyncio.gather(*acknowledgements)


async def test_topics_are_made_once_by_whoever_comes_first(kafka: KafkaSettings) -> None:
    assert await ensure_topics(kafka) == 0, "the fixture has made them"
    elsewhere = kafka.model_copy(update={"kafka_topic_prefix": kafka.kafka_topic_prefix + "again."})
    made = await asyncio.gather(*(ensure_topics(elsewhere) for _ in range(3)))
    assert sum(made) == len(TOPICS)
    assert await ensure_topics(elsewhere) == 0


async def test_topics_have_the_partitions_they_were_made_with(kafka: KafkaSettings, name: Name) -> None:
    wanted = {name(topic.name): topic.partitions for topic in TOPICS}
    assert wanted[name(NORMAL)] == PARTITIONS
    assert wanted[name(NORMAL + DEAD_LETTER_SUFFIX)] == 1
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.kafka_bootstrap_servers)
    await admin.start()
    try:

        async def are_known() -> bool:
            described = await admin.describe_topics(list(wanted))
            return {topic["topic"]: len(topic["partitions"]) for topic in described} == wanted

        await eventually(are_known)
    finally:
        await admin.close()


async def test_each_partition_keeps_the_order_it_was_given(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    await numbered(producer, name(NORMAL), range(400))
    async with consuming(kafka, NORMAL) as consumer:
        records = await received(consumer, 400)
    by_partition: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    assert len(by_partition) > 1
    for partition in by_partition.values():
        offsets = [record.offset for record in partition]
        assert offsets == list(range(len(offsets)))
        of_key: dict[bytes | None, list[int]] = defaultdict(list)
        for record in partition:
            of_key[record.key].append(int(record.value or b""))
        assert all(numbers == sorted(numbers) for numbers in of_key.values())
    assert sorted(int(record.value or b"") for record in records) == list(range(400))


async def test_a_key_always_names_the_same_partition(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    first = await producer.send_and_wait(name(NORMAL), b"1", key=b"one automation")
    other = create_producer(kafka, client_id="another process")
    await other.start()
    try:
        second = await other.send_and_wait(name(NORMAL), b"2", key=b"one automation")
    finally:
        await other.stop()
    assert first.partition == second.partition
    assert first.offset < second.offset


async def test_headers_keys_and_tombstones_arrive_as_they_were_sent(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    headers = [("ce_type", b"first"), ("binary", b"\xff\x00\xfe"), ("empty", b""), ("ce_type", b"second")]
    await producer.send_and_wait(name(NORMAL), None, key=b"key", headers=headers, partition=0)
    await producer.send_and_wait(name(NORMAL), b"", key=None, partition=0)
    async with consuming(kafka, NORMAL, group=None) as consumer:
        tombstone, empty = await received(consumer, 2)
    assert (tombstone.key, tombstone.value) == (b"key", None)
    assert list(tombstone.headers) == headers
    assert (empty.key, empty.value) == (None, b"")


async def test_a_group_goes_on_where_it_committed(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    await numbered(producer, name(NORMAL), range(60))
    async with consuming(kafka, NORMAL) as consumer:
        first = await received(consumer, 40)
        await consumer.commit()
        # Fetched, and never acknowledged.
        await received(consumer, 10)
    async with consuming(kafka, NORMAL) as consumer:
        second = await received(consumer, 20)
        rest = await consumer.getmany(timeout_ms=300)
    assert not rest
    numbers = [int(record.value or b"") for record in [*first, *second]]
    assert sorted(numbers) == list(range(60))


_VICTIM = """
import asyncio, json, sys
from aiokafka import AIOKafkaConsumer

async def consume(topic, group, options):
    consumer = AIOKafkaConsumer(topic, group_id=group, enable_auto_commit=False, **options)
    await consumer.start()
    taken = 0
    while taken < 10:
        for records in (await consumer.getmany(timeout_ms=100, max_records=10 - taken)).values():
            taken += len(records)
    await consumer.commit()
    await consumer.getmany(timeout_ms=1000, max_records=5)
    print("committed", flush=True)
    await asyncio.Event().wait()

asyncio.run(consume(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
"""


async def test_after_a_kill_the_group_goes_on_where_it_committed(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    await numbered(producer, name(NORMAL), range(30))
    embedded = kafka.kafka_profile is KafkaProfile.EMBEDDED
    session = {} if embedded else SHORT_SESSION
    options = {
        **consumer_options(kafka),
        **session,
        "bootstrap_servers": kafka.kafka_bootstrap_servers,
    }
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _VICTIM,
        name(NORMAL),
        name("killed"),
        json.dumps(options),
        stdout=asyncio.subprocess.PIPE,
    )
    assert victim.stdout is not None
    async with asyncio.timeout(30):
        assert await victim.stdout.readline() == b"committed\n"
    victim.kill()
    await victim.wait()
    async with consuming(kafka, NORMAL, group="killed", **session) as consumer:
        rest = await received(consumer, 20, within=40)
        assert not await consumer.getmany(timeout_ms=300)
    assert len({record.value for record in rest}) == 20


async def test_two_consumers_of_a_group_share_the_partitions(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    async with consuming(kafka, NORMAL) as first, consuming(kafka, NORMAL) as second:
        taken: dict[AIOKafkaConsumer, list[Record]] = {first: [], second: []}

        async def poll(consumer: AIOKafkaConsumer) -> None:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                taken[consumer] += records

        async def shared() -> bool:
            await asyncio.gather(poll(first), poll(second))
            owned = [len(consumer.assignment()) for consumer in taken]
            return owned == [PARTITIONS // 2, PARTITIONS // 2]

        await eventually(shared, within=30)
        await numbered(producer, name(NORMAL), range(200))

        async def all_taken() -> bool:
            await asyncio.gather(poll(first), poll(second))
            return sum(map(len, taken.values())) >= 200

        await eventually(all_taken, within=30)
    numbers = [int(record.value or b"") for records in taken.values() for record in records]
    assert sorted(numbers) == list(range(200)), "each record came to one of them, once"
    assert all(taken.values())


async def test_groups_do_not_take_from_each_other(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    await numbered(producer, name(NORMAL), range(20))
    for group in ("executor", "integration"):
        async with consuming(kafka, NORMAL, group=group) as consumer:
            assert len(await received(consumer, 20)) == 20
            await consumer.commit()


async def test_a_record_of_the_largest_size_passes_and_so_does_its_dead_letter(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    largest = b"x" * (MAX_RECORD_BYTES - OVERHEAD)
    await producer.send_and_wait(name(NORMAL), largest, partition=0)
    letter = name(NORMAL + DEAD_LETTER_SUFFIX)
    await producer.send_and_wait(letter, largest, headers=[("error_message", b"e" * 4_000)])
    for topic in (NORMAL, NORMAL + DEAD_LETTER_SUFFIX):
        async with consuming(kafka, topic, group=None) as consumer:
            [record] = await received(consumer, 1)
        assert record.value == largest


async def test_a_larger_record_is_refused_and_harms_nobody(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    """By the producer from 2 MiB on; by Apache Kafka from 1 MiB on, the embedded broker is laxer."""
    sizes = [2 * MAX_RECORD_BYTES]
    if kafka.kafka_profile is KafkaProfile.APACHE:
        sizes.append(MAX_RECORD_BYTES + OVERHEAD)
    for size in sizes:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(name(NORMAL), b"x" * size, partition=0)
    await producer.send_and_wait(name(NORMAL), b"neighbour", partition=0)
    async with consuming(kafka, NORMAL, group=None) as consumer:
        [record] = await received(consumer, 1)
    assert record.value == b"neighbour"


async def test_the_lag_of_a_group_can_be_read(
    kafka: KafkaSettings, producer: AIOKafkaProducer, name: Name
) -> None:
    for number in range(5):
        await producer.send_and_wait(name(NORMAL), str(number).encode(), partition=3)
    partition = TopicPartition(name(NORMAL), 3)
    async with consuming(kafka, NORMAL) as consumer:
        await received(consumer, 2)
        assert consumer.highwater(partition) == 5
        assert await consumer.position(partition) == 2


@pytest.mark.kafka
async def test_a_topic_nobody_made_is_not_made_by_writing_to_it(kafka: KafkaSettings, name: Name) -> None:
    impatient = create_producer(kafka, client_id="conformance")
    await impatient.start()
    try:
        with pytest.raises((KafkaError, TimeoutError)):
            async with asyncio.timeout(3):
                await impatient.send_and_wait(name("nobody.made.this"), b"x")
    finally:
        await impatient.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.kafka_bootstrap_servers)
    await admin.start()
    try:
        assert name("nobody.made.this") not in await admin.list_topics()
    finally:
        await admin.close()
