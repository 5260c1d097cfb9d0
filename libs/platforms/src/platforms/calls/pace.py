"""Limits that are counted by the second: waited out inside the call that met them.

TikTok and Zoom refuse a call that came too soon after another, and take it a second or two later. That is no
reason to end a run's attempt, nor worth telling the other executors: by the time they knew, it would be over.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from common.errors import Consequence, PlatformError
from platforms.calls.usage import UsageLimiter

SHORT_WAIT = 2.0
"""Seconds. A platform that asks for no more than this means its calls per second."""
SPREAD = 1.0
"""Seconds over which those who waited for the same limit are spread, lest they meet it again together."""
TRIES = 4

T = TypeVar("T")


class Pace:
    """Makes calls again that were refused for coming too fast.

    `random` answers numbers in [0, 1).
    """

    def __init__(
        self, limiter: UsageLimiter, *, tries: int = TRIES, random: Callable[[], float] = random.random
    ) -> None:
        self._limiter = limiter
        self._tries = tries
        self._random = random

    async def admit(self, *buckets: str) -> float:
        """Wait as the fullest bucket asks, and answer 0; or the seconds until it takes calls again."""
        return await self._limiter.admit(*buckets)

    async def call(self, bucket: str, send: Callable[[], Awaitable[T]]) -> T:
        """What `send` answers. It asks `admit` about the bucket first, and so waits before each further try.

        Raises what `send` raises; RATE with a wait of up to `SHORT_WAIT` only once the tries are used up.
        """
        for _ in range(self._tries - 1):
            try:
                return await send()
            except PlatformError as error:
                if not asks_for_a_moment(error):
                    raise
                self._limiter.hold(bucket, (error.retry_after or 0.0) + SPREAD * self._random())
        return await send()


def asks_for_a_moment(error: PlatformError) -> bool:
    """Whether the platform counts calls by the second and this one came too soon. Pure."""
    wait = error.retry_after
    return error.consequence is Consequence.RATE and wait is not None and wait <= SHORT_WAIT
