"""Chance that depends on nothing but its name."""

import hashlib
import struct

_UNIT = 1.0 / 2**32


def throw(*name: object) -> tuple[float, ...]:
    """Eight numbers in [0, 1) that are always the same for the same ``name``."""
    digest = hashlib.blake2b("|".join(map(str, name)).encode(), digest_size=32).digest()
    return tuple(word * _UNIT for word in struct.unpack(">8I", digest))


def between(low: float, high: float, chance: float) -> float:
    """The point that lies ``chance`` of the way from ``low`` to ``high``."""
    return low + (high - low) * chance
