"""The API's process: wires the routes, the console and the live feed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import asyncpg
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from api import documentation, idempotency, operations, problems
from api.automations.routes import router as automations
from api.backfills.routes import router as backfills
from api.clients import ClientLimits
from api.connections.routes import router as connections
from api.context import SERVICE, Clock, Collaborators
from api.deliveries.routes import router as deliveries
from api.destinations.routes import router as destinations
from api.events.routes import router as live
from api.gallery.routes import router as gallery
from api.hosts import KnownHosts
from api.jobs.routes import router as jobs
from api.key_usage import KeyUsage
from api.live.consumer import LiveConsumer
from api.live.feed import LiveFeed
from api.manual_runs.routes import router as manual_runs
from api.observation import Observation, is_quiet
from api.operations import serving_metrics
from api.quotas.routes import router as quota
from api.recordings.hooks.routes import zoom_events_router
from api.recordings.routes import router as recordings
from api.recordings.sources.routes import router as recording_sources
from api.recordings.templates.routes import router as recording_templates
from api.request_limits import RequestLimits
from api.runs.routes import router as runs
from api.schedules.routes import router as schedules
from api.settings import ApiSettings
from api.shutdown import on_termination
from api.slots.routes import router as slots
from api.tenants.routes import router as tenants
from api.web import console
from common import telemetry
from common.clock import kept_by, utc_now
from common.database.pool import create_engine, create_pool
from common.http import create_client
from common.process.checks import require_current_schema
from common.process.serving import background, instance_name, serve
from common.process.stopping import stop
from common.recordings.store import RecordingStore
from common.scheduling import use_newest_tzdata
from common.secrets.crypto import KeyRing
from common.settings import load
from platforms.registry import grants


def wire(settings: ApiSettings, instance: str, clock: Clock) -> Collaborators:
    """The collaborators of one process. Nothing is connected to yet."""
    engine = create_engine(
        settings.database_url.get_secret_value(),
        application_name=instance,
        size=settings.database_pool_size,
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    feed = LiveFeed(settings.live_queue_size)
    http = create_client(allowed_hosts=settings.outbound_allowed_hosts)
    return Collaborators(
        settings=settings,
        engine=engine,
        sessions=sessions,
        keys=KeyRing.parse(settings.encryption_keys.get_secret_value()),
        key_usage=KeyUsage(),
        live=feed,
        kafka=LiveConsumer(settings, feed, sessions, instance=instance),
        http=http,
        grants=grants(http, settings),
        request_limits=RequestLimits(
            per_key=settings.requests_per_key,
            per_address=settings.requests_per_address,
            without_key=settings.requests_without_key,
            wrong_keys=settings.wrong_keys_per_address,
        ),
        clock=clock,
        store=RecordingStore.open(settings.recording_store_url) if settings.recording_store_url else None,
    )


_DATABASE_FAULTS = (SQLAlchemyError, asyncpg.PostgresError, OSError, TimeoutError)


async def _database_time(engine: AsyncEngine) -> datetime:
    async with engine.connect() as db:
        now: datetime = (await db.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now


@asynccontextmanager
async def serving(wired: Collaborators, instance: str) -> AsyncIterator[None]:
    """Everything that runs beside the requests."""
    pool = await create_pool(
        wired.settings.database_url.get_secret_value(), application_name=instance, size=2
    )
    async with pool:
        await require_current_schema(pool)
    try:
        async with (
            kept_by(partial(_database_time, wired.engine), faults=_DATABASE_FAULTS),
            background(wired.key_usage.run(wired.engine), name="key usage"),
            background(wired.request_limits.counts.run(wired.engine), name="request counts"),
            background(wired.kafka.run(), name="live feed"),
        ):
            with on_termination(wired.live.close), serving_metrics(wired.settings):
                yield
        await stop("key usage", wired.key_usage.flush(wired.engine))
    finally:
        await stop("http", wired.http.aclose())
        await stop("database", wired.engine.dispose())


def build_app(settings: ApiSettings, instance: str, *, clock: Clock = utc_now) -> FastAPI:
    """The API and its console as an ASGI application."""
    return assemble(wire(settings, instance, clock), instance)


def assemble(wired: Collaborators, instance: str) -> FastAPI:
    """The application around its collaborators, which are those in its state whenever it starts."""

    @asynccontextmanager
    async def lifespan(starting: FastAPI) -> AsyncIterator[None]:
        async with serving(starting.state.collaborators, instance):
            yield

    app = FastAPI(
        title=documentation.TITLE,
        version=documentation.VERSION,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        # Metrics are Prometheus's and logs structlog's; the spans are FastAPI's own.
        telemetry={
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": is_quiet,
        },
    )
    app.state.collaborators = wired
    app.add_middleware(ClientLimits)
    app.add_middleware(KnownHosts)
    app.add_middleware(Observation)
    routers = (
        gallery,
        automations,
        backfills,
        jobs,
        manual_runs,
        quota,
        schedules,
        slots,
        runs,
        destinations,
        deliveries,
        connections,
        recordings,
        recording_sources,
        recording_templates,
        zoom_events_router(),
        live,
        tenants,
        operations.router,
    )
    problems.install(app, routers)
    app.exception_handler(idempotency.Repeated)(idempotency.repeat)
    for router in routers:
        app.include_router(router)
    console.install(app)
    app.openapi = lambda: documentation.openapi(app)  # type: ignore[method-assign]
    return app


def main() -> None:
    """Run the API until told to stop."""
    use_newest_tzdata()
    settings = load(ApiSettings)
    instance = instance_name(SERVICE)
    telemetry.configure(SERVICE, settings, instance=instance)
    serve(build_app(settings, instance), settings, trusted_proxies=settings.trusted_proxies)
