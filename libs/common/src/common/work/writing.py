"""Many small writes that arrive together, as one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

import structlog

from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.process.loops import end_if_cancelled

log = structlog.get_logger()

MAX_GROUP = 100
RETRY_PAUSE = 0.5

T = TypeVar("T")
EntryT = TypeVar("EntryT", contravariant=True)
_Entry: TypeAlias = tuple[T, "asyncio.Future[bool]"]


class Writer(Protocol[EntryT]):
    """Writes groups of entries."""

    async def write(self, group: Sequence[EntryT]) -> Sequence[bool]:
        """Commit a whole group, or raise; answers for each entry whether it was accepted."""
        ...

    async def confirm(self, group: Sequence[EntryT]) -> Sequence[bool]:
        """Read back which of these were committed by a write whose answer was lost."""
        ...


class GroupWriter(Generic[T]):
    """Hands groups of entries to a writer, one group at a time.

    A fault of the database is retried until it succeeds: the caller waits, nothing is dropped. The fault may
    have struck after the COMMIT, so that entries that are then rejected are read back before they count as
    such. Any other error is about one of the entries: the group is then written one by one, and the error is
    raised to the caller that handed that entry in.
    """

    def __init__(self, writer: Writer[T], *, name: str) -> None:
        self._writer = writer
        self._name = name
        self._queue: asyncio.Queue[_Entry[T]] = asyncio.Queue()
        self._waiting: set[asyncio.Future[bool]] = set()
        self._has_ended = False

    async def record(self, entry: T) -> bool:
        """Hand in one entry and wait until it is committed; False when it was rejected.

        Raises what `write` raises for this entry alone.
        """
        recorded: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._has_ended:
            # It will never be written, and waiting for it would keep the process from ending.
            recorded.cancel()
            return await recorded
        self._waiting.add(recorded)
        recorded.add_done_callback(self._waiting.discard)
        self._queue.put_nowait((entry, recorded))
        return await recorded

    async def run(self) -> None:
        """Write groups until cancelled. The first entry is written at once; entries that arrive meanwhile
        form the next group.

        Callers that still wait at the end, and later callers, are cancelled.
        """
        try:
            while True:
                group = [await self._queue.get()]
                while len(group) < MAX_GROUP and not self._queue.empty():
                    group.append(self._queue.get_nowait())
                await self._settle(group)
        finally:
            self._has_ended = True
            for recorded in list(self._waiting):
                recorded.cancel()

    async def _settle(self, group: Sequence[_Entry[T]]) -> None:
        try:
            accepted = await self._until_written([entry for entry, _ in group])
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    await self._settle([one])
                return
            log.error("cannot be recorded", what=self._name, error=type(error).__name__)
            _, recorded = group[0]
            if not recorded.done():
                recorded.set_exception(error)
            return
        for (_, recorded), outcome in zip(group, accepted, strict=True):
            if not recorded.done():
                recorded.set_result(outcome)

    async def _until_written(self, entries: Sequence[T]) -> Sequence[bool]:
        is_doubtful = False
        while True:
            try:
                accepted = await self._writer.write(entries)
                return await self._confirmed(entries, accepted) if is_doubtful else accepted
            except TRANSIENT_DATABASE_ERRORS as error:
                end_if_cancelled()
                is_doubtful = True
                log.warning(
                    "not recorded yet", what=self._name, count=len(entries), error=type(error).__name__
                )
                await asyncio.sleep(RETRY_PAUSE)

    async def _confirmed(self, entries: Sequence[T], accepted: Sequence[bool]) -> Sequence[bool]:
        rejected = [entry for entry, is_accepted in zip(entries, accepted, strict=True) if not is_accepted]
        if not rejected:
            return accepted
        confirmed = iter(await self._writer.confirm(rejected))
        return [is_accepted or next(confirmed) for is_accepted in accepted]
