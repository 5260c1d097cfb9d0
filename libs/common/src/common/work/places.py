"""How much a process does at once, shared between the lanes.

A lane may use at most its share, so that a flood of backfills leaves room for a person's click.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping

from common.errors import CarillonError
from common.models import Lane

SHARES: Mapping[Lane, float] = {Lane.HIGH: 1.0, Lane.NORMAL: 0.9, Lane.LOW: 0.5}


class Stopping(CarillonError):
    """The process takes no more work."""


class Capacity:
    """A counting semaphore that hands out several places at a time, with a ceiling for each lane."""

    def __init__(self, total: int, shares: Mapping[Lane, float] = SHARES) -> None:
        self.total = total
        self.used = dict.fromkeys(Lane, 0)
        self._closed = False
        self._ceilings = {lane: max(1, math.floor(total * share)) for lane, share in shares.items()}
        self._waiters: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}

    def free(self, lane: Lane) -> int:
        """Places `lane` could take now."""
        return max(0, min(self.total - sum(self.used.values()), self._ceilings[lane] - self.used[lane]))

    def take(self, lane: Lane, wanted: int) -> int:
        """Take up to `wanted` places without waiting; returns how many. None once closed."""
        taken = 0 if self._closed else min(wanted, self.free(lane))
        self.used[lane] += taken
        return taken

    async def wait_and_take(self, lane: Lane, wanted: int) -> int:
        """Take between one and `wanted` places, waiting until at least one is free.

        Raises Stopping when the process is to take no more work.
        """
        while not (taken := self.take(lane, wanted)):
            if self._closed:
                raise Stopping("this process takes no more work")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters[lane].append(waiter)
            await waiter
        return taken

    def close(self) -> None:
        """Hand out nothing more; whoever waits is told so."""
        self._closed = True
        for waiters in self._waiters.values():
            while waiters:
                _wake(waiters.popleft())

    def release(self, lane: Lane, places: int = 1) -> None:
        """Give places back and wake who can use them, the higher lanes first.

        Everybody who waits looks again: the first may take fewer places than were given back, or have given
        up since it was woken.
        """
        self.used[lane] -= places
        for waiting, waiters in self._waiters.items():
            if self.free(waiting):
                while waiters:
                    _wake(waiters.popleft())


def _wake(waiter: asyncio.Future[None]) -> None:
    """Wake one waiter, unless it has given up meanwhile."""
    if not waiter.done():
        waiter.set_result(None)
