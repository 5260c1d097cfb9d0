"""Which release of the tz database decides.

`zoneinfo` takes the system's database where `zoneinfo.TZPATH` has one and the `tzdata` package only
otherwise, so an old system beats a new package. Governments change the clocks at short notice: a process that
schedules calls `use_newest_tzdata` when it starts. A system whose database names no release gives way too:
the package's release is known and kept up to date, that one's age is not.
"""

from __future__ import annotations

import importlib
import zoneinfo
from pathlib import Path

from common.scheduling import zones

UNKNOWN = "unknown"
"""The release of a system's database that does not say."""


def tzdata_version() -> str:
    """The release in use, such as `2026a`; stored instants are computed again when it changes."""
    return _system_version() or _packaged_version()


def use_newest_tzdata() -> str:
    """Make the whole process read the `tzdata` package where that is newer than the system's database.

    To be called before the first schedule is computed, since computed rules are kept.

    Returns:
        The release in use from now on.
    """
    system = _system_version()
    if system is not None and (system == UNKNOWN or system < _packaged_version()):
        zoneinfo.reset_tzpath(to=())
        zoneinfo.ZoneInfo.clear_cache()
        zones.zone.cache_clear()
        zones.zone_names.cache_clear()
    return tzdata_version()


def _packaged_version() -> str:
    version: str = importlib.import_module("tzdata").IANA_VERSION
    return version


def _system_version() -> str | None:
    """The release on `zoneinfo.TZPATH`, "unknown" where it does not say, None where there is none."""
    for directory in map(Path, zoneinfo.TZPATH):
        if not (directory / "UTC").is_file():
            continue
        for name in ("tzdata.zi", "+VERSION"):
            file = directory / name
            if file.is_file():
                with file.open(encoding="utf-8") as lines:
                    return lines.readline().removeprefix("# version ").strip()
        return UNKNOWN
    return None
