"""Identifiers: UUIDv7 (RFC 9562), so that rows created together stay together in an index."""

import os
import time
from datetime import datetime
from uuid import UUID


def new_id() -> UUID:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def first_id_at(instant: datetime) -> UUID:
    """The smallest id that could have been made at `instant`: whatever was made before has a smaller one."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)
