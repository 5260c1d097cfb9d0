"""Zoom's events: who is believed, and what follows, whatever order they come in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.recordings.hooks import routes
from api.settings import ApiSettings
from common.events import RecordingProcessingRequested
from common.ids import new_id
from common.models import ConnectionKind
from common.secrets.crypto import KeyRing
from platforms.zoom import ZOOM_SERVER, ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.outbox import Announcements
from tests.support.recordings import document
from tests.support.zoom_events import SECRET, TOKEN, event, headers, send

COMPLETED = "recording.completed"
TRANSCRIPT = "recording.transcript_completed"
DANA, DANA_ID = "dana@brightpath.example", "uET9c2fCR06UoPbeqKed4A"
TEXT = {
    "id": "transcript of a",
    "file_type": "TRANSCRIPT",
    "file_extension": "VTT",
    "file_size": 51_200,
    "recording_type": "audio_transcript",
    "status": "completed",
    "download_url": "https://zoom.us/rec/download/a-text?access_token=canary-in-a-link",
}


@pytest.fixture
def zoom_client(client_of: Callable[[Team | None], httpx.AsyncClient]) -> httpx.AsyncClient:
    """Zoom, which has no key of ours."""
    return client_of(None)


@pytest.fixture
async def zoom(world: World, acme: Team) -> UUID:
    """A connection whose owner is Dana."""
    return await world.connection(
        acme,
        ZOOM_USER,
        "sandbox-zoom-acme",
        webhook_secret=SECRET,
        external_id=DANA_ID,
        accounts=[{"id": DANA_ID, "email": DANA.title()}],
    )


@pytest.fixture
async def source(world: World, acme: Team, zoom: UUID) -> UUID:
    return await recordings.source(world, acme, zoom)


@pytest.fixture
def announced(world: World) -> Announcements:
    return Announcements(world.sql)


async def job(world: World, team: Team, *template_ids: int, **config: Any) -> UUID:
    [made] = await world.automations(
        team, None, kind="recording_sync", config={"template_ids": list(template_ids), **config}
    )
    return made


async def rows(world: World) -> list[Any]:
    return await world.sql.fetch("SELECT * FROM recording ORDER BY id")


async def only(world: World) -> Any:
    [row] = await rows(world)
    return row


# Who is believed


async def test_the_address_is_validated(zoom_client: httpx.AsyncClient, world: World, acme: Team) -> None:
    zoom = await world.connection(acme, ZOOM_USER, "t", webhook_secret="zoomsecret")
    plain = "q9ibPhGeRZ6ayx5WTrXjRw"
    told = {"event": "endpoint.url_validation", "event_ts": 1, "payload": {"plainToken": plain}}

    answer = await send(zoom_client, zoom, told, secret="zoomsecret")

    assert answer.status_code == 200
    assert answer.json() == {
        "plainToken": plain,
        "encryptedToken": "9be468661fbe97b448005da1d96db96de73be61f65ba136ee8f6ec78cded814c",
    }


async def test_what_is_not_signed_with_the_secret_now_is_refused_alike(
    zoom_client: httpx.AsyncClient, world: World, acme: Team, zoom: UUID, source: UUID
) -> None:
    """Wrong, old and missing signatures look as connections that are not there or have no secret."""
    silent = await world.connection(acme, ZOOM_SERVER, external_id="silent")
    told = event(COMPLETED)
    body = json.dumps(told).encode()
    forged = {**headers(body), "x-zm-signature": headers(body + b" ")["x-zm-signature"]}

    answers = [
        await send(zoom_client, zoom, told, secret="guessed"),
        await send(zoom_client, zoom, told, age=timedelta(minutes=6)),
        await send(zoom_client, zoom, told, age=-timedelta(minutes=6)),
        await zoom_client.post(f"/hooks/zoom/{zoom}", content=body, headers=forged),
        await zoom_client.post(f"/hooks/zoom/{zoom}", content=body),
        await zoom_client.post(f"/hooks/zoom/{zoom}", content=body, headers={"authorization": SECRET}),
        await send(zoom_client, new_id(), told),
        await send(zoom_client, "not-an-id", told),
        await send(zoom_client, silent, told),
        await send(zoom_client, zoom, b"not json", secret="guessed"),
    ]

    shapes = {
        (
            answer.status_code,
            answer.content,
            tuple(sorted((name, value) for name, value in answer.headers.items() if name != "date")),
        )
        for answer in answers
    }
    assert len(shapes) == 1
    assert answers[0].status_code == 401
    assert answers[0].content == b""
    assert await rows(world) == []


async def test_the_secret_of_one_team_opens_nothing_of_another(
    zoom_client: httpx.AsyncClient, world: World, globex: Team, source: UUID, zoom: UUID
) -> None:
    theirs = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex", webhook_secret="their-secret")
    await recordings.source(world, globex, theirs)

    to_acme = await send(zoom_client, zoom, event(COMPLETED), secret="their-secret")
    to_globex = await send(zoom_client, theirs, event(COMPLETED), secret="their-secret")

    assert (to_acme.status_code, to_globex.status_code) == (401, 204)
    assert (await only(world))["tenant_id"] == globex.tenant_id


async def test_large_and_slow_bodies_are_turned_away(
    zoom_client: httpx.AsyncClient, zoom: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = await send(zoom_client, zoom, b" " * (300 * 1024))
    monkeypatch.setattr(routes, "READ_WITHIN", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    slow = await zoom_client.post(f"/hooks/zoom/{zoom}", content=drip(), headers=headers(b"{"))
    unsigned = await zoom_client.post(f"/hooks/zoom/{zoom}", content=drip())

    assert (large.status_code, slow.status_code, unsigned.status_code) == (413, 408, 401)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"event": "recording.completed", "payload": {"object": {}}}',
        b'{"event": "endpoint.url_validation"}',
    ],
)
async def test_a_signed_event_that_says_nothing_changes_nothing(
    zoom_client: httpx.AsyncClient, world: World, zoom: UUID, source: UUID, body: bytes
) -> None:
    answer = await send(zoom_client, zoom, body)

    assert answer.status_code == 422
    assert await rows(world) == []


@pytest.mark.parametrize("name", ["recording.started", "meeting.ended", "app_deauthorized"])
async def test_other_events_are_acknowledged(
    zoom_client: httpx.AsyncClient, world: World, zoom: UUID, source: UUID, name: str
) -> None:
    assert (await send(zoom_client, zoom, {"event": name, "payload": {}})).status_code == 204
    assert await rows(world) == []


async def test_an_event_that_cannot_be_taken_in_time_is_to_be_sent_again(
    zoom_client: httpx.AsyncClient,
    world: World,
    zoom: UUID,
    source: UUID,
    database_url: str,
    encryption_keys: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "ANSWER_WITHIN", 0.3)
    other = await World.open(database_url, encryption_keys)
    async with other.sql.transaction():
        await other.sql.execute("SELECT 1 FROM recording_source FOR UPDATE")
        late = await send(zoom_client, zoom, event(COMPLETED))
    await other.sql.close()
    monkeypatch.undo()

    assert (late.status_code, late.headers["retry-after"]) == (503, "300")
    assert await rows(world) == []
    assert (await send(zoom_client, zoom, event(COMPLETED))).status_code == 204


# What follows


async def test_a_recording_is_taken_in_matched_and_started_at_once(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    zoom: UUID,
    source: UUID,
    announced: Announcements,
    settings: ApiSettings,
) -> None:
    await recordings.template(world, acme, {"keywords": ["lecture"]}, number=11)
    template = await recordings.template(
        world, acme, {"keywords": ["weekly"]}, {"auto_upload": True}, number=12
    )
    await job(world, acme, 11)
    taking = await job(
        world, acme, 11, 12, processing_config={"skip_transcription": True, "auto_upload": False}
    )
    await job(world, acme, 12)

    answer = await send(zoom_client, zoom, event(COMPLETED))

    assert answer.status_code == 204
    row = await only(world)
    assert (row["status"], row["source_id"], row["topic"]) == ("INITIALIZED", source, "Weekly marketing call")
    assert (row["template_id"], row["automation_id"], row["attempt"]) == (template, taking, 0)
    assert row["available_at"] is not None
    assert (row["processing"]["skip_transcription"], row["processing"]["auto_upload"]) == (True, False)
    [requested] = await announced.of(RecordingProcessingRequested)
    assert (requested.recording_id, requested.automation_id) == (row["id"], taking)
    ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
    opened = ring.open(
        row["download_token_sealed"], tenant_id=acme.tenant_id, row_id=row["id"], column="download_token"
    )
    assert opened == TOKEN
    left = row["download_token_expires_at"] - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    [record] = await announced.records()
    assert TOKEN not in json.dumps([record.headers, record.value.decode(), row["files"]])


async def test_what_no_job_takes_waits_for_their_next_run(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    globex: Team,
    zoom: UUID,
    source: UUID,
    announced: Announcements,
) -> None:
    for team in (acme, globex):
        await recordings.template(world, team, {"keywords": ["weekly"]}, number=1)
    await recordings.template(world, acme, {"keywords": ["lecture"]}, number=2)
    await recordings.template(world, acme, {"keywords": ["weekly"]}, number=3, is_active=False)
    paused = await job(world, acme, 1)
    await world.sql.execute("UPDATE automation SET status = 'paused' WHERE id = $1", paused)
    await job(world, acme, 2, 3)
    await job(world, globex, 1)

    assert (await send(zoom_client, zoom, event(COMPLETED))).status_code == 204

    row = await only(world)
    assert (row["status"], row["template_id"], row["available_at"]) == ("INITIALIZED", None, None)
    assert await announced.records() == []


async def test_a_template_that_wants_a_person_is_held(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    zoom: UUID,
    source: UUID,
    announced: Announcements,
) -> None:
    template = await recordings.template(world, acme, {"keywords": ["weekly"]}, {"auto_process": False})
    await job(world, acme, 1)

    await send(zoom_client, zoom, event(COMPLETED))

    row = await only(world)
    assert (row["template_id"], row["available_at"]) == (template, None)
    assert await announced.records() == []


async def test_blank_recordings_are_for_jobs_that_want_them(
    zoom_client: httpx.AsyncClient, world: World, acme: Team, zoom: UUID, source: UUID
) -> None:
    await recordings.template(world, acme, {"keywords": ["weekly"]})
    await job(world, acme, 1)
    taking = await job(world, acme, 1, filters={"exclude_blank": False})

    await send(zoom_client, zoom, event(COMPLETED, document("a", minutes=0)))

    row = await only(world)
    assert (row["is_blank"], row["automation_id"]) == (True, taking)


async def test_a_pattern_that_takes_too_long_stops_its_own_job_only(
    zoom_client: httpx.AsyncClient, world: World, acme: Team, zoom: UUID, source: UUID
) -> None:
    await recordings.template(world, acme, {"patterns": ["(?:a|a)+b"]}, number=1)
    await recordings.template(world, acme, {"keywords": ["aaa"]}, number=2)
    await job(world, acme, 1)
    taking = await job(world, acme, 2)

    answer = await send(zoom_client, zoom, event(COMPLETED, document("a", topic="a" * 60)))

    assert answer.status_code == 204
    assert (await only(world))["automation_id"] == taking


async def test_jobs_and_templates_that_cannot_be_read_are_passed_over(
    zoom_client: httpx.AsyncClient, world: World, acme: Team, zoom: UUID, source: UUID
) -> None:
    await recordings.template(world, acme, {"patterns": ["("]}, number=1)
    await recordings.template(world, acme, {"keywords": ["weekly"]}, number=2)
    await world.automations(acme, None, kind="recording_sync", config={"template_ids": []})
    taking = await job(world, acme, 1, 2)

    assert (await send(zoom_client, zoom, event(COMPLETED))).status_code == 204
    assert (await only(world))["automation_id"] == taking


# Whose it is


@pytest.mark.parametrize(
    ("kind", "external_id", "external_user", "host", "taken"),
    [
        (ZOOM_USER, DANA_ID, "me", {}, True),
        (ZOOM_USER, DANA_ID, "me", {"host_id": "x", "host_email": DANA}, True),
        (ZOOM_USER, DANA_ID, "me", {"host_id": "x", "host_email": "lee@x.example"}, False),
        (ZOOM_USER, None, "me", {"host_id": "x"}, True),
        (ZOOM_SERVER, "account", DANA.upper(), {}, True),
        (ZOOM_SERVER, "account", DANA_ID, {"host_email": ""}, True),
        (ZOOM_SERVER, "account", "lee@x.example", {}, False),
    ],
)
async def test_a_source_takes_its_own_persons_recordings(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    kind: ConnectionKind,
    external_id: str | None,
    external_user: str,
    host: dict[str, str],
    taken: bool,
) -> None:
    connection = await world.connection(
        acme,
        kind,
        webhook_secret=SECRET,
        external_id=external_id,
        accounts=[{"id": DANA_ID, "email": DANA}] if external_id else [],
    )
    await recordings.source(world, acme, connection, external_user=external_user)
    meeting = {**document("a"), "host_id": DANA_ID, **host}

    assert (await send(zoom_client, connection, event(COMPLETED, meeting))).status_code == 204
    assert len(await rows(world)) == (1 if taken else 0)


async def test_sources_that_are_disabled_or_of_another_connection_take_nothing(
    zoom_client: httpx.AsyncClient, world: World, acme: Team, zoom: UUID
) -> None:
    other = await world.connection(acme, ZOOM_USER, "another", webhook_secret="other")
    await recordings.source(world, acme, zoom, status="disabled")
    await recordings.source(world, acme, other, number=2)

    await send(zoom_client, zoom, event(COMPLETED))

    assert await rows(world) == []


async def test_every_source_of_a_person_has_its_own(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    zoom: UUID,
    source: UUID,
    announced: Announcements,
) -> None:
    second = await recordings.source(world, acme, zoom, number=2, external_user=DANA)
    await recordings.template(world, acme, {"source_ids": [1]}, number=1)
    await recordings.template(world, acme, {"source_ids": [2]}, number=2)
    jobs = [await job(world, acme, 1), await job(world, acme, 2)]

    await send(zoom_client, zoom, event(COMPLETED))

    taken = {row["source_id"]: row["automation_id"] for row in await rows(world)}
    assert taken == {source: jobs[0], second: jobs[1]}
    assert len(await announced.of(RecordingProcessingRequested)) == 2


# In any order, and more than once


@pytest.fixture
async def started(world: World, acme: Team, source: UUID) -> UUID:
    """A job that takes whatever comes."""
    await recordings.template(world, acme, {"source_ids": [1]})
    return await job(world, acme, 1)


async def test_an_event_that_comes_again_changes_nothing(
    zoom_client: httpx.AsyncClient, world: World, zoom: UUID, started: UUID, announced: Announcements
) -> None:
    told = event(COMPLETED)
    answers = await asyncio.gather(*(send(zoom_client, zoom, told) for _ in range(5)))
    before = await only(world)

    again = await send(zoom_client, zoom, told)

    assert {answer.status_code for answer in (*answers, again)} == {204}
    assert await only(world) == before
    assert len(await announced.of(RecordingProcessingRequested)) == 1


@pytest.mark.parametrize("status", ["DOWNLOADING", "UPLOADED", "FAILED", "SKIPPED"])
async def test_what_has_gone_on_is_not_put_back(
    zoom_client: httpx.AsyncClient,
    world: World,
    zoom: UUID,
    started: UUID,
    announced: Announcements,
    status: str,
) -> None:
    await send(zoom_client, zoom, event(COMPLETED))
    await announced.clear()
    await world.sql.execute("UPDATE recording SET status = $1, available_at = NULL, attempt = 2", status)

    await send(zoom_client, zoom, event(COMPLETED))

    row = await only(world)
    assert (row["status"], row["attempt"], row["available_at"]) == (status, 2, None)
    assert await announced.records() == []


@pytest.mark.parametrize("order", [(COMPLETED, TRANSCRIPT), (TRANSCRIPT, COMPLETED)])
async def test_the_transcript_may_come_before_or_after(
    zoom_client: httpx.AsyncClient,
    world: World,
    zoom: UUID,
    started: UUID,
    announced: Announcements,
    order: tuple[str, str],
) -> None:
    meetings = {COMPLETED: document("a"), TRANSCRIPT: document("a", recording_files=[TEXT])}

    for name in order:
        assert (await send(zoom_client, zoom, event(name, meetings[name]))).status_code == 204

    row = await only(world)
    assert {file["kind"] for file in row["files"]} == {"video", "transcript"}
    assert (row["is_blank"], row["automation_id"]) == (False, started)
    assert "canary-in-a-link" not in json.dumps(row["files"])
    assert len(await announced.of(RecordingProcessingRequested)) == 1


async def test_an_older_token_does_not_take_the_place_of_a_newer_one(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    zoom: UUID,
    source: UUID,
    settings: ApiSettings,
) -> None:
    ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
    now = datetime.now(UTC)
    for token, age in (("first", 60), ("newest", 1), ("older", 30)):
        stamp = int((now - timedelta(minutes=age)).timestamp() * 1_000)
        await send(zoom_client, zoom, event(COMPLETED, event_ts=stamp, download_token=token))

    row = await only(world)
    sealed = row["download_token_sealed"]
    assert ring.open(sealed, tenant_id=acme.tenant_id, row_id=row["id"], column="download_token") == "newest"


@pytest.mark.parametrize("name", ["recording.trashed", "recording.deleted"])
async def test_what_is_gone_from_zoom_is_skipped_until_it_comes_back(
    zoom_client: httpx.AsyncClient,
    world: World,
    acme: Team,
    zoom: UUID,
    source: UUID,
    announced: Announcements,
    name: str,
) -> None:
    await send(zoom_client, zoom, event(COMPLETED))
    await recordings.template(world, acme, {"source_ids": [1]})
    taking = await job(world, acme, 1)

    await send(zoom_client, zoom, event(name))
    await send(zoom_client, zoom, event(COMPLETED))  # an old one that was sent again

    row = await only(world)
    assert (row["status"], row["status_reason"]) == ("SKIPPED", "its recording was deleted on Zoom")
    assert await announced.records() == []
    await send(zoom_client, zoom, event("recording.recovered"))
    row = await only(world)
    assert (row["status"], row["status_reason"], row["automation_id"]) == ("INITIALIZED", None, taking)
    assert len(await announced.of(RecordingProcessingRequested)) == 1


async def test_when_one_file_goes_the_others_stay(
    zoom_client: httpx.AsyncClient, world: World, zoom: UUID, source: UUID
) -> None:
    film = document("a")["recording_files"]
    await send(zoom_client, zoom, event(COMPLETED, document("a", recording_files=[*film, TEXT])))

    await send(zoom_client, zoom, event("recording.trashed", document("a", recording_files=[TEXT])))

    row = await only(world)
    assert (row["status"], [file["kind"] for file in row["files"]]) == ("INITIALIZED", ["video"])
    await send(zoom_client, zoom, event("recording.trashed", document("a", recording_files=film)))
    assert (await only(world))["status"] == "SKIPPED"


@pytest.mark.parametrize("status", ["DOWNLOADING", "UPLOADED"])
async def test_what_was_begun_is_not_skipped(
    zoom_client: httpx.AsyncClient, world: World, zoom: UUID, started: UUID, status: str
) -> None:
    await send(zoom_client, zoom, event(COMPLETED))
    await world.sql.execute("UPDATE recording SET status = $1", status)

    await send(zoom_client, zoom, event("recording.trashed"))

    assert (await only(world))["status"] == status


async def test_another_teams_recordings_of_the_same_meeting_are_untouched(
    zoom_client: httpx.AsyncClient, world: World, globex: Team, zoom: UUID, source: UUID
) -> None:
    theirs = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex")
    other = await recordings.source(world, globex, theirs)
    kept = await recordings.recording(world, globex, other, external_id="a")
    before = await world.row("recording", kept)

    for name in (COMPLETED, "recording.trashed"):
        await send(zoom_client, zoom, event(name))

    assert await world.row("recording", kept) == before
