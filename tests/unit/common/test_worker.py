"""The ASGI application of the services without a web framework."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from common.errors import ConfigurationError
from common.process.worker import Health, Worker


class Server:
    """Takes a worker through its life, as uvicorn would."""

    def __init__(self, worker: Worker) -> None:
        self.said: list[MutableMapping[str, Any]] = []
        self._told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._worker = worker

    async def live(self, *events: str) -> None:
        for event in events:
            self._told.put_nowait({"type": event})

        async def send(message: MutableMapping[str, Any]) -> None:
            self.said.append(message)

        async with asyncio.timeout(5):
            await self._worker({"type": "lifespan"}, self._told.get, send)


class Refusing(AbstractAsyncContextManager[None]):
    """Work that cannot begin."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aenter__(self) -> None:
        raise self._error

    async def __aexit__(self, *_: object) -> None:
        raise AssertionError("it never began")


async def test_works_from_start_to_stop() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def work() -> AsyncIterator[None]:
        steps.append("started")
        yield
        steps.append("stopped")

    server = Server(Worker(Health(), work))
    await server.live("lifespan.startup", "lifespan.shutdown")
    assert steps == ["started", "stopped"]
    assert [message["type"] for message in server.said] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize("error", [ConfigurationError("no key given"), ConnectionRefusedError("refused")])
async def test_a_start_that_fails_says_why_in_one_line(error: Exception) -> None:
    server = Server(Worker(Health(), lambda: Refusing(error)))
    await server.live("lifespan.startup")
    (message,) = server.said
    assert message["type"] == "lifespan.startup.failed"
    assert str(error) in message["message"]
    assert "\n" not in message["message"]


async def test_a_stop_that_fails_is_not_called_a_start() -> None:
    @asynccontextmanager
    async def work() -> AsyncIterator[None]:
        yield
        raise ConnectionResetError("gone")

    server = Server(Worker(Health(), work))
    await server.live("lifespan.startup", "lifespan.shutdown")
    assert server.said[-1]["type"] == "lifespan.shutdown.failed"


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield


async def test_is_ready_only_when_every_check_is_well() -> None:
    health = Health()
    worker = Worker(health, nothing)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(worker), base_url="http://worker") as client:
        assert (await client.get("/healthz")).status_code == 200
        starting = await client.get("/readyz")
        assert starting.status_code == 503
        assert starting.json()["checks"] == {"startup": "starting"}

        async def well() -> None:
            return None

        async def unwell() -> str:
            return "no poll for 40 s"

        health.checks = {"database": well}
        assert (await client.get("/readyz")).status_code == 200
        health.checks = {"database": well, "executor.high": unwell}
        unready = await client.get("/readyz")
        assert unready.status_code == 503
        assert unready.json()["checks"] == {"database": "ok", "executor.high": "no poll for 40 s"}
        assert "carillon_leader_term" in (await client.get("/metrics")).text
        assert (await client.get("/else")).status_code == 404
