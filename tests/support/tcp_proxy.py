"""A TCP proxy that a test can cut: what is sent is then discarded, and no answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class TcpProxy:
    """Connections that are made while it is cut stay open and silent until the client closes them."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.swallowed = asyncio.Event()
        """Set once something was sent while the proxy was cut."""
        self._target = target
        self._is_cut = False

    def cut(self) -> None:
        """Let through no new connection."""
        self._is_cut = True

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both sides have closed it."""
        try:
            if self._is_cut:
                while await reader.read(65_536):
                    self.swallowed.set()
                return
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except ConnectionError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def proxy_to(target: int) -> AsyncIterator[TcpProxy]:
    """A proxy to a local port, for the length of the block."""
    proxy: TcpProxy | None = None

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert proxy is not None
        await proxy.carry(reader, writer)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    proxy = TcpProxy(server.sockets[0].getsockname()[1], target)
    async with server:
        yield proxy


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
