"""Recordings as Zoom shows them."""

import base64
from datetime import UTC, datetime
from typing import Any

from sandbox.world.recorded_meetings import RecordedFile, Recording

_KEPT_DAYS = 30
"""After so many days a recording is deleted by itself, as its owner chose."""


def file_name(uuid: str, slot: int) -> str:
    """What a file is called in addresses."""
    return base64.urlsafe_b64encode(f"{slot}.{uuid}".encode()).decode().rstrip("=")


def named_file(name: str) -> tuple[str, int] | None:
    """The UUID and slot behind such a name."""
    try:
        slot, _, uuid = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode().partition(".")
        return uuid, int(slot)
    except ValueError:
        return None


def meeting(
    recording: Recording, now: float, base_url: str, account_id: str, size_difference: int = 0
) -> dict[str, Any]:
    """One instance of a meeting with the files that can be had at ``now``.

    The sizes it tells are smaller than those of the files by ``size_difference``.
    """
    files = [file for file in recording.files if file.ready_at <= now]
    waiting = not any(not file.is_transcript for file in files)
    share = file_name(recording.uuid, 0)
    return {
        "uuid": recording.uuid,
        "id": recording.meeting_id,
        "account_id": account_id,
        "host_id": recording.host.id,
        "host_email": recording.host.email,
        "topic": recording.topic,
        "type": recording.type,
        "start_time": iso(recording.start),
        "timezone": recording.host.timezone,
        "duration": recording.seconds // 60,
        "total_size": 0 if waiting else sum(file.media.size for file in files),
        "recording_count": 0 if waiting else len(files),
        "share_url": f"{base_url}/zoom/rec/share/{share}",
        "recording_play_passcode": recording.passcode,
        "auto_delete": True,
        "auto_delete_date": iso(recording.start + _KEPT_DAYS * 86_400)[:10],
        "recording_files": [_processing(recording)]
        if waiting
        else [recorded_file(recording, file, base_url, size_difference) for file in files],
    }


def recorded_file(
    recording: Recording, file: RecordedFile, base_url: str, size_difference: int = 0
) -> dict[str, Any]:
    """One file that can be had. Of a timeline neither id nor size is told."""
    name = file_name(recording.uuid, file.slot)
    shown: dict[str, Any] = {
        "id": recording.file_id(file.slot),
        "meeting_id": recording.uuid,
        "recording_start": iso(recording.start),
        "recording_end": iso(recording.end),
        "file_type": file.file_type,
        "file_extension": file.extension,
        "file_size": max(file.media.size - size_difference, 0),
        "play_url": f"{base_url}/zoom/rec/play/{name}",
        "download_url": f"{base_url}/zoom/rec/download/{name}",
        "status": "completed",
        "recording_type": file.recording_type,
    }
    if file.file_type == "TIMELINE":
        del shown["id"], shown["file_size"]
    return shown


def iso(moment: float) -> str:
    """``2026-11-03T11:40:38Z``"""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _processing(recording: Recording) -> dict[str, Any]:
    """What stands for all files while there is none yet."""
    return {
        "id": recording.file_id(0),
        "meeting_id": recording.uuid,
        "recording_start": iso(recording.start),
        "recording_end": "",
        "file_type": "",
        "file_size": 0,
        "status": "processing",
    }
