"""`/hooks/zoom/…`: where Zoom posts its events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from api.context import Collaborators, Wired
from api.limits import read_body
from api.problems import problem_responses
from api.recordings.hooks import service
from api.recordings.hooks.service import Receiver
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import Unprocessable
from platforms.zoom import events as zoom_events
from platforms.zoom.recordings import UnreadableRecording
from platforms.zoom.signature import Claim, encrypted_token

log = structlog.get_logger()

READ_WITHIN = 2.0
"""Seconds a body may take to come."""
ANSWER_WITHIN = 2.5
"""Seconds until Zoom is told to try again; it waits three."""
AT_ONCE = 8
"""Events of unknown origin that may ask the database at a time, in this process."""


class UrlValidated(BaseModel):
    """The answer to `endpoint.url_validation`."""

    plainToken: str
    encryptedToken: str = Field(description="HMAC-SHA256 of the plain token")


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came, not known to be authentic yet."""

    claim: Claim
    body: bytes


class _EventRoute(APIRoute):
    """Turns away what cannot be right by its headers alone, and has the whole body before anything else is
    done: who sends slowly holds nothing but a socket."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def received(request: Request) -> Response:
            wired: Collaborators = request.app.state.collaborators
            claim = Claim.read(
                request.headers.get("x-zm-request-timestamp"),
                request.headers.get("x-zm-signature"),
                now=wired.clock(),
            )
            if claim is None:
                return _refused()
            try:
                async with asyncio.timeout(READ_WITHIN):
                    request.state.sent = _Sent(claim, await read_body(request))
            except TimeoutError:
                return Response(status_code=408)
            return await handle(request)

        return received


def zoom_events_router() -> APIRouter:
    """The routes of one application, which lets so many in at a time."""
    router = APIRouter(prefix="/hooks/zoom", tags=["zoom events"], route_class=_EventRoute)
    doors = asyncio.Semaphore(AT_ONCE)

    @router.post(
        "/{connection_id}",
        status_code=204,
        response_class=Response,
        responses={
            200: {"model": UrlValidated, "description": "The answer to `endpoint.url_validation`"},
            401: {"description": "Not signed with the connection's secret, or not now"},
            503: {"description": "Not taken; Zoom sends it again"},
            **problem_responses(413, 422),
        },
    )
    async def take_zoom_event(connection_id: str, request: Request, wired: Wired) -> Response:
        """Where a Zoom app sends its events: give its event subscription this address, and the connection
        the app's secret token as `webhook_secret`.

        `recording.completed` has the recording processed at once if an active recording job takes it;
        otherwise the job's next run decides. Events that say nothing about recordings are acknowledged.
        """
        sent: _Sent = request.state.sent
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                async with doors:
                    receiver = await _authentic(wired, connection_id, sent)
                if receiver is None:
                    return _refused()
                return await _taken(wired, receiver, zoom_events.read_event(sent.body))
        except TRANSIENT_DATABASE_ERRORS as error:
            log.warning("zoom event not taken", error=type(error).__name__)
            return Response(status_code=503, headers={"Retry-After": "300"})

    return router


async def _authentic(wired: Collaborators, connection_id: str, sent: _Sent) -> Receiver | None:
    """The connection an event is for, if the event was signed with its secret.

    An unknown one is verified like any other, so that their existence is not revealed.
    """
    try:
        wanted = UUID(connection_id)
    except ValueError:
        wanted = UUID(int=0)
    async with wired.sessions() as session:
        receiver = await service.receiver_of(session, wired.keys, wanted)
    secret = receiver.secret if receiver is not None else secrets.token_urlsafe(16)
    return receiver if sent.claim.holds(secret, sent.body) else None


async def _taken(wired: Collaborators, receiver: Receiver, event: zoom_events.ZoomEvent) -> Response:
    if event.event == zoom_events.URL_VALIDATION:
        return _validated(receiver, event)
    try:
        async with wired.sessions() as session, session.begin():
            await service.take(session, wired.keys, receiver, event, now=wired.clock())
    except UnreadableRecording as error:
        log.warning("zoom event unreadable", connection_id=str(receiver.id), reason=error.detail)
        raise Unprocessable("This is not a recording as Zoom tells of them.") from error
    return Response(status_code=204)


def _refused() -> Response:
    return Response(status_code=401)


def _validated(receiver: Receiver, event: zoom_events.ZoomEvent) -> Response:
    if event.plain_token is None:
        raise Unprocessable("A validation comes with a plainToken.")
    return JSONResponse(
        {
            "plainToken": event.plain_token,
            "encryptedToken": encrypted_token(receiver.secret, event.plain_token),
        }
    )
