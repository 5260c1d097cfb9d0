"""Sending a batch chunk by chunk, from where an earlier attempt came to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from common.clock import utc_now
from common.errors import ChannelError
from executor.sync.batches import Batch, Batches
from executor.sync.chunks import Chunk, encoded
from executor.sync.endpoints import WebhookEndpoint
from executor.sync.posting import post

TYPE = "data_sync.rows"
VERSION = 1
_PATIENCE = 20.0
"""Seconds a receiver may ask for without the attempt being given up."""
_TRIES = 3

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around every chunk of a batch. `sync_id` is the run's."""

    sync_id: UUID
    automation_id: UUID
    fingerprint: str
    level: str
    metrics: tuple[str, ...]

    def identifier(self, sequence: int) -> str:
        """`webhook-id`, the receiver's idempotency key: the same at every attempt of the run."""
        return f"sync_{self.sync_id.hex}_{self.fingerprint}_{sequence}"

    def body(self, chunk: Chunk, sequence: int, batch: Batch) -> bytes:
        """The request's body; the same bytes for the same chunk, whenever they are made."""
        prepared = batch.prepared_at.astimezone(UTC).isoformat(timespec="milliseconds")
        document: dict[str, Any] = {
            "type": TYPE,
            "timestamp": prepared.replace("+00:00", "Z"),
            "data": {
                "version": VERSION,
                "sync_id": str(self.sync_id),
                "automation_id": str(self.automation_id),
                "sequence": sequence,
                "of": batch.chunks,
                "level": self.level,
                "metrics": list(self.metrics),
                **chunk.read(),
            },
        }
        return encoded(document).encode(errors="replace")


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to one endpoint."""

    http: httpx.AsyncClient
    endpoint: WebhookEndpoint
    sleep: Sleep = asyncio.sleep
    clock: Clock = utc_now

    async def send(self, batches: Batches, batch: Batch, envelope: Envelope) -> int:
        """Every chunk that is left, one after another, each marked once it is accepted; how many there were.

        Raises:
            ChannelError: the receiver did not take one. Those before it are not sent again.
            Superseded: another attempt has the run.
        """
        for sequence in batch.left:
            chunk = await batches.chunk(sequence)
            await self._send(envelope.identifier(sequence), envelope.body(chunk, sequence, batch))
            await batches.accepted(sequence)
        return len(batch.left)

    async def _send(self, identifier: str, body: bytes) -> None:
        for left in reversed(range(_TRIES)):
            try:
                return await post(self.http, self.endpoint, identifier, body, now=self.clock())
            except ChannelError as error:
                # A receiver that paces us is kept to: an attempt is for what goes wrong.
                if not left or error.retry_after is None or error.retry_after > _PATIENCE:
                    raise
                await self.sleep(error.retry_after)
        return None
