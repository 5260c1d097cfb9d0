"""Many small writes that arrive together, as one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from common.database import TRANSIENT_DATABASE_ERRORS

log = structlog.get_logger()

MAX_GROUP = 100
RETRY_PAUSE = 0.5

T = TypeVar("T")


class GroupWriter(Generic[T]):
    """Hands groups of entries to `write`, one group at a time.

    `write` commits a whole group or raises, and answers for each entry whether it was accepted. A fault of
    the database is retried until it succeeds: the caller waits, nothing is dropped.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[Sequence[bool]]], *, name: str) -> None:
        self._write = write
        self._name = name
        self._queue: asyncio.Queue[tuple[T, asyncio.Future[bool]]] = asyncio.Queue()

    async def record(self, entry: T) -> bool:
        """Hand in one entry and wait until it is committed; False when it was rejected."""
        recorded: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((entry, recorded))
        return await recorded

    async def run(self) -> None:
        """Write groups until cancelled. The first of a group waits for nobody; the rest came meanwhile."""
        while True:
            group = [await self._queue.get()]
            while len(group) < MAX_GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            accepted = await self._until_written([entry for entry, _ in group])
            for (_, recorded), outcome in zip(group, accepted, strict=True):
                if not recorded.done():
                    recorded.set_result(outcome)

    async def _until_written(self, entries: Sequence[T]) -> Sequence[bool]:
        while True:
            try:
                return await self._write(entries)
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning(
                    "not recorded yet", what=self._name, count=len(entries), error=type(error).__name__
                )
                await asyncio.sleep(RETRY_PAUSE)
