"""What recordings are called on pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.recordings.schemas import RecordingOut, RecordingSummary
from api.recordings.steps import REACHED, StepName, StepState
from api.web.times import duration
from common.models import RecordingStatus
from common.recordings.settings import FileKind

KINDS: Mapping[FileKind, str] = {
    FileKind.VIDEO: "Video",
    FileKind.AUDIO: "Sound",
    FileKind.TRANSCRIPT: "Transcript",
    FileKind.CAPTIONS: "Captions",
    FileKind.CHAT: "Chat",
    FileKind.TIMELINE: "Timeline",
    FileKind.SUMMARY: "Summary",
    FileKind.OTHER: "Other",
}
RULES: Mapping[str, str] = {
    "exact_matches": "whole topic",
    "keywords": "keyword",
    "patterns": "pattern",
    "source_ids": "its source",
}
TARGETS: Mapping[str, str] = {"store": "Carillon's own store", "s3": "Bucket", "webhook": "Webhook"}
_STEPS: Mapping[StepName, tuple[str, str, str]] = {
    StepName.DOWNLOAD: ("Download", "Downloading", "Downloaded"),
    StepName.TRANSCRIPT: ("Transcript", "Transcribing", "Transcribed"),
    StepName.UPLOAD: ("Upload", "Uploading", "Uploaded"),
}
_GOING_ON: Mapping[RecordingStatus, RecordingStatus] = {
    RecordingStatus.DOWNLOADED: RecordingStatus.TRANSCRIBING,
    RecordingStatus.TRANSCRIBED: RecordingStatus.UPLOADING,
}


def state_of(recording: RecordingSummary, now: datetime) -> str:
    """The name of the state a page shows, which tells what waits from what is done."""
    if not recording.is_under_way:
        return recording.status.value
    if recording.available_at is not None and recording.available_at > now and recording.attempt:
        return "retrying"
    if recording.status is RecordingStatus.INITIALIZED:
        return "queued"
    return _GOING_ON.get(recording.status, recording.status).value


def progress_of(recording: RecordingSummary) -> tuple[int, str]:
    """How many of the three steps are done, and the same in words."""
    reached = REACHED.get(recording.status, 0)
    words = ("nothing done yet", "downloaded", "transcribed as well", "all three steps done")
    return reached, words[reached]


@dataclass(frozen=True, slots=True)
class Station:
    """One station of a recording's way. `state`: done, current, pending or failed."""

    label: str
    state: str
    at: datetime | None = None
    note: str = ""


def way(recording: RecordingOut, now: datetime) -> list[Station]:
    """From the meeting to where its files went."""
    stations = [
        Station("Recorded", "done", recording.started_at, duration(recording.duration_minutes * 60.0)),
        Station("Found", "done", recording.created_at),
    ]
    last = max(
        (index for index, step in enumerate(recording.steps) if step.state is StepState.DONE), default=None
    )
    for index, step in enumerate(recording.steps):
        if step.state is StepState.LEFT_OUT:
            continue
        infinitive, doing, done = _STEPS[step.step]
        match step.state:
            case StepState.DONE:
                at = recording.completed_at if index == last and not recording.error_code else None
                stations.append(Station(done, "done", at, _note(step.step, recording)))
            case StepState.CURRENT:
                stations.append(Station(doing, "current", note=_waiting(recording, now)))
            case StepState.FAILED:
                stations.append(Station(f"{infinitive} failed", "failed", recording.completed_at))
            case _:
                stations.append(Station(infinitive, "pending"))
    return stations


def _note(step: StepName, recording: RecordingOut) -> str:
    if step is StepName.TRANSCRIPT and not recording.artifacts.transcripts:
        return "no transcript"
    return ""


def _waiting(recording: RecordingOut, now: datetime) -> str:
    if recording.available_at is not None and recording.available_at > now and recording.attempt:
        return f"again in {duration((recording.available_at - now).total_seconds())}"
    if recording.available_at is not None:
        return "waits for its turn"
    return f"attempt {recording.attempt}" if recording.attempt > 1 else ""


def lines(values: Sequence[object]) -> str:
    """One on each line."""
    return "\n".join(map(str, values))
