"""A rotating refresh token held by an executor that dies, and reminders of a leader that dies.

A refresh token that was used is dead, whether or not its successor was received. The connection's state
afterwards must be true, and nothing may wait for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from carillon.services import vendors_at
from common.database.pool import connect
from common.events import TokenReauthRequired, TokenRefreshDue, TokenRefreshed
from common.ids import new_id
from common.secrets.crypto import new_webhook_secret
from executor.tokens.decisions import ADOPT_AFTER
from platforms.facebook import FACEBOOK_USER
from platforms.zoom import ZOOM_USER
from scheduler.token_refresh import ASK_AGAIN_SECONDS
from tests.chaos.ledger import Ledger
from tests.factories import World
from tests.support import recordings
from tests.support.backends import Broker
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.tcp_proxy import TcpProxy, proxy_to
from tests.support.zoom_sandbox import SandboxZoom

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TAKEN_OVER_WITHIN = 30.0
FAILOVER_SECONDS = 8.0
REMINDED = 20

Probe = Callable[[], Awaitable[bool]]

# A process that holds the connection's row, and with it its writes, waits for the outbox.
_STUCK_REMINDING = """
SELECT count(*) FROM pg_locks waiting JOIN pg_locks held USING (pid)
 WHERE waiting.relation = 'outbox'::regclass AND NOT waiting.granted
   AND held.relation = 'connection'::regclass AND held.granted AND held.mode = 'RowExclusiveLock'
"""


@dataclass
class Office:
    """A team with one Zoom account, whose access token has just ended, and three jobs that need it."""

    world: World
    stack: Stack
    http: httpx.AsyncClient
    zoom: SandboxZoom
    server: Service
    ledger: Ledger
    proxy: TcpProxy
    client_id: str
    hook: str

    async def start(self, *kinds: str) -> list[Service]:
        """Start services that renew tokens over the proxy, and notice soon when one of them is gone."""
        vendors = vendors_at(self.server.port)
        over_the_wire = {
            "ZOOM_OAUTH_URL": f"http://127.0.0.1:{self.proxy.port}/zoom/oauth",
            "OUTBOUND_ALLOWED_HOSTS": f"{vendors['OUTBOUND_ALLOWED_HOSTS']},127.0.0.1:{self.proxy.port}",
            "ZOOM_CLIENT_ID": self.client_id,
            "ZOOM_CLIENT_SECRET": "a-secret-of-the-app",
            "LEASE_SECONDS": "3",
            "SWEEP_AFTER": "2",
        }
        return await self.stack.start(*kinds, **(vendors | over_the_wire))

    async def connect(self) -> tuple[UUID, list[UUID]]:
        """The connection, and the jobs: the first is due now, the others tomorrow."""
        team = await self.world.team()
        now = datetime.now(UTC)
        connection_id = await self.world.connection(
            team,
            ZOOM_USER,
            f"expired-{new_id().hex}",
            refresh_token=f"sandbox-zoom-refresh-{new_id().hex}",
            expires_at=now - timedelta(seconds=1),
            refreshed_at=now - timedelta(hours=1),
        )
        await recordings.source(self.world, team, connection_id)
        await recordings.template(self.world, team, {"patterns": ["."]})
        destination = await self.world.webhook(
            team, f"{self.server.url}/hooks/{self.hook}", new_webhook_secret()
        )
        jobs = [
            job
            for due in (now, now + timedelta(days=1), now + timedelta(days=1))
            for job in await self.world.automations(
                team,
                destination,
                kind="recording_sync",
                config={"template_ids": [1]},
                platforms=["zoom"],
                next_run=due,
            )
        ]
        await self.world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        return connection_id, jobs

    async def refreshes(self) -> int:
        """How often Zoom has granted a renewal to this app."""
        answer = await self.http.get(f"{self.server.url}/_sandbox/grants", params={"platform": "zoom"})
        grants: list[dict[str, Any]] = answer.raise_for_status().json()["grants"]
        return sum(grant["refreshes"] for grant in grants if grant["client"] == self.client_id)

    async def refresher(self) -> Service:
        """The executor that is renewing a token."""
        worker: str = await self.world.sql.fetchval("SELECT worker FROM token_refresh WHERE ended_at IS NULL")
        [found] = [each for each in self.stack.of_kind("executor") if f"-{each.pid}-" in worker]
        return found

    async def kill_refresher(self) -> None:
        """Kill -9 the executor that is renewing, and let the time pass for which it might still live."""
        (await self.refresher()).kill()
        [row] = await self.renewals()
        assert row["outcome"] is None, "the executor was not in the middle of it any more"
        await self.world.sql.execute(
            "UPDATE token_refresh SET started_at = started_at - $1::interval", ADOPT_AFTER
        )

    async def renewals(self) -> list[asyncpg.Record]:
        """What is on record of the renewals of this connection, in order."""
        return await self.world.sql.fetch("SELECT * FROM token_refresh ORDER BY started_at")

    async def run_of(self, job: UUID) -> asyncpg.Record:
        """A job's only run, once it has ended."""

        async def ended() -> list[asyncpg.Record]:
            return await self.world.sql.fetch(
                "SELECT * FROM automation_run WHERE automation_id = $1"
                " AND status IN ('completed', 'failed', 'cancelled', 'skipped')",
                job,
            )

        [run] = await eventually(ended, within=TAKEN_OVER_WITHIN * 2)
        return run

    async def told(self, kind: str) -> list[dict[str, Any]]:
        """The messages of one type that have arrived where the owner is told."""
        answer = await self.http.get(
            f"{self.server.url}/_sandbox/received",
            params={"kind": "webhook", "hook": self.hook, "limit": 1000},
        )
        messages: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        bodies = [message["json"] for message in messages]
        return [body for body in bodies if body["type"] == kind]


@pytest.fixture
async def office(
    world: World, stack: Stack, http: httpx.AsyncClient, zoom: SandboxZoom, zoom_server: Service
) -> AsyncIterator[Office]:
    ledger = await Ledger.kept(world)
    name = new_id().hex
    async with proxy_to(zoom_server.port) as proxy:
        yield Office(world, stack, http, zoom, zoom_server, ledger, proxy, f"app-{name}", f"owner-{name}")
        stack.close()


async def test_a_refresh_whose_executor_dies_before_the_response_is_resolved(office: Office) -> None:
    """Zoom has replaced the refresh token and the new one is lost: only reconnecting helps."""
    await office.zoom.fault(
        kind="slow",
        stage="answer",
        seconds=60,
        match={"platform": "zoom", "path": "/zoom/oauth/token"},
    )
    await office.start("scheduler", "executor", "executor", "notifier")
    connection_id, jobs = await office.connect()

    async def is_granted() -> bool:
        return await office.refreshes() == 1

    await eventually(is_granted, within=20, every=0.005)
    await office.kill_refresher()

    async def is_condemned() -> bool:
        return bool((await office.world.row("connection", connection_id))["status"] == "reauth_required")

    await eventually(is_condemned, within=TAKEN_OVER_WITHIN)
    connection = await office.world.row("connection", connection_id)
    assert connection["status_reason"].startswith("the answer to an earlier renewal was lost")
    assert [row["outcome"] for row in await office.renewals()] == ["unknown", "rejected"]
    assert await office.refreshes() == 1
    run = await office.run_of(jobs[0])
    assert (run["status"], run["attempt"]) == ("failed", 2)
    for job in jobs:
        automation = await office.world.row("automation", job)
        assert (automation["status"], automation["paused_for_connection_id"]) == ("paused", connection_id)
        assert "must be connected again" in automation["status_reason"]

    async def owner_is_told() -> list[dict[str, Any]]:
        return await office.told("connection.reauth_required")

    [told] = await eventually(owner_is_told, within=20)
    assert told["data"]["connection_id"] == str(connection_id)
    assert told["data"]["paused_automations"] == 3
    [event] = await office.ledger.of(TokenReauthRequired)
    assert event.reason == connection["status_reason"]
    assert await office.ledger.of(TokenRefreshed) == []
    undelivered = "SELECT count(*) FROM delivery WHERE status <> 'delivered'"
    await eventually(_is_zero(office.world, undelivered), within=20)
    assert len(await owner_is_told()) == 1


async def test_a_refresh_that_was_not_sent_is_made_by_another_executor(office: Office) -> None:
    """The refresh token still works, and only the records show that an executor died."""
    office.proxy.cut()
    await office.start("scheduler", "executor", "executor", "notifier")
    connection_id, jobs = await office.connect()

    async def is_sent() -> bool:
        return office.proxy.swallowed.is_set()

    await eventually(is_sent, within=20, every=0.005)
    await office.kill_refresher()
    office.proxy.mend()
    run = await office.run_of(jobs[0])
    assert (run["status"], run["error_message"], run["attempt"]) == ("completed", None, 2)
    connection = await office.world.row("connection", connection_id)
    assert (connection["status"], connection["token_version"]) == ("active", 2)
    assert [row["outcome"] for row in await office.renewals()] == ["unknown", "refreshed"]
    assert await office.refreshes() == 1
    assert len(await office.ledger.of(TokenRefreshed)) == 1
    assert await office.ledger.of(TokenReauthRequired) == []
    assert [(await office.world.row("automation", job))["status"] for job in jobs] == ["active"] * 3


async def test_reminders_outlive_the_leaders_that_sent_them(
    office: Office, broker: Broker, database_url: str
) -> None:
    """One leader dies while it reminds; what its successor said is lost with the broker, and it dies too."""
    team = await office.world.team()
    due = datetime.now(UTC) - timedelta(seconds=1)
    for number in range(REMINDED):
        await office.world.connection(
            team, FACEBOOK_USER, f"sandbox-fb-{number}-{new_id().hex}", refresh_at=due
        )

    async def reminded(times: int) -> bool:
        given = await office.ledger.of(TokenRefreshDue)
        return len(given) == times * REMINDED and len({event.connection_id for event in given}) == REMINDED

    blocker = await connect(database_url, application_name="blocker")
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            leaders = await office.start("scheduler", "scheduler", "scheduler")
            await eventually(_is_positive(office.world, _STUCK_REMINDING), within=20)
            await _kill_leader(office, leaders)
            assert await office.world.sql.fetchval("SELECT count(*) FROM announced") == 0
        await eventually(lambda: reminded(1), within=FAILOVER_SECONDS + 5)
    finally:
        await blocker.close()
    await eventually(_is_zero(office.world, "SELECT count(*) FROM outbox"), within=10)
    await broker.restart()
    await office.world.sql.execute(
        "UPDATE connection SET refresh_requested_at = refresh_requested_at - make_interval(secs => $1)",
        ASK_AGAIN_SECONDS,
    )
    await _kill_leader(office, leaders)
    await office.start("executor")
    await eventually(lambda: reminded(2), within=FAILOVER_SECONDS + 5)
    await eventually(
        _is_zero(office.world, "SELECT count(*) FROM connection WHERE checked_at IS NULL"), within=30
    )
    later = await office.world.sql.fetchval("SELECT min(refresh_at) FROM connection")
    assert later > datetime.now(UTC)


async def _kill_leader(office: Office, schedulers: list[Service]) -> None:
    """Kill -9 the one that leads."""
    holder: str = await office.world.sql.fetchval("SELECT holder FROM leadership")
    [leader] = [each for each in schedulers if each.is_alive and f"-{each.pid}-" in holder]
    leader.kill()


def _is_zero(world: World, statement: str) -> Probe:
    async def probe() -> bool:
        return bool(await world.sql.fetchval(statement) == 0)

    return probe


def _is_positive(world: World, statement: str) -> Probe:
    async def probe() -> bool:
        return bool(await world.sql.fetchval(statement) > 0)

    return probe
