"""Whether the broker answers, asked every two seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiokafka import AIOKafkaConsumer

from common.broker import BROKER_ERRORS
from common.process.checks import DEGRADED
from common.process.loops import repeat

INTERVAL = 2.0
LIMIT = 2.0
"""Seconds an answer may take."""
SILENT_AFTER = 10.0
"""Seconds without an answer before readiness tells of it: a restart of the broker takes about as long."""


class BrokerWatch:
    """Asks through the connection of a consumer, which is None until it has started."""

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._consumer = consumer
        self._heard_at = time.monotonic()

    def silence(self) -> float:
        """Seconds since the broker answered last."""
        return time.monotonic() - self._heard_at

    @property
    def is_silent(self) -> bool:
        """Whether the broker has not answered for so long that readiness tells of it."""
        return self.silence() > SILENT_AFTER

    async def check(self) -> str | None:
        """Well while the broker answers. Without it work comes from PostgreSQL, so the service is ready."""
        if not self.is_silent:
            return None
        return f"{DEGRADED}no answer of the broker for {self.silence():.0f} s; work is taken from PostgreSQL"

    async def run(self, joining: Awaitable[None]) -> NoReturn:
        """Ask until cancelled, from when the broker has been joined."""
        await joining
        await repeat(
            self._ask, faults=(*BROKER_ERRORS, OSError, TimeoutError), on_fault=lambda _fault: None, pause=0
        )

    async def _ask(self) -> None:
        await asyncio.sleep(INTERVAL)
        consumer = self._consumer()
        if consumer is not None:
            async with asyncio.timeout(LIMIT):
                await consumer.topics()
            self._heard_at = time.monotonic()
