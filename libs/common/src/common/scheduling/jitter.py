"""Spreading runs over time by a stable hash, so that automations with one schedule do not all start at once.

The hash decides, never chance: the same automation gets the same answer in every process and release.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

_DENOMINATOR = 1 << 64


def jittered(slot: datetime, automation_id: str | UUID, jitter_seconds: int) -> datetime:
    """When to run the slot: 0 to `jitter_seconds` whole seconds after it, differently for each slot."""
    if jitter_seconds <= 0:
        return slot
    key = f"{automation_id}@{slot.timestamp()}"
    return slot + timedelta(seconds=_point(key) * (jitter_seconds + 1) // _DENOMINATOR)


def spread(automation_id: str | UUID, seconds: int) -> int:
    """The automation's place in a stretch of so many seconds: 0 to `seconds`, the same every time."""
    return _point(str(automation_id)) * (seconds + 1) // _DENOMINATOR


def _point(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
