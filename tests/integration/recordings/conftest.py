"""A sandbox of these tests' own, and a team whose Zoom account records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from common.database.pool import ConnectionPool
from common.http import create_client
from common.recordings.store import RecordingStore
from common.secrets.crypto import KeyRing
from tests.factories import Team, World
from tests.support.recording_harness import RecordingHarness
from tests.support.stack import Service
from tests.support.zoom_sandbox import SandboxZoom


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(
        timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


@pytest.fixture
async def harness(
    zoom_server: Service,
    http: httpx.AsyncClient,
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    tmp_path: Path,
) -> RecordingHarness:
    zoom = SandboxZoom(zoom_server, http)
    await zoom.reset()
    store = RecordingStore.open((tmp_path / "store").as_uri())
    return RecordingHarness(world, team, pool, ring, http, zoom, zoom_server.url, store)
