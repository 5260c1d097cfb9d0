"""NOTIFYs of PostgreSQL as events that wake the leader's duties.

The duties' own intervals cover the time without a connection, and every new one wakes them, because what was
notified meanwhile is lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NoReturn

import structlog

from common.database.outbox import SCHEDULE_CHANGED, WAKE_CHANNEL
from common.database.pool import TRANSIENT_DATABASE_ERRORS, connect
from common.process.loops import repeat

log = structlog.get_logger()

PROBE_INTERVAL = 5.0
"""Seconds between questions that show whether the connection still lives: LISTEN alone never asks any."""
PROBE_LIMIT = 3.0


class Wakeups:
    """What the leader waits for besides the clock."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self.outbox_written = asyncio.Event()
        self.schedule_changed = asyncio.Event()

    async def listen(self) -> NoReturn:
        """Turn NOTIFYs into wake-ups until cancelled."""
        await repeat(
            self._listen_once,
            faults=TRANSIENT_DATABASE_ERRORS,
            on_fault=lambda fault: log.warning("wake-ups interrupted", error=type(fault).__name__),
        )

    async def _listen_once(self) -> None:
        db = await connect(
            self._database_url, application_name="carillon-scheduler-listen", command_timeout=PROBE_LIMIT
        )
        closed = asyncio.Event()
        db.add_termination_listener(lambda _db: closed.set())
        try:
            await db.add_listener(WAKE_CHANNEL, self._on_notify)
            self.outbox_written.set()
            self.schedule_changed.set()
            while not closed.is_set():
                await db.fetchval("SELECT 1")
                with suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_INTERVAL):
                        await closed.wait()
        finally:
            db.terminate()

    def _on_notify(self, _db: object, _pid: int, _channel: str, payload: object) -> None:
        self.outbox_written.set()
        if payload == SCHEDULE_CHANGED:
            self.schedule_changed.set()
