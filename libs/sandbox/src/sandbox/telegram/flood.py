"""Flood limits: messages per chat and per bot, by the sandbox's clock."""

import math
from collections import OrderedDict

from sandbox.limits import Limits
from sandbox.telegram.errors import too_many_requests

_KEPT = 50_000
_CHAT_BURST = 3.0
"""A chat takes a few messages at once before its limit per second bites."""


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
    """Applies the limits that are switched on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def admit(self, bot: str, chat_id: int, now: float) -> None:
        """Count one message; raises 429 when it comes too early."""
        limits = self._limits
        conversation = f"{bot}/{chat_id}"
        buckets = []
        if per_second := limits.telegram_chat_per_second:
            buckets.append(self._bucket("second", conversation, per_second, _CHAT_BURST, now))
        if (per_minute := limits.telegram_chat_per_minute) and chat_id < 0:
            buckets.append(self._bucket("minute", conversation, per_minute / 60, per_minute, now))
        if per_second := limits.telegram_bot_per_second:
            buckets.append(self._bucket("bot", bot, per_second, per_second, now))
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
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[key] = TokenBucket(rate, max(burst, 1.0), now)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        return bucket
