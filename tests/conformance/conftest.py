"""Clients of the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from common.http import create_client
from tests.integration.conftest import pool, ring, team, world  # noqa: F401  # fixtures: rows of PostgreSQL
from tests.support.channels import PATIENCE, Sandbox
from tests.support.platforms.base import Site
from tests.support.stack import Service


@pytest.fixture
async def outbound(sandbox_server: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The client services use, less patient."""
    async with create_client(
        timeout=httpx.Timeout(PATIENCE),
        allowed_hosts={f"127.0.0.1:{sandbox_server.port}"},
        receiver_hosts={f"127.0.0.1:{sandbox_server.port}"},
    ) as client:
        yield client


@pytest.fixture
def sandbox(sandbox_server: Service, outbound: httpx.AsyncClient) -> Sandbox:
    """The receivers' side."""
    return Sandbox(sandbox_server.url, outbound)


@pytest.fixture
def site(sandbox_server: Service, outbound: httpx.AsyncClient) -> Site:
    """The sandbox as platform clients are pointed at it."""
    return Site(outbound, sandbox_server.url)
