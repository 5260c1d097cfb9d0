"""Records that cannot be processed: kept in `<topic>.dlq` with the reason, so that the rest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from common import telemetry
from common.broker import DEAD_LETTER_SUFFIX
from common.events import MAX_EVENT_BYTES
from common.process.loops import end_if_cancelled
from common.work.records import Rejected

log = structlog.get_logger()

RETRY_PAUSE = 0.5

_REFUSALS = (InvalidMessageError, MessageSizeTooLargeError, RecordListTooLargeError)
"""What a broker says about a record that it will never take."""


class DeadLetters:
    """Sends records that cannot be processed to `<topic>.dlq`, with the reason in their headers."""

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
                end_if_cancelled()
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
