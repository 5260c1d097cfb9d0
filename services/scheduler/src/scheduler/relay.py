"""The outbox relay: publishes events in the order they were written and deletes what Kafka acknowledged.

Deleting and publishing are one transaction, so a crash between the two publishes again: consumers rely on
`ce_id` and on conditional claims. Rows are taken by SKIP LOCKED and never by `id > last seen`, because ids
are assigned before commits and commit out of order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import AIOKafkaProducer
from opentelemetry.trace import SpanKind

from common import telemetry
from common.database.pool import ConnectionPool
from common.events import RunEvent

log = structlog.get_logger()

# An array, not IN: that would be planned as a join with the whole table, for every batch of a long backlog.
_TAKE = """
DELETE FROM outbox WHERE id = ANY (ARRAY(
    SELECT id FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING id, topic, key, headers, value
"""
# The scheduler's sessions may be idle in a transaction only briefly, so that a stalled leader blocks no
# successor. Waiting for Kafka needs longer, because a batch cut off there would be published repeatedly.
_ALLOW_WAITING = "SET LOCAL idle_in_transaction_session_timeout = '15s'"


class Relay:
    """Moves events from PostgreSQL to Kafka."""

    def __init__(
        self,
        pool: ConnectionPool,
        producer: AIOKafkaProducer,
        *,
        topic_prefix: str,
        batch_size: int,
        start: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`start` connects the producer, before the first batch: without a broker the rest is dispatched."""
        self._pool = pool
        self._producer = producer
        self._start = start
        self._prefix = topic_prefix
        self._batch_size = batch_size
        self.run_ended = asyncio.Event()
        """Set when the end of a run was published, because a waiting run may now start."""

    async def publish_batch(self) -> int:
        """Publish up to one batch; returns how many events. Raises the broker's and the database's errors."""
        if self._start is not None:
            await self._start()
            self._start = None
        async with self._pool.acquire() as db, db.transaction():
            rows = sorted(await db.fetch(_TAKE, self._batch_size), key=lambda row: row["id"])
            if not rows:
                return 0
            await db.execute(_ALLOW_WAITING)
            acknowledgements = []
            for row in rows:
                topic = self._prefix + row["topic"]
                headers: dict[str, str] = row["headers"]
                parent = headers.get("traceparent")
                if parent:
                    span = telemetry.tracer().start_span(
                        f"send {topic}",
                        context=telemetry.context_of(parent),
                        kind=SpanKind.PRODUCER,
                        attributes=telemetry.messaging_attributes(
                            topic, "send", **{"messaging.message.id": headers["ce_id"]}
                        ),
                    )
                    headers = {**headers, "traceparent": telemetry.traceparent_of(span)}
                    span.end()
                acknowledgements.append(
                    await self._producer.send(
                        topic,
                        row["value"],
                        key=row["key"].encode(),
                        headers=[(name, value.encode()) for name, value in headers.items()],
                    )
                )
            await asyncio.gather(*acknowledgements)
        for row in rows:
            telemetry.RELAYED.labels(row["topic"]).inc()
        if any(row["topic"] in RunEvent.topics for row in rows):
            self.run_ended.set()
        return len(rows)
