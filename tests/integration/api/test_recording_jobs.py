"""A recording job from the API to the outbox: created, run by an executor, answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.database.pool import ConnectionPool, create_pool
from common.events import RecordingProcessingRequested
from common.http import create_client
from common.secrets.crypto import KeyRing
from executor.handlers.recording_sync import RecordingSyncHandler
from executor.settings import ExecutorSettings
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.executor_harness import Worker, working
from tests.support.outbox import Announcements
from tests.support.polling import eventually
from tests.support.stack import Service
from tests.support.zoom_sandbox import SandboxZoom

PATH = "/api/v1/automation/jobs"


@pytest.fixture
async def zoom(zoom_server: Service) -> AsyncIterator[SandboxZoom]:
    async with create_client(
        timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as http:
        sandbox = SandboxZoom(zoom_server, http)
        await sandbox.reset()
        yield sandbox


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    opened = await create_pool(database_url, application_name="executor-1", size=10)
    yield opened
    opened.terminate()


@pytest.fixture
async def worker(
    pool: ConnectionPool, zoom: SandboxZoom, database_url: str, encryption_keys: str
) -> AsyncIterator[Worker]:
    """An executor that takes whatever waits."""
    settings = ExecutorSettings(
        database_url=database_url,
        kafka_bootstrap_servers="localhost:1",
        encryption_keys=encryption_keys,
        zoom_base_url=zoom.base_url,
    )
    handlers = {"recording_sync": RecordingSyncHandler(settings)}
    ring = KeyRing.parse(encryption_keys)
    async with working(pool, ring, handlers=handlers, sweep_after=0.0) as executor:
        yield executor


async def finished(api: httpx.AsyncClient, worker: Worker, run_id: str) -> dict[str, Any]:
    """The run once it is over."""

    async def ended() -> dict[str, Any]:
        await worker.execution.sweep()
        run: dict[str, Any] = (await api.get(f"/api/runs/{run_id}")).json()
        return run if run["status"] in {"completed", "failed"} else {}

    over: dict[str, Any] = await eventually(ended, within=20)
    return over


async def created(api: httpx.AsyncClient, **changes: Any) -> str:
    """A job's id."""
    body = {
        "name": "Lectures",
        "template_ids": [1],
        "schedule": {"type": "daily", "hour": 6, "timezone": "Europe/Berlin"},
        **changes,
    }
    response = await api.post(PATH, json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def source(world: World, team: Team, token: str) -> UUID:
    connection_id = await world.connection(team, ZOOM_USER, token)
    return await recordings.source(world, team, connection_id)


async def test_a_job_takes_what_was_recorded(
    api: httpx.AsyncClient, world: World, acme: Team, zoom: SandboxZoom, worker: Worker
) -> None:
    source_id = await source(world, acme, "sandbox-zoom-jobs")
    template_id = await recordings.template(world, acme, {"keywords": ["lecture"]})
    await zoom.record("Lecture 1")
    await zoom.record("Interview")
    job = await created(api, processing_config={"transcription": True, "auto_upload": False})

    dry = await api.post(f"{PATH}/{job}/run?dry_run=true", headers={"Prefer": "wait=0"})
    shown = await finished(api, worker, dry.json()["id"])
    assert (shown["status"], shown["result"]["taken"]) == ("completed", 1)
    assert [each["topic"] for each in shown["result"]["would_take"]] == ["Lecture 1"]
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 0

    run = await finished(api, worker, (await api.post(f"{PATH}/{job}/run")).json()["id"])
    assert (run["status"], run["result"]["summary"]) == ("completed", "1 of 2 recordings taken from 1 source")
    row = await world.sql.fetchrow("SELECT * FROM recording WHERE available_at IS NOT NULL")
    assert row is not None
    assert (row["topic"], row["source_id"], row["template_id"]) == ("Lecture 1", source_id, template_id)
    assert (row["automation_id"], row["processing"]["auto_upload"]) == (UUID(job), False)
    [event] = await Announcements(world.sql).of(RecordingProcessingRequested)
    assert (event.recording_id, event.trace_id) == (row["id"], row["trace_id"])
    assert len(row["trace_id"]) == 32
    assert (await api.get(f"{PATH}/{job}")).json()["run_count"] == 1


@pytest.mark.parametrize(
    ("has_account", "has_template", "told"),
    [
        (False, True, "no active recording source: add one for a connected Zoom account"),
        (True, False, "template 1: there is no such template"),
    ],
)
async def test_a_job_that_lacks_something_says_what(
    api: httpx.AsyncClient,
    world: World,
    acme: Team,
    worker: Worker,
    has_account: bool,
    has_template: bool,
    told: str,
) -> None:
    if has_account:
        await source(world, acme, "sandbox-zoom-jobs")
    template_id = await recordings.template(world, acme, {"keywords": ["lecture"]})
    job = await created(api)
    if not has_template:
        await world.sql.execute("DELETE FROM recording_template WHERE id = $1", template_id)

    run = await finished(api, worker, (await api.post(f"{PATH}/{job}/run")).json()["id"])

    assert (run["status"], run["attempt"]) == ("failed", 1)
    assert told in run["error_message"]


async def test_a_job_whose_account_is_not_connected_says_so(
    api: httpx.AsyncClient, world: World, acme: Team, worker: Worker
) -> None:
    await source(world, acme, "sandbox-zoom-jobs")
    await world.sql.execute("UPDATE connection SET status = 'reauth_required'")
    await recordings.template(world, acme, {"keywords": ["lecture"]})
    job = await created(api)

    run = await finished(api, worker, (await api.post(f"{PATH}/{job}/run")).json()["id"])

    assert run["status"] == "failed"
    assert "no Zoom account is connected" in run["error_message"]
