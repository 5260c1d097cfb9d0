"""Client-side rate limiting to the receivers' published limits.

Pure: time is passed in, in seconds of any clock that does not go back. Each notifier keeps to the limits on
its own; when several exceed one together, the receiver's 429 corrects it (`Pacer.hold`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE = 2.0
"""Seconds a delivery may wait in memory. A longer wait belongs in PostgreSQL."""
_FORGET_FROM = 1_024


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` messages in any `period` seconds, of which `burst` may go at once.

    To keep that promise for every window, and not only for the first, the steady rate is
    `count - burst` a period.
    """

    key: str
    count: int
    period: float
    burst: int = 1

    def __post_init__(self) -> None:
        """Refuse a limit that allows nothing after its first burst."""
        if not 1 <= self.burst < self.count or self.period <= 0:
            raise ValueError("a limit needs 1 ≤ burst < count and a period above 0")

    @property
    def interval(self) -> float:
        """Seconds between messages once the burst is used up."""
        return self.period / (self.count - self.burst)


@dataclass(slots=True)
class _Bucket:
    """The instants until which a key is used: by reserved places, postponed deliveries, and the receiver's
    pause."""

    taken: float
    promised: float
    held: float
    warned: float
    warned_by: str = ""

    @property
    def idle_from(self) -> float:
        """The instant from which this equals a new bucket."""
        return max(self.taken, self.promised, self.held, self.warned)


class Pacer:
    """Decides when a delivery may be sent.

    The generic cell rate algorithm: each key remembers the instant up to which its rate is used up. Keys
    whose instants have passed are dropped, so that memory is bounded by current traffic.
    """

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._buckets: dict[str, _Bucket] = {}
        self._forget_at = _FORGET_FROM

    def __len__(self) -> int:
        """Keys in memory."""
        return len(self._buckets)

    def reserve(self, key: str, limits: Sequence[Limit], now: float, *, messages: int = 1) -> float:
        """Seconds until a delivery of `messages` messages may be sent to `key` under all of `limits`.

        Up to `patience`, a place is reserved: wait that long and send. Beyond, none is: postpone the
        delivery by that time and ask again. Postponed deliveries get different times, so that they do not
        all return at once.
        """
        if len(self._buckets) >= self._forget_at:
            self._forget(now)
        held = self._buckets[key].held - now if key in self._buckets else 0.0
        wait = max(0.0, held, *(self._wait(limit, now) for limit in limits))
        if wait <= self._patience:
            for limit in limits:
                bucket = self._bucket(limit.key, now)
                bucket.taken = max(bucket.taken, bucket.held, now) + limit.interval * messages
            return wait
        due = now + wait
        for limit in limits:
            if self._wait(limit, now) > self._patience or limit.key == key:
                bucket = self._bucket(limit.key, now)
                due = max(due, bucket.promised)
                bucket.promised = due + limit.interval * messages
        return due - now

    def hold(self, key: str, limits: Sequence[Limit], seconds: float, now: float) -> None:
        """The receiver asked for a pause: nothing is sent to `key` for `seconds`.

        When two keys under one limit, as two chats of one bot, are told to wait at the same time, the request
        is about the limit, and everything under it pauses.
        """
        until = now + seconds
        bucket = self._bucket(key, now)
        bucket.held = max(bucket.held, until)
        for limit in limits:
            if limit.key == key:
                continue
            shared = self._bucket(limit.key, now)
            if shared.warned > now and shared.warned_by != key:
                shared.held = max(shared.held, until)
            shared.warned_by = key
            shared.warned = max(shared.warned, until)

    def _wait(self, limit: Limit, now: float) -> float:
        bucket = self._buckets.get(limit.key)
        if bucket is None:
            return 0.0
        free = bucket.taken - (limit.burst - 1) * limit.interval
        return max(free, bucket.held) - now

    def _bucket(self, key: str, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(taken=now, promised=now, held=now, warned=now)
        return bucket

    def _forget(self, now: float) -> None:
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if bucket.idle_from > now}
        self._forget_at = max(_FORGET_FROM, 2 * len(self._buckets))
