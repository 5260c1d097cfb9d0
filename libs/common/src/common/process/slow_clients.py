"""Clients that hold connections on purpose: a request must arrive whole within a time, and an address has so
many connections.

uvicorn waits for ever for the rest of a request, head and body; 300 connections with half a request each cost
an attacker nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import h11
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 15.0
"""From the first byte that is missing to the last of a request; the largest body has 256 kB."""

PER_ADDRESS = 100
"""Connections of an address at a time; a browser opens six. A trusted proxy, which brings many clients, has
the limit for all."""
ALL = 1_000
"""Connections of everybody at a time: fewer than the file descriptors a process usually has (1,024)."""

_open: Counter[str] = Counter()


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which closes connections beyond the limits, and when a request does not arrive in
    time."""

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        self._deadline: asyncio.TimerHandle | None = None
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        _open[self._address] += 1
        super().connection_made(transport)
        if self._is_too_many():
            transport.abort()
            return
        self._watch()

    def _is_too_many(self) -> bool:
        if len(self.connections) > ALL:
            return True
        if _open[self._address] <= PER_ADDRESS:
            return False
        proxies = ProxyHeadersMiddleware(self.app, self.config.forwarded_allow_ips).trusted_hosts
        return self._address not in proxies

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """See H11Protocol. A part of the next request may be here already, which stops its timer."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget()
        _open[self._address] -= 1
        if not _open[self._address]:
            del _open[self._address]
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_slow)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            # It is the application that does not read.
            self._watch()
            return
        self.transport.close()
