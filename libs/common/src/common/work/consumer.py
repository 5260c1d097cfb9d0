"""Consumers of ids to claim.

An acknowledged offset means that what the batch asks for is claimed in PostgreSQL, or waits there for a place
that this process will give it; never that it is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Generic

import structlog
from aiokafka import AIOKafkaConsumer
from faststream import AckPolicy, NoCast
from faststream.kafka import KafkaBroker
from faststream.kafka import KafkaMessage as InjectedMessage
from faststream.kafka.message import KafkaMessage

from common.broker import consumer_options
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.events import Event
from common.process.checks import DEGRADED, Check
from common.process.loops import until_done
from common.settings import KafkaSettings
from common.work.broker_watch import BrokerWatch
from common.work.dead_letters import DeadLetters
from common.work.places import Stopping
from common.work.records import E, raw_values, sort_batch, without_headers
from common.work.waiting import Waiting

log = structlog.get_logger()

ACK_TIMEOUT = 10.0
"""Seconds. aiokafka retries a commit for ever on a partition it no longer knows."""

RETRY_PAUSE = 0.5
STUCK_AFTER = 30.0
"""Seconds without a poll, while no batch waits for PostgreSQL, after which a consumer counts as stuck."""


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
    """Feeds the items a topic's events name to `take`, before the batch is acknowledged.

    Args:
        topic: without the prefix.
        group: consumer group, without the prefix.
        event: the type this consumer takes from the topic.
        passed_over: other types the topic carries, which are for others.
        item: what `event` asks to be claimed.
        take: claims; may wait, and raises Stopping when the process takes no more work.
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
        item: Callable[[E], Waiting],
        take: Callable[[Sequence[Waiting]], Awaitable[None]],
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
                [
                    replace(self._item(received.event), traceparent=received.traceparent)
                    for received in events
                    if isinstance(received.event, self._event)
                ]
            )
            await self._dead_letters.send(rejected)
            await acknowledge(message)
        except Stopping:
            # Not acknowledged, so what was not claimed comes again: to another process, or to our successor.
            self._stopping = True
            log.info("batch left to others", consumer=self.name)
        finally:
            self._busy = False

    async def _claim(self, items: Sequence[Waiting]) -> None:
        # What was claimed before a fault no longer waits when the batch is tried again.
        await until_done(
            lambda: self._take(items),
            faults=TRANSIENT_DATABASE_ERRORS,
            on_fault=lambda fault: log.warning(
                "claims delayed", consumer=self.name, error=type(fault).__name__
            ),
            pause=RETRY_PAUSE,
        )

    @property
    def connected(self) -> AIOKafkaConsumer | None:
        """The consumer itself, once it has started."""
        return self._subscriber.consumer

    def check(self, watch: BrokerWatch) -> Check:
        """Well while records are polled for, or while a batch is being claimed.

        Without the broker work is taken from PostgreSQL, later than it would be: no reason to take none.
        """

        async def check() -> str | None:
            if self._busy:
                return None
            if not self._subscriber.running:
                return f"{DEGRADED if watch.is_silent else ''}not consuming yet"
            age = oldest_poll_age(self._subscriber.consumer, time.time() * 1000)
            return f"{DEGRADED}no poll for {age:.0f} s" if age is not None and age > STUCK_AFTER else None

        return check
