"""A session with PostgreSQL that is closed, not waited for, when the server falls silent.

When a command is cancelled or takes too long, asyncpg asks the server to end it and waits for the answer: in
the rollback that follows, and again when the session goes back to its pool. Over a network that has fallen
silent each of these waits lasts as long as a command may. This session waits for a second and then closes
its socket, which lets all of them go on at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

CANCEL_LIMIT = 1.0
"""Seconds the server gets to confirm that a command has ended."""
KEEPALIVE_IDLE = 5
KEEPALIVE_INTERVAL = 2
KEEPALIVE_PROBES = 3
UNACKNOWLEDGED_MS = 10_000
"""Milliseconds after which the kernel closes a connection whose bytes are not acknowledged."""

# The server's side of the same: it notices within seconds that its client is gone, also in the middle of a
# statement, and gives up the locks it holds.
SERVER_SETTINGS = {
    "tcp_keepalives_idle": str(KEEPALIVE_IDLE),
    "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL),
    "tcp_keepalives_count": str(KEEPALIVE_PROBES),
    "tcp_user_timeout": str(UNACKNOWLEDGED_MS),
    "client_connection_check_interval": "2000",
}


class Session(_Connection):
    """asyncpg's connection, with an end to every wait for a silent server."""

    __slots__ = ("_silence",)

    def __init__(self, protocol: Any, transport: asyncio.Transport, *arguments: Any) -> None:
        super().__init__(protocol, transport, *arguments)
        self._silence: asyncio.TimerHandle | None = None
        keep_alive(transport.get_extra_info("socket"))

    async def execute(self, *arguments: Any, **options: Any) -> str:
        """`asyncpg.Connection.execute`, which transactions and the pool's reset use as well."""
        with self._closed_when_silent():
            return await super().execute(*arguments, **options)

    async def executemany(self, *arguments: Any, **options: Any) -> None:
        """`asyncpg.Connection.executemany`."""
        with self._closed_when_silent():
            await super().executemany(*arguments, **options)

    async def fetch(self, *arguments: Any, **options: Any) -> list[Any]:
        """`asyncpg.Connection.fetch`."""
        with self._closed_when_silent():
            rows: list[Any] = await super().fetch(*arguments, **options)
            return rows

    async def fetchrow(self, *arguments: Any, **options: Any) -> Any:
        """`asyncpg.Connection.fetchrow`."""
        with self._closed_when_silent():
            return await super().fetchrow(*arguments, **options)

    async def fetchval(self, *arguments: Any, **options: Any) -> Any:
        """`asyncpg.Connection.fetchval`."""
        with self._closed_when_silent():
            return await super().fetchval(*arguments, **options)

    @contextmanager
    def _closed_when_silent(self) -> Iterator[None]:
        try:
            yield
        except (asyncio.CancelledError, TimeoutError):
            # The clock runs from the first command that ended so: those that follow, such as a rollback, wait
            # for the same answer.
            if self._silence is None:
                self._silence = asyncio.get_running_loop().call_later(CANCEL_LIMIT, self.terminate)
            raise
        except asyncpg.PostgresError:
            self._answered()
            raise
        else:
            self._answered()

    def _answered(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def keep_alive(connection: socket.socket | None) -> None:
    """Let the kernel notice within seconds that the other side is gone."""
    if connection is None or connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Named differently, or missing, where the kernel is not Linux: there its own defaults hold.
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
