"""Rate limits of the whole account: so many calls a second and a day for each category of endpoint."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sandbox.clock import Clock
from sandbox.exchange import Headerlist
from sandbox.limits import Limits
from sandbox.zoom.errors import ZoomError
from sandbox.zoom.habits import Habits

_DAY = 86_400
_LONG_WAIT = 60
"""A wait of a minute or more can only be that of a daily limit."""
_DAILY = (
    "You have reached the maximum daily rate limit for this API. Refer to the response header for details on "
    "when you can make another request."
)


class Category(StrEnum):
    """How dear an endpoint is."""

    LIGHT = "Light"
    MEDIUM = "Medium"


@dataclass(slots=True)
class _Window:
    """The calls of the present second or day."""

    number: int = -1
    calls: int = 0

    def add(self, number: int) -> int:
        if number != self.number:
            self.number, self.calls = number, 0
        self.calls += 1
        return self.calls


class Usage:
    """Counts calls and says no."""

    def __init__(self, limits: Limits, clock: Clock, habits: Habits) -> None:
        self._limits = limits
        self._clock = clock
        self._habits = habits
        self._seconds = {category: _Window() for category in Category}
        self._days = {category: _Window() for category in Category}

    def reset(self) -> None:
        """Start counting from zero."""
        for windows in (self._seconds, self._days):
            for category in Category:
                windows[category] = _Window()

    def charge(self, category: Category) -> Headerlist:
        """Count one call; returns the headers that tell how many are left, or raises 429."""
        now = int(self._clock.now())
        in_second = self._seconds[category].add(now)
        today = self._days[category].add(now // _DAY)
        per_second, per_day = self._allowed(category)
        if per_day and today > per_day:
            raise self.exhausted(category, (now // _DAY + 1) * _DAY)
        if per_second and in_second > per_second:
            raise self.too_fast(category)
        if per_day:
            return self._headers(category, "Daily-limit", per_day, per_day - today)
        if per_second:
            return self._headers(category, "QPS", per_second, per_second - in_second)
        return []

    def refused(self, category: Category, wait: int) -> ZoomError:
        """429 as a fault has it: a ``wait`` in seconds tells whether the second or the day is used up."""
        if wait < _LONG_WAIT:
            return self.too_fast(category)
        return self.exhausted(category, int(self._clock.now()) + wait)

    def too_fast(self, category: Category) -> ZoomError:
        """429 for this second, without a word about when to come again."""
        headers = self._headers(category, "QPS", self._allowed(category)[0], 0)
        if self._habits.reset_header:
            headers.append(("X-RateLimit-Reset", str(int(self._clock.now()) + 1)))
        return ZoomError(429, headers=headers)

    def exhausted(self, category: Category, until: int) -> ZoomError:
        """429 until ``until``, Unix seconds; the header holds a date and time, not seconds."""
        moment = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = self._headers(category, "Daily-limit", self._allowed(category)[1], 0)
        return ZoomError(429, _DAILY, headers=[*headers, ("Retry-After", moment)])

    def _allowed(self, category: Category) -> tuple[int, int]:
        limits = self._limits
        if category is Category.LIGHT:
            return int(limits.zoom_light_per_second), int(limits.zoom_light_per_day)
        return int(limits.zoom_medium_per_second), int(limits.zoom_medium_per_day)

    def _headers(self, category: Category, kind: str, limit: int, left: int) -> Headerlist:
        if not self._habits.rate_headers:
            return []
        return [
            ("X-RateLimit-Category", category),
            ("X-RateLimit-Type", kind),
            ("X-RateLimit-Limit", str(limit)),
            ("X-RateLimit-Remaining", str(left)),
        ]
