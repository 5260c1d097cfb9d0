"""What an event changes of the files known of a recording. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from common.recordings.files import PROCESSING, RecordedFile
from common.recordings.found import FoundRecording


def merged(found: FoundRecording, known: Sequence[RecordedFile]) -> FoundRecording:
    """A recording with the files that are known of it besides those the event tells of.

    An event about a transcript tells of no film, and one that is late tells of no transcript. What the
    platform was still making goes: what became of it is told under an id of its own.
    """
    told = {file.id for file in found.files}
    kept = [file for file in known if file.id not in told and file.status != PROCESSING]
    return _with_files(found, [*found.files, *kept])


def without(known: Sequence[RecordedFile], gone: Iterable[str]) -> list[RecordedFile]:
    """The files that are left when those with these ids are gone; when none is named, all are gone."""
    ids = set(gone)
    return [file for file in known if file.id not in ids] if ids else []


def _with_files(found: FoundRecording, files: Sequence[RecordedFile]) -> FoundRecording:
    total = max(found.total_bytes, sum(file.bytes for file in files))
    ordered = sorted(files, key=lambda file: (str(file.starts_at or ""), file.kind, file.id))
    return replace(found, files=tuple(ordered), total_bytes=total)
