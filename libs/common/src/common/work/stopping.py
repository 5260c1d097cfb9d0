"""Work that stops the process it is given to: it is counted, and set aside instead of stopping a third.

The watchdog ends a process whose event loop stands still. Moments before, what blocks it is known, because
the watchdog's signal runs in the context of the code that blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from threading import Thread
from typing import Protocol

import structlog

from common.database.pool import connect
from common.work.leases import Attempt

log = structlog.get_logger()

MOST_STOPPED = 2
"""Processes that one item may stop."""
SET_ASIDE = "it kept two processes busy until they had to be ended, and is not tried a third time"
_PATIENCE = 3.0


class Stoppers(Protocol):
    """Rows that can stop a process. `stopped` counts it: $1 the row, $2 its attempt, $3 the process."""

    @property
    def table(self) -> str: ...

    @property
    def stopped(self) -> str: ...


in_hand: ContextVar[tuple[Stoppers, Attempt] | None] = ContextVar("in_hand", default=None)
"""What the running code works on."""


def is_set_aside(stopped_workers: int) -> bool:
    """Whether an item that has stopped so many processes is not to be tried any more. Pure."""
    return stopped_workers >= MOST_STOPPED


def blame(database_url: str, *, worker: str) -> Callable[[Context], None]:
    """Counts against what was in hand that it stops this process, the `worker`; for the watchdog."""

    def record(context: Context) -> None:
        found = context.get(in_hand)
        if found is None:
            return
        # A thread with a loop of its own: this process's loop is what stands still.
        thread = Thread(target=_count, args=(database_url, worker, *found), daemon=True)
        thread.start()
        thread.join(_PATIENCE)

    return record


def _count(database_url: str, worker: str, rows: Stoppers, attempt: Attempt) -> None:
    async def count() -> None:
        async with asyncio.timeout(_PATIENCE):
            db = await connect(database_url, application_name=f"{worker}-watchdog")
            await db.execute(rows.stopped, *attempt, worker)
            await db.close()

    try:
        asyncio.run(count())
    except Exception as error:
        # Its lease runs out, and the next process it stops may have better luck.
        log.error("blocking work not counted", table=rows.table, error=type(error).__name__)
    else:
        log.error("blocking work counted", table=rows.table, id=str(attempt[0]), attempt=attempt[1])
