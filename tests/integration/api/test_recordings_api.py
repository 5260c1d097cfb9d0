"""Recordings over HTTP: finding them, and what a person does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api.recordings import removal
from api.settings import ApiSettings
from common.events import RecordingProcessingRequested
from common.ids import new_id
from common.models import RecordingStatus
from common.recordings.selection import STARTABLE
from common.recordings.store import RecordingStore, StoreFault
from common.secrets.crypto import KeyRing
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.outbox import Announcements
from tests.support.recordings import STARTED

PATH = "/api/recordings"
CANARY = "canary-download-token"
ARTIFACTS = {
    "files": {
        "film": {
            "path": "t/recordings/r/video.mp4",
            "bytes": 98_000_000,
            "sha256": "ab" * 32,
            "kind": "video",
            "extension": "mp4",
        }
    },
    "transcripts": {
        "film": {
            "source": "endpoint",
            "model": "whisper-1",
            "language": "de",
            "vtt": {"path": "t/recordings/r/transcript.vtt", "bytes": 900, "sha256": "cd" * 32},
            "text": {"path": "t/recordings/r/transcript.txt", "bytes": 700, "sha256": "ef" * 32},
        }
    },
    "uploads": {
        "store": {
            "type": "store",
            "begun_at": "2026-11-03T13:00:00Z",
            "files": {"talk.mp4": {"place": "t/library/talk.mp4", "bytes": 98_000_000, "is_done": True}},
        }
    },
}


@pytest.fixture
async def source(world: World, acme: Team) -> UUID:
    zoom = await world.connection(acme, ZOOM_USER, "sandbox-zoom-acme")
    return await recordings.source(world, acme, zoom)


@pytest.fixture
def announced(world: World) -> Announcements:
    return Announcements(world.sql)


async def test_recordings_are_listed_latest_first_in_pages(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    made: list[tuple[datetime, UUID]] = []
    for hours in (0, 0, 1, 1, 2):
        started = STARTED + timedelta(hours=hours)
        made.append((started, await recordings.recording(world, acme, source, started_at=started)))

    first = (await api.get(PATH, params={"limit": 3})).json()
    rest = (await api.get(first["next"])).json()

    expected = [str(each) for _, each in sorted(made, reverse=True)]
    assert [each["id"] for each in first["items"] + rest["items"]] == expected
    shown = first["items"][0]
    assert (shown["source_name"], shown["status"], shown["is_under_way"]) == ("Dana", "INITIALIZED", False)
    assert "files" not in shown


async def test_filters(api: httpx.AsyncClient, world: World, acme: Team, source: UUID) -> None:
    zoom = (await world.row("recording_source", source))["connection_id"]
    other = await recordings.source(world, acme, zoom, number=2, external_user="lee")
    template = await recordings.template(world, acme, {"keywords": ["x"]})
    await recordings.recording(
        world, acme, source, topic="100% sure", status="UPLOADED", template_id=template
    )
    await recordings.recording(world, acme, other, topic="Course_1", started_at=STARTED + timedelta(days=1))

    async def topics(**params: Any) -> list[str]:
        answer = await api.get(PATH, params=params)
        assert answer.status_code == 200, answer.text
        return [each["topic"] for each in answer.json()["items"]]

    next_day = (STARTED + timedelta(days=1)).isoformat()
    assert await topics(status="UPLOADED") == await topics(source_id=str(source)) == ["100% sure"]
    assert await topics(template_id=str(template)) == await topics(q="0%") == ["100% sure"]
    assert await topics(**{"from": next_day}) == await topics(q="e_1") == ["Course_1"]
    assert await topics(to=next_day) == ["100% sure"]
    assert await topics(q="_") == ["Course_1"]
    assert await topics(template_id=str(new_id())) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "uploaded"), ("from", "yesterday"), ("to", "2026-01-01T00:00:00"), ("q", "\0")],
)
async def test_a_filter_that_says_nothing_is_named(api: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await api.get(PATH, params={name: value})

    assert answer.status_code == 422
    assert [(fault["in"], fault["pointer"]) for fault in answer.json()["errors"]] == [("query", f"/{name}")]


async def test_one_recording_with_everything_but_secrets(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, settings: ApiSettings
) -> None:
    template = await recordings.template(world, acme, {"keywords": ["x"]}, name="Lectures", number=12)
    recording = await recordings.recording(
        world,
        acme,
        source,
        external_id="film",
        template_id=template,
        status="FAILED",
        error_code="refused",
        error_message="the bucket refused it",
        attempt=3,
        artifacts=ARTIFACTS,
        processing={"file_types": ["video"]},
        completed_at=datetime.now(UTC),
    )
    ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
    sealed = ring.seal(CANARY, tenant_id=acme.tenant_id, row_id=recording, column="download_token")
    await world.sql.execute("UPDATE recording SET download_token_sealed = $1", sealed)

    answer = await api.get(f"{PATH}/{recording}")

    shown = answer.json()
    assert (shown["template_number"], shown["template_name"], shown["attempt"]) == (12, "Lectures", 3)
    assert shown["error_message"] == "the bucket refused it"
    [file] = shown["files"]
    assert (file["id"], file["kind"], file["bytes"]) == ("film of film", "video", 98_000_000)
    assert [(step["step"], step["state"]) for step in shown["steps"]] == [
        ("download", "failed"),
        ("transcript", "pending"),
        ("upload", "pending"),
    ]
    assert shown["artifacts"]["transcripts"] == [
        {"file_id": "film", "source": "endpoint", "bytes": 700, "language": "de", "model": "whisper-1"}
    ]
    [upload] = shown["artifacts"]["uploads"]
    assert upload["files"][0]["name"] == "talk.mp4"
    for hidden in (CANARY, "sealed", "https://", "rec/download", "worker"):
        assert hidden not in answer.text


async def test_documents_that_cannot_be_read_do_not_hide_a_recording(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    recording = await recordings.recording(
        world, acme, source, files=[{"id": 1}], artifacts={"files": 7}, processing={"of": "old"}
    )

    shown = (await api.get(f"{PATH}/{recording}")).json()

    assert (shown["files"], shown["artifacts"]["files"]) == ([], [])


@pytest.fixture
def store(app: FastAPI, tmp_path: Path) -> RecordingStore:
    """The file store, as an executor of the same server has it."""
    opened = RecordingStore.open(tmp_path.as_uri())
    app.state.collaborators = replace(app.state.collaborators, store=opened)
    return opened


async def transcribed(world: World, team: Team, source: UUID, *names: str, **columns: Any) -> UUID:
    """A recording with the transcripts of files that were recorded one after the other."""
    recording = await recordings.recording(world, team, source, **columns)

    def stored(name: str, extension: str) -> dict[str, Any]:
        path = f"{team.tenant_id}/recordings/{recording}/{name}.{extension}"
        return {"path": path, "bytes": 1, "sha256": "0" * 64}

    await world.sql.execute(
        "UPDATE recording SET artifacts = $1 WHERE id = $2",
        {
            "files": {
                name: {
                    **stored(name, "m4a"),
                    "kind": "audio",
                    "extension": "m4a",
                    "starts_at": (STARTED + timedelta(hours=place)).isoformat(),
                }
                for place, name in enumerate(names)
            },
            "transcripts": {
                name: {"source": "platform", "vtt": stored(name, "vtt"), "text": stored(name, "txt")}
                for name in names
            },
        },
        recording,
    )
    return recording


async def test_what_was_said_is_read(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, store: RecordingStore
) -> None:
    recording = await transcribed(world, acme, source, "b", "a")
    for name in ("a", "b"):
        path = f"{acme.tenant_id}/recordings/{recording}/{name}"
        await store.put_bytes(f"{path}.txt", f"Grüße {name}\n".encode())
        await store.put_bytes(f"{path}.vtt", f"WEBVTT {name}".encode())

    text = await api.get(f"{PATH}/{recording}/transcript")
    times = await api.get(f"{PATH}/{recording}/transcript", params={"format": "vtt", "file_id": "b"})
    unclear = await api.get(f"{PATH}/{recording}/transcript", params={"format": "vtt"})

    assert (text.text, text.headers["content-type"]) == ("Grüße b\n\nGrüße a\n", "text/plain; charset=utf-8")
    assert (times.text, times.headers["content-type"]) == ("WEBVTT b\n", "text/vtt; charset=utf-8")
    assert unclear.status_code == 422
    assert unclear.json()["errors"][0]["pointer"] == "/file_id"


async def test_transcripts_that_are_not_there(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, store: RecordingStore
) -> None:
    elsewhere = await transcribed(world, acme, source, "a")
    await world.sql.execute(
        "UPDATE recording SET artifacts = replace(artifacts::text, $1, $2)::jsonb WHERE id = $3",
        str(acme.tenant_id),
        str(new_id()),
        elsewhere,
    )
    cases = [
        await recordings.recording(world, acme, source),
        await transcribed(world, acme, source, "a"),
        await transcribed(world, acme, source, "a", files_deleted_at=datetime.now(UTC)),
        elsewhere,
    ]

    answers = [await api.get(f"{PATH}/{each}/transcript") for each in cases]

    assert [answer.status_code for answer in answers] == [404] * 4


async def test_a_server_without_the_store_says_so(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    recording = await transcribed(world, acme, source, "a")

    answer = await api.get(f"{PATH}/{recording}/transcript")

    assert answer.status_code == 503
    assert "RECORDING_STORE_URL" in answer.json()["detail"]


async def test_a_new_recording_is_processed_by_a_template_with_other_settings(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, announced: Announcements
) -> None:
    template = await recordings.template(
        world, acme, {}, {"auto_upload": False, "transcription": {"language": "de"}}, number=12
    )
    recording = await recordings.recording(world, acme, source)

    answer = await api.post(
        f"{PATH}/{recording}/process",
        json={"template_id": 12, "processing": {"skip_transcription": True, "auto_upload": True}},
    )

    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["status"], shown["is_under_way"], shown["template_number"]) == ("INITIALIZED", True, 12)
    assert [step["state"] for step in shown["steps"]] == ["current", "left_out", "pending"]
    assert (shown["processing"]["auto_upload"], shown["processing"]["transcription"]["language"]) == (
        True,
        "de",
    )
    [event] = await announced.of(RecordingProcessingRequested)
    assert (event.recording_id, event.template_id, event.automation_id) == (recording, template, None)
    [record] = await announced.records()
    assert record.headers["ce_source"] == "/api"
    row = await world.row("recording", recording)
    assert row["traceparent"] == record.headers["traceparent"]


async def test_a_retry_keeps_what_was_decided(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, announced: Announcements
) -> None:
    [job] = await world.automations(acme, None, kind="recording_sync", config={"template_ids": [1]})
    template = await recordings.template(world, acme, {}, {"auto_upload": True}, is_active=False)
    recording = await recordings.recording(
        world,
        acme,
        source,
        status="FAILED",
        error_code="x",
        error_message="x",
        attempt=5,
        template_id=template,
        automation_id=job,
        processing={"auto_upload": False},
        artifacts=ARTIFACTS,
    )

    shown = (await api.post(f"{PATH}/{recording}/process")).json()

    assert (shown["attempt"], shown["error_message"], shown["automation_id"]) == (0, None, str(job))
    assert shown["processing"]["auto_upload"] is False
    assert (await world.row("recording", recording))["artifacts"] == ARTIFACTS
    assert [event.automation_id for event in await announced.of(RecordingProcessingRequested)] == [job]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"template_id": 99}, ["/template_id"]),
        ({"template_id": 2}, ["/template_id"]),
        ({"processing": {"file_types": ["film"]}}, ["/processing/file_types/0"]),
        ({"processing": {"colour": "red"}}, ["/processing/colour"]),
        (
            {"processing": {"upload": [{"type": "s3", "connection_id": str(new_id())}]}},
            ["/processing/upload/0/connection_id"],
        ),
        ({"settings": {}}, ["/settings"]),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_by_field(
    api: httpx.AsyncClient,
    world: World,
    acme: Team,
    source: UUID,
    announced: Announcements,
    body: dict[str, Any],
    pointers: list[str],
) -> None:
    await recordings.template(world, acme, {}, number=2, is_active=False)
    recording = await recordings.recording(world, acme, source)

    refused = await api.post(f"{PATH}/{recording}/process", json=body)

    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]][:1] == pointers
    assert await announced.records() == []
    assert (await world.row("recording", recording))["available_at"] is None


@pytest.mark.parametrize("status", RecordingStatus)
async def test_states_allow_what_they_allow(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, status: RecordingStatus
) -> None:
    def fresh() -> Any:
        return recordings.recording(world, acme, source, status=status.value)

    processed = await api.post(f"{PATH}/{await fresh()}/process")
    skipped = await api.post(f"{PATH}/{await fresh()}/skip")

    resting = status in STARTABLE or status in {"DOWNLOADED", "TRANSCRIBED"}
    assert processed.status_code == (202 if resting else 409)
    assert skipped.status_code == (200 if status == "INITIALIZED" else 409)
    for answer in (processed, skipped):
        if answer.status_code == 409:
            assert f"is {status.value}" in answer.json()["detail"]


@pytest.mark.parametrize(
    "columns",
    [
        {"worker": "executor-1", "lease_expires_at": datetime.now(UTC), "status": "DOWNLOADING"},
        {"available_at": datetime.now(UTC)},
    ],
)
async def test_what_is_under_way_is_left_in_peace(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, columns: dict[str, Any]
) -> None:
    recording = await recordings.recording(world, acme, source, **columns)
    before = await world.row("recording", recording)

    answers = [
        await api.post(f"{PATH}/{recording}/process"),
        await api.post(f"{PATH}/{recording}/skip"),
        await api.delete(f"{PATH}/{recording}"),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert all("being processed" in answer.json()["detail"] for answer in answers)
    assert await world.row("recording", recording) == before


async def test_of_two_who_start_it_at_once_one_does(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, announced: Announcements
) -> None:
    recording = await recordings.recording(world, acme, source)

    answers = await asyncio.gather(*(api.post(f"{PATH}/{recording}/process") for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    assert len(await announced.of(RecordingProcessingRequested)) == 1


async def test_skipping_is_a_persons_word(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    recording = await recordings.recording(world, acme, source)

    once = await api.post(f"{PATH}/{recording}/skip")
    twice = await api.post(f"{PATH}/{recording}/skip")

    assert (once.status_code, twice.status_code) == (200, 200)
    assert (once.json()["status"], once.json()["status_reason"]) == (
        "SKIPPED",
        "skipped by a member of the team",
    )


async def stored_below(store: RecordingStore, team: Team) -> list[str]:
    return await store.paths_below(str(team.tenant_id))


async def test_a_recording_is_deleted_with_its_files_and_nothing_else(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID, store: RecordingStore
) -> None:
    """The files are those it tells of, and what a crash left in its folder."""
    ids = [await transcribed(world, acme, source, "a", status="UPLOADED") for _ in range(2)]
    for each in ids:
        for name in ("a.txt", "a.vtt", "a.m4a", "half.mp4"):
            await store.put_bytes(f"{acme.tenant_id}/recordings/{each}/{name}", b"x")

    assert (await api.delete(f"{PATH}/{ids[0]}")).status_code == 204

    assert (await api.get(f"{PATH}/{ids[0]}")).status_code == 404
    left = await stored_below(store, acme)
    assert len(left) == 4
    assert all(str(ids[1]) in path for path in left)


async def test_a_source_is_deleted_with_the_files_of_its_recordings(
    api: httpx.AsyncClient,
    world: World,
    acme: Team,
    source: UUID,
    store: RecordingStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(3):
        recording = await transcribed(world, acme, source, "a", status="UPLOADED")
        await store.put_bytes(f"{acme.tenant_id}/recordings/{recording}/a.txt", b"x")
    monkeypatch.setattr(removal, "MOST", 2)
    many = await api.delete(f"/api/recording-sources/{source}")
    monkeypatch.undo()

    assert many.status_code == 409
    assert "3 recordings have files" in many.json()["detail"]
    assert len(await stored_below(store, acme)) == 3
    assert (await api.delete(f"/api/recording-sources/{source}")).status_code == 204
    assert await stored_below(store, acme) == []


class _Away(RecordingStore):
    async def delete(self, paths: Sequence[str]) -> None:
        raise StoreFault("a file could not be deleted")


async def test_files_that_cannot_be_deleted_are_not_left_behind(
    app: FastAPI, api: httpx.AsyncClient, world: World, acme: Team, source: UUID, tmp_path: Path
) -> None:
    recording = await transcribed(world, acme, source, "a", status="UPLOADED")
    gone = await transcribed(world, acme, source, "a", files_deleted_at=datetime.now(UTC))
    paths = (f"{PATH}/{recording}", f"/api/recording-sources/{source}")

    without = [await api.delete(path) for path in paths]
    app.state.collaborators = replace(app.state.collaborators, store=_Away.open(tmp_path.as_uri()))
    away = [await api.delete(path) for path in paths]

    assert [answer.status_code for answer in (*without, *away)] == [503] * 4
    assert "RECORDING_STORE_URL" in without[0].json()["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 2
    assert (await api.delete(f"{PATH}/{gone}")).status_code == 204
