"""Counting calls within the last while."""

from collections import deque


class SlidingWindow:
    """The calls of the last ``seconds``, to the instant."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: deque[float] = deque()

    def count(self, now: float) -> int:
        """How many calls are within the window at ``now``."""
        calls = self._calls
        while calls and calls[0] <= now - self._seconds:
            calls.popleft()
        return len(calls)

    def add(self, now: float) -> None:
        """One more call."""
        self._calls.append(now)
