"""What a request is given: a transaction, the time, and the collaborators `main` wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import httpx
import structlog
from fastapi import Depends, Request
from opentelemetry import trace
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from api.commits import commit
from api.key_usage import KeyUsage
from api.live.consumer import LiveConsumer
from api.live.feed import LiveFeed
from api.problems import Unavailable
from api.request_limits import RequestLimits
from api.settings import ApiSettings
from common import telemetry
from common.clock import utc_now
from common.database import outbox
from common.events import Event, to_record
from common.models import ConnectionKind
from common.recordings.store import RecordingStore
from common.secrets.crypto import KeyRing
from platforms.oauth.base import Grant

log = structlog.get_logger()

SERVICE = "api"
RECEIVER_HOSTS = "receiver_allowed_hosts"
"""Under this name a request's session says which private hosts teams may name, for what checks
addresses deep inside what it stores."""

_READING = frozenset({"GET", "HEAD"})
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the routes work with; wired in `main`."""

    settings: ApiSettings
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    keys: KeyRing
    key_usage: KeyUsage
    live: LiveFeed
    kafka: LiveConsumer
    http: httpx.AsyncClient
    grants: Mapping[ConnectionKind, Grant]
    request_limits: RequestLimits
    clock: Clock = utc_now
    store: RecordingStore | None = None
    """The files of recordings, where this process can read them."""


def collaborators(request: Request) -> Collaborators:
    """FastAPI dependency for what `main` wired."""
    wired: Collaborators = request.app.state.collaborators
    return wired


Wired = Annotated[Collaborators, Depends(collaborators)]


@asynccontextmanager
async def connected(wired: Collaborators) -> AsyncIterator[AsyncSession]:
    """A session with a connection; raises Unavailable. What is not committed is rolled back."""
    async with wired.sessions() as session:
        try:
            await session.connection()
        except (SQLAlchemyError, asyncpg.PostgresError, OSError) as error:
            log.warning("database unavailable", error=type(error).__name__)
            raise Unavailable("The database does not answer. Nothing was changed; try again.") from error
        yield session


async def _transaction(request: Request, wired: Wired) -> AsyncIterator[AsyncSession]:
    async with connected(wired) as session:
        session.info[RECEIVER_HOSTS] = wired.settings.receiver_allowed_hosts
        yield session  # an error ends the session, which rolls back
        if request.method in _READING:
            await session.commit()
        else:
            await commit(session, wired.engine)


Transaction = Annotated[AsyncSession, Depends(_transaction, scope="function")]
"""The request's one transaction.

It is committed after the endpoint has returned and before the answer is sent (FastAPI's `function` scope), so
no client is told of a change that did not happen.
"""


def _now(wired: Wired) -> datetime:
    return wired.clock()


Now = Annotated[datetime, Depends(_now)]


async def announce(session: AsyncSession, *events: Event, at: datetime) -> None:
    """Write events with the state they announce, and wake the relay at the commit.

    Called once in a transaction. The events continue the request's trace.
    """
    traceparent = telemetry.traceparent_of(trace.get_current_span()) or None
    session.add_all(
        outbox.row(to_record(event, source=SERVICE, time=at, traceparent=traceparent)) for event in events
    )
    await session.execute(text(outbox.wake_statement(topic for event in events for topic in event.topics)))


@dataclass(frozen=True, slots=True)
class Trace:
    """The request's trace, as rows keep it."""

    trace_id: str | None
    traceparent: str | None


def current_trace() -> Trace:
    """The trace that runs and deliveries started by this request belong to."""
    span: Any = trace.get_current_span()
    if not span.get_span_context().is_valid:
        return Trace(None, None)
    return Trace(telemetry.trace_id_of(span), telemetry.traceparent_of(span))
