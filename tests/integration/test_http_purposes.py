"""Private hosts of the operator's own services, and of teams' receivers: neither list opens the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from common.errors import BlockedAddress
from common.http import RECEIVER, create_client
from common.http.resolver import Address

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server on this machine that keeps its connections open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def here(_host: str, _port: int) -> list[Address]:
    return [ip_address("127.0.0.1")]


@pytest.mark.parametrize("host", ["127.0.0.1", "speech.example.com"])
async def test_a_service_of_the_operator_is_no_receiver(port: int, host: str) -> None:
    """Not even over the connection that is open to it already."""
    url = f"http://{host}:{port}/"
    async with create_client(allowed_hosts={f"{host}:{port}"}, resolver=here) as http:
        assert (await http.get(url)).text == "ok"
        with pytest.raises(BlockedAddress):
            await http.get(url, extensions=dict(RECEIVER))
        assert (await http.get(url)).text == "ok"


@pytest.mark.parametrize("host", ["127.0.0.1", "warehouse.example.com"])
async def test_a_receiver_is_no_service_of_the_operator(port: int, host: str) -> None:
    url = f"http://{host}:{port}/"
    async with create_client(receiver_hosts={f"{host}:{port}"}, resolver=here) as http:
        assert (await http.get(url, extensions=dict(RECEIVER))).text == "ok"
        with pytest.raises(BlockedAddress):
            await http.get(url)
