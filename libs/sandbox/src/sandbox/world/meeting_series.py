"""When a host's meetings were recorded: arithmetic, so that any part of a long past costs the same."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.world.dice import throw

_FIRST = datetime(2024, 1, 1, 8, tzinfo=UTC).timestamp()
_DAY = 86_400.0
_SETTLED = 3 * 3_600.0
"""Seconds before the present in which a spread has nothing, so that all of it has been processed."""
_ENDLESS = 200_000


@dataclass(frozen=True, slots=True)
class Series:
    """Meetings numbered from 0 in the order they begin, each within ``play`` seconds after its turn."""

    name: str
    first: float
    step: float
    """Seconds from one turn to the next; more than ``play``."""
    count: int
    play: float = 0.0
    grid: int = 1
    """Begin at a multiple of so many seconds."""

    def start(self, number: int) -> int:
        """Unix seconds when a meeting begins."""
        moment = self.first + number * self.step
        if self.play:
            moment += throw(self.name, "start", number)[0] * self.play
        return int(moment) // self.grid * self.grid

    def before(self, moment: float) -> int:
        """How many meetings begin before ``moment``."""
        sure = (moment - self.first - self.play) / self.step
        number = min(max(math.floor(sure), 0), self.count)
        while number < self.count and self.start(number) < moment:
            number += 1
        return number

    def newest_first(self, low: float, high: float) -> Iterator[int]:
        """The numbers of the meetings that begin in [low, high)."""
        yield from range(self.before(high) - 1, self.before(low) - 1, -1)


def daily(name: str) -> Series:
    """A meeting on every day since 2024, between 8:00 and 18:00 UTC."""
    return Series(name, _FIRST, _DAY, _ENDLESS, play=10 * 3_600.0, grid=300)


def spread(name: str, count: int, days: float, now: float) -> Series:
    """``count`` meetings, spread evenly over the ``days`` before ``now``; all are over by then."""
    span = days * _DAY
    return Series(name, now - span, (span - min(_SETTLED, span / 2)) / max(count, 1), count)
