"""Aware datetimes and seconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_seconds(instant: datetime) -> int:
    """Whole seconds since the epoch, rounded down.

    Raises:
        TypeError: the datetime is naive.
    """
    since = instant - EPOCH
    return since.days * 86400 + since.seconds


def to_instant(seconds: int) -> datetime:
    """The aware UTC datetime so many seconds after the epoch."""
    return EPOCH + timedelta(0, seconds)


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: the datetime is naive: it names no instant.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone and names no instant")
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)
