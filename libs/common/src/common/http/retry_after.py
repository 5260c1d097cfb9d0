"""How long a vendor asks us to wait."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_WEEKDAY = re.compile(r"[A-Z][a-z]{2,8},? ")
MAX_SECONDS = 365 * 86_400.0
"""A longer wait is cut to this, because it is a vendor's mistake and must not overflow a date."""


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """The seconds a `Retry-After` header asks for, from `now`; None when it says nothing we can read.

    Reads what vendors send: seconds and an HTTP-date (RFC 9110, 10.2.3), and an ISO 8601 date and time
    (Zoom's daily limits). A moment that has passed is 0.
    """
    if value is None or not (text := value.strip()):
        return None
    if _SECONDS.fullmatch(text):
        return bounded_wait(float(text))
    moment = _moment(text)
    return None if moment is None else bounded_wait((moment - now).total_seconds())


def bounded_wait(seconds: float) -> float | None:
    """`seconds` between 0 and a year; None for what is not a number."""
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_SECONDS)


def _moment(text: str) -> datetime | None:
    # Python's reader of mail dates finds a date in almost anything; an HTTP-date begins with its weekday.
    read = parsedate_to_datetime if _WEEKDAY.match(text) else datetime.fromisoformat
    try:
        moment = read(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
