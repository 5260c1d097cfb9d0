"""A fake HTTP receiver made of a function, for tests without a network."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class _Wire(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class Receiver(httpx.AsyncBaseTransport):
    """Answers with what `handler` says, as a stream that is read once, as from a network."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        await request.aread()
        answer = self._handler(request)
        response = await answer if inspect.isawaitable(answer) else answer
        if not response.is_stream_consumed:
            return response
        return httpx.Response(response.status_code, headers=response.headers, stream=_Wire(response.content))


def client_of(handler: Handler) -> httpx.AsyncClient:
    """A client whose every request goes to `handler`."""
    return httpx.AsyncClient(transport=Receiver(handler))
