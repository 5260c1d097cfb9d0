"""A fake clock that a test moves."""

from __future__ import annotations

from platforms.calls.usage import UsageLimiter


class Timeline:
    """Sleeping that makes time pass instead of waiting for it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.naps: list[float] = []

    def clock(self) -> float:
        """The present second."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the seconds be over."""
        self.naps.append(seconds)
        self.now += seconds

    def limiter(self) -> UsageLimiter:
        """A limiter that lives in this time."""
        return UsageLimiter(clock=self.clock, sleep=self.sleep)
