"""Health, metrics, failures, and what the process does when its neighbours are away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.main import build_app
from api.operations import serving_metrics
from api.settings import ApiSettings
from carillon.ports import free_port
from common.database.pool import connect
from common.errors import ConfigurationError
from tests.factories import Team, World


@pytest.fixture
async def closed(
    postgres_server: Callable[[str], str], database_url: str
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Makes the database refuse everybody, as a failover does."""
    name = urlsplit(database_url).path.removeprefix("/")
    admin = await connect(postgres_server("postgres"), application_name="tests")

    async def close() -> None:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)

    yield close
    await admin.close()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    yield exporter
    exporter.shutdown()


async def test_ready_without_kafka(api: httpx.AsyncClient) -> None:
    response = await api.get("/readyz")

    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ready"
    assert body["checks"]["database"] == "ok"
    assert body["checks"]["kafka"].startswith("degraded")
    assert (await api.get("/healthz")).json() == {"status": "alive"}


async def test_not_ready_without_its_database(
    api: httpx.AsyncClient, closed: Callable[[], Awaitable[None]]
) -> None:
    await closed()

    readiness = await api.get("/readyz")
    request = await api.get("/api/tenant")

    assert readiness.status_code == 503
    assert (await api.get("/healthz")).status_code == 200
    assert request.status_code == 503
    assert request.headers["retry-after"]
    assert request.headers["content-type"] == "application/problem+json"


async def test_connections_cut_by_the_database_are_replaced(api: httpx.AsyncClient, world: World) -> None:
    assert (await api.get("/api/tenant")).status_code == 200

    await world.sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )

    assert (await api.get("/api/tenant")).status_code == 200


async def test_does_not_start_on_another_schema(settings: ApiSettings, world: World) -> None:
    await world.sql.execute("UPDATE alembic_version SET version_num = '0000'")
    app = build_app(settings, "api-test")

    with pytest.raises(ConfigurationError, match="revision 0000"):
        async with app.router.lifespan_context(app):
            pass


async def test_does_not_start_without_a_database(
    settings: ApiSettings, closed: Callable[[], Awaitable[None]]
) -> None:
    await closed()
    app = build_app(settings, "api-test")

    with pytest.raises(asyncpg.PostgresError):
        async with app.router.lifespan_context(app):
            pass


async def test_defect_is_answered_without_detail(
    app: FastAPI,
    acme: Team,
    world: World,
    client_of: Callable[[Team | None], httpx.AsyncClient],
) -> None:
    await world.sql.execute("ALTER TABLE automation RENAME TO automation_of_old")

    response = await client_of(acme).get("/api/automations")

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "automation_of_old" not in response.text
    assert "SELECT" not in response.text
    assert "Traceback" not in response.text


async def test_metrics_have_a_port_of_their_own_and_count_requests_by_route(
    api: httpx.AsyncClient, acme: Team, settings: ApiSettings
) -> None:
    await api.get(f"/api/users/{acme.user_id}")

    port = free_port()
    with serving_metrics(settings.model_copy(update={"metrics_port": port})):
        async with httpx.AsyncClient(trust_env=False) as scraper:
            text = (await scraper.get(f"http://127.0.0.1:{port}/metrics")).text

    assert (await api.get("/metrics")).status_code == 404

    assert 'route="/api/users/{user_id}",status="200"' in text
    assert str(acme.user_id) not in text


async def test_request_is_one_server_span(
    api: httpx.AsyncClient, acme: Team, spans: InMemorySpanExporter
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    await api.get(f"/api/users/{acme.user_id}", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    await api.get("/healthz")

    (span,) = spans.get_finished_spans()
    assert span.name == "GET /api/users/{user_id}"
    assert span.kind is trace.SpanKind.SERVER
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == trace_id
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["http.route"] == "/api/users/{user_id}"
    assert acme.api_key not in str(span.attributes)
