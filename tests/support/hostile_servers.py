"""Servers on loopback that answer too much: gzip bombs, and a PostgreSQL with messages of 1 GiB."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

MEGABYTE = 1024 * 1024
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk, port: int = 0) -> AsyncIterator[int]:
    """A TCP server on loopback; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # cut off, as it should be
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]


def compressed(size: int, bits: int = zlib.MAX_WBITS | 16) -> bytes:
    """`size` zeros, without ever having them."""
    packing = zlib.compressobj(9, wbits=bits)
    pieces = [packing.compress(bytes(MEGABYTE)) for _ in range(size // MEGABYTE)]
    return b"".join([*pieces, packing.flush()])


def answering(body: bytes, coding: str) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return talk


def message(kind: bytes, body: bytes = b"", *, announced: int | None = None) -> bytes:
    return kind + struct.pack("!i", (len(body) if announced is None else announced) + 4) + body


WELCOME = (
    message(b"R", struct.pack("!i", 0)) + message(b"S", b"server_version\x0018.0\0") + message(b"Z", b"I")
)


async def started(reader: asyncio.StreamReader) -> None:
    length, code = struct.unpack("!ii", await reader.readexactly(8))
    assert code == 196608
    await reader.readexactly(length - 8)


async def pour(writer: asyncio.StreamWriter, piece: bytes, times: int) -> None:
    for _ in range(times):
        writer.write(piece)
        await writer.drain()


async def huge_row(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets everybody in, and answers the first statement with a row of 1 GiB."""
    await started(reader)
    writer.write(WELCOME)
    await reader.readexactly(1)
    writer.write(message(b"D", announced=1024 * MEGABYTE - 8))
    await pour(writer, bytes(MEGABYTE), 1024)
