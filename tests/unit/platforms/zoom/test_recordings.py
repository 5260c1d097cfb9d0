"""What Zoom tells of a recorded meeting, and what its files say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.recordings.files import PATIENCE, chosen
from common.recordings.settings import FileKind
from platforms.zoom.recordings import UnreadableRecording, read_meeting

STARTED = datetime(2026, 11, 3, 11, 40, 38, tzinfo=UTC)


def file(kind: str = "MP4", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"file-{kind}-{changes.get('recording_type', '')}",
        "recording_start": "2026-11-03T11:40:39Z",
        "recording_end": "2026-11-03T12:42:01Z",
        "file_type": kind,
        "file_extension": kind,
        "file_size": 98_000_000,
        "recording_type": "shared_screen_with_speaker_view" if kind == "MP4" else "",
        "status": "completed",
        "download_url": f"https://zoom.us/rec/download/{kind}",
        **changes,
    }


PROCESSING = file("", recording_end="", file_size=0, status="processing", download_url="")


def meeting(*files: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "uuid": "ODfDKShNRqKkXbGD09Sk4A==",
        "id": 94488262913,
        "host_id": "uET9c2fCR06UoPbeqKed4A",
        "host_email": "a@b.c",
        "topic": "Weekly",
        "start_time": "2026-11-03T11:40:38Z",
        "timezone": "Europe/Berlin",
        "duration": 62,
        "total_size": 104857600,
        "recording_files": list(files),
        **changes,
    }


def test_a_meeting_is_read() -> None:
    found = read_meeting(meeting(file(), file("M4A"), file("TRANSCRIPT", file_extension="VTT")))

    assert (found.external_id, found.meeting_id) == ("ODfDKShNRqKkXbGD09Sk4A==", "94488262913")
    assert (found.topic, found.host, found.started_at) == ("Weekly", "a@b.c", STARTED)
    assert (found.duration_minutes, found.total_bytes) == (62, 104857600)
    assert [each.kind for each in found.files] == [FileKind.VIDEO, FileKind.AUDIO, FileKind.TRANSCRIPT]
    assert found.files[0].url == "https://zoom.us/rec/download/MP4"
    assert found.files[0].length == timedelta(minutes=61, seconds=22)
    assert not found.is_blank
    assert found.is_ready(STARTED)


def test_no_token_of_an_address_is_kept() -> None:
    url = "https://zoom.us/rec/download/x?access_token=eyJsecret&type=cc#download_token=eyJsecret"

    [read] = read_meeting(meeting(file(download_url=url))).files

    assert read.url == "https://zoom.us/rec/download/x?type=cc"


def test_what_a_database_cannot_hold_is_left_out() -> None:
    document = json.loads(r'{"topic": "a\u0000b\ud800c", "host_email": null, "id": "123"}')

    found = read_meeting(meeting(**document))

    assert found.topic == "ab?c"
    assert (found.host, found.meeting_id) == ("uET9c2fCR06UoPbeqKed4A", "123")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uuid": ""}, "uuid"),
        ({"start_time": ""}, "start_time"),
        ({"start_time": "2026-11-03T11:40:38"}, "start_time"),
        ({"duration": -1}, "duration"),
        ({"total_size": 2**64}, "total_size"),
        ({"recording_files": [{"file_size": "big"}]}, "recording_files.0.file_size"),
        ({"recording_files": [{"download_url": "http://[broken"}]}, "recording_files.0.download_url"),
        ({"recording_files": "none"}, "recording_files"),
    ],
)
def test_what_cannot_be_read_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadableRecording, match=field.replace(".", r"\.")):
        read_meeting(meeting(**changes))


@pytest.mark.parametrize(
    ("files", "blank"),
    [
        ([], True),
        ([file()], False),
        ([file(file_size=0)], True),
        ([file(recording_end="2026-11-03T11:41:30Z")], True),
        ([file(recording_end="2026-11-03T11:41:30Z"), file("M4A")], False),
        ([file("TRANSCRIPT")], True),
        ([file(recording_end="")], False),
        ([PROCESSING], False),
        ([file(file_size=0), PROCESSING], False),
        ([file(deleted_time="2026-11-04T00:00:00Z")], True),
    ],
)
def test_a_recording_is_blank_when_nothing_lasts_a_minute(files: list[dict[str, Any]], blank: bool) -> None:
    assert read_meeting(meeting(*files)).is_blank is blank


@pytest.mark.parametrize(
    ("files", "after", "ready"),
    [
        ([PROCESSING], timedelta(hours=1), False),
        ([file(), PROCESSING], timedelta(hours=1), False),
        ([file(), PROCESSING], PATIENCE + timedelta(seconds=1), True),
        ([PROCESSING], PATIENCE * 2, False),
        ([file()], timedelta(), True),
        ([], PATIENCE * 2, False),
    ],
)
def test_files_that_are_being_made_are_waited_for(
    files: list[dict[str, Any]], after: timedelta, ready: bool
) -> None:
    assert read_meeting(meeting(*files)).is_ready(STARTED + after) is ready


def test_of_several_views_the_best_is_chosen_in_all_its_parts() -> None:
    later = {"recording_start": "2026-11-03T12:50:00Z", "recording_end": "2026-11-03T13:10:00Z"}
    best = "shared_screen_with_speaker_view"
    found = read_meeting(
        meeting(
            file(id="part 2", recording_type=best, **later),
            file(id="part 1", recording_type=best),
            file(id="gallery", recording_type="gallery_view"),
            file(id="unknown", recording_type="hologram_view"),
            file("M4A", id="sound"),
            file("CHAT", id="chat"),
            file("TRANSCRIPT", id="pending", status="processing"),
        )
    )

    picked = chosen(found.files, {FileKind.VIDEO, FileKind.AUDIO, FileKind.TRANSCRIPT})

    assert [each.id for each in picked] == ["part 1", "part 2", "sound"]
    assert [each.id for each in chosen(found.files, {FileKind.CHAT})] == ["chat"]
