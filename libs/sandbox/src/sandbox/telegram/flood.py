"""Flood limits: messages per chat and per bot, by the sandbox's clock."""

import math
from collections import OrderedDict

from sandbox.telegram.errors import too_many_requests

_KEPT = 50_000


class TokenBucket:
    """Refills evenly; holds at most ``burst`` sends."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._left = burst
        self._at = now

    def wait_seconds(self, now: float) -> float:
        """How long until a send is allowed; 0 when it is allowed now."""
        self._left = min(self.burst, self._left + max(now - self._at, 0.0) * self.rate)
        self._at = now
        return 0.0 if self._left >= 1 else (1 - self._left) / self.rate

    def take(self) -> None:
        """Use one send up."""
        self._left -= 1


class FloodControl:
    """The limits that are switched on; 0 means no limit."""

    def __init__(self, chat_per_second: float, chat_per_minute: float, bot_per_second: float) -> None:
        self._chat_per_second = chat_per_second
        self._chat_per_minute = chat_per_minute
        self._bot_per_second = bot_per_second
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def admit(self, bot: str, chat_id: int, now: float) -> None:
        """Count one message; raises 429 when it comes too early."""
        buckets = []
        if self._chat_per_second:
            buckets.append(self._bucket("second", f"{bot}/{chat_id}", self._chat_per_second, 3.0, now))
        if self._chat_per_minute and chat_id < 0:
            rate = self._chat_per_minute / 60
            buckets.append(self._bucket("minute", f"{bot}/{chat_id}", rate, self._chat_per_minute, now))
        if self._bot_per_second:
            buckets.append(self._bucket("bot", bot, self._bot_per_second, self._bot_per_second, now))
        wait = max((bucket.wait_seconds(now) for bucket in buckets), default=0.0)
        if wait > 0:
            raise too_many_requests(max(1, math.ceil(wait)))
        for bucket in buckets:
            bucket.take()

    def reset(self) -> None:
        """Forget what was sent."""
        self._buckets.clear()

    def _bucket(self, scope: str, name: str, rate: float, burst: float, now: float) -> TokenBucket:
        key = (scope, name)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(rate, max(burst, 1.0), now)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        return bucket
