"""Which days a list of recordings is about."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sandbox.zoom.errors import invalid_field

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days in UTC, both included."""

    first: date
    last: date

    @property
    def low(self) -> float:
        """Unix seconds at which it begins."""
        return datetime.combine(self.first, time(), UTC).timestamp()

    @property
    def high(self) -> float:
        """Unix seconds at which it is over."""
        return datetime.combine(self.last, time(), UTC).timestamp() + 86_400


def span_of(params: Mapping[str, str], today: date, *, clamp: bool) -> Span:
    """What ``from`` and ``to`` ask for: without them yesterday and today. Raises code 300.

    With ``clamp`` a span longer than a month silently begins a month before its end.
    """
    last = _day(params, "to") or today
    first = _day(params, "from") or last - _ONE_DAY
    if first > last:
        raise invalid_field("from")
    return Span(max(first, _month_before(last)) if clamp else first, last)


def _day(params: Mapping[str, str], name: str) -> date | None:
    raw = params.get(name, "")
    if not raw:
        return None
    try:
        day = datetime.strptime(raw, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise invalid_field(name) from None
    if raw != day.isoformat() or not 2000 <= day.year <= 2999:
        raise invalid_field(name)
    return day


def _month_before(day: date) -> date:
    year, month = (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
