"""Which step comes next, which files it needs, and whether one that failed is taken again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CarillonError, Consequence, PlatformError, RemoteError
from common.models import RecordingStatus as Status
from common.recordings.artifacts import Artifacts, DownloadedFile
from common.recordings.files import RecordedFile
from common.recordings.settings import FileKind, ProcessingSettings
from common.recordings.store import NotStored, StoreFault
from common.work.leases import MAX_UNCOUNTED
from executor.recordings.processing import retries as again
from executor.recordings.processing.failures import describe
from executor.recordings.processing.pipeline import Step, is_stored, needed, next_step, to_transcribe
from executor.recordings.processing.retries import Again

NOW = datetime(2026, 11, 4, 6, 0, tzinfo=UTC)
STORED = DownloadedFile(
    path="a", bytes=9, sha256="0", kind=FileKind.VIDEO, extension="mp4", announced_bytes=9
)
FILES = Artifacts(files={"film": STORED})


def settings(**values: Any) -> ProcessingSettings:
    return ProcessingSettings.model_validate(values)


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (Status.INITIALIZED, Step.DOWNLOAD),
        (Status.DOWNLOADING, Step.DOWNLOAD),
        (Status.DOWNLOADED, Step.TRANSCRIBE),
        (Status.TRANSCRIBING, Step.TRANSCRIBE),
        (Status.TRANSCRIBED, Step.UPLOAD),
        (Status.UPLOADING, Step.UPLOAD),
        (Status.UPLOADED, None),
        (Status.FAILED, None),
        (Status.SKIPPED, None),
    ],
)
def test_the_step_follows_from_the_status(status: Status, step: Step | None) -> None:
    assert next_step(status, settings(), FILES) is step


def test_without_upload_the_transcript_is_the_end() -> None:
    assert next_step(Status.TRANSCRIBED, settings(auto_upload=False), FILES) is None
    assert next_step(Status.DOWNLOADED, settings(auto_upload=False), FILES) is Step.TRANSCRIBE
    # One that was begun before somebody changed the settings is finished.
    assert next_step(Status.UPLOADING, settings(auto_upload=False), FILES) is Step.UPLOAD


@pytest.mark.parametrize(
    "status", [Status.DOWNLOADED, Status.TRANSCRIBING, Status.TRANSCRIBED, Status.UPLOADING]
)
def test_a_recording_with_missing_files_starts_again(status: Status) -> None:
    assert next_step(status, settings(), Artifacts()) is Step.DOWNLOAD


@given(st.sampled_from(list(Status)), st.booleans(), st.booleans())
def test_every_recording_reaches_a_final_state(status: Status, uploads: bool, has_files: bool) -> None:
    chosen, artifacts, steps = settings(auto_upload=uploads), FILES if has_files else Artifacts(), 0
    while (step := next_step(status, chosen, artifacts)) is not None:
        status, artifacts, steps = step.done, FILES, steps + 1
    assert steps <= 3
    assert status in (Status.UPLOADED, Status.TRANSCRIBED, Status.FAILED, Status.SKIPPED)


def file(kind: str, id_: str = "", **more: Any) -> RecordedFile:
    return RecordedFile.model_validate({"id": id_ or kind, "kind": kind, "url": "https://zoom.us/x", **more})


def names(files: list[RecordedFile], *, can_transcribe: bool = True, **chosen: Any) -> dict[str, bool]:
    found = needed(files, settings(**chosen), can_transcribe=can_transcribe)
    return {each.file.id: each.is_wanted for each in found}


FILM, SOUND, SPOKEN, CHAT = file("video"), file("audio"), file("transcript"), file("chat")


def test_needed_files_include_transcript_source() -> None:
    everything = [FILM, SOUND, SPOKEN, CHAT]
    assert names(everything) == {"video": True, "audio": True, "transcript": True}
    assert names(everything, file_types=["video"]) == {"video": True, "transcript": False}
    assert names([FILM, SOUND], file_types=["video"]) == {"video": True, "audio": False}
    assert names([FILM, SOUND], file_types=["chat"]) == {"audio": False}
    assert names([FILM], file_types=["chat"]) == {"video": False}
    assert names([FILM, SOUND], file_types=["video"], can_transcribe=False) == {"video": True}
    assert names(everything, file_types=["video"], skip_transcription=True) == {"video": True}
    assert names([FILM, file("captions")], file_types=["video"]) == {"video": True, "captions": False}
    assert names([CHAT], file_types=["video"]) == {}
    assert names([FILM, file("audio", "unfinished", status="processing")]) == {"video": True}


def test_a_file_is_stored_as_long_as_its_size_is_the_same() -> None:
    assert is_stored(file("video", "film", bytes=9), FILES)
    assert not is_stored(file("video", "film", bytes=10), FILES)
    assert not is_stored(file("video", "other", bytes=9), FILES)


def test_the_platforms_transcript_is_preferred_then_audio_then_video() -> None:
    def stored(kind: FileKind, minute: int) -> DownloadedFile:
        return STORED.model_copy(update={"kind": kind, "starts_at": NOW + timedelta(minutes=minute)})

    files = {
        "film": stored(FileKind.VIDEO, 0),
        "late": stored(FileKind.AUDIO, 30),
        "early": stored(FileKind.AUDIO, 0),
    }
    assert [file_id for file_id, _ in to_transcribe(Artifacts(files=files))] == ["early", "late"]
    files["captions"] = stored(FileKind.CAPTIONS, 0)
    assert [file_id for file_id, _ in to_transcribe(Artifacts(files=files))] == ["captions"]
    assert to_transcribe(Artifacts()) == []


def decided(error: Exception, step: Step = Step.UPLOAD, **more: Any) -> Again | None:
    given: dict[str, Any] = {
        "attempts": 1,
        "uncounted": 0,
        "missing_since": None,
        "max_attempts": 3,
        "now": NOW,
        "random": 0.0,
    }
    return again.decide(error, step, **{**given, **more})


def platform(consequence: Consequence, **more: Any) -> PlatformError:
    return PlatformError("no", consequence, platform="zoom", **more)


def test_transient_errors_are_retried_with_backoff() -> None:
    fault = StoreFault("away")
    assert decided(fault) == Again(timedelta(seconds=15))
    assert decided(fault, attempts=2) == Again(timedelta(seconds=30))
    assert decided(fault, attempts=3) is None
    assert decided(ValueError("a defect")) == Again(timedelta(seconds=15))
    assert decided(NotStored("gone")) == Again(timedelta(seconds=15))


@pytest.mark.parametrize(
    "consequence", [Consequence.PERM, Consequence.REAUTH, Consequence.INVALID, Consequence.SPLIT]
)
def test_permanent_errors_are_not_retried(consequence: Consequence) -> None:
    assert decided(platform(consequence), Step.DOWNLOAD) is None


def test_a_wait_that_was_asked_for_uses_up_no_attempt_until_it_never_ends() -> None:
    rate = RemoteError("slow down", Consequence.RATE, retry_after=90)
    assert decided(rate, attempts=3, max_attempts=3) == Again(timedelta(seconds=90), counted=False)
    assert decided(rate, attempts=3, max_attempts=3, uncounted=MAX_UNCOUNTED) is None


def test_only_downloads_wait_two_hours_for_missing_files() -> None:
    gone = platform(Consequence.GONE)
    first = decided(gone, Step.DOWNLOAD, attempts=3)
    assert first == Again(again.LOOK_AGAIN, counted=False, missing_since=NOW)
    almost = NOW - again.NOT_READY + timedelta(seconds=1)
    assert decided(gone, Step.DOWNLOAD, missing_since=almost) == Again(
        again.LOOK_AGAIN, counted=False, missing_since=almost
    )
    assert decided(gone, Step.DOWNLOAD, missing_since=NOW - again.NOT_READY) is None
    assert decided(gone, Step.UPLOAD) is None
    assert decided(RemoteError("410", Consequence.GONE), Step.DOWNLOAD) is None


@given(st.integers(1, 500), st.integers(0, 500), st.floats(0, 1, exclude_max=True))
def test_no_error_is_tried_for_ever(attempts: int, uncounted: int, random: float) -> None:
    for error in (StoreFault("away"), platform(Consequence.RATE), platform(Consequence.GONE)):
        following = decided(
            error, Step.DOWNLOAD, attempts=attempts, uncounted=max(uncounted, 200), random=random
        )
        assert following is None or (following.counted and attempts < 3)


def test_what_is_shown_of_an_error() -> None:
    assert describe(platform(Consequence.PERM, code="200")) == ("perm:200", "no")
    assert describe(StoreFault("a file could not be read: X")) == (
        "store_fault",
        "a file could not be read: X",
    )
    code, message = describe(RuntimeError("password=hunter2"))
    assert code == "internal_error"
    assert "hunter2" not in message
    _, message = describe(CarillonError("the key secret-key-1 is \x00 wrong"), ["secret-key-1"])
    assert message == "the key [hidden] is  wrong"
