"""How long work may wait for its event before it is taken from PostgreSQL directly."""

from __future__ import annotations

from collections.abc import Callable

BROKER_SILENT_AFTER = 5.0
"""Seconds without an answer after which no event is to be expected of the broker soon: two questions."""
WITHOUT_BROKER = 1.0
"""Seconds work waits then: long enough for an event that is on its way."""


class Patience:
    """`seconds` while the broker answers, and less while it is silent."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._silences: list[Callable[[], float]] = []

    def watch(self, silence: Callable[[], float]) -> None:
        """Be impatient while this says that the broker has been silent for too long."""
        self._silences.append(silence)

    @property
    def seconds(self) -> float:
        """How long work may wait now."""
        if any(silence() > BROKER_SILENT_AFTER for silence in self._silences):
            return min(self._seconds, WITHOUT_BROKER)
        return self._seconds

    def interval(self) -> float:
        """Seconds between two looks for work that has waited too long."""
        return self.seconds / 3
