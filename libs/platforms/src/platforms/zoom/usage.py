"""What Zoom says of its limits: calls a second and calls a day, for each category of endpoint.

The headers are on some answers and not on others; nothing here needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from common.http import bounded_wait, parse_retry_after
from platforms.calls.usage import Usage

QPS_WAIT = 1.0
"""Seconds to wait after one call too many in a second: Zoom names no time."""
_DAY = timedelta(days=1)
_TYPE, _CATEGORY = "x-ratelimit-type", "x-ratelimit-category"
_LIMIT, _REMAINING, _RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"


class Category(StrEnum):
    """How dear an endpoint is. Each has limits of its own, for the whole account and all its apps."""

    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"
    RESOURCE_INTENSIVE = "resource-intensive"


def category(headers: Mapping[str, str]) -> Category | None:
    """The category of what was called; None when no header tells."""
    named = headers.get(_CATEGORY, "").strip().lower()
    return Category(named) if named in set(Category) else None


def daily_usage(headers: Mapping[str, str], *, now: datetime) -> Usage | None:
    """How much of the day's calls is used; None when no header tells. Those of a second are over too soon."""
    if not _is_daily(headers.get(_TYPE, "")):
        return None
    limit, remaining = _number(headers.get(_LIMIT)), _number(headers.get(_REMAINING))
    if limit is None or remaining is None or limit <= 0:
        return None
    return Usage(100 * (1 - min(remaining / limit, 1)), _until_midnight(now))


def seconds_to_wait(
    headers: Mapping[str, str], message: str, *, now: datetime, otherwise: float = QPS_WAIT
) -> float:
    """How long a refused call waits: as told; else until the day or the second that is used up is over.

    `otherwise` is for an answer that says nothing.
    """
    told = parse_retry_after(headers.get("retry-after"), now=now)
    if told is not None:
        return told
    if _is_daily(headers.get(_TYPE, "")) or _is_daily(message):
        return _until_midnight(now)
    reset = _number(headers.get(_RESET))
    if reset is not None and (wait := bounded_wait(reset - now.timestamp())) and wait <= _DAY.total_seconds():
        return wait
    return otherwise


def _is_daily(text: str) -> bool:
    return "daily" in text.lower()


def _until_midnight(now: datetime) -> float:
    """Seconds until the day's call count resets, at 00:00 UTC."""
    tomorrow = datetime.combine(now.astimezone(UTC).date() + _DAY, time(), UTC)
    return (tomorrow - now).total_seconds()


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None and text.isascii() and text.strip().isdecimal() else None
    except ValueError:
        return None
