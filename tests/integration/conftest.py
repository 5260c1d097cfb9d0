"""A pool, a world and a team on a fresh database, as most tests of the services' SQL need them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from common.database.pool import ConnectionPool, create_pool
from common.secrets.crypto import KeyRing
from tests.factories import Team, World
from tests.support.outbox import Announcements


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    """What a service holds."""
    opened = await create_pool(database_url, application_name="service-under-test", size=10)
    yield opened
    opened.terminate()


@pytest.fixture
async def world(database_url: str, encryption_keys: str) -> AsyncIterator[World]:
    """Writes rows, and reads what became of them."""
    opened = await World.open(database_url, encryption_keys)
    yield opened
    await opened.sql.close()


@pytest.fixture
def ring(encryption_keys: str) -> KeyRing:
    """The keys of this test's secrets."""
    return KeyRing.parse(encryption_keys)


@pytest.fixture
async def team(world: World) -> Team:
    """A tenant."""
    return await world.team()


@pytest.fixture
def announced(world: World) -> Announcements:
    """What waits in the outbox, as events."""
    return Announcements(world.sql)
