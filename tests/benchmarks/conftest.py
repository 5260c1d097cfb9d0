"""What the benchmarks share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.factories import World


@pytest.fixture
async def world(database_url: str, encryption_keys: str) -> AsyncIterator[World]:
    opened = await World.open(database_url, encryption_keys)
    yield opened
    await opened.sql.close()
