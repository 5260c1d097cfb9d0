"""Sixty recordings in progress while executors are killed and frozen and the broker loses everything.

At the end the checker compares with Zoom: every recording is processed once and whole, and no object is
left that no clean-up would delete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from carillon.services import vendors_at
from common.recordings.store import RecordingStore
from common.secrets.crypto import new_webhook_secret
from platforms.zoom import ZOOM_USER
from tests.chaos.ledger import Ledger
from tests.chaos.recording_checker import LEFTOVER, Expectation, Verdict, check
from tests.factories import World
from tests.support import recordings
from tests.support.backends import Broker
from tests.support.figures import Figures
from tests.support.file_receiver import FileReceiver, file_receiver
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.zoom_sandbox import SandboxZoom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

RECORDINGS = 60
MEAN_BYTES = 3_000_000
TOKEN = "sandbox-zoom-under-fire"
FINISHED_WITHIN = 180.0
LEASE_SECONDS = 3.0
TAKEN_OVER_WITHIN = 30.0

_HELD = """
SELECT count(*) FROM recording WHERE worker LIKE $1 AND status = ANY($2::text[])
"""
_UNFINISHED = "SELECT count(*) FROM recording WHERE worker IS NOT NULL OR available_at IS NOT NULL"
FETCHING = ["DOWNLOADING"]
AT_WORK = ["DOWNLOADING", "DOWNLOADED", "TRANSCRIBING", "TRANSCRIBED", "UPLOADING"]


@dataclass
class Archive:
    """A team whose Zoom account has recorded a lot, and a job that takes it all."""

    world: World
    stack: Stack
    http: httpx.AsyncClient
    zoom: SandboxZoom
    zoom_port: int
    ledger: Ledger
    folder: Path
    receiver: FileReceiver

    async def start(self, *kinds: str) -> list[Service]:
        """Start services that notice soon when one of them is gone."""
        receiver = httpx.URL(self.receiver.url)
        vendors = vendors_at(self.zoom_port)
        allowed = f"{vendors['OUTBOUND_ALLOWED_HOSTS']},{receiver.host}:{receiver.port}"
        return await self.stack.start(
            *kinds,
            **vendors
            | {
                "OUTBOUND_ALLOWED_HOSTS": allowed,
                "RECEIVER_ALLOWED_HOSTS": allowed,
                "RECORDING_STORE_URL": self.folder.as_uri(),
                "LEASE_SECONDS": str(LEASE_SECONDS),
                "SWEEP_AFTER": "2",
            },
        )

    async def record(self) -> None:
        """Have the recordings made, and a job take them that is due now."""
        await self.zoom.plan("me", RECORDINGS, days=20, file_bytes=MEAN_BYTES, blank=0.0, transcripts=0.5)
        team = await self.world.team()
        connection_id = await self.world.connection(team, ZOOM_USER, TOKEN)
        await recordings.source(self.world, team, connection_id)
        destination = await self.world.webhook(team, self.receiver.url, new_webhook_secret())
        targets = [
            {"type": "store", "prefix": "{date}/{topic}"},
            {"type": "webhook", "destination_id": str(destination)},
        ]
        await recordings.template(self.world, team, {"patterns": ["."]}, {"upload": targets})
        await self.world.automations(
            team,
            None,
            kind="recording_sync",
            config={"template_ids": [1], "sync_config": {"sync_days": 30}},
            platforms=["zoom"],
            next_run=datetime.now(UTC),
        )
        await self.world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

    async def held(self, by: Service, states: list[str]) -> int:
        """How many recordings are in these states and in the hands of this process."""
        count: int = await self.world.sql.fetchval(_HELD, f"%-{by.pid}-%", states)
        return count

    async def uploaded(self) -> int:
        """How many recordings are done."""
        count: int = await self.world.sql.fetchval("SELECT count(*) FROM recording WHERE status = 'UPLOADED'")
        return count

    def is_writing(self) -> bool:
        """Whether an object is just being written into the store."""
        return any(LEFTOVER.search(path.name) and path.is_file() for path in self.folder.rglob("*"))

    async def finish(self) -> Verdict:
        """Wait for the end and ask the checker."""

        async def nothing_left() -> bool:
            count: int = await self.world.sql.fetchval("SELECT count(*) FROM recording")
            return count > 0 and await self.world.sql.fetchval(_UNFINISHED) == 0

        try:
            await eventually(nothing_left, within=FINISHED_WITHIN, every=0.25)
        finally:
            wanted = Expectation(
                RECORDINGS,
                TOKEN,
                RecordingStore.open(self.folder.as_uri()),
                self.folder,
                self.receiver.taken,
            )
            verdict = await check(self.world, self.ledger, self.http, wanted)
        assert not verdict.faults(), verdict.faults()
        assert verdict.objects > RECORDINGS * 4
        return verdict


@pytest.fixture
async def archive(
    world: World,
    stack: Stack,
    http: httpx.AsyncClient,
    zoom: SandboxZoom,
    zoom_server: Service,
    tmp_path: Path,
) -> AsyncIterator[Archive]:
    ledger = await Ledger.kept(world)
    folder = tmp_path / "store"
    folder.mkdir()
    async with file_receiver() as receiver:
        yield Archive(world, stack, http, zoom, zoom_server.port, ledger, folder, receiver)
        # Stop all sending before the receiver goes away.
        stack.close()


async def strike_while_writing(archive: Archive, victim: Service) -> None:
    """Kill -9 a process at a moment when it has written a part of an object.

    It is frozen first, so that what is seen is what it leaves behind.
    """

    async def is_caught() -> bool:
        if not archive.is_writing():
            return False
        victim.pause()
        if archive.is_writing() and await archive.held(victim, FETCHING):
            return True
        victim.resume()
        return False

    await eventually(is_caught, within=30, every=0.001)
    victim.kill()
    assert archive.is_writing()
    assert await archive.held(victim, FETCHING)


async def test_every_recording_is_processed_once_despite_kills(
    archive: Archive, broker: Broker, figures: Figures
) -> None:
    """One executor killed while it writes, the broker emptied, the other frozen until it is superseded."""
    await archive.zoom.fault(
        kind="slow", match={"platform": "zoom", "path": "/zoom/files/*"}, seconds=0.4, times=10_000
    )
    await archive.zoom.fault(
        kind="truncated", match={"platform": "zoom", "path": "/zoom/files/*"}, probability=0.05, times=20
    )
    [first] = await archive.start("executor")
    await archive.start("scheduler")
    began = asyncio.get_running_loop().time()
    await archive.record()
    await strike_while_writing(archive, first)
    [second] = await archive.start("executor")

    async def some_are_done() -> bool:
        return await archive.uploaded() >= 5

    await eventually(some_are_done, within=60)
    await broker.restart()
    await first.restart()

    async def works() -> bool:
        return await archive.held(second, AT_WORK) > 0

    await eventually(works, within=TAKEN_OVER_WITHIN)
    second.pause()

    async def is_superseded() -> bool:
        return await archive.held(second, AT_WORK) == 0

    try:
        await eventually(works, within=5)
        await eventually(is_superseded, within=TAKEN_OVER_WITHIN)
        assert await archive.uploaded() < RECORDINGS, "all was done before the frozen one woke"
    finally:
        second.resume()
    verdict = await archive.finish()
    assert second.is_alive
    took = asyncio.get_running_loop().time() - began
    figures.record(
        f"{RECORDINGS} recordings of {MEAN_BYTES / 1e6:g} MB under fire: until the last", took, "s"
    )
    figures.record("files and messages a webhook got twice", verdict.received_twice, "")
