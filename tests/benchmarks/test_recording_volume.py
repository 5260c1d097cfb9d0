"""How much memory an executor needs for a recording job with much to find."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from common.events import RecordingProcessingRequested
from common.http import create_client
from platforms.zoom import ZOOM_SERVER
from tests.factories import World
from tests.support import recordings
from tests.support.figures import Figures
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.zoom_sandbox import SandboxZoom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SOURCES = 40
RECORDINGS = 10_000
MOST_MEGABYTES = 200


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(
        timeout=30.0, allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


def peak_megabytes(pid: int) -> float:
    """The most memory a process has held so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("this system does not tell a process's peak memory")


async def test_ten_thousand_recordings_of_forty_sources(
    world: World, stack: Stack, sandbox_server: Service, http: httpx.AsyncClient, figures: Figures
) -> None:
    """One run of one job, in a real executor that takes it from the database."""
    zoom = SandboxZoom(sandbox_server, http)
    _, *people = await zoom.people(SOURCES + 1)
    team = await world.team()
    connection_id = await world.connection(team, ZOOM_SERVER, "sandbox-zoom-account-volume")
    for number, person in enumerate(people, start=1):
        await zoom.plan(person, RECORDINGS // SOURCES, days=9.5, blank=0)
        await recordings.source(world, team, connection_id, external_user=person, number=number)
    await recordings.template(world, team, {"keywords": ["lesson"]}, number=1)
    await recordings.template(world, team, {"patterns": ["call$"]}, number=2)
    [job] = await world.automations(
        team,
        None,
        kind="recording_sync",
        config={"template_ids": [1, 2], "sync_config": {"sync_days": 10}},
        platforms=["zoom"],
    )
    [executor] = await stack.start("executor", SWEEP_AFTER="1")
    idle = peak_megabytes(executor.pid)

    run_id = await world.run(team, job)
    loop = asyncio.get_running_loop()
    started = loop.time()

    async def ended() -> bool:
        return (await world.row("automation_run", run_id))["completed_at"] is not None

    await eventually(ended, within=240, every=0.25)

    run = await world.row("automation_run", run_id)
    peak = peak_megabytes(executor.pid)
    figures.record("peak memory of an executor after 10,000 recordings of 40 sources", peak, "MiB")
    figures.record("the same before", idle, "MiB")
    figures.record("time for them", loop.time() - started, "s")
    assert run["status"] == "completed", run["error_message"]
    assert (run["result"]["found"], run["result"]["sources_synced"]) == (RECORDINGS, SOURCES)
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == RECORDINGS
    taken = await world.sql.fetchval("SELECT count(*) FROM recording WHERE template_id IS NOT NULL")
    announced = await world.sql.fetchval(
        "SELECT count(*) FROM outbox WHERE headers ->> 'ce_type' = $1", RecordingProcessingRequested.type
    )
    assert taken == announced == run["result"]["taken"] > 0
    assert peak < MOST_MEGABYTES
