"""The ASGI application: finds the platform, lets faults strike, answers."""

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.exchange import Answer, Call, parse_body, parse_query
from sandbox.faults import DIRECTIVES, DONE_BY_PLATFORM, Fault, Faults
from sandbox.inbox import Inbox
from sandbox.platform import Platform
from sandbox.stats import Stats
from sandbox.wire import EXTENSION, Wire

_LARGEST_BODY = 64 * 1024 * 1024
_HTML = (
    "<!DOCTYPE html><html><head><title>Sorry, something went wrong.</title></head>"
    "<body><h1>Sorry, something went wrong.</h1><p>We're working on it.</p></body></html>"
)


class ClientGone(Exception):
    """The client hung up before it had sent its request."""


class TooLarge(Exception):
    """The request is larger than anything a platform takes."""


class Sandbox:
    """Serves the platforms; everything under /_sandbox and the page go to ``control``."""

    def __init__(
        self, platforms: Sequence[Platform], control: ASGIApp, faults: Faults, inbox: Inbox, stats: Stats
    ) -> None:
        self._platforms = platforms
        self._control = control
        self._faults = faults
        self._inbox = inbox
        self._stats = stats

    def close(self) -> None:
        """Let everybody go who waits for something to arrive."""
        self._inbox.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._control(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        for platform in self._platforms:
            if platform.claims(method, path):
                await self._serve(platform, scope, receive, send)
                return
        await self._control(scope, receive, send)

    async def _serve(self, platform: Platform, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            call = await _read(scope, receive)
        except ClientGone:
            return
        except TooLarge:
            self._stats.count(platform.name, platform.label(scope["path"]), 413)
            await _send(Answer(413, b"", "text/plain", [("connection", "close")]), send)
            return
        if call.body and platform.parses_bodies:
            await parse_body(call)
        fault = self._faults.strike(platform.name, call, platform.traits(call)) if self._faults else None
        if fault is None:
            answer = _carry_out(platform, call)
            self._note(platform, call, answer.status, "")
            await _send(answer, send)
            return
        struck: dict[str, object] = {
            "platform": platform.name,
            "path": platform.label(call.path),
            "fault": fault.kind,
        }
        self._inbox.add("fault", platform.name, struck)
        if fault.kind in DIRECTIVES:
            call.directive = fault.kind
        done = _carry_out(platform, call) if fault.stage == "answer" else None
        await self._spoil(platform, call, fault, done, scope, receive, send)

    async def _spoil(
        self,
        platform: Platform,
        call: Call,
        fault: Fault,
        done: Answer | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer as the fault has it. ``done`` is the answer of a call that already took effect."""
        if fault.kind in ("reset", "truncated"):
            self._note(platform, call, 0, fault.kind)
            await _break_off(fault, done, scope, receive)
            return
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "slow" or fault.kind in DIRECTIVES:
            answer = done or _carry_out(platform, call)
        elif fault.kind in DONE_BY_PLATFORM:
            answer = platform.refuse(fault, call)
        elif fault.kind == "html":
            answer = Answer(fault.status, (fault.body or _HTML).encode(), "text/html; charset=utf-8")
        else:
            answer = Answer(
                fault.status, fault.body.encode(), fault.headers.get("content-type", "text/plain")
            )
        extra = [(name, value) for name, value in fault.headers.items() if name != "content-type"]
        answer.headers = [*answer.headers, *extra]
        self._note(platform, call, answer.status, fault.kind)
        await _send(answer, send)

    def _note(self, platform: Platform, call: Call, status: int, fault: str) -> None:
        self._stats.count(platform.name, platform.label(call.path), status)
        platform.observe(call, status, fault)


def _carry_out(platform: Platform, call: Call) -> Answer:
    return platform.unreadable(call.unreadable) if call.unreadable else platform.answer(call)


async def _read(scope: Scope, receive: Receive) -> Call:
    """The whole request; raises `ClientGone` or `TooLarge`."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > _LARGEST_BODY:
            raise TooLarge
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get("host") or "{}:{}".format(*(scope.get("server") or ("localhost", 80)))
    return Call(
        method=scope["method"],
        path=scope["path"],
        query=parse_query(scope["query_string"]),
        headers=headers,
        body=b"".join(parts),
        base_url=f"{scope['scheme']}://{host}",
    )


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.status not in (204, 304):
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
        headers.append((b"content-length", str(answer.length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None:
        for piece in answer.pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body})


async def _break_off(fault: Fault, done: Answer | None, scope: Scope, receive: Receive) -> None:
    wire: Wire | None = scope.get("extensions", {}).get(EXTENSION)
    if wire is None:
        raise ConnectionResetError("the sandbox broke the connection off, as a fault demanded")
    if done is not None:
        wire.send_part(done)
    if fault.kind == "reset":
        wire.reset()
    else:
        wire.close()
    while (await receive())["type"] != "http.disconnect":
        pass
