"""Paths in the store: whatever people and platforms call things, a path leads nowhere else."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.recordings import layout
from common.recordings.settings import PLACEHOLDERS, FileKind

TENANT, RECORDING = UUID(int=1), UUID(int=0xABCDEF)
STARTED = datetime(2026, 11, 3, 23, 30, tzinfo=UTC)
NASTY = st.one_of(
    st.text(max_size=200),
    st.text("会議録🎬", min_size=80, max_size=150),
    st.sampled_from(
        ["../../etc/passwd", "..", "/", "\\\\host\\share", "a/../b", "\x00", ".", " .. ", "%2e%2e%2f", "C:"]
    ),
)


def values(topic: str, host: str = "dana@example.com", timezone: str = "UTC") -> dict[str, str]:
    return layout.placeholders(
        recording_id=RECORDING,
        meeting_id="1",
        topic=topic,
        host=host,
        source="Dana",
        template="Calls",
        started_at=STARTED,
        timezone=timezone,
    )


@given(NASTY, NASTY, st.lists(st.sampled_from(sorted(PLACEHOLDERS)), max_size=12))
def test_a_prefix_stays_below_the_library(topic: str, host: str, names: list[str]) -> None:
    prefix = "/".join(f"{{{name}}}" for name in names)
    placed = layout.placed(prefix, values(topic, host), "film.mp4")
    parts = placed.split("/")
    assert parts[-1] == "film.mp4"
    assert all(part not in ("", ".", "..") for part in parts)
    assert not any(char in placed for char in "\x00\\\n")
    root = Path("/store")
    assert (root / placed).resolve().is_relative_to(root)
    assert all(len(part.encode()) <= 255 for part in parts)
    assert len(placed.encode()) <= 1024


@given(NASTY, NASTY, st.sampled_from(list(FileKind)))
def test_platform_names_cannot_form_paths(file_id: str, extension: str, kind: FileKind) -> None:
    path = layout.download_path(TENANT, RECORDING, kind=kind, file_id=file_id, told=extension)
    folder, _, name = path.rpartition("/")
    assert folder == layout.folder(TENANT, RECORDING)
    assert set(name) <= set(string.ascii_lowercase + string.digits + "-.")
    assert path == layout.download_path(TENANT, RECORDING, kind=kind, file_id=file_id, told=extension)


def test_files_of_one_recording_have_distinct_names() -> None:
    def path(file_id: str) -> str:
        return layout.download_path(TENANT, RECORDING, kind=FileKind.VIDEO, file_id=file_id, told="MP4")

    assert len({path(file_id) for file_id in ("a", "A", "a ", "á", "a/b", "a_b")}) == 6


@pytest.mark.parametrize(
    ("timezone", "name"),
    [
        ("Europe/Berlin", "2026-11-04_0030_video_000000abcdef.mp4"),
        ("UTC", "2026-11-03_2330_video_000000abcdef.mp4"),
        ("America/New_York", "2026-11-03_1830_video_000000abcdef.mp4"),
        ("Mars/Olympus", "2026-11-03_2330_video_000000abcdef.mp4"),
        ("../../etc/localtime", "2026-11-03_2330_video_000000abcdef.mp4"),
        ("", "2026-11-03_2330_video_000000abcdef.mp4"),
    ],
)
def test_names_tell_the_time_where_it_was_recorded(timezone: str, name: str) -> None:
    assert layout.file_name(RECORDING, STARTED, timezone, part="video", extension="mp4") == name


def test_the_day_is_in_the_recordings_zone() -> None:
    found = values("Call", timezone="Europe/Berlin")
    assert (found["date"], found["year"], found["month"], found["day"]) == ("2026-11-04", "2026", "11", "04")


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("a.mp4", "video/mp4"),
        ("a.vtt", "text/vtt"),
        ("a.exe", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_media_types(name: str, type_: str) -> None:
    assert layout.content_type(name) == type_
