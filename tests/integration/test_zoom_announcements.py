"""Zoom, as the sandbox imitates it, announces recordings to an API that runs as a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from common.events import RecordingProcessingRequested
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.outbox import Announcements
from tests.support.stack import Service, Stack

SECRET = "the secret token of the app"


@pytest.fixture
async def sandbox(sandbox_server: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox_server.url, timeout=10) as client:
        yield client


async def announce(sandbox: httpx.AsyncClient, url: str, **wanted: Any) -> dict[str, Any]:
    """Have Zoom send an event; answers what the sandbox tells of it."""
    answer = await sandbox.post("/_sandbox/zoom/webhooks", json={"url": url, "secret": SECRET, **wanted})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_recording_that_zoom_announces_is_started_at_once(
    stack: Stack, sandbox: httpx.AsyncClient, world: World, team: Team, announced: Announcements
) -> None:
    connection = await world.connection(team, ZOOM_USER, "sandbox-zoom-announced", webhook_secret=SECRET)
    source = await recordings.source(world, team, connection)
    template = await recordings.template(world, team, {"patterns": ["^Launch \\d+$"]})
    [job] = await world.automations(team, None, kind="recording_sync", config={"template_ids": [1]})
    await stack.start("api")
    hook = f"{stack['api'].url}/hooks/zoom/{connection}"

    validated = await announce(sandbox, hook, event="endpoint.url_validation", plain_token="q9ibPhGeRZ6ayx5W")
    wrong = await announce(sandbox, hook, secret="another", event="recording.completed")
    old = await announce(sandbox, hook, event="recording.completed", timestamp=1_700_000_000)
    made = await sandbox.post(
        "/_sandbox/zoom/recordings",
        json={"topic": "Launch 7", "start_time": "2026-01-05T10:00:00Z", "duration": 30},
    )
    told = await announce(sandbox, hook, event="recording.completed", recording=made.json()["uuid"])

    assert validated["valid"] is True
    assert (wrong["answer"]["status"], old["answer"]["status"]) == (401, 401)
    assert told["answer"]["status"] == 204
    assert told["answer"]["seconds"] < 3
    [row] = await world.sql.fetch("SELECT * FROM recording")
    assert (row["source_id"], row["external_id"], row["topic"]) == (source, made.json()["uuid"], "Launch 7")
    assert (row["status"], row["template_id"], row["automation_id"]) == ("INITIALIZED", template, job)
    assert row["available_at"] is not None
    assert row["download_token_sealed"] is not None
    assert any(file["kind"] == "video" and file["url"] for file in row["files"])
    assert not any("token" in file["url"] for file in row["files"])
    [requested] = await announced.of(RecordingProcessingRequested)
    assert (requested.recording_id, requested.source_id, requested.automation_id) == (row["id"], source, job)
    again = await announce(sandbox, hook, event="recording.completed", recording=made.json()["uuid"])
    assert again["answer"]["status"] == 204
    assert len(await announced.of(RecordingProcessingRequested)) == 1
