"""A Graph API in memory and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from executor.platforms.facebook import Graph
from tests.unit.executor.platforms.fake_graph import FakeGraph


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
