"""`/api/events`: the live feed as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.context import Wired
from api.live.feed import Ended, Subscription
from api.problems import problem_responses
from api.sessions import KeyOrSession

router = APIRouter(prefix="/api", tags=["live feed"], responses=problem_responses(401, 422, 429))

RECONNECT_MS = 2_000
MAX_STREAM_SECONDS = 900.0
"""A stream ends after this long, so that a revoked key does not go on watching."""
TOGETHER_SECONDS = 0.1
"""What happens within this time after an event is sent together: many readers of a busy team cost little."""
KEEPALIVE_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies keep the connection open."""
_RECONNECT = format_sse_event(comment="reconnect", retry=RECONNECT_MS)
_EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {"type": "string"},
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    },
}


class EventStream(StreamingResponse):
    """Server-sent events, encoded already: FastAPI's own would encode each event for each reader."""

    media_type = "text/event-stream"


async def _subscribe(request: Request, caller: KeyOrSession, wired: Wired) -> AsyncIterator[Subscription]:
    """FastAPI dependency: a place in the feed, from before the answer begins until it has ended."""
    with wired.live.subscribe(caller.tenant_id, caller.key_id, request.state.credential) as subscription:
        yield subscription


Subscribed = Annotated[Subscription, Depends(_subscribe)]


@router.get(
    "/events",
    response_class=EventStream,
    responses={
        200: {
            "description": "A stream that does not end by itself",
            "content": {"text/event-stream": {"itemSchema": _EVENT_SCHEMA}},
        }
    },
)
async def live_feed(
    subscription: Subscribed,
    last_event_id: Annotated[
        str | None, Header(description="Taken note of; events missed meanwhile are not repeated")
    ] = None,
) -> EventStream:
    """What happens to the team's runs and deliveries, as it happens (server-sent events).

    Events: `run.started`, `run.completed`, `run.failed`, `run.skipped`, `run.cancelled`,
    `delivery.delivered` and `delivery.failed`. `hello` says that the stream is open. Nothing is repeated:
    after a reconnection, read the present state from `/api/runs`.
    """
    return EventStream(
        _stream(subscription, is_resumed=last_event_id is not None),
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _stream(subscription: Subscription, *, is_resumed: bool) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    deadline = clock() + MAX_STREAM_SECONDS
    hello = json.dumps({"resumed": is_resumed})
    yield format_sse_event(event="hello", data_str=hello, retry=RECONNECT_MS)
    while clock() < deadline:
        try:
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                events = await subscription.next_events()
        except TimeoutError:
            yield KEEPALIVE_COMMENT
            continue
        except Ended:
            break
        yield b"".join(event.encoded for event in events)
        await asyncio.sleep(TOGETHER_SECONDS)
    yield _RECONNECT
