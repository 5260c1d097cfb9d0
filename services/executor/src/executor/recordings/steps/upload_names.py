"""What is uploaded of a recording, and under which names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.recordings import layout
from common.recordings.artifacts import Artifacts, StoredFile, TranscriptSource
from common.recordings.settings import S3Target, StoreTarget, UploadTarget
from executor.recordings.processing.claims import ClaimedRecording


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file as a target sees it, and where it is in the store."""

    name: str
    type: str
    path: str
    bytes: int
    sha256: str


def outgoing(recording: ClaimedRecording, artifacts: Artifacts) -> list[OutgoingFile]:
    """The files that were asked for and the transcripts, each under a name that is the same at every try.

    The platform's own transcript goes out as the transcript it has become, not twice.
    """
    found: list[tuple[str, str, StoredFile]] = [
        (file.kind.value, file.extension, file)
        for file_id, file in sorted(
            artifacts.files.items(), key=lambda each: (each[1].kind.value, str(each[1].starts_at), each[0])
        )
        if file.is_wanted and not _is_told(file_id, artifacts)
    ]
    for transcript in artifacts.transcripts_in_order():
        found += [("transcript", "vtt", transcript.vtt), ("transcript", "txt", transcript.text)]
    totals: dict[tuple[str, str], int] = {}
    files = []
    for part, extension, stored in found:
        number = totals[part, extension] = totals.get((part, extension), 0) + 1
        name = layout.file_name(
            recording.id,
            recording.started_at,
            recording.timezone,
            part=part if number == 1 else f"{part}-{number}",
            extension=extension,
        )
        files.append(OutgoingFile(name, layout.content_type(name), stored.path, stored.bytes, stored.sha256))
    return files


def _is_told(file_id: str, artifacts: Artifacts) -> bool:
    """Whether the file is a transcript of the platform's that has been taken for ours."""
    transcript = artifacts.transcripts.get(file_id)
    return transcript is not None and transcript.source is TranscriptSource.PLATFORM


def prefixed(recording: ClaimedRecording, prefix: str, files: Sequence[OutgoingFile]) -> dict[str, str]:
    """The path of each file below a target's prefix, by name."""
    values = layout.placeholders(
        recording_id=recording.id,
        meeting_id=recording.meeting_id,
        topic=recording.topic,
        host=recording.host,
        source=recording.source,
        template=recording.template,
        started_at=recording.started_at,
        timezone=recording.timezone,
    )
    return {file.name: layout.placed(prefix, values, file.name) for file in files}


def key_of(target: UploadTarget) -> str:
    """What a target's progress is kept under: the same target with another prefix is another one."""
    match target:
        case StoreTarget():
            return f"store:{target.prefix}"
        case S3Target():
            return f"s3:{target.connection_id}:{target.prefix}"
        case _:
            return f"webhook:{target.destination_id}"
