"""Recordings as Zoom tells of them, and the rows they become."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from common.ids import new_id
from common.recordings.found import FoundRecording
from platforms.zoom.recordings import read_meeting
from tests.factories import Team, World

STARTED = datetime(2026, 11, 3, 11, 40, 38, tzinfo=UTC)


def document(uuid: str, *, minutes: int = 62, is_processing: bool = False, **changes: Any) -> dict[str, Any]:
    """A recorded meeting with a film, as Zoom tells of it."""
    started = changes.pop("started", STARTED)
    film = {
        "id": f"film of {uuid}",
        "recording_start": started.isoformat(),
        "recording_end": (started + timedelta(minutes=minutes)).isoformat(),
        "file_type": "MP4",
        "file_extension": "MP4",
        "file_size": 98_000_000,
        "recording_type": "shared_screen_with_speaker_view",
        "status": "completed",
        "download_url": f"https://zoom.us/rec/download/{uuid}",
    }
    unfinished = {**film, "recording_end": "", "file_type": "", "file_size": 0, "status": "processing"}
    return {
        "uuid": uuid,
        "id": 94488262913,
        "topic": "Weekly marketing call",
        "host_email": "dana@brightpath.example",
        "start_time": started.isoformat(),
        "timezone": "Europe/Berlin",
        "duration": minutes,
        "total_size": 0 if is_processing else 98_000_000,
        "recording_files": [unfinished if is_processing else film],
        **changes,
    }


def found(uuid: str, **changes: Any) -> FoundRecording:
    """The same, read."""
    return read_meeting(document(uuid, **changes))


async def source(world: World, team: Team, connection_id: UUID, **columns: Any) -> UUID:
    """A source of recordings."""
    return await _insert(
        world,
        "recording_source",
        {
            "tenant_id": team.tenant_id,
            "connection_id": connection_id,
            "number": 1,
            "name": "Dana",
            **columns,
        },
    )


async def template(
    world: World,
    team: Team,
    rules: Mapping[str, Any],
    processing: Mapping[str, Any] | None = None,
    **columns: Any,
) -> UUID:
    """A template of recordings."""
    return await _insert(
        world,
        "recording_template",
        {
            "tenant_id": team.tenant_id,
            "number": 1,
            "name": f"template {columns.get('number', 1)}",
            "matching_rules": dict(rules),
            "processing": dict(processing or {}),
            **columns,
        },
    )


async def recording(world: World, team: Team, source_id: UUID, **columns: Any) -> UUID:
    """A recorded meeting with a film, new unless `columns` say otherwise."""
    external_id = columns.pop("external_id", str(new_id()))
    told = found(external_id, topic=columns.pop("topic", "Weekly marketing call"))
    known = {
        "tenant_id": team.tenant_id,
        "source_id": source_id,
        "external_id": external_id,
        "meeting_id": told.meeting_id,
        "topic": told.topic,
        "host": told.host,
        "started_at": told.started_at,
        "timezone": told.timezone,
        "duration_minutes": told.duration_minutes,
        "total_bytes": told.total_bytes,
        "files": [file.model_dump(mode="json") for file in told.files],
        **columns,
    }
    return await _insert(world, "recording", known)


async def _insert(world: World, table: str, columns: Mapping[str, Any]) -> UUID:
    row_id = new_id()
    named = {"id": row_id, **columns}
    places = ", ".join(f"${number}" for number in range(1, len(named) + 1))
    await world.sql.execute(f"INSERT INTO {table} ({', '.join(named)}) VALUES ({places})", *named.values())
    return row_id
