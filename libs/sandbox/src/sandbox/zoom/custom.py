"""A recording as a test describes it."""

from dataclasses import replace
from typing import Any

from sandbox.control import BadRequest
from sandbox.settings import Settings
from sandbox.world import media
from sandbox.world.meeting_ids import Place, number_of_added, uuid_of
from sandbox.world.recorded_meetings import (
    SCHEDULED,
    SOUND,
    SOUND_SHARE,
    TRANSCRIBING,
    RecordedFile,
    Recording,
    make_file,
)
from sandbox.world.zoom_account import Host
from sandbox.zoom.fields import Fields

_NEVER = 1e18
_FILE_TYPES = {
    "MP4": ("MP4", "shared_screen_with_speaker_view"),
    "M4A": ("M4A", "audio_only"),
    "TRANSCRIPT": ("VTT", "audio_transcript"),
    "CC": ("VTT", "closed_caption"),
    "CHAT": ("TXT", "chat_file"),
    "TIMELINE": ("JSON", "timeline"),
}
"""Extension and usual recording type by file type."""
_LARGEST_FILE = 1 << 31
_LONGEST = 24 * 60.0


def described(fields: Fields, host: Host, place: Place, settings: Settings, now: float) -> Recording:
    """Raises `BadRequest` naming what is wrong. Without files it has a film, its sound and a transcript."""
    uuid = fields.text("uuid") or uuid_of(settings.seed, place)
    topic = fields.text("topic", "A recording")
    minutes = fields.number("duration", 30.0, 0.0, _LONGEST)
    seconds = int(minutes * 60)
    start = int(fields.instant("start_time", now - seconds - TRANSCRIBING))
    meeting_id = fields.whole("meeting_id", number_of_added(place), 1, 1 << 53)
    kind = fields.whole("type", SCHEDULED, 1, 99)
    wanted = fields.take("files")
    if wanted is None:
        wanted = [{"file_type": "MP4"}, {"file_type": "M4A"}, {"file_type": "TRANSCRIPT"}]
    if not isinstance(wanted, list) or not all(isinstance(file, dict) for file in wanted):
        raise BadRequest("files", "must be a list of objects")
    fields.finish()
    files = tuple(
        _file(description, uuid, slot, topic, start, seconds, settings)
        for slot, description in enumerate(wanted)
    )
    return Recording(uuid, place, host, meeting_id, topic, kind, start, seconds, files)


def _file(
    description: dict[str, Any],
    uuid: str,
    slot: int,
    topic: str,
    start: int,
    seconds: int,
    settings: Settings,
) -> RecordedFile:
    fields = Fields(description)
    file_type = fields.text("file_type", "MP4")
    if file_type not in _FILE_TYPES:
        raise BadRequest("file_type", f"must be one of {', '.join(_FILE_TYPES)}")
    extension, usual = _FILE_TYPES[file_type]
    usual_size = settings.zoom_file_bytes // (SOUND_SHARE if usual == SOUND else 1)
    size = fields.whole("size", usual_size, 0, _LARGEST_FILE)
    made = make_file(uuid, slot, usual, topic, start, seconds, size)
    content = fields.take("text")
    if content is not None and not isinstance(content, str):
        raise BadRequest("text", "must be text")
    if fields.text("status", "completed") not in ("completed", "processing"):
        raise BadRequest("status", "must be completed or processing")
    ready_at = _NEVER if fields.text("status") == "processing" else made.ready_at
    recording_type = fields.text("recording_type", usual)
    fields.finish()
    return replace(
        made,
        file_type=file_type,
        extension=extension,
        recording_type=recording_type,
        media=media.text(content) if content is not None else made.media,
        ready_at=ready_at,
    )
