"""What the chaos tests share: a Zoom whose people and recordings a test decides."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from common.http import create_client
from tests.factories import World
from tests.support.stack import Service
from tests.support.zoom_sandbox import SandboxZoom


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(
        timeout=httpx.Timeout(30.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


@pytest.fixture
async def zoom(zoom_server: Service, http: httpx.AsyncClient) -> SandboxZoom:
    """As new, without recordings."""
    sandbox = SandboxZoom(zoom_server, http)
    await sandbox.reset()
    return sandbox


@pytest.fixture
async def world(database_url: str, encryption_keys: str) -> AsyncIterator[World]:
    world = await World.open(database_url, encryption_keys)
    yield world
    await world.sql.close()
