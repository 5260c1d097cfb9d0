"""`/api/events`: the live feed as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.context import Wired
from api.live.feed import Ended, Subscription
from api.problems import problem_responses
from api.sessions import KeyOrSession

router = APIRouter(prefix="/api", tags=["live feed"], responses=problem_responses(401, 422, 429))

RECONNECT_MS = 2_000
MAX_STREAM_SECONDS = 900.0
"""A stream ends after this long, so that a revoked key does not go on watching."""


async def _subscribe(caller: KeyOrSession, wired: Wired) -> AsyncIterator[Subscription]:
    """FastAPI dependency: a place in the feed, from before the answer begins until it has ended."""
    with wired.live.subscribe(caller.tenant_id, caller.key_id) as subscription:
        yield subscription


Subscribed = Annotated[Subscription, Depends(_subscribe)]


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "A stream that does not end by itself", "content": {"text/event-stream": {}}}
    },
)
async def live_feed(
    subscription: Subscribed,
    last_event_id: Annotated[
        str | None, Header(description="Taken note of; events missed meanwhile are not repeated")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """What happens to the team's runs and deliveries, as it happens (server-sent events).

    Events: `run.started`, `run.completed`, `run.failed`, `run.skipped`, `run.cancelled`,
    `delivery.delivered` and `delivery.failed`. `hello` says that the stream is open. Nothing is repeated:
    after a reconnection, read the present state from `/api/runs`.
    """
    deadline = asyncio.get_running_loop().time() + MAX_STREAM_SECONDS
    yield ServerSentEvent(event="hello", data={"resumed": last_event_id is not None}, retry=RECONNECT_MS)
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                event = await subscription.next()
        except (Ended, TimeoutError):
            yield ServerSentEvent(comment="reconnect", retry=RECONNECT_MS)
            return
        yield ServerSentEvent(event=event.name, data=event.data, id=event.id)
