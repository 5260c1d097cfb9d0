"""One clock decides: the database's. Every process tells the time by it.

A process asks the database for the time now and then and goes on counting by its own monotonic clock, which
cannot be set. A machine whose clock is wrong therefore computes the same next slots as every other and
signs webhooks with a time that their receivers accept. It still says that its clock is wrong and is not
ready, because the vendors' libraries and the log lines go by the machine's clock.

Until the database was asked for the first time, the machine's clock has to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import structlog

from common.process.loops import repeat
from common.process.tasks import end

log = structlog.get_logger()

TOLERANCE = timedelta(seconds=5)
"""By how much a machine's clock may differ from the database's."""
INTERVAL = 15.0
"""Seconds between two questions to the database."""
SLOWEST = 2.0
"""Seconds after which an answer says too little: it may have been on its way all the time."""

Read = Callable[[], Awaitable[datetime]]
"""Asks the database for the time: `SELECT clock_timestamp()`."""


class DatabaseClock:
    """The time by the database's clock, as far as it is known."""

    def __init__(
        self,
        *,
        machine: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._monotonic = monotonic
        self._known: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The present, in UTC."""
        if self._known is None:
            return self._machine()
        instant, at = self._known
        return instant + timedelta(seconds=self._monotonic() - at)

    def error(self) -> timedelta:
        """By how much the machine's clock is ahead of the database's; zero until that is known."""
        return self._machine() - self.now()

    async def check(self) -> str | None:
        """A readiness check: what is wrong with the machine's clock."""
        error = self.error()
        if abs(error) <= TOLERANCE:
            return None
        direction = "ahead of" if error > timedelta(0) else "behind"
        return f"this machine's clock is {abs(error).total_seconds():.0f} s {direction} the database's"

    async def ask(self, read: Read) -> None:
        """Learn the time from the database. Raises what `read` raises."""
        began = self._monotonic()
        instant = await read()
        ended = self._monotonic()
        if ended - began <= SLOWEST or self._known is None:
            self._known = (instant, (began + ended) / 2)
        wrong = await self.check()
        if wrong is not None:
            log.error("clock differs", reason=wrong)

    async def keep(self, read: Read, *, faults: tuple[type[BaseException], ...]) -> NoReturn:
        """Ask again and again, until cancelled. While the database is away the time goes on without it."""

        async def once() -> None:
            await asyncio.sleep(INTERVAL)
            await self.ask(read)

        await repeat(once, faults=faults, on_fault=lambda _fault: None)


_clock = DatabaseClock()


def utc_now() -> datetime:
    """The present by the database's clock, in UTC."""
    return _clock.now()


async def clock_check() -> str | None:
    """The readiness check of this process's clock."""
    return await _clock.check()


@asynccontextmanager
async def kept_by(read: Read, *, faults: tuple[type[BaseException], ...]) -> AsyncIterator[None]:
    """Keep this process's clock by the database's for the length of the block.

    `faults` are what `read` raises while the database is away. The first question must be answered.
    """
    await _clock.ask(read)
    asking = asyncio.create_task(_clock.keep(read, faults=faults), name="clock")
    try:
        yield
    finally:
        await end([asking], within=3.0)
