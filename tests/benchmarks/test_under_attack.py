"""What one team, and strangers, do to another team's lag and to the API when they attack all at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from carillon.ports import free_port
from common.models import POSTGRESQL
from common.secrets.crypto import new_webhook_secret
from tests.factories import Team, World
from tests.support.figures import Figures
from tests.support.hostile_servers import MEGABYTE, answering, compressed, huge_row, serving
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLOTS = 75
EVERY = timedelta(milliseconds=200)
WORK = 30
"""Hostile deliveries, and hostile runs, that are due during the attack."""
SLOW_CLIENTS = 300
WRONG_KEYS_EVERY = 0.02
FEEDS = 60
HALF_A_REQUEST = b"GET /api/runs HTTP/1.1\r\nhost: localhost\r\nx-slow: "


async def _slow_client(port: int) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HALF_A_REQUEST)
            await reader.read()
            writer.close()
        await asyncio.sleep(0.5)


async def _guess(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as http:
        number = 0
        while True:
            number += 1
            with suppress(httpx.HTTPError):
                await http.get("/api/runs", headers={"Authorization": f"Bearer car_{number:032}"})
            await asyncio.sleep(WRONG_KEYS_EVERY)


async def _watch(url: str, key: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=None) as http:
        while True:
            with suppress(httpx.HTTPError):
                async with http.stream(
                    "GET", "/api/events", headers={"Authorization": f"Bearer {key}"}
                ) as feed:
                    if feed.status_code == 200:
                        await feed.aread()
            await asyncio.sleep(5)


async def _attack(port: int, key: str, receiver: int, database: int, name_server: int) -> None:
    url = f"http://127.0.0.1:{port}"
    bomb = answering(compressed(150 * MEGABYTE), "gzip")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", name_server))
        async with serving(bomb, receiver), serving(huge_row, database):
            await asyncio.gather(
                *(_slow_client(port) for _ in range(SLOW_CLIENTS)),
                *(_watch(url, key) for _ in range(FEEDS)),
                _guess(url),
            )


def attack(port: int, key: str, receiver: int, database: int, name_server: int) -> None:
    """The attackers' process."""
    asyncio.run(_attack(port, key, receiver, database, name_server))


async def _round(world: World, team: Team, hook: UUID, api: httpx.AsyncClient) -> tuple[float, float, float]:
    """99th percentiles in milliseconds: the team's lag to start and to delivery, and the API's time."""
    begin = datetime.now(UTC) + timedelta(seconds=2)
    ids = []
    for position in range(SLOTS):
        ids += await world.automations(team, hook, next_run=begin + EVERY * position)
    await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
    answered: list[float] = []

    async def delivered() -> bool:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        response = await api.get("/api/runs")
        answered.append((loop.time() - asked) * 1_000)
        assert response.status_code == 200
        count = await world.sql.fetchval(
            "SELECT count(*) FROM delivery d JOIN automation_run r ON r.id = d.run_id"
            " WHERE r.automation_id = ANY($1) AND d.status = 'delivered'",
            ids,
        )
        return bool(count == SLOTS)

    await eventually(delivered, within=120, every=0.1)
    started, arrived = await world.sql.fetchval(
        """
        SELECT ARRAY[percentile_cont(0.99) WITHIN GROUP
                     (ORDER BY extract(epoch FROM r.started_at - r.scheduled_for)),
                     percentile_cont(0.99) WITHIN GROUP
                     (ORDER BY extract(epoch FROM d.delivered_at - r.scheduled_for))]
          FROM automation_run r JOIN delivery d ON d.run_id = r.id WHERE r.automation_id = ANY($1)
        """,
        ids,
    )
    return started * 1_000, arrived * 1_000, statistics.quantiles(answered, n=100)[98]


def asking(name_server: int, folder: Path) -> Path:
    """A folder for PYTHONPATH that makes a service ask this name server instead of the machine's."""
    (folder / "sitecustomize.py").write_text(
        "from common.http.resolver import DnsResolver\n"
        f"DnsResolver.__init__.__kwdefaults__['name_servers'] = ('127.0.0.1:{name_server}',)\n"
    )
    return folder


async def test_another_team_hardly_notices(
    world: World, stack: Stack, sandbox_server: Service, figures: Figures, tmp_path: Path
) -> None:
    """Half requests, wrong keys, live feeds, hanging names, answers of 150 MB in 150 kB, rows of 1 GiB."""
    good, bad = await world.team("Good"), await world.team("Bad")
    for team in (good, bad):
        await world.facebook(team, "sandbox-fb-attack")
    hook = await world.webhook(good, f"{sandbox_server.url}/hooks/good", new_webhook_secret())
    receiver, database, name_server = free_port(), free_port(), free_port()
    bombed = await world.webhook(bad, f"http://127.0.0.1:{receiver}/hook", new_webhook_secret())
    store = await world.connection(
        bad, POSTGRESQL, f"postgresql://x:y@127.0.0.1:{database}/x?sslmode=disable"
    )
    allowed = f"{stack.environment['RECEIVER_ALLOWED_HOSTS']},127.0.0.1:{receiver},127.0.0.1:{database}"
    service, *_ = await stack.start(
        "api",
        "scheduler",
        "executor",
        "executor",
        "notifier",
        RECEIVER_ALLOWED_HOSTS=allowed,
        PYTHONPATH=str(asking(name_server, tmp_path)),
    )

    async def huge_rows_refused() -> bool:
        found = "SELECT EXISTS (SELECT FROM automation_run WHERE error_code LIKE '%answer_too_large')"
        return bool(await world.sql.fetchval(found))

    async with httpx.AsyncClient(
        base_url=service.url, headers={"Authorization": f"Bearer {good.api_key}"}
    ) as api:
        await _round(world, good, hook, api)  # the first runs of a process are slower
        quiet = await _round(world, good, hook, api)
        begin = datetime.now(UTC) + timedelta(seconds=2)
        config = {
            "sync_type": "database",
            "connection_id": str(store),
            "table": "ads.days",
            "level": "campaign",
        }
        for position in range(WORK):
            due = begin + position * SLOTS * EVERY / WORK
            await world.automations(bad, bombed, next_run=due)
            unresolved = await world.webhook(bad, f"http://hang{position}.example.com/", new_webhook_secret())
            await world.automations(bad, unresolved, next_run=due)
            await world.automations(bad, None, kind="data_sync", config=config, next_run=due)
        process = multiprocessing.get_context("spawn").Process(
            target=attack, args=(service.port, bad.api_key, receiver, database, name_server), daemon=True
        )
        process.start()
        try:
            attacked = await _round(world, good, hook, api)
            await eventually(huge_rows_refused, within=60, every=0.5)
            assert process.is_alive()
        finally:
            process.kill()
            process.join()
    names = ("slot to start", "slot to delivered report", "API, GET /api/runs")
    for name, before, during in zip(names, quiet, attacked, strict=True):
        figures.record(f"under attack, {name}, p99, quiet", before, "ms")
        figures.record(f"under attack, {name}, p99, attacked", during, "ms")
        figures.record(f"under attack, {name}, p99, ratio", during / before, "times")
    assert all(each.is_alive for kind in ("api", "executor", "notifier") for each in stack.of_kind(kind))
