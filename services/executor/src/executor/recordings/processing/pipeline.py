"""Which step comes next, and which files it needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from common.models import RecordingStatus as Status
from common.recordings.artifacts import Artifacts, DownloadedFile
from common.recordings.files import RecordedFile, chosen
from common.recordings.settings import FileKind, ProcessingSettings

SPOKEN = (FileKind.TRANSCRIPT, FileKind.CAPTIONS)
"""The platform's own transcripts, the better first."""
SOUND = (FileKind.AUDIO, FileKind.VIDEO)
"""What speech can be heard in, the smaller first."""


class Step(StrEnum):
    """One part of the way of a recording, each with the state it begins and the state it ends with."""

    DOWNLOAD = "download"
    TRANSCRIBE = "transcribe"
    UPLOAD = "upload"

    @property
    def begun(self) -> Status:
        """The state while it is under way."""
        return _STATES[self][0]

    @property
    def done(self) -> Status:
        """The state once it is done."""
        return _STATES[self][1]


_STATES = {
    Step.DOWNLOAD: (Status.DOWNLOADING, Status.DOWNLOADED),
    Step.TRANSCRIBE: (Status.TRANSCRIBING, Status.TRANSCRIBED),
    Step.UPLOAD: (Status.UPLOADING, Status.UPLOADED),
}
_NEXT = {
    Status.INITIALIZED: Step.DOWNLOAD,
    Status.DOWNLOADING: Step.DOWNLOAD,
    Status.DOWNLOADED: Step.TRANSCRIBE,
    Status.TRANSCRIBING: Step.TRANSCRIBE,
    Status.TRANSCRIBED: Step.UPLOAD,
    Status.UPLOADING: Step.UPLOAD,
}


def next_step(status: Status, settings: ProcessingSettings, artifacts: Artifacts) -> Step | None:
    """The step to take now; None when there is none left.

    A recording whose files are gone, by their retention or from the store, begins again with them.
    """
    step = _NEXT.get(status)
    if step is None or (step is Step.UPLOAD and not settings.auto_upload and status is Status.TRANSCRIBED):
        return None
    return step if artifacts.files else Step.DOWNLOAD


@dataclass(frozen=True, slots=True)
class Needed:
    """A file to download. `is_wanted`: the settings ask for it, not only the transcript to be made."""

    file: RecordedFile
    is_wanted: bool


def needed(
    files: Sequence[RecordedFile], settings: ProcessingSettings, *, can_transcribe: bool
) -> list[Needed]:
    """What to download: what the settings ask for, and what the transcript is made of.

    That is the platform's own transcript, or, where there is none and transcription is configured, the audio.
    """
    wanted = chosen(files, settings.file_types)
    result = [Needed(file, is_wanted=True) for file in wanted]
    if settings.skip_transcription:
        return result
    spoken = _first(files, SPOKEN)
    heard = _first(files, SOUND) if can_transcribe and not spoken else []
    have = {file.id for file in wanted}
    return result + [Needed(file, is_wanted=False) for file in [*spoken, *heard] if file.id not in have]


def is_stored(file: RecordedFile, artifacts: Artifacts) -> bool:
    """Whether this very file was stored before: the same one, and not of another size by now."""
    stored = artifacts.files.get(file.id)
    return stored is not None and stored.announced_bytes == file.bytes


def to_transcribe(artifacts: Artifacts) -> list[tuple[str, DownloadedFile]]:
    """The stored files the transcript is made of, with their ids, in the order they were recorded."""
    for kind in (*SPOKEN, *SOUND):
        found = [(file_id, file) for file_id, file in artifacts.files.items() if file.kind is kind]
        if found:
            return sorted(found, key=lambda each: (str(each[1].starts_at or ""), each[0]))
    return []


def _first(files: Sequence[RecordedFile], kinds: Sequence[FileKind]) -> list[RecordedFile]:
    """The files of the first of the kinds that there are any of."""
    return next((found for kind in kinds if (found := chosen(files, (kind,)))), [])
