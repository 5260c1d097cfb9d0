"""Zoom's documents of recorded meetings, from its lists and from its webhooks alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from common.errors import CarillonError
from common.recordings.files import COMPLETED, RecordedFile
from common.recordings.found import FoundRecording
from common.recordings.settings import FileKind

_KINDS = {
    "MP4": FileKind.VIDEO,
    "M4A": FileKind.AUDIO,
    "TRANSCRIPT": FileKind.TRANSCRIPT,
    "CC": FileKind.CAPTIONS,
    "CHAT": FileKind.CHAT,
    "TIMELINE": FileKind.TIMELINE,
    "SUMMARY": FileKind.SUMMARY,
}
_TOKEN_PARAMETERS = frozenset({"access_token", "download_token", "zak"})
_LONGEST_TEXT = 500


class UnreadableRecording(CarillonError):
    """A document that is not that of a recorded meeting."""


def _plain(value: object) -> object:
    """Text that a database can hold: no NUL, no half of a surrogate pair; a number as its digits."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()[:_LONGEST_TEXT]
    return value


def _without_token(value: object) -> object:
    if not isinstance(value, str) or not value:
        return ""
    parts = urlsplit(value.replace("\x00", ""))
    query = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _TOKEN_PARAMETERS
    ]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def _or_none(value: object) -> object:
    return value or None


PlainText = Annotated[str, BeforeValidator(_plain)]
Address = Annotated[str, BeforeValidator(_without_token)]
Moment = Annotated[AwareDatetime | None, BeforeValidator(_or_none)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _File(_Document):
    id: PlainText = ""
    file_type: PlainText = ""
    file_extension: PlainText = ""
    recording_type: PlainText = ""
    recording_start: Moment = None
    recording_end: Moment = None
    file_size: int = Field(0, ge=0, le=2**63 - 1)
    status: PlainText = COMPLETED
    download_url: Address = ""
    deleted_time: PlainText = ""


class _Meeting(_Document):
    uuid: PlainText = Field(min_length=1)
    id: PlainText = ""
    topic: PlainText = ""
    host_email: PlainText = ""
    host_id: PlainText = ""
    start_time: AwareDatetime
    timezone: PlainText = ""
    duration: int = Field(0, ge=0, le=2**31 - 1)
    total_size: int = Field(0, ge=0, le=2**63 - 1)
    recording_files: tuple[_File, ...] = ()


def read_meeting(document: Mapping[str, Any]) -> FoundRecording:
    """The recording a document tells of. Raises UnreadableRecording, which names the fields."""
    try:
        meeting = _Meeting.model_validate(document)
    except (ValidationError, ValueError) as error:
        raise UnreadableRecording(_reason(error)) from error
    files = tuple(_recorded(file) for file in meeting.recording_files if not file.deleted_time)
    return FoundRecording(
        external_id=meeting.uuid,
        meeting_id=meeting.id,
        topic=meeting.topic,
        host=meeting.host_email or meeting.host_id,
        started_at=meeting.start_time,
        timezone=meeting.timezone or "UTC",
        duration_minutes=meeting.duration,
        total_bytes=meeting.total_size or sum(file.bytes for file in files),
        files=files,
    )


def _recorded(file: _File) -> RecordedFile:
    start = "" if file.recording_start is None else file.recording_start.isoformat()
    return RecordedFile(
        # A timeline has come without an id of its own.
        id=file.id or f"{file.file_type}/{file.recording_type}/{start}",
        kind=_KINDS.get(file.file_type.upper(), FileKind.OTHER),
        view=file.recording_type,
        extension=file.file_extension.upper(),
        bytes=file.file_size,
        status=file.status,
        starts_at=file.recording_start,
        ends_at=file.recording_end,
        url=file.download_url,
    )


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"not a recorded meeting: {type(error).__name__}"
    faults = "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)[:3]
    )
    return f"not a recorded meeting: {faults}"
