"""What the sandbox received: kept for a while, counted for ever, and waited for."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.clock import Clock

Detail = dict[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing received. ``seq`` rises by one with every record of any kind."""

    seq: int
    kind: str
    at: float
    address: str
    """The chat, the hook or the path it went to."""
    detail: Detail
    size: int = 0

    def as_json(self) -> Detail:
        """The record as the control API shows it."""
        return {"seq": self.seq, "kind": self.kind, "at": self.at, **self.detail}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are asked for; an empty field asks for all."""

    kind: str = ""
    address: str = ""
    after: int = 0
    since: float = 0.0

    def matches(self, record: Record) -> bool:
        """Whether a record that came after ``after`` is asked for."""
        return (
            record.at >= self.since
            and (not self.kind or record.kind == self.kind)
            and (not self.address or record.address == self.address)
        )


class Inbox:
    """A bounded, ordered memory of everything received, with exact counts."""

    def __init__(self, clock: Clock, keep: int, keep_bytes: int = 64 * 1024 * 1024) -> None:
        self._clock = clock
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False
        self.last_seq = 0
        self.generation = 0
        """How often everything was forgotten."""

    def add(self, kind: str, address: str, detail: Detail, size: int = 0) -> Record:
        """Remember one thing, of about ``size`` bytes, and wake everybody who waits for news."""
        self.last_seq += 1
        record = Record(self.last_seq, kind, round(self._clock.now(), 3), address, detail, size)
        self._records.append(record)
        self._bytes += size
        while len(self._records) > self._keep or self._bytes > self._keep_bytes:
            self._bytes -= self._records.popleft().size
        self._counts[kind, ""] += 1
        if address:
            self._counts[kind, address] += 1
        self._wake()
        return record

    def count(self, kind: str = "", address: str = "") -> int:
        """How many were ever received, also those no longer kept."""
        if kind:
            return self._counts[kind, address]
        return sum(number for (_, where), number in self._counts.items() if where == address)

    def counts_by_kind(self) -> dict[str, int]:
        """Totals of every kind seen."""
        return {kind: number for (kind, where), number in self._counts.items() if not where}

    def select(self, wanted: Filter, limit: int) -> list[Record]:
        """The kept records that match, oldest first.

        With ``wanted.after`` these are the first ``limit`` after that number, so that a reader
        can follow without gaps; otherwise they are the newest ``limit``.
        """
        found = list(self._newest_first(wanted, None if wanted.after else limit))
        found.reverse()
        return found[:limit]

    def _newest_first(self, wanted: Filter, limit: int | None) -> Iterator[Record]:
        left = limit
        for record in reversed(self._records):
            if record.seq <= wanted.after or left == 0:
                return
            if wanted.matches(record):
                yield record
                if left is not None:
                    left -= 1

    async def wait(self, deadline: float) -> bool:
        """Wait until something arrives; False when the loop's clock passes ``deadline`` first."""
        if self._closed:
            return False
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()
        self._waiting.add(news)
        try:
            async with asyncio.timeout_at(deadline):
                await news
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(news)
        return True

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def reset(self) -> None:
        """Forget everything; the sequence goes on, so that a follower misses nothing new."""
        self._records.clear()
        self._bytes = 0
        self._counts.clear()
        self.generation += 1
        self._wake()

    def close(self) -> None:
        """Release every waiter, now and from now on."""
        self._closed = True
        self._wake()
