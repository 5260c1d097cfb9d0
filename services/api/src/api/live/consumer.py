"""Reading the run and delivery topics for the live feed.

Every instance of the API reads everything, in a consumer group of its own, from the end, and commits
nothing: unwatched events are in the database. Kafka may be absent at any time; the feed then pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from faststream import AckPolicy, NoCast
from faststream.kafka import KafkaBroker
from faststream.kafka import KafkaMessage as InjectedMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.live.feed import LiveFeed
from api.live.naming import NAMES, Names, ShownEvent, live_event, look_up
from common.broker import BROKER_ERRORS, RETRY_BACKOFF_MS, consumer_options
from common.process.loops import end_if_cancelled
from common.process.stopping import stop
from common.settings import KafkaSettings
from common.work.records import raw_values, sort_batch

log = structlog.get_logger()

TOPICS = ("automation.run", "notification.outcome")
BATCH_SIZE = 500
PROBE_SECONDS = 5.0
PROBE_TIMEOUT = 3.0
START_TIMEOUT = 15.0
RETRY_SECONDS = 3.0
STOP_TIMEOUT = 2.0
OK = "ok"


class LiveConsumer:
    """Feeds a LiveFeed from Kafka for as long as `run` runs."""

    def __init__(
        self,
        settings: KafkaSettings,
        feed: LiveFeed,
        sessions: async_sessionmaker[AsyncSession],
        *,
        instance: str,
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._sessions = sessions
        self._instance = instance
        self._condition = "degraded: not connected yet; the live feed pauses"

    def condition(self) -> str:
        """`ok`, or what is wrong."""
        return self._condition

    async def run(self) -> None:
        """Consume until cancelled; connect again whenever the broker cannot be reached."""
        while True:
            broker, subscriber = self._subscribe()
            try:
                async with asyncio.timeout(START_TIMEOUT):
                    await broker.start()
                self._note(OK)
                await self._watch(subscriber)
            except (*BROKER_ERRORS, OSError, TimeoutError) as error:
                self._note(f"degraded: {type(error).__name__}; the live feed pauses")
            finally:
                # A broker that is silent is left behind: the process may have been told to end.
                await stop("live feed", broker.stop(), within=STOP_TIMEOUT)
            end_if_cancelled()
            await asyncio.sleep(RETRY_SECONDS)

    def _subscribe(self) -> tuple[KafkaBroker, BatchSubscriber]:
        prefix = self._settings.kafka_topic_prefix
        broker = KafkaBroker(
            self._settings.kafka_bootstrap_servers,
            client_id=self._instance,
            consumer_only=True,
            logger=None,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )
        subscriber = broker.subscriber(
            *(prefix + topic for topic in TOPICS),
            group_id=f"{prefix}{self._instance}",
            batch=True,
            batch_timeout_ms=20,
            max_records=BATCH_SIZE,
            ack_policy=AckPolicy.MANUAL,
            decoder=raw_values,
            no_reply=True,
            **consumer_options(self._settings) | {"auto_offset_reset": "latest"},
        )
        subscriber(self._on_batch)
        return broker, subscriber

    async def _watch(self, subscriber: BatchSubscriber) -> None:
        """Ask the broker for its topics now and then, and note whether it answers."""
        while subscriber.consumer is not None:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await subscriber.consumer.topics()
            except (*BROKER_ERRORS, OSError, TimeoutError) as error:
                end_if_cancelled()
                self._note(f"degraded: {type(error).__name__}; the live feed pauses")
            else:
                self._note(OK)

    def _note(self, condition: str) -> None:
        if condition != self._condition:
            self._condition = condition
            log.info("live feed", kafka=condition)

    async def _on_batch(self, _values: NoCast[list[Any]], message: InjectedMessage) -> None:
        records = message.raw_message
        received, rejected = sort_batch(records if isinstance(records, tuple) else (records,), *NAMES)
        if rejected:
            # The consumers that act on these topics send them to the dead letters; a view passes over them.
            log.debug("records passed over", count=len(rejected))
        watched = self._feed.watched()
        await self.show([item.event for item in received if item.event.tenant_id in watched])

    async def show(self, events: Sequence[ShownEvent]) -> None:
        """Hand events to the feed, with names when the database answers and without when it does not."""
        if not events:
            return
        try:
            names = await look_up(self._sessions, events)
        except (SQLAlchemyError, OSError) as error:
            log.info("events shown without names", error=type(error).__name__)
            names = Names()
        self._feed.publish([live_event(event, names) for event in events])
