"""Joining the broker: a service starts and works without it, and joins when it comes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker

from common.broker import BROKER_ERRORS
from common.process.loops import until_done

log = structlog.get_logger()

PAUSE = 2.0
"""Seconds between two tries."""


async def join(broker: KafkaBroker, producer: AIOKafkaProducer) -> None:
    """Start the producer and all subscriptions, however long it takes until the broker answers."""
    for start in (producer.start, partial(start_consumers, broker)):
        await until_done(start, faults=BROKER_ERRORS, on_fault=_not_joined, pause=PAUSE)
    log.info("broker joined")


def _not_joined(fault: BaseException) -> None:
    log.warning("broker not joined yet", error=type(fault).__name__, detail=str(fault)[:200])


async def start_consumers(broker: KafkaBroker) -> None:
    """Start all subscriptions of a broker at once: each waits for its group to let it in.

    `KafkaBroker.start` would wait for one group after the other. Those that have started are left alone.
    """
    await broker.connect()
    await asyncio.gather(*(_start(each) for each in broker.subscribers if not each.running))


async def _start(subscriber: Any) -> None:
    try:
        await subscriber.start()
    except BROKER_ERRORS:
        # What has been opened of it would stay open.
        await subscriber.stop()
        raise
