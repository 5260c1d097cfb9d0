"""A service whose event loop stands still says where, and its process ends; one that was frozen goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from carillon.ports import free_port
from common.process.watchdog import EXIT_STATUS
from tests.factories import Team, World
from tests.support.polling import eventually

LIMIT = 2.0
PROGRAM = """
import asyncio, re, sys, time
from contextlib import asynccontextmanager
from uuid import UUID
import structlog
from common import telemetry
from common.work.leases import RUNS
from common.work.stopping import blame, in_hand
from common.process.checks import readiness
from common.process.serving import serve
from common.settings import ServiceSettings

database_url = sys.argv[3]
settings = ServiceSettings(
    port=int(sys.argv[1]), event_loop_stall_limit=float(sys.argv[2]), database_url=database_url
)
telemetry.configure("blocked", settings, instance="blocked-1")

def regular_expression(): re.match(r"(a|aa)+$", "a" * 200 + "b")
def loop():
    while True: pass
def sleep(): time.sleep(600)
def number(): sum(range(10 ** 13))
def a_while(): time.sleep(1.4 * settings.event_loop_stall_limit / 2)

async def work(name):
    structlog.contextvars.bind_contextvars(run_id="run-1")
    if len(sys.argv) > 4:
        in_hand.set((RUNS, (UUID(sys.argv[4]), 1)))
    globals()[name]()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    status = 200
    if scope["path"] == "/readyz":
        status, _ = await readiness({})
    else:
        asyncio.create_task(work(scope["path"][1:]))
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})

serve(app, settings, blame=blame(database_url, worker="blocked-1"))
"""


@dataclass
class Blocked:
    """A process that blocks on request."""

    process: asyncio.subprocess.Process
    http: httpx.AsyncClient

    async def block(self, how: str) -> None:
        (await self.http.get(f"/{how}")).raise_for_status()

    async def end(self) -> tuple[int, list[dict[str, Any]], str]:
        """Its exit status, its log, and what else it wrote."""
        async with asyncio.timeout(30):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()

    async def is_ready(self) -> bool:
        return (await self.http.get("/readyz")).status_code == 200


@asynccontextmanager
async def started(
    limit: float = LIMIT, *, database_url: str = "postgresql://ada@db/x", run_id: UUID | None = None
) -> AsyncIterator[Blocked]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(port), str(limit), database_url),
        *([] if run_id is None else [str(run_id)]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        blocked = Blocked(process, http)

        async def answers() -> bool:
            try:
                return await blocked.is_ready()
            except httpx.TransportError:
                return False

        try:
            await eventually(answers, within=30)
            yield blocked
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("how", ["regular_expression", "loop", "sleep"])
async def test_a_loop_that_stands_still_is_logged_with_its_stack_and_ends_the_process(how: str) -> None:
    async with started() as service:
        await service.block(how)
        status, log, _ = await service.end()
    assert status == EXIT_STATUS
    assert [entry["event"] for entry in log] == [
        "event loop stands still",
        "event loop stood still for too long, the process ends",
    ]
    for entry in log:
        assert f"in {how}" in entry["stack"]
        assert entry["run_id"] == "run-1", "the context of the work that blocks"
    assert LIMIT / 2 <= log[0]["seconds"] < LIMIT <= log[1]["seconds"]


async def test_the_work_that_blocks_is_counted_and_free_for_others(
    world: World, team: Team, database_url: str
) -> None:
    [automation_id] = await world.automations(team, None, kind="scripted", config={})
    run_id = await world.run(team, automation_id)
    await world.sql.execute(
        "UPDATE automation_run SET status = 'running', worker = 'blocked-1', attempt = 1,"
        " lease_expires_at = clock_timestamp() + interval '1 h' WHERE id = $1",
        run_id,
    )
    async with started(database_url=database_url, run_id=run_id) as service:
        await service.block("regular_expression")
        status, log, _ = await service.end()
    assert status == EXIT_STATUS
    assert log[-1]["event"] == "blocking work counted"
    row = await world.row("automation_run", run_id)
    assert row["stopped_workers"] == 1
    assert row["lease_expires_at"] <= datetime.now(UTC)


async def test_code_that_never_comes_back_to_the_interpreter_ends_too() -> None:
    async with started(limit=1.0) as service:
        await service.block("number")
        status, _, written = await service.end()
    assert status == -signal.SIGPROF
    assert "in number" in written


async def test_a_loop_that_moves_again_goes_on_and_takes_no_new_work_for_a_while() -> None:
    async with started() as service:
        await service.block("a_while")
        assert not await service.is_ready()
        service.process.terminate()
        status, log, _ = await service.end()
    assert status == 0
    assert [entry["event"] for entry in log] == ["event loop stands still", "event loop moves again"]


async def test_a_process_that_was_frozen_goes_on() -> None:
    async with started() as service:
        for _ in range(2):
            service.process.send_signal(signal.SIGSTOP)
            # As long as it takes to be sure that it was frozen for longer than the limit.
            await asyncio.sleep(LIMIT * 1.5)
            service.process.send_signal(signal.SIGCONT)
            await service.http.get("/readyz")
        service.process.terminate()
        status, _, _ = await service.end()
    assert status == 0
