"""How far a recording has come, told by its state and by what there is of it."""

from __future__ import annotations

from typing import Any

import pytest

from api.recordings.steps import steps_of
from common.models import RecordingStatus
from common.recordings.artifacts import Artifacts, DownloadedFile, StoredFile, Transcript, TranscriptSource
from common.recordings.files import RecordedFile
from common.recordings.settings import FileKind, ProcessingSettings

FILM = RecordedFile(id="film", kind=FileKind.VIDEO, bytes=9, url="https://zoom.us/rec/download/film")
STORED = StoredFile(path="t/recordings/r/film.mp4", bytes=9, sha256="0" * 64)
DOWNLOADED = Artifacts().with_file(
    "film", DownloadedFile(**STORED.model_dump(), kind=FileKind.VIDEO, extension="mp4")
)
TRANSCRIBED = DOWNLOADED.with_transcript(
    "film", Transcript(source=TranscriptSource.ENDPOINT, vtt=STORED, text=STORED)
)


def states(
    status: RecordingStatus,
    *,
    is_under_way: bool = False,
    artifacts: Artifacts | None = None,
    **settings: Any,
) -> list[str]:
    return [
        step.state.value
        for step in steps_of(
            status,
            is_under_way=is_under_way,
            settings=ProcessingSettings.model_validate(settings),
            files=[FILM],
            artifacts=artifacts or Artifacts(),
        )
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (RecordingStatus.INITIALIZED, ["current", "pending", "pending"]),
        (RecordingStatus.DOWNLOADING, ["current", "pending", "pending"]),
        (RecordingStatus.DOWNLOADED, ["done", "current", "pending"]),
        (RecordingStatus.TRANSCRIBING, ["done", "current", "pending"]),
        (RecordingStatus.TRANSCRIBED, ["done", "done", "current"]),
        (RecordingStatus.UPLOADING, ["done", "done", "current"]),
    ],
)
def test_the_step_under_way_is_the_one_after_what_is_done(
    status: RecordingStatus, expected: list[str]
) -> None:
    assert states(status, is_under_way=True) == expected


@pytest.mark.parametrize("status", [RecordingStatus.INITIALIZED, RecordingStatus.SKIPPED])
def test_nothing_is_under_way_of_what_has_not_begun(status: RecordingStatus) -> None:
    assert states(status) == ["pending", "pending", "pending"]


def test_what_the_settings_leave_out_is_passed_over() -> None:
    assert states(RecordingStatus.DOWNLOADED, is_under_way=True, skip_transcription=True) == [
        "done",
        "left_out",
        "current",
    ]
    assert states(RecordingStatus.TRANSCRIBED, auto_upload=False) == ["done", "done", "left_out"]
    assert states(RecordingStatus.UPLOADED) == ["done", "done", "done"]


@pytest.mark.parametrize(
    ("artifacts", "expected"),
    [
        (Artifacts(), ["failed", "pending", "pending"]),
        (DOWNLOADED.without_file("film"), ["failed", "pending", "pending"]),
        (DOWNLOADED, ["done", "failed", "pending"]),
        (DOWNLOADED.with_note("nobody speaks"), ["done", "done", "failed"]),
        (TRANSCRIBED, ["done", "done", "failed"]),
    ],
)
def test_where_it_failed_is_told_by_what_there_is(artifacts: Artifacts, expected: list[str]) -> None:
    assert states(RecordingStatus.FAILED, artifacts=artifacts) == expected


def test_a_failed_upload_without_transcript() -> None:
    assert states(RecordingStatus.FAILED, artifacts=DOWNLOADED, skip_transcription=True) == [
        "done",
        "left_out",
        "failed",
    ]
