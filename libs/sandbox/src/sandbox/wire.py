"""Doing to a TCP connection what no ASGI message can: resetting it, or breaking off midway."""

import asyncio
import socket
import struct
from http import HTTPStatus

from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.exchange import Answer

EXTENSION = "sandbox.wire"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Wire:
    """The connection one request came by."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def reset(self) -> None:
        """Close with a TCP RST, dropping what was not sent yet."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def send_part(self, answer: Answer) -> None:
        """Send the head, which promises the whole body, and the body's first half."""
        phrase = HTTPStatus(answer.status).phrase
        head = [f"HTTP/1.1 {answer.status} {phrase}", f"content-type: {answer.content_type}"]
        head += [f"{name}: {value}" for name, value in answer.headers]
        head += [f"content-length: {answer.length}", "", ""]
        self._transport.write("\r\n".join(head).encode("latin-1"))
        for piece in answer.pieces(answer.length // 2):
            self._transport.write(piece)

    def close(self) -> None:
        """Close in order, once everything is sent."""
        self._transport.close()


class WireProtocol(H11Protocol):
    """uvicorn's protocol, which also hands the application its `Wire`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        serve = self.app
        wire = Wire(transport)

        async def serve_with_wire(scope, receive, send):  # type: ignore[no-untyped-def]
            scope["extensions"] = {EXTENSION: wire}
            await serve(scope, receive, send)

        self.app = serve_with_wire
