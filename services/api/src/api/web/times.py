"""Times and durations as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | None) -> str:
    """A length of time: `180 ms`, `4.2 s`, `3 min 12 s`, `2 d 4 h`."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        amount, whole = divmod(whole, size)
        if amount:
            parts.append(f"{amount} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts)


def relative(instant: datetime, now: datetime) -> str:
    """`in 3 min`, `2 h ago`, `now`. The console's script says the same, and keeps it current."""
    seconds = (instant - now).total_seconds()
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            amount = int(abs(seconds) // size)
            return f"in {amount} {unit}" if seconds > 0 else f"{amount} {unit} ago"
    return "now"


def in_zone(instant: datetime, zone: str) -> datetime:
    """On the clock of an IANA zone; in UTC when there is no such zone."""
    try:
        return instant.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return instant.astimezone(UTC)


def clock_in(instant: datetime, zone: str = "UTC") -> str:
    """`Mon 24 Nov 2026, 09:00 CET`: on the clock of an IANA zone."""
    local = in_zone(instant, zone)
    seconds = f":{local:%S}" if local.second else ""
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}{seconds} {local:%Z}"


def short_in(instant: datetime, zone: str = "UTC") -> str:
    """`Mon 24 Nov, 09:00`."""
    local = in_zone(instant, zone)
    return f"{local:%a} {local.day} {local:%b, %H:%M}"


def between(first: datetime | None, second: datetime | None) -> float | None:
    """Seconds from one instant to another, if both are known."""
    return (second - first).total_seconds() if first is not None and second is not None else None
