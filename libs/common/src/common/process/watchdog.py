"""A service whose event loop stands still ends, so that others take over its work.

A thread cannot watch the loop: much of what blocks it (a regular expression, a large number) keeps the
interpreter's lock, and then no other thread runs. The loop winds up two timers of the kernel instead, several
times within the limit:

- A timer of elapsed time. Its signal's handler runs within the very code that blocks, regular expressions
  included. At half the limit it logs the stack; at the limit it logs it again and ends the process.
- A timer of processor time, for code that never comes back to the interpreter. Its signal's handler is C: it
  writes the stacks to the standard error, and the signal ends the process.

Neither ends a process that was frozen (`SIGSTOP`, a suspended machine): after such a pause the loop has
another half of the limit to show that it moves.
"""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import structlog

from common.telemetry import LOOP_STALLS

EXIT_STATUS = 70
"""`EX_SOFTWARE`: ended by the watchdog."""
_BEATS = 8
"""Times the loop winds up the timers within the limit."""
_PROCESSOR_TIME = 3
"""Limits of processor time after which the process ends whatever it does."""
_DEEPEST = 40

log = structlog.get_logger()

Blame = Callable[[contextvars.Context], None]
"""Told the context of the code that stopped the process, moments before its end."""

_last_stall: tuple[float, float] | None = None
"""When it was noticed last that the loop stood still (monotonic), and the seconds it had done so."""
_UNREADY_SECONDS = 30.0


def recent_stall() -> str | None:
    """What readiness says of it; None when the loop has moved for a while."""
    if _last_stall is None or time.monotonic() - _last_stall[0] > _UNREADY_SECONDS:
        return None
    return f"stood still for {_last_stall[1]:.1f} s"


class Watchdog:
    """Watches one event loop, that of the main thread."""

    def __init__(self, limit: float, *, blame: Blame | None = None) -> None:
        self._limit = limit
        self._blame = blame
        self._beat_at = 0.0
        self._stalled = False

    @contextmanager
    def watching(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch `loop`, which runs in this thread, for as long as the block lasts."""
        before = signal.signal(signal.SIGALRM, self._alarm)
        faulthandler.register(signal.SIGPROF, chain=True)
        beating = loop.create_task(self._beat_regularly(), name="watchdog")
        try:
            yield
        finally:
            beating.cancel()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)
            signal.signal(signal.SIGALRM, before)

    async def _beat_regularly(self) -> None:
        global _last_stall
        while True:
            now = time.monotonic()
            if self._stalled:
                self._stalled = False
                _last_stall = (now, now - self._beat_at)
                log.warning("event loop moves again", seconds=round(now - self._beat_at, 1))
            self._beat_at = now
            signal.setitimer(signal.ITIMER_REAL, self._limit / 2)
            signal.setitimer(signal.ITIMER_PROF, self._limit * _PROCESSOR_TIME)
            await asyncio.sleep(self._limit / 2 / _BEATS)

    def _alarm(self, _signal: int, frame: FrameType | None) -> None:
        """Runs in the main thread, between two steps of the code that blocks."""
        global _last_stall
        seconds = round(time.monotonic() - self._beat_at, 1)
        stack = "".join(traceback.format_stack(frame, limit=_DEEPEST))
        if not self._stalled:
            self._stalled = True
            _last_stall = (time.monotonic(), seconds)
            LOOP_STALLS.inc()
            _say("event loop stands still", seconds, stack)
            signal.setitimer(signal.ITIMER_REAL, self._limit / 2)
            return
        # Whatever happens from here, the process ends.
        try:
            _say("event loop stood still for too long, the process ends", seconds, stack)
            if self._blame is not None:
                self._blame(contextvars.copy_context())
        finally:
            os._exit(EXIT_STATUS)


def _say(event: str, seconds: float, stack: str) -> None:
    try:
        log.critical(event, seconds=seconds, stack=stack)
        sys.stdout.flush()
    except Exception as error:
        # The code that blocks may be in the middle of writing a line, which no second one may interrupt.
        with suppress(OSError):
            os.write(2, f"{event} ({seconds} s; {type(error).__name__})\n{stack}".encode())
