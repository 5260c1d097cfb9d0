"""Where things are in the file store. Pure.

    <tenant>/recordings/<recording>/…      what was downloaded and transcribed, by kind and digest
    <tenant>/library/<prefix>/…            what the upload to Carillon's own store puts there for people

Names made by people, topics and hosts and file names, are never a path by themselves: below `library` they
are parts of one, each without separators, and everywhere else they are not used at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from common.recordings.settings import FileKind, expand

_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_USUAL_EXTENSION: Mapping[FileKind, str] = {
    FileKind.VIDEO: "mp4",
    FileKind.AUDIO: "m4a",
    FileKind.TRANSCRIPT: "vtt",
    FileKind.CAPTIONS: "vtt",
    FileKind.CHAT: "txt",
    FileKind.TIMELINE: "json",
    FileKind.SUMMARY: "json",
}
CONTENT_TYPES: Mapping[str, str] = {
    "mp4": "video/mp4",
    "m4a": "audio/mp4",
    "vtt": "text/vtt",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv",
    "jpg": "image/jpeg",
}
LONGEST_PART, LONGEST_PREFIX = 200, 700
"""Bytes. A name in a folder may have 255, a key in a bucket 1,024."""
OTHER_CONTENT = "application/octet-stream"


def folder(tenant_id: UUID, recording_id: UUID) -> str:
    """Where everything is that was stored of a recording while it was processed."""
    return f"{tenant_id}/recordings/{recording_id}"


def library(tenant_id: UUID) -> str:
    """Below which the upload to Carillon's own store puts files."""
    return f"{tenant_id}/library"


def extension_of(kind: FileKind, told: str) -> str:
    """A file's extension in lower case, as it was told if that is one."""
    lower = told.lower()
    return lower if _EXTENSION.fullmatch(lower) else _USUAL_EXTENSION.get(kind, "bin")


def content_type(name: str) -> str:
    """The media type of a file by its name."""
    return CONTENT_TYPES.get(name.rpartition(".")[2], OTHER_CONTENT)


def download_path(tenant_id: UUID, recording_id: UUID, *, kind: FileKind, file_id: str, told: str) -> str:
    """Where one of the platform's files is stored: the same whenever it is asked, so that a file that is
    downloaded again replaces what is there."""
    name = f"{kind.value}-{_digest(file_id)}.{extension_of(kind, told)}"
    return f"{folder(tenant_id, recording_id)}/{name}"


def transcript_path(tenant_id: UUID, recording_id: UUID, *, file_id: str, extension: str) -> str:
    """Where the transcript of a file is stored."""
    return f"{folder(tenant_id, recording_id)}/transcript-of-{_digest(file_id)}.{extension}"


def file_name(recording_id: UUID, started_at: datetime, timezone: str, *, part: str, extension: str) -> str:
    """What a file is called where people see it: by its time, so that names sort, and by the recording's id,
    so that two meetings at the same time do not meet in one name."""
    local = started_at.astimezone(zone(timezone))
    return f"{local:%Y-%m-%d_%H%M}_{part}_{recording_id.hex[-12:]}.{extension}"


def placeholders(
    *,
    recording_id: UUID,
    meeting_id: str,
    topic: str,
    host: str,
    source: str,
    template: str,
    started_at: datetime,
    timezone: str,
) -> dict[str, str]:
    """What the placeholders of a prefix stand for."""
    local = started_at.astimezone(zone(timezone))
    return {
        "template": template,
        "source": source,
        "topic": topic,
        "host": host,
        "meeting_id": meeting_id,
        "recording_id": str(recording_id),
        "date": f"{local:%Y-%m-%d}",
        "year": f"{local:%Y}",
        "month": f"{local:%m}",
        "day": f"{local:%d}",
    }


def placed(prefix: str, values: Mapping[str, str], name: str) -> str:
    """A file below a prefix: a relative path that leads nowhere else, whatever the values are.

    It is cut to what file systems and buckets take: file names are of our own making, so that no two files
    meet where two folders do.
    """
    parts: list[str] = []
    left = LONGEST_PREFIX
    for part in expand(prefix, values).split("/"):
        cut = part.encode()[: max(0, min(LONGEST_PART, left))].decode(errors="ignore").rstrip(" .")
        if cut:
            parts.append(cut)
            left -= len(cut.encode()) + 1
    return "/".join([*parts, name])


def zone(name: str) -> ZoneInfo:
    """The zone a recording was made in; UTC where its platform names none that is known."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _digest(file_id: str) -> str:
    return hashlib.sha256(file_id.encode("utf-8", "replace")).hexdigest()[:16]
