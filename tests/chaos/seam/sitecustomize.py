"""Ends a service's process, or loses an answer, at a chosen await on PostgreSQL, the broker or HTTP.

Python imports this module at the start of every process that has this folder on its PYTHONPATH: the service
runs as it is shipped. `SEAM_FOLDER` is how a test and the process meet: while a file `record` is there, each
point that is passed is added to `points-KIND`; a file `arm-KIND` holds the point to strike at and how, and is
taken away when it is struck.

A point is the place in the service that awaits, not the n-th await: it is the same from one run to the next.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

FOLDER = os.environ.get("SEAM_FOLDER")
KIND = os.environ.get("SEAM_KIND", "")
_MACHINERY = ("/common/database/session.py", "/common/http/", "/site-packages/", "/seam/")


def _point(what: str) -> str:
    """The innermost place of the service's own code that awaits."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/src/" in name and not any(part in name for part in _MACHINERY):
            return f"{what} {name.rpartition('/src/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return ""


def _struck(point: str) -> str | None:
    """How to strike here: None nearly always."""
    assert FOLDER is not None
    if not point:
        return None
    folder = Path(FOLDER)
    if (folder / "record").exists():
        with (folder / f"points-{KIND}").open("a") as file:
            file.write(point + "\n")
    arm = folder / f"arm-{KIND}"
    try:
        wanted = json.loads(arm.read_text())
    except (FileNotFoundError, ValueError):
        return None
    if wanted["point"] != point:
        return None
    try:
        arm.unlink()
    except FileNotFoundError:
        return None  # another task was struck first
    mode: str = wanted["mode"]
    return mode


def _sealed(
    what: Callable[..., str],
    original: Callable[..., Awaitable[Any]],
    lost: Callable[[Any], Exception],
) -> Callable[..., Awaitable[Any]]:
    """`original`, after whose end the process may be gone, or its answer lost."""

    @functools.wraps(original)
    async def sealed(self: Any, *arguments: Any, **options: Any) -> Any:
        mode = _struck(_point(what(*arguments)))
        answer = await original(self, *arguments, **options)
        if mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "answer lost":
            raise lost(self)
        return answer

    return sealed


def _install() -> None:
    import asyncpg
    import httpx

    def connection_lost(session: Any) -> Exception:
        session.terminate()
        return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    def statement(sql: object, *_: object) -> str:
        word = str(sql).split(maxsplit=1)[0].rstrip(";").upper()
        return f"postgresql {word}"

    for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
        original = getattr(asyncpg.Connection, name)
        setattr(asyncpg.Connection, name, _sealed(statement, original, connection_lost))
    httpx.AsyncHTTPTransport.handle_async_request = _sealed(  # type: ignore[method-assign,assignment]  # the seam
        lambda request: f"http {request.method}",
        httpx.AsyncHTTPTransport.handle_async_request,
        lambda _: httpx.ReadError("the connection was reset"),
    )
    if KIND != "api":
        _install_broker()


def _install_broker() -> None:
    import aiokafka
    from aiokafka.errors import KafkaConnectionError, RequestTimedOutError

    send = aiokafka.AIOKafkaProducer.send

    @functools.wraps(send)
    async def sealed_send(self: Any, *arguments: Any, **options: Any) -> Any:
        mode = _struck(_point("broker SEND"))
        acknowledgement = await send(self, *arguments, **options)
        if mode is None:
            return acknowledgement
        await acknowledgement
        if mode == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lost.set_exception(RequestTimedOutError())
        return lost

    aiokafka.AIOKafkaProducer.send = sealed_send
    aiokafka.AIOKafkaConsumer.commit = _sealed(
        lambda *_: "broker COMMIT",
        aiokafka.AIOKafkaConsumer.commit,
        lambda _: KafkaConnectionError("the connection was reset"),
    )


if FOLDER and KIND:
    _install()
