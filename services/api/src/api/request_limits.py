"""How many requests a client may send in a minute: by address, by key, and with keys that are not valid.

The `limits` library counts, in this process's memory. Once a second what was counted is added to the database
and what the other processes counted is read, so that replicas share a limit to within a second and no request
waits for it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import TooManyRequests
from common.process.loops import end_if_cancelled

log = structlog.get_logger()

SHARE_SECONDS = 1.0
_REMEMBERED = 10_000
"""Keys this process has seen to be valid: an address that tried many wrong ones does not shut them out."""

_SHARE = text(
    """
    INSERT INTO request_count AS shared (key, count, ends_at)
    SELECT counted.key, counted.count, now() + counted.seconds * interval '1 second'
    FROM unnest(CAST(:keys AS text[]), CAST(:counts AS int[]), CAST(:seconds AS float8[]))
        AS counted (key, count, seconds)
    ORDER BY counted.key
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN shared.ends_at <= now() THEN excluded.count ELSE shared.count + excluded.count END,
        ends_at = CASE WHEN shared.ends_at <= now() THEN excluded.ends_at ELSE shared.ends_at END
    RETURNING key, count, CAST(EXTRACT(epoch FROM ends_at - now()) AS float8) AS seconds
    """
)
# Rows that another process is counting in are left to it: two that wait for each other's would deadlock.
_FORGET = text(
    """
    DELETE FROM request_count WHERE key IN
        (SELECT key FROM request_count WHERE ends_at <= now() FOR UPDATE SKIP LOCKED)
    """
)


class Counts(Storage):
    """The windows that are open, and what the other processes have not been told yet."""

    STORAGE_SCHEME = ["async+carillon"]

    def __init__(self) -> None:
        super().__init__()
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._untold: dict[str, int] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """See Storage."""
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count `amount` in the key's window, which ends `expiry` seconds after its first."""
        now = time.time()
        self._end_windows(now)
        if not self._is_open(key, now):
            await self.clear(key)
            self._windows[key] = (0, now + expiry)
        count, ends = self._windows[key]
        self._windows[key] = (count + amount, ends)
        self._untold[key] = self._untold.get(key, 0) + amount
        return count + amount

    async def get(self, key: str) -> int:
        """What is counted in the key's window."""
        return self._windows[key][0] if self._is_open(key, time.time()) else 0

    async def get_expiry(self, key: str) -> float:
        """When the key's window ends, in seconds since 1970."""
        return self._windows.get(key, (0, time.time()))[1]

    async def check(self) -> bool:
        """See Storage."""
        return True

    async def reset(self) -> int | None:
        """Forget every window of this process."""
        ended = len(self._windows)
        self._windows.clear()
        self._untold.clear()
        return ended

    async def clear(self, key: str) -> None:
        """Forget the key's window in this process."""
        self._windows.pop(key, None)
        self._untold.pop(key, None)

    def _is_open(self, key: str, now: float) -> bool:
        return key in self._windows and self._windows[key][1] > now

    def _end_windows(self, now: float) -> None:
        # All windows are of one length, so that the oldest come first: one more is looked at than has ended.
        # One that another process began earlier ends earlier than its place says, and is forgotten late.
        while self._windows:
            key, (_, ends) = next(iter(self._windows.items()))
            if ends > now:
                return
            del self._windows[key]
            self._untold.pop(key, None)

    async def share(self, engine: AsyncEngine) -> None:
        """Tell the other processes what was counted, and take over what they counted, in one statement."""
        told, self._untold = self._untold, {}
        if not told:
            return
        now = time.time()
        seconds = [max(0.0, self._windows[key][1] - now) for key in told]
        try:
            async with engine.begin() as db:
                rows = (
                    await db.execute(
                        _SHARE, {"keys": list(told), "counts": list(told.values()), "seconds": seconds}
                    )
                ).all()
                await db.execute(_FORGET)
        except BaseException:
            for key in told.keys() & self._windows.keys():
                self._untold[key] = self._untold.get(key, 0) + told[key]
            raise
        now = time.time()
        for key, count, left in rows:
            if self._is_open(key, now):
                # The window is the one of them all; what was counted here since is told next time.
                self._windows[key] = (count + self._untold.get(key, 0), now + left)

    async def run(self, engine: AsyncEngine) -> None:
        """Share every second, until cancelled. Without the database each process counts alone."""
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share(engine)
            except (SQLAlchemyError, OSError) as error:
                end_if_cancelled()
                log.warning("request counts not shared", error=type(error).__name__)


class RequestLimits:
    """The limits of one installation, in requests of a minute.

    `without_key` and `wrong_keys` are those of an address, too.
    """

    def __init__(self, *, per_key: int, per_address: int, without_key: int, wrong_keys: int) -> None:
        self.counts = Counts()
        self._limiter = FixedWindowRateLimiter(self.counts)
        self._per_key = RateLimitItemPerMinute(per_key, namespace="key")
        self._per_address = RateLimitItemPerMinute(per_address, namespace="address")
        self._without_key = RateLimitItemPerMinute(without_key, namespace="without")
        self._wrong_keys = RateLimitItemPerMinute(wrong_keys, namespace="wrong")
        self._valid: OrderedDict[bytes, None] = OrderedDict()

    async def admit(self, address: str, credential: str | None) -> None:
        """Count a request; raises TooManyRequests. `credential` names the key or session it came with."""
        await self._count(self._per_address, network_of(address), "Your address sends too many requests")
        if credential is not None:
            await self._count(self._per_key, credential, "This key sends too many requests")

    async def admit_without_key(self, address: str) -> None:
        """Count a request without a key or a session; raises TooManyRequests."""
        network = network_of(address)
        await self._count(self._without_key, network, "Your address sends too many requests without a key")

    async def check_guesses(self, address: str, digest: bytes) -> None:
        """Raise TooManyRequests for an address that tried too many wrong keys, unless this one is known."""
        network = network_of(address)
        if digest not in self._valid and not await self._limiter.test(self._wrong_keys, network):
            raise await self._refusal(self._wrong_keys, network, "Too many wrong keys came from your address")

    async def note_wrong(self, address: str, digest: bytes) -> None:
        """A key of this address is not valid."""
        self._valid.pop(digest, None)
        await self._limiter.hit(self._wrong_keys, network_of(address))

    def note_valid(self, digest: bytes) -> None:
        """A key is valid."""
        self._valid[digest] = None
        self._valid.move_to_end(digest)
        if len(self._valid) > _REMEMBERED:
            self._valid.popitem(last=False)

    async def _count(self, limit: RateLimitItem, name: str, what: str) -> None:
        if not await self._limiter.hit(limit, name):
            raise await self._refusal(limit, name, what)

    async def _refusal(self, limit: RateLimitItem, name: str, what: str) -> TooManyRequests:
        ends, _ = await self._limiter.get_window_stats(limit, name)
        seconds = max(1, math.ceil(ends - time.time()))
        unit = "second" if seconds == 1 else "seconds"
        return TooManyRequests(
            f"{what} ({limit.amount} in a minute are allowed); go on in {seconds} {unit}.",
            retry_after=seconds,
        )


def network_of(address: str) -> str:
    """What one client has: an address of IPv4, or 2**64 addresses of IPv6. Pure."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
