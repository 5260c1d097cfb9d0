"""Usage of the platforms' limits, shared by all executors.

A platform call asks nothing of the database: it reads and writes this process's memory. A task in the
background sends what this process saw and fetches what the others saw, each in one statement. That a limit
is reached is sent at once; everything else within a period.

Only ages cross the database, by its own clock: the processes' clocks need not agree.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

import structlog

from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool
from common.process.loops import end_if_cancelled
from platforms.calls.usage import MAX_WAIT, MIN_WAIT, STOP_AT, Sighting, Usage, seconds_until_open

log = structlog.get_logger()

PERIOD = 0.5
"""Seconds between two exchanges with the others."""
OVERLAP = 15.0
"""Seconds by which each fetch looks back beyond the last: a row is committed later than it was seen."""
CAPACITY = 10_000

_OPENS = f"seen_at + make_interval(secs => least(greatest({{row}}.regain_seconds, {MIN_WAIT}), {MAX_WAIT}))"
# The same rule as `standing`. Rows are locked in the order of their names.
_PUSH = f"""
INSERT INTO usage_sighting AS known (bucket, percent, regain_seconds, seen_at)
SELECT bucket, percent, regain, clock_timestamp() - make_interval(secs => age)
  FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[]) AS s (bucket, percent, regain, age)
 ORDER BY bucket
ON CONFLICT (bucket) DO UPDATE
   SET percent = excluded.percent, regain_seconds = excluded.regain_seconds, seen_at = excluded.seen_at
 WHERE CASE WHEN excluded.seen_at >= known.seen_at
            THEN excluded.percent >= {STOP_AT} OR known.percent < {STOP_AT}
                 OR excluded.seen_at >= known.{_OPENS.format(row="known")}
            ELSE excluded.percent >= {STOP_AT} AND known.percent < {STOP_AT}
                 AND known.seen_at < excluded.{_OPENS.format(row="excluded")} END
"""
_PULL = """
SELECT bucket, percent, regain_seconds,
       extract(epoch FROM clock_timestamp() - seen_at)::float8 AS age
  FROM usage_sighting WHERE seen_at > clock_timestamp() - make_interval(secs => $1)
"""


def standing(known: Sighting | None, news: Sighting) -> Sighting:
    """Which of two sightings of a bucket stands: the later one. Pure.

    But a full bucket stays full until its time: a call that was already under way may report less afterwards.
    """
    if known is None:
        return news
    earlier, later = (known, news) if known.at <= news.at else (news, known)
    still_closed = seconds_until_open(earlier, later.at) > 0
    return earlier if still_closed and later.usage.percent < STOP_AT else later


class SharedUsageStore:
    """The sightings of all executors. `clock` is the limiter's."""

    def __init__(self, pool: ConnectionPool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._seen: OrderedDict[str, Sighting] = OrderedDict()
        self._unsent: set[str] = set()
        self._urgent = asyncio.Event()
        self._fetched_at: float | None = None

    async def read(self, bucket: str) -> Sighting | None:
        """The sighting of the bucket that stands."""
        return self._seen.get(bucket)

    async def write(self, bucket: str, seen: Sighting) -> None:
        """Keep the sighting, and tell the others soon; at once when it closes the bucket."""
        if self._keep(bucket, seen):
            self._unsent.add(bucket)
            if seen.usage.percent >= STOP_AT:
                self._urgent.set()

    async def run(self) -> None:
        """Exchange sightings with the others until cancelled.

        Without the database each process goes by what it saw itself.
        """
        while True:
            self._urgent.clear()
            try:
                await self.exchange()
            except TRANSIENT_DATABASE_ERRORS as error:
                end_if_cancelled()
                log.warning("usage not shared", error=type(error).__name__)
                await asyncio.sleep(PERIOD)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    await self._urgent.wait()

    async def exchange(self) -> None:
        """Send what is new here, and fetch what is new elsewhere."""
        await self._push()
        asked = self._clock()
        # An observation older than the longest wait is no longer relevant.
        since = MAX_WAIT if self._fetched_at is None else min(asked - self._fetched_at + OVERLAP, MAX_WAIT)
        rows = await self._pool.fetch(_PULL, since)
        now = self._clock()
        for row in rows:
            usage = Usage(row["percent"], row["regain_seconds"])
            self._keep(row["bucket"], Sighting(usage, now - row["age"]))
        self._fetched_at = asked

    async def _push(self) -> None:
        sent, self._unsent = self._unsent, set()
        news = [(bucket, seen) for bucket in sent if (seen := self._seen.get(bucket))]
        if not news:
            return
        now = self._clock()
        try:
            await self._pool.execute(
                _PUSH,
                [bucket for bucket, _ in news],
                [seen.usage.percent for _, seen in news],
                [seen.usage.regain_seconds for _, seen in news],
                [max(0.0, now - seen.at) for _, seen in news],
            )
        except BaseException:
            self._unsent |= sent
            raise

    def _keep(self, bucket: str, news: Sighting) -> bool:
        """Whether the news stand; the bucket longest unchanged is forgotten when there are too many."""
        known = self._seen.get(bucket)
        stands = standing(known, news)
        if stands is known:
            return False
        self._seen[bucket] = stands
        self._seen.move_to_end(bucket)
        if len(self._seen) > CAPACITY:
            self._seen.popitem(last=False)
        return True
