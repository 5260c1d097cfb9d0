"""Rate limiting by reported usage, before a platform has to refuse a call.

Platforms tell how much of a limit is used, per bucket (an ad account, a page, an app). A call to a nearly
full bucket waits; one to a full bucket fails with RATE before it is sent, and so spends nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

SLOW_AT = 75.0
STOP_AT = 95.0
MIN_WAIT = 60.0
"""Seconds a full bucket is left alone when the platform names no time."""
MAX_WAIT = 3600.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 4.0
"""Seconds a call waits at `SLOW_AT`, and just below `STOP_AT`."""
STALE_AFTER = 300.0
"""Seconds after which a figure below `STOP_AT` says nothing any more: limits are counted over rolling
hours."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a bucket is: `percent` of its limit, and the seconds until it takes calls again, if told."""

    percent: float
    regain_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A usage and when it was seen, in seconds of the limiter's clock."""

    usage: Usage
    at: float


def pause_before_call(seen: Sighting | None, now: float) -> float:
    """Seconds a call waits so that others find room in the bucket; 0 below `SLOW_AT`."""
    if seen is None or seen.usage.percent < SLOW_AT or now - seen.at > STALE_AFTER:
        return 0.0
    fullness = min((seen.usage.percent - SLOW_AT) / (STOP_AT - SLOW_AT), 1.0)
    return SHORTEST_PAUSE + fullness * (LONGEST_PAUSE - SHORTEST_PAUSE)


def seconds_until_open(seen: Sighting | None, now: float) -> float:
    """Seconds for which a bucket takes no call; 0 when it takes them."""
    if seen is None or seen.usage.percent < STOP_AT:
        return 0.0
    wait = min(max(seen.usage.regain_seconds, MIN_WAIT), MAX_WAIT)
    return max(seen.at + wait - now, 0.0)


class UsageStore(Protocol):
    """Where sightings are kept. One that all executors share makes them hold back together."""

    async def read(self, bucket: str) -> Sighting | None:
        """The latest sighting of the bucket."""
        ...

    async def write(self, bucket: str, seen: Sighting) -> None:
        """Keep the sighting."""
        ...


class LocalUsageStore:
    """This process's sightings, the `capacity` most recent buckets."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[str, Sighting] = OrderedDict()

    async def read(self, bucket: str) -> Sighting | None:
        """The latest sighting of the bucket."""
        return self._seen.get(bucket)

    async def write(self, bucket: str, seen: Sighting) -> None:
        """Keep the sighting, and forget the one longest unchanged when there are too many."""
        self._seen[bucket] = seen
        self._seen.move_to_end(bucket)
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)


class UsageLimiter:
    """Slows and stops calls by what was last seen of their buckets; one serves all runs of a process.

    `clock` answers seconds that only grow, and is the store's clock too.
    """

    def __init__(
        self,
        store: UsageStore | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store or LocalUsageStore()
        self._clock = clock
        self._sleep = sleep
        self._held_until: dict[str, float] = {}

    async def admit(self, *buckets: str) -> float:
        """Wait as the fullest bucket asks, and answer 0; or the seconds until it takes calls again."""
        now = self._clock()
        seen = [await self._store.read(bucket) for bucket in buckets]
        closed = max((seconds_until_open(sighting, now) for sighting in seen), default=0.0)
        if closed:
            return closed
        pause = max((pause_before_call(sighting, now) for sighting in seen), default=0.0)
        pause = max([pause, *(self._held_until.get(bucket, now) - now for bucket in buckets)])
        if pause > 0:
            await self._sleep(pause)
        return 0.0

    def hold(self, bucket: str, seconds: float) -> None:
        """Let calls of this process to the bucket wait for a moment: it counts them by the second."""
        now = self._clock()
        self._held_until = {name: until for name, until in self._held_until.items() if until > now}
        self._held_until[bucket] = max(now + seconds, self._held_until.get(bucket, now))

    async def note(self, bucket: str, usage: Usage) -> None:
        """Remember what the platform said of the bucket."""
        await self._store.write(bucket, Sighting(usage, self._clock()))
