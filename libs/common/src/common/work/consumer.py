"""Reading batches of records: every consumer validates record by record and sets the bad ones aside.

FastStream would discard a whole batch for one malformed record; `raw_values` as its decoder passes the
bytes through untouched instead. An acknowledged offset means that what the batch asks for is claimed in
PostgreSQL, never that it is done.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import (
    InvalidMessageError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from faststream import AckPolicy, NoCast
from faststream.kafka import KafkaBroker
from faststream.kafka import KafkaMessage as InjectedMessage
from faststream.kafka.message import KafkaMessage

from common import telemetry
from common.broker import DEAD_LETTER_SUFFIX, consumer_options
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import MalformedEvent
from common.events import MAX_EVENT_BYTES, Event, parse
from common.service import Check
from common.settings import KafkaSettings
from common.work.places import Stopping

log = structlog.get_logger()

ACK_TIMEOUT = 10.0
"""Seconds. aiokafka retries a commit for ever on a partition it no longer knows."""

RETRY_PAUSE = 0.5
STUCK_AFTER = 30.0
"""Seconds without a poll, while not waiting for a free place, after which a consumer counts as stuck."""

_REFUSALS = (InvalidMessageError, MessageSizeTooLargeError, RecordListTooLargeError)
"""What a broker says about a record that it will never take."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

E = TypeVar("E", bound=Event)
Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


async def without_headers(
    records: Any, parse_batch: Callable[[Any], Awaitable[KafkaMessage]]
) -> KafkaMessage:
    """A FastStream parser that leaves the headers to `sort_batch`: FastStream's own drops a whole batch for
    one header that is not UTF-8.
    """
    message = await parse_batch(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def raw_values(message: KafkaMessage) -> list[bytes | None]:
    """A FastStream decoder that leaves the values as they came."""
    records = message.raw_message
    return [record.value for record in (records if isinstance(records, tuple) else (records,))]


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event with the trace context of its record."""

    event: E
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record nobody can process, and why."""

    record: Record
    error: MalformedEvent


def headers_of(record: Record) -> dict[str, str]:
    """A record's headers as text; bytes that are not UTF-8 are replaced, never fatal."""
    return {name: value.decode(errors="replace") for name, value in record.headers if value is not None}


def sort_batch(records: Sequence[Record], *expected: type[E]) -> tuple[list[Received[E]], list[Rejected]]:
    """Split a batch into events and records to set aside, keeping the order."""
    events: list[Received[E]] = []
    rejected: list[Rejected] = []
    for record in records:
        headers = headers_of(record)
        try:
            event = parse(headers, record.value, *expected)
        except MalformedEvent as error:
            rejected.append(Rejected(record, error))
        else:
            events.append(Received(event, _trace_context(headers)))
    return events, rejected


def _trace_context(headers: Mapping[str, str]) -> str | None:
    """The record's `traceparent`. What is none is left out: it would be stored, and may not be storable."""
    traceparent = headers.get("traceparent", "")
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else None


class DeadLetters:
    """Sends records nobody can process to `<topic>.dlq`, with the reason in their headers."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, rejected: Sequence[Rejected]) -> None:
        """Publish and wait for the acknowledgements; only then may the caller acknowledge the batch.

        Waits for a broker that is away. A record that no broker takes is logged and left in its topic.
        """
        await asyncio.gather(*(self._send(one) for one in rejected))

    async def _send(self, rejected: Rejected) -> None:
        record, error = rejected.record, rejected.error
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        try:
            await self._insist(rejected)
        except _REFUSALS as refusal:
            # Left where it is: waiting for a broker that will not have it would hold up everything behind.
            log.error("record cannot be set aside", **place, error=type(refusal).__name__)
            return
        telemetry.DEAD_LETTERS.labels(record.topic, error.reason).inc()
        log.warning("record set aside", **place, reason=error.reason, error=error.detail)

    async def _insist(self, rejected: Rejected) -> None:
        while True:
            try:
                return await self._publish(rejected)
            except _REFUSALS:
                raise
            except KafkaError as error:
                log.warning("dead letter delayed", topic=rejected.record.topic, error=type(error).__name__)
                await asyncio.sleep(RETRY_PAUSE)

    async def _publish(self, rejected: Rejected) -> None:
        record, error = rejected.record, rejected.error
        headers = [
            *record.headers,
            ("error_reason", error.reason.encode()),
            ("error_message", error.detail.encode(errors="replace")),
            ("original_topic", record.topic.encode()),
            ("original_partition", str(record.partition).encode()),
            ("original_offset", str(record.offset).encode()),
        ]
        topic = record.topic + DEAD_LETTER_SUFFIX
        # aiokafka sends no record that has neither.
        key = b"" if record.key is None and record.value is None else record.key
        try:
            await self._producer.send_and_wait(topic, record.value, key=key, headers=headers)
        except MessageSizeTooLargeError:
            # The broker took the original and will not take it with our headers: keep its beginning.
            value = (record.value or b"")[:MAX_EVENT_BYTES]
            headers.append(("truncated_to", str(len(value)).encode()))
            await self._producer.send_and_wait(topic, value, key=record.key, headers=headers)


async def acknowledge(message: KafkaMessage) -> None:
    """Commit a batch's offsets, within a deadline.

    Losing the commit is harmless: the records come again and their claims find nothing to do.
    """
    try:
        async with asyncio.timeout(ACK_TIMEOUT):
            await message.ack()
    except Exception as error:  # rebalance, broker restart, timeout: all mean "will be redelivered"
        log.info("offsets not committed, the batch will come again", error=type(error).__name__)


def oldest_poll_age(consumer: AIOKafkaConsumer | None, now_ms: float) -> float | None:
    """Seconds since the consumer last asked any of its partitions for records; None: nothing assigned."""
    if consumer is None:
        return None
    polls: list[Any] = [consumer.last_poll_timestamp(partition) for partition in consumer.assignment()]
    ages = [(now_ms - poll) / 1000 for poll in polls if poll and poll > 0]
    return max(ages) if ages else None


class ClaimConsumer(Generic[E]):
    """Feeds the ids a topic's events name to `take`, which claims them before the batch is acknowledged.

    Args:
        topic: without the prefix.
        group: consumer group, without the prefix.
        event: the type this consumer takes from the topic.
        passed_over: other types the topic carries, which are for others.
        item: what `event` asks to be claimed.
        take: claims; may wait for free places, and raises Stopping when the process takes no more work.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        settings: KafkaSettings,
        dead_letters: DeadLetters,
        *,
        topic: str,
        group: str,
        batch_size: int,
        event: type[E],
        item: Callable[[E], UUID],
        take: Callable[[Mapping[UUID, str | None]], Awaitable[None]],
        passed_over: Sequence[type[Event]] = (),
    ) -> None:
        self.name = group
        self._dead_letters = dead_letters
        self._event = event
        self._passed_over = tuple(passed_over)
        self._item = item
        self._take = take
        self._busy = False
        self._stopping = False
        self._subscriber = broker.subscriber(
            settings.kafka_topic_prefix + topic,
            group_id=settings.kafka_topic_prefix + group,
            batch=True,
            batch_timeout_ms=20,
            max_records=batch_size,
            ack_policy=AckPolicy.MANUAL,
            parser=without_headers,
            decoder=raw_values,
            no_reply=True,
            **consumer_options(settings),
        )
        self._subscriber(self._on_batch)

    async def _on_batch(self, _values: NoCast[list[Any]], message: InjectedMessage) -> None:
        if self._stopping:
            # Acknowledging this batch would acknowledge the one left to others as well.
            return
        self._busy = True
        try:
            records = message.raw_message
            known: tuple[type[Event], ...] = (self._event, *self._passed_over)
            events, rejected = sort_batch(records if isinstance(records, tuple) else (records,), *known)
            # The good ones first: they need not wait for what becomes of the bad ones.
            await self._claim(
                {
                    self._item(received.event): received.traceparent
                    for received in events
                    if isinstance(received.event, self._event)
                }
            )
            await self._dead_letters.send(rejected)
            await acknowledge(message)
        except Stopping:
            # Not acknowledged, so what was not claimed comes again: to another process, or to our successor.
            self._stopping = True
            log.info("batch left to others", consumer=self.name)
        finally:
            self._busy = False

    async def _claim(self, traceparents: Mapping[UUID, str | None]) -> None:
        while True:
            try:
                return await self._take(traceparents)
            except TRANSIENT_DATABASE_ERRORS as error:
                # What was claimed before the fault no longer waits when the batch is tried again.
                log.warning("claims delayed", consumer=self.name, error=type(error).__name__)
                await asyncio.sleep(RETRY_PAUSE)

    def check(self) -> Check:
        """Well while records are polled for, or while a batch waits for free places."""

        async def check() -> str | None:
            if self._busy:
                return None
            if self._subscriber.consumer is None:
                return "not consuming"
            age = oldest_poll_age(self._subscriber.consumer, time.time() * 1000)
            return f"no poll for {age:.0f} s" if age is not None and age > STUCK_AFTER else None

        return check


async def start_consumers(broker: KafkaBroker) -> None:
    """Start all subscriptions of a broker at once: each waits for its group to let it in.

    `KafkaBroker.start` would wait for one group after the other.
    """
    await broker.connect()
    await asyncio.gather(*(subscriber.start() for subscriber in broker.subscribers))
