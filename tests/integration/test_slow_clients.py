"""Half requests are given up in time, and whole ones are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import uvicorn

from carillon.ports import free_port
from common.process import slow_clients
from tests.support.polling import eventually

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
HALVES = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ",
    "half a body": HEAD + b"half",
    "a second half": b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT",
}


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    """Reads the body, then answers."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    if message["type"] == "http.disconnect":
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, seconds: float) -> AsyncIterator[int]:
    monkeypatch.setattr(slow_clients, "REQUEST_SECONDS", seconds)
    port = free_port()
    config = uvicorn.Config(
        app,
        port=port,
        http=slow_clients.GuardedProtocol,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    await eventually(lambda: server.started)
    try:
        yield port
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_three_hundred_half_requests_are_given_up(half: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, 1.0) as port, AsyncExitStack() as opened:
        slow = [await opened.enter_async_context(connection(port)) for _ in range(300)]
        for _, writer in slow:
            writer.write(half)
        # One that sends a byte now and then, which no timer of an idle connection notices.
        dripping = asyncio.create_task(drip(slow[0][1]))
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 204
        async with asyncio.timeout(10):
            for reader, _ in slow:
                with suppress(ConnectionError):
                    await reader.read()
            await dripping


async def test_an_address_has_so_many_connections_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """127.0.0.1 is a proxy's address here; 127.0.0.2 is a client's."""
    limit = slow_clients.PER_ADDRESS
    async with serving(monkeypatch, 30.0) as port, AsyncExitStack() as opened:
        held = [await opened.enter_async_context(connection(port, "127.0.0.2")) for _ in range(limit)]
        reader, _ = await opened.enter_async_context(connection(port, "127.0.0.2"))
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 204
        held[0][1].close()
        await held[0][1].wait_closed()
        async with asyncio.timeout(5):
            assert await answered(port)


async def answered(port: int) -> bool:
    """Whether 127.0.0.2 may connect again: the server notices a moment later that a connection was closed."""
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            async with connection(port, "127.0.0.2") as (reader, writer):
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                return (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, until the connection is closed."""
    with suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


@asynccontextmanager
async def connection(
    port: int, address: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_request_that_arrives_in_time_is_answered_however_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(monkeypatch, 5.0) as port, connection(port) as (reader, writer):
        for _ in range(2):
            for byte in HEAD + b"0123456789":
                writer.write(bytes([byte]))
                await writer.drain()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
