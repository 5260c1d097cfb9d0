"""Limits of what a user's PostgreSQL may answer.

asyncpg collects a message until all of it is there, whatever length its header announces, and has no limit
for rows: a server that announces 1 GiB fills the memory of a process that works for every team. The driver
offers no place to look at what arrives, so that its protocol class is extended and put in its place;
`limited` says for which connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from asyncpg import connect_utils, protocol

from common.errors import Consequence, RemoteError

MAX_MESSAGE = 1024 * 1024
"""Bytes of one message: a row of the catalogue, an error."""
MAX_BYTES = 16 * 1024 * 1024
MAX_MESSAGES = 50_000
"""What a server may answer in all, which bounds its rows. A table has at most 1,600 columns."""
_HEADER = 5
"""A type and a length, which counts itself."""


class AnswerTooLarge(RemoteError):
    """The server answers more than anything that was asked of it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"it answers more than is read of it ({what})", Consequence.INVALID)


@dataclass
class Answers:
    """What one server has answered. `refused` is why it was cut off."""

    refused: AnswerTooLarge | None = None
    messages: int = 0
    received: int = 0
    _left: int = 0
    _header: bytes = b""

    def begin(self) -> None:
        """Another connection to the same server begins: its first message does."""
        self._left, self._header = 0, b""

    def take(self, data: bytes) -> None:
        """Count `data`, which comes next. Raises AnswerTooLarge before more is to be collected."""
        self.received += len(data)
        if self.received > MAX_BYTES:
            raise AnswerTooLarge(f"{MAX_BYTES} bytes")
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            taken = data[at : at + _HEADER - len(self._header)]
            self._header += taken
            at += len(taken)
            if len(self._header) == _HEADER:
                self._left = max(0, int.from_bytes(self._header[1:]) - 4)
                self._header = b""
                self.messages += 1
                if self._left > MAX_MESSAGE:
                    raise AnswerTooLarge(f"a message of {self._left} bytes")
                if self.messages > MAX_MESSAGES:
                    raise AnswerTooLarge(f"{MAX_MESSAGES} messages")


_answers: ContextVar[Answers | None] = ContextVar("answers", default=None)


@contextmanager
def limited(answers: Answers) -> Iterator[None]:
    """Count what comes on connections that are opened in the block, and cut them off at the limits."""
    token = _answers.set(answers)
    try:
        yield
    finally:
        _answers.reset(token)


class _Limited(protocol.Protocol):
    """asyncpg's protocol, which is given nothing that leads beyond the limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._answers = _answers.get() or Answers()
        self._answers.begin()

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        self._socket: asyncio.Transport = transport
        super().connection_made(transport)

    def data_received(self, data: Any) -> None:
        """See asyncio.Protocol."""
        if self._answers.refused is not None:
            return
        try:
            self._answers.take(data)
        except AnswerTooLarge as error:
            self._answers.refused = error
            self._socket.abort()
        else:
            super().data_received(data)


def _protocol(*args: Any, **kwargs: Any) -> Any:
    return (protocol.Protocol if _answers.get() is None else _Limited)(*args, **kwargs)


vars(connect_utils)["protocol"] = SimpleNamespace(Protocol=_protocol)
