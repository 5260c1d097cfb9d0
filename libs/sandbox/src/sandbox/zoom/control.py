"""What /_sandbox/zoom/… does: hosts that record much, recordings of one's own, webhooks, habits."""

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.control import BadRequest
from sandbox.inbox import Inbox
from sandbox.loopback import NoAnswer, NotLoopback, post
from sandbox.settings import Settings
from sandbox.world.recorded_meetings import Recording
from sandbox.world.zoom_account import MOST_HOSTS, Host
from sandbox.zoom.api import Zoom
from sandbox.zoom.custom import described
from sandbox.zoom.events import (
    RECORDING_EVENTS,
    URL_VALIDATION,
    Event,
    about_recording,
    encrypted_token,
    new_plain_token,
    url_validation,
)
from sandbox.zoom.fields import Fields
from sandbox.zoom.habits import InvalidHabit
from sandbox.zoom.views import meeting

_PATIENCE = 3.0
"""Seconds a receiver has to answer."""
_MOST_RECORDINGS = 200_000
_MOST_DAYS = 2_000.0
_LARGEST_FILE = 1 << 31


class ZoomControl:
    """The handlers."""

    def __init__(self, settings: Settings, clock: Clock, inbox: Inbox, zoom: Zoom) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox = inbox
        self._zoom = zoom

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/zoom", self.habits, methods=["GET", "PUT"]),
            Route("/_sandbox/zoom/users", self.users, methods=["GET", "PUT"]),
            Route("/_sandbox/zoom/users/{id}", self.user, methods=["PUT"]),
            Route("/_sandbox/zoom/recordings", self.recordings, methods=["POST"]),
            Route("/_sandbox/zoom/webhooks", self.webhooks, methods=["POST"]),
        ]

    async def habits(self, request: Request) -> Response:
        """GET and PUT /_sandbox/zoom"""
        if request.method == "PUT":
            try:
                self._zoom.habits.change((await Fields.of(request)).members)
            except InvalidHabit as error:
                raise BadRequest(error.name, error.detail) from None
        return JSONResponse(
            {
                "habits": self._zoom.habits.as_json(),
                "account_id": self._settings.zoom_account_id,
                "users": len(self._zoom.directory),
                "token_requests": dict(self._zoom.oauth.requests),
            }
        )

    async def users(self, request: Request) -> Response:
        """GET /_sandbox/zoom/users; PUT has so many users record so much."""
        directory = self._zoom.directory
        if request.method == "PUT":
            fields = await Fields.of(request)
            count = fields.whole("count", len(directory), 1, MOST_HOSTS)
            plan = _plan(fields)
            fields.finish()
            directory.grow(count)
            if plan:
                for host in directory.page(0, count):
                    self._zoom.library.plan(host, **plan)
        hosts = directory.page(0, len(directory))
        return JSONResponse({"users": [{"id": host.id, "email": host.email} for host in hosts]})

    async def user(self, request: Request) -> Response:
        """PUT /_sandbox/zoom/users/{id}"""
        host = self._host(request.path_params["id"], "id")
        fields = await Fields.of(request)
        plan = _plan(fields)
        fields.finish()
        if not plan:
            raise BadRequest("recordings", "is needed")
        made = self._zoom.library.plan(host, **plan)
        return JSONResponse({"id": host.id, "email": host.email, "recordings": made.series.count})

    async def recordings(self, request: Request) -> Response:
        """POST /_sandbox/zoom/recordings"""
        recording = self._add(await Fields.of(request))
        shown = meeting(
            recording,
            self._clock.now(),
            _origin(request),
            self._settings.zoom_account_id,
            self._zoom.habits.size_difference,
        )
        return JSONResponse(shown, 201)

    async def webhooks(self, request: Request) -> Response:
        """POST /_sandbox/zoom/webhooks; without ``url`` the event is only made, not sent."""
        fields = await Fields.of(request)
        url, secret = fields.text("url"), fields.text("secret")
        if not secret:
            raise BadRequest("secret", "is needed")
        timestamp = fields.whole("timestamp", int(self._clock.now()), 0, 1 << 40)
        name = fields.text("event", "recording.completed")
        plain_token = fields.text("plain_token") or new_plain_token(self._settings.seed, self._clock.now())
        if name == URL_VALIDATION:
            fields.finish()
            event = url_validation(plain_token, secret, timestamp)
        elif name in RECORDING_EVENTS:
            recording = self._chosen(fields)
            fields.finish()
            event = about_recording(
                name,
                recording,
                self._zoom.tokens,
                secret,
                now=self._clock.now(),
                timestamp=timestamp,
                base_url=_origin(request),
                account_id=self._settings.zoom_account_id,
                size_difference=self._zoom.habits.size_difference,
            )
        else:
            raise BadRequest("event", f"must be one of {', '.join((URL_VALIDATION, *RECORDING_EVENTS))}")
        told: dict[str, Any] = {"request": {"headers": event.headers, "body": event.body.decode()}}
        if url:
            told["answer"] = await self._send(url, event)
            if name == URL_VALIDATION:
                told["valid"] = _is_valid(told["answer"], encrypted_token(secret, plain_token))
            self._inbox.add(
                "zoom_webhook", name, {"event": name, "url": url, "status": told["answer"].get("status", 0)}
            )
        return JSONResponse(told)

    async def _send(self, url: str, event: Event) -> dict[str, Any]:
        started = asyncio.get_running_loop().time()
        try:
            reply = await post(url, event.headers, event.body, _PATIENCE)
        except NotLoopback as error:
            raise BadRequest("url", f"cannot be posted to: {error}") from None
        except NoAnswer as error:
            return {"status": 0, "error": str(error)}
        return {
            "status": reply.status,
            "headers": reply.headers,
            "body": reply.body.decode(errors="replace"),
            "seconds": round(asyncio.get_running_loop().time() - started, 3),
        }

    def _chosen(self, fields: Fields) -> Recording:
        """A UUID, a meeting's number, a new recording, or the demo person's newest that is ready."""
        wanted = fields.take("recording")
        library, now = self._zoom.library, self._clock.now()
        if isinstance(wanted, dict):
            return self._add(Fields(wanted))
        found: Recording | None = None
        if wanted is None:
            newest = library.page(self._zoom.directory.owner, 0.0, now, 10)
            found = next((it for it in newest if all(file.ready_at <= now for file in it.files)), None)
        elif isinstance(wanted, int):
            found = library.latest(wanted)
        elif isinstance(wanted, str):
            found = library.find(wanted)
        if found is None:
            raise BadRequest("recording", "is not there")
        return found

    def _add(self, fields: Fields) -> Recording:
        host = self._host(fields.text("user", "me"), "user")
        recording = described(
            fields,
            host,
            self._zoom.library.next_place(host),
            self._settings,
            self._clock.now(),
        )
        self._zoom.library.add(recording)
        return recording

    def _host(self, name: str, field: str) -> Host:
        directory = self._zoom.directory
        host = directory.owner if name == "me" else directory.find(name)
        if host is None:
            raise BadRequest(field, "is not a user of the account")
        return host


def _plan(fields: Fields) -> dict[str, Any]:
    """The arguments of `Library.plan`; empty when nothing is asked for."""
    recordings = fields.whole("recordings", -1, 0, _MOST_RECORDINGS)
    plan: dict[str, Any] = {
        "recordings": recordings,
        "days": fields.number("days", 30.0, 0.01, _MOST_DAYS),
        "blank": fields.number("blank", 0.06, 0.0, 1.0),
        "transcripts": fields.number("transcripts", 0.6, 0.0, 1.0),
    }
    size = fields.whole("file_bytes", -1, 0, _LARGEST_FILE)
    if size >= 0:
        plan["file_bytes"] = size
    return plan if recordings >= 0 else {}


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _is_valid(answer: dict[str, Any], expected: str) -> bool:
    """Whether a receiver proved that it knows the secret."""
    try:
        document = json.loads(answer.get("body", ""))
    except ValueError:
        return False
    return (
        answer["status"] == 200 and isinstance(document, dict) and document.get("encryptedToken") == expected
    )
