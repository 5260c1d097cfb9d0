"""The sandbox's own time, which a test can move."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo


class Clock:
    """Wall-clock time plus an offset; it keeps ticking after it was moved.

    ``source`` answers Unix seconds and exists so that a test can hold time still.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._offset = 0.0

    def now(self) -> float:
        """The present as Unix seconds."""
        return self._source() + self._offset

    def instant(self) -> datetime:
        """The present as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def today(self, zone: tzinfo) -> date:
        """The calendar day it is in ``zone``."""
        return datetime.fromtimestamp(self.now(), zone).date()

    def advance(self, seconds: float) -> None:
        """Move forward, or back when ``seconds`` is negative."""
        self._offset += seconds

    def set(self, unix_seconds: float) -> None:
        """Make it ``unix_seconds`` now."""
        self._offset = unix_seconds - self._source()

    def reset(self) -> None:
        """Follow the real time again."""
        self._offset = 0.0
