"""IANA time zones as stretches of constant offset.

`zoneinfo` answers one instant at a time and costs more than the rest of a computation together. This module
asks it once for a stretch of about a year, finds the changes by bisection, and then answers from memory.

The database is the one `zoneinfo` itself uses; `tz_database` says which that is.
"""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, lru_cache
from hashlib import blake2b
from typing import NamedTuple

from common.scheduling.days import FIRST_DAY, LAST_DAY
from common.scheduling.instants import to_seconds

_CHUNK_BITS = 25
_CHUNK_SECONDS = 1 << _CHUNK_BITS
"""About 388 days."""

_PROBE_SECONDS = 86400
"""Two changes that cancel each other within this time would be missed. The closest two in the database, among
all zones and times, are four days apart."""

_LOOKBACK_SECONDS = 3 * 86400
"""A repeated stretch lasts at most a day and two hours (crossing the date line), so its cause is within
this."""

_FIRST_INSTANT = FIRST_DAY * 86400
_LAST_INSTANT = LAST_DAY * 86400

_FINGERPRINTED = (1_704_067_200, 2_145_916_800)
"""From 2024 to 2037: what a fingerprint of rules covers."""

MAX_NAME_LENGTH = 64


class UnknownZone(ValueError):
    """The name is no IANA time zone; the message proposes one."""


class Stretch(NamedTuple):
    """A stretch of time in which a zone keeps one offset from UTC; all values in seconds."""

    start: int
    """The first instant (since the epoch)."""
    end: int
    """The first instant after it. Not necessarily a change: stretches also end where the memory's pages
    do."""
    offset: int
    """Local time minus UTC."""
    high_water: int
    """The latest reading the local clock showed before `start`, exclusive. More than `start + offset`: the
    clock was set back and repeats the readings in between. Less: it was set forward over them. Equal: nothing
    happened."""


class Zone:
    """The offsets of one IANA time zone."""

    __slots__ = ("_info", "_pages", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._info = zoneinfo.ZoneInfo(name)
        self._pages: dict[int, tuple[Stretch, ...]] = {}

    def stretch(self, instant: int) -> Stretch:
        """The stretch that holds this instant (seconds since the epoch)."""
        page = self._pages.get(instant >> _CHUNK_BITS)
        if page is None:
            page = self._load(instant >> _CHUNK_BITS)
        for stretch in page:
            if instant < stretch[1]:
                return stretch
        raise AssertionError(f"page without instant {instant}")

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """The stretches that together cover [start, end)."""
        while start < end:
            found = self.stretch(start)
            yield found
            start = found.end

    def fingerprint(self) -> str:
        """Equal for equal rules: of two tz databases, or of two zones."""
        changes = ((one.start, one.offset) for one in self.stretches(*_FINGERPRINTED))
        offsets: list[tuple[int, int]] = []
        for start, offset in changes:
            if not offsets or offsets[-1][1] != offset:
                offsets.append((start if offsets else 0, offset))
        return blake2b(repr(offsets).encode(), digest_size=8).hexdigest()

    def offset(self, instant: int) -> int:
        """Local time minus UTC at this instant, in seconds."""
        return self.stretch(instant).offset

    def reached(self, local: int) -> int:
        """The first instant at which the local clock shows this reading or has been set past it."""
        found = self.stretch(local - 2 * 86400)
        while True:
            if local < found.start + found.offset:
                return found.start
            if local - found.offset < found.end:
                return local - found.offset
            found = self.stretch(found.end)

    def _offset_at(self, instant: int) -> int:
        instant = min(max(instant, _FIRST_INSTANT), _LAST_INSTANT)
        local = datetime.fromtimestamp(instant, self._info)
        return to_seconds(local.replace(tzinfo=UTC)) - instant

    def _load(self, index: int) -> tuple[Stretch, ...]:
        start = index << _CHUNK_BITS
        end = start + _CHUNK_SECONDS
        page = tuple(
            found
            if found.start >= start
            else Stretch(start, found.end, found.offset, max(found.high_water, start + found.offset))
            for found in self._probe(start - _LOOKBACK_SECONDS, end)
            if found.end > start
        )
        self._pages[index] = page
        return page

    def _probe(self, start: int, end: int) -> Iterator[Stretch]:
        offset = self._offset_at(start)
        high_water = start + offset
        begin = at = start
        while at < end:
            probe = min(at + _PROBE_SECONDS, end)
            if self._offset_at(probe) == offset:
                at = probe
                continue
            low, high = at, probe
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self._offset_at(middle) == offset else (low, middle)
            if high == end:
                break
            yield Stretch(begin, high, offset, high_water)
            high_water = high + offset
            begin = at = high
            offset = self._offset_at(high)
        yield Stretch(begin, end, offset, high_water)


@cache
def zone_names() -> frozenset[str]:
    """Every name of the tz database in use, without the two that stand for no place: what they mean
    varies."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def check_zone(name: str) -> str:
    """The same name, when the tz database has it.

    Raises:
        UnknownZone: it has not; the message names the nearest that exists.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise UnknownZone("not an IANA time zone: too long; write one such as Europe/Berlin or UTC")
    if name in zone_names():
        return name
    by_folded = {known.casefold(): known for known in zone_names()}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.75)
    instead = by_folded[near[0]] if near else "one such as Europe/Berlin or UTC"
    raise UnknownZone(f"{name!r} is not an IANA time zone; write {instead}")


@lru_cache(maxsize=1024)
def zone(name: str) -> Zone:
    """The zone of this name.

    Raises:
        UnknownZone: the tz database has none.
    """
    return Zone(check_zone(name))
