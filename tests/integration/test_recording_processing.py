"""A recording's way from the platform to where it is wanted, against the sandbox, on a real database."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from common.crypto import KeyRing
from common.database import ConnectionPool
from common.events import RecordingProcessed
from common.http import create_client
from common.recordings.store import RecordingStore
from tests.factories import Team, World
from tests.support.outbox import Announcements
from tests.support.recording_workers import Studio, artifacts_of, content_of
from tests.support.stack import Service
from tests.support.zoom import SandboxZoom


@pytest.fixture(scope="module")
def zoom_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A sandbox of these tests' own: they say who records what."""
    service = Service("sandbox", "sandbox-recordings", {}, tmp_path_factory.mktemp("zoom"))
    asyncio.run(service.start())
    yield service
    service.kill()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}) as client:
        yield client


@pytest.fixture
async def studio(
    zoom_server: Service,
    http: httpx.AsyncClient,
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    tmp_path: Path,
) -> Studio:
    zoom = SandboxZoom(zoom_server, http)
    await zoom.reset()
    store = RecordingStore.open((tmp_path / "store").as_uri())
    return Studio(world, team, pool, ring, http, zoom, zoom_server.url, store)


async def test_a_recording_is_downloaded_transcribed_and_stored(
    studio: Studio, announced: Announcements
) -> None:
    recording_id = await studio.record("Weekly/../call")
    async with studio.working() as worker:
        [row] = await studio.process(worker, recording_id)
    assert (row["status"], row["attempt"], row["error_message"]) == ("UPLOADED", 1, None)
    artifacts = artifacts_of(row)
    assert sorted(file.kind for file in artifacts.files.values()) == ["audio", "transcript", "video"]
    for file in artifacts.files.values():
        content = await content_of(studio.store, file.path)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    [upload] = artifacts.uploads.values()
    assert all(sent.is_done for sent in upload.files.values())
    names = sorted(
        name.partition("_")[2].split("_")[1] + "." + name.rpartition(".")[2] for name in upload.files
    )
    assert names == ["audio.m4a", "transcript.txt", "transcript.vtt", "video.mp4"]
    library = f"{studio.team.tenant_id}/library/"
    places = [sent.place for sent in upload.files.values()]
    assert all(place.startswith(library) and ".." not in place.split("/") for place in places)
    [event] = await announced.of(RecordingProcessed)
    assert (event.recording_id, event.status, event.uploads) == (recording_id, "UPLOADED", 1)
