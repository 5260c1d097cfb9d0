"""Libraries that say the same thing many times a second, heard once a minute.

While a broker refuses connections, aiokafka logs each of its tries: 380 lines a second for one executor. The
first line of a kind passes, and after a minute the next one, with the number of those between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LIBRARIES = ("aiokafka", "asyncpg", "faststream")
INTERVAL = 60.0
"""Seconds between two lines of a kind."""
_KINDS = 1_000
"""Kinds kept in mind; libraries have a few dozen."""


class Repeats(logging.Filter):
    """A handler's filter. A kind is a logger, a level and the message before it is filled in.

    The tracebacks of these libraries go too: they show the library's own code, and the error is named.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._heard: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        now = self._clock()
        kind = (record.name, record.levelno, str(record.msg))
        last, unheard = self._heard.get(kind, (-INTERVAL, 0))
        if now - last < INTERVAL:
            self._heard[kind] = (last, unheard + 1)
            return False
        if len(self._heard) >= _KINDS:
            self._heard.clear()
        self._heard[kind] = (now, 0)
        if unheard:
            record.repeated = unheard
        if record.exc_info:
            error = record.exc_info[1]
            record.error = type(error).__name__
            record.exc_info = None
        return True
