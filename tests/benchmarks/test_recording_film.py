"""How much memory an executor needs for a long film, wherever it comes from and wherever it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from common.database.pool import ConnectionPool, create_pool
from common.http import create_client
from common.recordings import intake
from common.recordings.intake import Taking
from common.secrets.crypto import new_webhook_secret
from platforms.zoom import ZOOM_USER
from platforms.zoom.recordings import read_meeting
from tests.factories import World
from tests.support import recordings
from tests.support.figures import Figures
from tests.support.file_receiver import file_receiver
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.zoom_sandbox import SandboxZoom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FILM = 200 * 1024 * 1024
MOST_GROWTH = 60
"""MiB: two parts of 8 MiB each way, what the allocators keep, and no film."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    opened = await create_pool(database_url, application_name="tests", size=2)
    yield opened
    opened.terminate()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(
        timeout=30.0, allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


@pytest.fixture
def bucket_environment() -> Iterator[dict[str, str]]:
    """An S3-compatible server with a bucket for the store."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    key = {"aws_access_key_id": "operator", "aws_secret_access_key": "operator"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **key).create_bucket(
        Bucket="carillon"
    )
    yield {
        "RECORDING_STORE_URL": "s3://carillon/recordings",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "operator",
    }
    server.stop()


def peak_megabytes(pid: int) -> float:
    """The most memory a process has held so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("this system does not tell a process's peak memory")


@pytest.mark.parametrize("kind", ["folder", "bucket"])
async def test_a_200_mib_recording_through_every_step(
    kind: str,
    world: World,
    pool: ConnectionPool,
    stack: Stack,
    sandbox_server: Service,
    http: httpx.AsyncClient,
    figures: Figures,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Downloaded, listened to in its whole length, copied within the store and sent to a webhook."""
    zoom = SandboxZoom(sandbox_server, http)
    team = await world.team()
    connection_id = await world.connection(team, ZOOM_USER, "sandbox-zoom-film")
    source_id = await recordings.source(world, team, connection_id)
    document = await zoom.record("A long day", files=[{"file_type": "MP4", "size": FILM}])
    environment: dict[str, str] = {"RECORDING_STORE_URL": (tmp_path / "store").as_uri()}
    if kind == "bucket":
        environment = request.getfixturevalue("bucket_environment")
    async with file_receiver() as receiver, file_receiver() as listener:
        listener.answers, listener.says = [(200, {})], b"WEBVTT\n\n00:00.000 --> 00:02.000\nGood morning\n"
        destination_id = await world.webhook(team, receiver.url, new_webhook_secret())
        [executor] = await stack.start(
            "executor",
            SWEEP_AFTER="1",
            OUTBOUND_ALLOWED_HOSTS="127.0.0.1",
            RECEIVER_ALLOWED_HOSTS="127.0.0.1",
            TRANSCRIPTION_BASE_URL=listener.url.partition("/files")[0],
            TRANSCRIPTION_MAX_BYTES=str(FILM),
            **environment,
        )
        idle = peak_megabytes(executor.pid)
        targets: list[dict[str, Any]] = [
            {"type": "store"},
            {"type": "webhook", "destination_id": str(destination_id)},
        ]
        async with pool.acquire() as db, db.transaction():
            found = read_meeting(document)
            entries = await intake.record(db, team.tenant_id, source_id, [found])
            taking = Taking(entries[found.external_id].id, None, {"upload": targets})
            await intake.start(
                db,
                team.tenant_id,
                [taking],
                automation_id=None,
                service="executor",
                now=datetime.now(UTC),
            )
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def ended() -> bool:
            return (await world.row("recording", taking.recording_id))["completed_at"] is not None

        await eventually(ended, within=240, every=0.25)
        row = await world.row("recording", taking.recording_id)
        assert (row["status"], row["error_message"]) == ("UPLOADED", None)
        assert max(taken.size for taken in receiver.taken) == FILM
        assert [taken.size > FILM for taken in listener.taken] == [True]
    growth = peak_megabytes(executor.pid) - idle
    figures.record(f"memory an executor gains for a film of 200 MiB, stored in a {kind}", growth, "MiB")
    figures.record("time from its start to its last upload", loop.time() - started, "s")
    assert growth < MOST_GROWTH
