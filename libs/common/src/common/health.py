"""The three operational routes as a bare ASGI application, for services without a web framework."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from common.service import Check, metrics_page, readiness

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]
Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def operational_routes(checks: Callable[[], Mapping[str, Check]]) -> list[tuple[str, Endpoint]]:
    """`/healthz`, `/readyz` and `/metrics`; `checks` is asked at each request, so it may grow at start-up."""

    async def healthz(_scope: Scope, _receive: Receive, send: Send) -> None:
        await _answer(send, 200, b'{"status":"alive"}', "application/json")

    async def readyz(_scope: Scope, _receive: Receive, send: Send) -> None:
        status, body = await readiness(checks())
        await _answer(send, status, json.dumps(body).encode(), "application/json")

    async def metrics(_scope: Scope, _receive: Receive, send: Send) -> None:
        body, content_type = metrics_page()
        await _answer(send, 200, body, content_type)

    return [("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)]
