"""A webhook receiver on a real socket that streams uploads and records their size and hash."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from carillon.ports import free_port
from tests.support.polling import eventually

MOST_KEPT = 1_000_000


@dataclass(frozen=True)
class Taken:
    """One request."""

    headers: Mapping[str, str]
    size: int
    sha256: str
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """Its body, where that is JSON."""
        return json.loads(self.body)


@dataclass
class FileReceiver:
    """Answers with the statuses of `answers`, then with 204; with `says` as its body."""

    url: str
    says: bytes = b""
    taken: list[Taken] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        digest, size, body = hashlib.sha256(), 0, b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece: bytes = message.get("body", b"")
            digest.update(piece)
            size += len(piece)
            body = (body + piece)[:MOST_KEPT]
            more = bool(message.get("more_body"))
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.taken.append(Taken(headers, size, digest.hexdigest(), body))
        status, extra = self.answers.pop(0) if self.answers else (204, {})
        told = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": self.says if status == 200 else b""})


@asynccontextmanager
async def file_receiver() -> AsyncIterator[FileReceiver]:
    """A receiver that listens as long as the block lasts."""
    port = free_port()
    receiver = FileReceiver(f"http://127.0.0.1:{port}/files?password=abc")
    server = uvicorn.Server(
        uvicorn.Config(receiver, host="127.0.0.1", port=port, log_config=None, lifespan="off")
    )
    task = asyncio.create_task(server._serve())
    try:
        await eventually(lambda: server.started)
        yield receiver
    finally:
        server.should_exit = True
        await task
