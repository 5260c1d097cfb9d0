"""How much a process does at once.

A lane may use at most its share, so that a flood of backfills leaves room for a person's click.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Mapping

from common.errors import CarillonError
from common.models import Lane

SHARES: Mapping[Lane, float] = {Lane.HIGH: 1.0, Lane.NORMAL: 0.9, Lane.LOW: 0.5}


class Stopping(CarillonError):
    """The process takes no more work."""


class Places:
    """A counting semaphore that hands out several places at a time."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._is_closed = False
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        """Places that could be taken now."""
        return max(0, self.total - self.used)

    def take(self, wanted: int) -> int:
        """Take up to `wanted` places without waiting; returns how many. None once closed."""
        taken = 0 if self._is_closed else min(wanted, self.free)
        self.used += taken
        return taken

    def overdraw(self, places: int) -> None:
        """Take places whether they are free or not, for work that has begun already."""
        self.used += places

    async def wait_and_take(self, wanted: int) -> int:
        """Take between one and `wanted` places, waiting until at least one is free.

        Raises Stopping when the process is to take no more work.
        """
        while not (taken := self.take(wanted)):
            if self._is_closed:
                raise Stopping("this process takes no more work")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return taken

    def close(self) -> None:
        """Hand out nothing more, and tell those that wait."""
        self._is_closed = True
        self.wake()

    def release(self, places: int = 1) -> None:
        """Give places back and wake those that wait."""
        self.used -= places
        for sharing in self._sharing():
            if sharing.free:
                sharing.wake()

    def wake(self) -> None:
        """Wake every waiter; each looks again, because the first may have given up or take only some."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _sharing(self) -> Iterable[Places]:
        """Those whose free places grow when one of these is given back, the most urgent first."""
        return (self,)


class LanePlaces(Places):
    """One lane's share of the places that all lanes have in common."""

    def __init__(self, lane: Lane, total: int, ceiling: int, lanes: Mapping[Lane, LanePlaces]) -> None:
        super().__init__(total)
        self.lane = lane
        self._ceiling = ceiling
        self._lanes = lanes

    @property
    def free(self) -> int:
        """Places this lane could take now."""
        used = sum(places.used for places in self._lanes.values())
        return max(0, min(self.total - used, self._ceiling - self.used))

    def _sharing(self) -> Iterable[Places]:
        return self._lanes.values()


def lanes(total: int, shares: Mapping[Lane, float] = SHARES) -> Mapping[Lane, LanePlaces]:
    """`total` places for all lanes, each with its ceiling, the most urgent lane first."""
    shared: dict[Lane, LanePlaces] = {}
    for lane, share in shares.items():
        shared[lane] = LanePlaces(lane, total, max(1, math.floor(total * share)), shared)
    return shared
