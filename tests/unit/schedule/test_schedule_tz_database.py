"""Which release of the tz database decides."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.scheduling import tzdata_version, use_newest_tzdata


@pytest.fixture
def system_database(tmp_path: Path) -> Iterator[Path]:
    """An empty directory in place of the system's database."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    yield tmp_path
    zoneinfo.reset_tzpath(to=before)
    zoneinfo.ZoneInfo.clear_cache()


def install(directory: Path, release: str) -> None:
    (directory / "UTC").write_bytes(b"")
    (directory / "tzdata.zi").write_text(f"# version {release}\n# more\n")


def test_without_a_system_database_the_package_decides(system_database: Path) -> None:
    assert re.fullmatch(r"20\d\d[a-z]", tzdata_version())
    assert use_newest_tzdata() == tzdata_version()


def test_an_older_system_gives_way_to_the_package(system_database: Path) -> None:
    packaged = tzdata_version()
    install(system_database, "2001a")
    assert tzdata_version() == "2001a"
    assert use_newest_tzdata() == packaged
    assert zoneinfo.TZPATH == ()


def test_a_newer_system_decides(system_database: Path) -> None:
    install(system_database, "2999z")
    assert use_newest_tzdata() == "2999z"
    assert (str(system_database),) == zoneinfo.TZPATH


def test_a_system_that_names_no_release_gives_way_to_the_package(system_database: Path) -> None:
    packaged = tzdata_version()
    (system_database / "UTC").write_bytes(b"")
    assert tzdata_version() == "unknown"
    assert use_newest_tzdata() == packaged
    assert zoneinfo.TZPATH == ()


def test_a_release_in_a_file_of_its_own_is_read(system_database: Path) -> None:
    (system_database / "UTC").write_bytes(b"")
    (system_database / "+VERSION").write_text("2025b\n")
    assert tzdata_version() == "2025b"
