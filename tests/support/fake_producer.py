"""A fake Kafka producer whose acknowledgements fail or are late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from common.events import EVENT_TYPES, Event, parse


@dataclass(frozen=True)
class Sent:
    """One record as the producer got it."""

    topic: str
    key: str
    value: bytes
    headers: dict[str, str]

    def event(self) -> Event:
        """What a consumer makes of it."""
        return parse(self.headers, self.value, *EVENT_TYPES.values())


@dataclass
class FakeProducer:
    """Takes every record; `acknowledge` is told its number and may fail or be late."""

    sent: list[Sent] = field(default_factory=list)
    acknowledge: Callable[[int], Awaitable[None]] | None = None

    async def send(
        self, topic: str, value: bytes, *, key: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> asyncio.Future[None]:
        """Like AIOKafkaProducer's: returns the acknowledgement to come."""
        text = {name: content.decode() for name, content in headers}
        self.sent.append(Sent(topic, key.decode(), value, text))
        return asyncio.ensure_future(self._acknowledged(len(self.sent)))

    async def _acknowledged(self, number: int) -> None:
        if self.acknowledge is not None:
            await self.acknowledge(number)
