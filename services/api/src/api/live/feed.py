"""Fan-out of a tenant's events to those who watch, in this process.

A reader that falls too far behind is dropped instead of slowing the others down or filling the memory; it
reconnects, and reads the present state again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from fastapi.sse import format_sse_event
from prometheus_client import Counter, Gauge

from api.problems import TooManyRequests
from common.ids import new_id

MAX_OF_KEY = 20
"""Live feeds of a key, or of the sessions it began, in this process: each holds a connection and a queue."""
MAX_OF_TEAM = 100
RETRY_SECONDS = 30
SUBSCRIBERS = Gauge("carillon_live_subscribers", "Readers of the live feed")
DROPPED = Counter("carillon_live_dropped_total", "Readers of the live feed that fell too far behind")


@dataclass(frozen=True)
class LiveEvent:
    """Something that just happened to a tenant's run or delivery."""

    tenant_id: UUID
    name: str
    data: dict[str, Any]
    id: str = field(default_factory=lambda: str(new_id()))

    @cached_property
    def encoded(self) -> bytes:
        """As a server-sent event: made once for all who watch."""
        return format_sse_event(event=self.name, data_str=json.dumps(self.data), id=self.id)


class Ended(Exception):
    """The feed takes no more events for this reader: it fell behind, or the service stops."""


class Subscription:
    """One reader's place in the feed."""

    def __init__(self, size: int, key_id: UUID | None) -> None:
        self.key_id = key_id
        self._waiting: asyncio.Queue[LiveEvent | None] = asyncio.Queue(size + 1)
        self._size = size
        self._ended = False

    def offer(self, event: LiveEvent) -> bool:
        """Queue an event; False when the reader is too far behind."""
        if self._waiting.qsize() >= self._size:
            return False
        self._waiting.put_nowait(event)
        return True

    def end(self) -> None:
        """Let the reader know that nothing more comes."""
        if not self._ended:
            self._ended = True
            self._waiting.put_nowait(None)

    async def next(self) -> LiveEvent:
        """Wait for the next event; raises Ended."""
        event = await self._waiting.get()
        if event is None:
            raise Ended
        return event

    async def next_events(self) -> list[LiveEvent]:
        """Wait for the next event; all that have come by then. Raises Ended."""
        events = [await self.next()]
        while not self._waiting.empty():
            event = self._waiting.get_nowait()
            if event is None:
                # For the next call to find.
                self._waiting.put_nowait(None)
                break
            events.append(event)
        return events


class LiveFeed:
    """Who watches which tenant."""

    def __init__(self, queue_size: int) -> None:
        self._queue_size = queue_size
        self._readers: dict[UUID, set[Subscription]] = defaultdict(set)
        self._of_credential: Counts[str] = Counts()
        self._closed = False

    @contextmanager
    def subscribe(
        self, tenant_id: UUID, key_id: UUID | None = None, credential: str = ""
    ) -> Iterator[Subscription]:
        """Watch a tenant for the length of the block, for a client's key or for this process itself.

        `credential` is what the client has shown: the key, or a session it began. Raises TooManyRequests.
        """
        if key_id is not None:
            self._require_room(tenant_id, key_id)
        subscription = Subscription(self._queue_size, key_id)
        if self._closed:
            subscription.end()
        self._readers[tenant_id].add(subscription)
        self._of_credential[credential] += 1
        SUBSCRIBERS.inc()
        try:
            yield subscription
        finally:
            SUBSCRIBERS.dec()
            self._of_credential[credential] -= 1
            if not self._of_credential[credential]:
                del self._of_credential[credential]
            self._forget(tenant_id, subscription)

    def require_room_for(self, credential: str) -> None:
        """Raise TooManyRequests when this credential alone has all the feeds that its key may have.

        Asked before it is looked up in the database: one that comes back at once is to cost little.
        """
        if self._of_credential[credential] >= MAX_OF_KEY:
            raise _too_many()

    def _require_room(self, tenant_id: UUID, key_id: UUID) -> None:
        keys = [reader.key_id for reader in self._readers.get(tenant_id, ()) if reader.key_id is not None]
        if len(keys) >= MAX_OF_TEAM or keys.count(key_id) >= MAX_OF_KEY:
            raise _too_many()

    def watched(self) -> frozenset[UUID]:
        """The tenants with a connected console."""
        return frozenset(self._readers)

    def publish(self, events: Sequence[LiveEvent]) -> None:
        """Hand events to their tenants' readers. Never waits."""
        for event in events:
            for reader in tuple(self._readers.get(event.tenant_id, ())):
                if not reader.offer(event):
                    DROPPED.inc()
                    self._forget(event.tenant_id, reader)
                    reader.end()

    def close(self) -> None:
        """End every reader, now and from now on: the service stops."""
        self._closed = True
        for readers in self._readers.values():
            for reader in readers:
                reader.end()

    def _forget(self, tenant_id: UUID, subscription: Subscription) -> None:
        readers = self._readers.get(tenant_id)
        if readers is not None:
            readers.discard(subscription)
            if not readers:
                del self._readers[tenant_id]


def _too_many() -> TooManyRequests:
    return TooManyRequests(
        f"A key may watch {MAX_OF_KEY} live feeds at a time, a team {MAX_OF_TEAM}: close one.",
        retry_after=RETRY_SECONDS,
    )
