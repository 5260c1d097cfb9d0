"""How far a recording has come, step by step. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, Field

from common.models import RecordingStatus
from common.recordings.artifacts import Artifacts
from common.recordings.files import RecordedFile, chosen
from common.recordings.settings import ProcessingSettings


class StepName(StrEnum):
    """The steps of processing, in their order."""

    DOWNLOAD = "download"
    TRANSCRIPT = "transcript"
    UPLOAD = "upload"


class StepState(StrEnum):
    """`left_out`: the recording's settings do not ask for it."""

    PENDING = "pending"
    CURRENT = "current"
    DONE = "done"
    FAILED = "failed"
    LEFT_OUT = "left_out"


class StepOut(BaseModel):
    """One step of a recording's processing."""

    step: StepName
    state: StepState = Field(
        description="`current`: under way, or next while it waits; `left_out`: its settings do not ask for it"
    )


REACHED = {
    RecordingStatus.INITIALIZED: 0,
    RecordingStatus.DOWNLOADING: 0,
    RecordingStatus.DOWNLOADED: 1,
    RecordingStatus.TRANSCRIBING: 1,
    RecordingStatus.TRANSCRIBED: 2,
    RecordingStatus.UPLOADING: 2,
    RecordingStatus.UPLOADED: 3,
}
"""How many steps are done, of a recording that has not failed."""


def steps_of(
    status: RecordingStatus,
    *,
    is_under_way: bool,
    settings: ProcessingSettings,
    files: Sequence[RecordedFile],
    artifacts: Artifacts,
) -> list[StepOut]:
    """Every step and its state. `is_under_way`: it is being processed, or waits to be."""
    left_out = {
        StepName.DOWNLOAD: False,
        StepName.TRANSCRIPT: settings.skip_transcription,
        StepName.UPLOAD: not settings.auto_upload,
    }
    failed = status is RecordingStatus.FAILED
    reached = _reached(settings, files, artifacts) if failed else REACHED.get(status, 0)
    names = list(StepName)
    # A step that is left out is passed over: the one after it is what is at issue.
    at = next((index for index in range(reached, len(names)) if not left_out[names[index]]), len(names))
    found: list[StepOut] = []
    for index, name in enumerate(names):
        if left_out[name]:
            state = StepState.LEFT_OUT
        elif index < reached:
            state = StepState.DONE
        elif index == at and (failed or is_under_way):
            state = StepState.FAILED if failed else StepState.CURRENT
        else:
            state = StepState.PENDING
        found.append(StepOut(step=name, state=state))
    return found


def _reached(settings: ProcessingSettings, files: Sequence[RecordedFile], artifacts: Artifacts) -> int:
    """How many steps a recording had behind it when it failed, by what there is of it."""
    settled = {*artifacts.files, *artifacts.missing}
    if not artifacts.files or any(file.id not in settled for file in chosen(files, settings.file_types)):
        return 0
    if settings.skip_transcription or artifacts.transcripts or artifacts.transcript_note:
        return 2
    return 1
