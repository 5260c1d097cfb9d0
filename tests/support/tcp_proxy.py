"""A proxy between a client and a server that a test can cut, silence or reset.

*Cut*: new connections stay open and nothing passes. *Silenced*: so do those that are open already, as when
a firewall forgets them; what is sent is taken and arrives nowhere. *Refused*: every connection is closed,
and new ones are closed as soon as they are made, as when the server was killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

COMMITTED = b"COMMIT\x00"
"""In PostgreSQL's answer to a COMMIT."""


class TcpProxy:
    """The proxy's port, and what it does with connections."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.swallowed = asyncio.Event()
        """Set once something was sent that did not arrive."""
        self.carried = 0
        """Connections that are open through it."""
        self._target = target
        self._takes_new = True
        self._refuses = False
        self._silent: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._commits_to_lose = 0

    def lose_commit_answers(self, count: int = 1) -> None:
        """Reset the connection in place of PostgreSQL's next answers to a COMMIT, which has been done."""
        self._commits_to_lose = count

    def cut(self) -> None:
        """Let through no new connection; those that are open go on."""
        self._takes_new = False

    def silence(self) -> None:
        """Let nothing through any more, on open connections either; no side is told."""
        self.cut()
        self.silence_open()

    def silence_open(self) -> None:
        """Let nothing through on the connections that are open now; new ones work."""
        self._silent |= self._open

    def refuse(self) -> None:
        """Close every connection, and new ones at once."""
        self._refuses = True
        for writer in list(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        """Let new connections through again. What was silent stays silent."""
        self._takes_new = True
        self._refuses = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both sides have closed it."""
        self._open.add(writer)
        try:
            if self._refuses:
                return
            if not self._takes_new:
                self._silent.add(writer)
                while await reader.read(65_536):
                    self.swallowed.set()
                return
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self.carried += 1
            try:
                await asyncio.gather(
                    self._pump(reader, there_writer, writer), self._pump(there_reader, writer, writer)
                )
            finally:
                self.carried -= 1
                there_writer.close()
        except ConnectionError:
            return
        finally:
            self._open.discard(writer)
            self._silent.discard(writer)
            writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                if client in self._silent:
                    self.swallowed.set()
                    continue
                if self._commits_to_lose and writer is client and COMMITTED in piece:
                    self._commits_to_lose -= 1
                    client.transport.abort()
                    return
                writer.write(piece)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxy_to(target: int) -> AsyncIterator[TcpProxy]:
    """A proxy to a port of this machine, for the length of the block."""
    proxy: TcpProxy | None = None
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert proxy is not None
        task = asyncio.current_task()
        assert task is not None
        carrying.add(task)
        try:
            await proxy.carry(reader, writer)
        finally:
            carrying.discard(task)

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    proxy = TcpProxy(server.sockets[0].getsockname()[1], target)
    async with server:
        try:
            yield proxy
        finally:
            proxy.refuse()
            if carrying:
                await asyncio.wait(carrying, timeout=1)
