"""A Graph API in memory and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from platforms.facebook.graph import Graph
from tests.unit.platforms.facebook.fake_graph import FakeGraph


@pytest.fixture
def facebook() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
async def http(facebook: FakeGraph) -> AsyncIterator[httpx.AsyncClient]:
    async with facebook.client() as client:
        yield client


@pytest.fixture
def graph(facebook: FakeGraph, http: httpx.AsyncClient) -> Graph:
    return facebook.graph(http)
