"""Names of recorded meetings that say, to who holds the key, which meeting they name.

So a recording is found by its UUID or number without a list of all there are.
"""

import base64
import binascii
import struct
from hashlib import blake2b
from typing import NamedTuple

_PRIME = 9_999_999_967
"""The largest prime of ten digits: multiplying by anything modulo it can be undone."""
_FACTOR = 6_364_136_223
_INVERSE = pow(_FACTOR, -1, _PRIME)
_ROOMS = 80_000_000_000
_SINGLES = 90_000_000_000
_NUMBER_BITS = 18
ROOMS = 4
"""Every fourth meeting stands alone; the others recur in three rooms."""
_BEYOND, _BEYOND_COUNT = 50_000, 15_000
"""Lone meetings that come after those of the longest series, and how many of them fit."""


class Place(NamedTuple):
    """Which meeting: the host's number, the generation of the host's plan, the meeting's number in it."""

    host: int
    generation: int
    number: int


class Room(NamedTuple):
    """A recurring meeting of a host, from 1."""

    host: int
    room: int


def uuid_of(seed: int, place: Place) -> str:
    """24 characters of base64. Every eighth begins with a slash, and every eighth holds two in a row."""
    plain = struct.pack(">HHI", *place)
    tag = bytearray(_digest(seed, plain))
    if place.number % 8 == 3:
        tag[0] = 0xFF
    elif place.number % 8 == 5:
        tag[1] |= 0x0F
        tag[2] = 0xFF
    return base64.b64encode(bytes(tag) + _mask(seed, bytes(tag), plain)).decode()


def place_of(seed: int, uuid: str) -> Place | None:
    """What the UUID names; None when it is none of ours."""
    try:
        raw = base64.b64decode(uuid, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 16:
        return None
    place = Place(*struct.unpack(">HHI", _mask(seed, raw[:8], raw[8:])))
    return place if uuid_of(seed, place) == uuid else None


def meeting_number(host: int, number: int) -> int:
    """The eleven digits people join by; meetings in one room share them."""
    if room := number % ROOMS:
        return _ROOMS + (host * ROOMS + room) * _FACTOR % _PRIME
    return _SINGLES + (host << _NUMBER_BITS | number) * _FACTOR % _PRIME


def number_of_added(place: Place) -> int:
    """The digits of a meeting that is in no person's series."""
    return meeting_number(place.host, ROOMS * (_BEYOND + place.number % _BEYOND_COUNT))


def meeting_of(meeting: int) -> Room | Place | None:
    """The room or the single meeting (of whatever generation) behind the digits; None for other numbers."""
    if _SINGLES <= meeting < _SINGLES + _PRIME:
        code = (meeting - _SINGLES) * _INVERSE % _PRIME
        place = Place(code >> _NUMBER_BITS, 0, code & (1 << _NUMBER_BITS) - 1)
        return None if place.number % ROOMS else place
    if _ROOMS <= meeting < _ROOMS + _PRIME:
        host, room = divmod((meeting - _ROOMS) * _INVERSE % _PRIME, ROOMS)
        return Room(host, room) if room else None
    return None


def _digest(seed: int, content: bytes) -> bytes:
    return blake2b(content, key=f"sandbox {seed}".encode(), digest_size=8).digest()


def _mask(seed: int, tag: bytes, content: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(_digest(seed, tag), content, strict=True))
