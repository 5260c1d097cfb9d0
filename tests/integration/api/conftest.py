"""The API in this process, on a real database, with two teams that must not see each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import structlog
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr

from api.main import build_app, wire
from api.settings import ApiSettings
from common.clock import utc_now
from common.secrets.crypto import new_encryption_key
from common.settings import KafkaProfile
from tests.factories import Team, World

NOBODY_LISTENS = "127.0.0.1:1"
NO_VENDOR = "http://127.0.0.1:9"


@pytest.fixture(scope="session", autouse=True)
def _spans() -> None:
    """Requests are traced in the service, so they are here."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """structlog's default renders tracebacks with every local variable, which takes seconds."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )


@pytest.fixture
def settings(database_url: str, encryption_keys: str) -> ApiSettings:
    """Settings of an API whose broker is down."""
    return ApiSettings(
        database_url=SecretStr(database_url),
        kafka_bootstrap_servers=NOBODY_LISTENS,
        kafka_profile=KafkaProfile.EMBEDDED,
        encryption_keys=SecretStr(encryption_keys),
        database_pool_size=5,
        outbound_allowed_hosts=frozenset({"127.0.0.1:9"}),
        receiver_allowed_hosts=frozenset({"127.0.0.1:9"}),
        public_url="http://carillon",
        facebook_base_url=NO_VENDOR,
        tiktok_base_url=NO_VENDOR,
        tiktok_open_base_url=NO_VENDOR,
        zoom_base_url=NO_VENDOR,
        zoom_oauth_url=NO_VENDOR,
    )


@pytest.fixture(scope="session")
def assembly() -> FastAPI:
    """The application, put together once: that takes longer than most tests."""
    nowhere = ApiSettings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
        kafka_bootstrap_servers=NOBODY_LISTENS,
        kafka_profile=KafkaProfile.EMBEDDED,
        encryption_keys=SecretStr(new_encryption_key("nowhere")),
    )
    return build_app(nowhere, "api-test")


@pytest.fixture
async def app(settings: ApiSettings, assembly: FastAPI) -> AsyncIterator[FastAPI]:
    """The application, started with collaborators of this test's own."""
    assembly.state.collaborators = wire(settings, "api-test", utc_now)
    async with assembly.router.lifespan_context(assembly):
        yield assembly
    assembly.dependency_overrides.clear()


@pytest.fixture
async def world(database_url: str, encryption_keys: str) -> AsyncIterator[World]:
    """Writes rows without the API."""
    opened = await World.open(database_url, encryption_keys)
    yield opened
    await opened.sql.close()


@pytest.fixture
async def acme(world: World) -> Team:
    """The team that asks."""
    return await world.team("Acme")


@pytest.fixture
async def globex(world: World) -> Team:
    """Another team."""
    return await world.team("Globex")


@pytest.fixture
async def client_of(app: FastAPI) -> AsyncIterator[Callable[[Team | None], httpx.AsyncClient]]:
    """A client that sends a team's key, or none."""
    opened: list[httpx.AsyncClient] = []

    def connect(team: Team | None) -> httpx.AsyncClient:
        headers = {} if team is None else {"Authorization": f"Bearer {team.api_key}"}
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        opened.append(httpx.AsyncClient(transport=transport, base_url="http://carillon", headers=headers))
        return opened[-1]

    yield connect
    for client in opened:
        await client.aclose()


@pytest.fixture
def api(client_of: Callable[[Team | None], httpx.AsyncClient], acme: Team) -> httpx.AsyncClient:
    """A client of Acme's."""
    return client_of(acme)


@pytest.fixture
def stranger(client_of: Callable[[Team | None], httpx.AsyncClient], globex: Team) -> httpx.AsyncClient:
    """A client of Globex's."""
    return client_of(globex)
