"""A real HTTP server with scripted responses, for clients that must be tested without the sandbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_PHRASE = "Scripted"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the connection."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form in the body."""
        return dict(parse_qsl(self.body.decode()))

    @property
    def document(self) -> Any:
        """The JSON in the body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """What to send. `cut` sends only so many bytes of the body and closes the connection.

    `silent` sends nothing and keeps the connection open; `reset` closes it at once.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: bool = False
    reset: bool = False


@dataclass
class ScriptedServer:
    """Sends its responses in order, the last one again and again."""

    url: str
    responses: list[Response]
    received: list[Received] = field(default_factory=list)
    _open: dict[asyncio.Task[Any], asyncio.StreamWriter] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = await _request(head, reader)
                self.received.append(request)
                response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
                if response.silent:
                    await reader.read()
                if response.reset or response.silent:
                    return
                writer.write(_written(response, request.method))
                await writer.drain()
                if response.cut is not None:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            del self._open[task]
            writer.close()

    async def hang_up(self) -> None:
        """Close every connection that clients keep open."""
        tasks = list(self._open)
        for writer in self._open.values():
            writer.close()
        await asyncio.gather(*tasks)


async def _request(head: bytes, reader: asyncio.StreamReader) -> Received:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Received(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def _written(response: Response, method: str) -> bytes:
    headers = {"content-length": str(len(response.body)), **response.headers}
    lines = [
        f"HTTP/1.1 {response.status} {_PHRASE}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    body = b"" if method == "HEAD" else response.body[: response.cut]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def scripted_server(*responses: Response) -> AsyncIterator[ScriptedServer]:
    """A server on a free port of the loopback interface, for the length of the block."""
    script = ScriptedServer("", list(responses))
    listening = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield script
        await script.hang_up()
