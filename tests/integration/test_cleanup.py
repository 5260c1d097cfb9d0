"""Clean-up: rows past their retention are deleted in bounded batches, rows in use are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from common.database.pool import ConnectionPool
from common.history import KEPT_SINCE
from common.ids import first_id_at, new_id
from platforms.zoom import ZOOM_USER
from scheduler.cleanup import Cleanup, Retention
from scheduler.lease import StaleTerm
from tests.factories import Team, World
from tests.support.leaders import depose, lead

DAY = timedelta(days=1)
RETENTION = Retention(runs=90 * DAY, logs=30 * DAY, deliveries=60 * DAY, tokens=30 * DAY)
PASS = 86_400.0


def id_of(instant: datetime) -> UUID:
    """An id as it would have been made then."""
    return UUID(int=first_id_at(instant).int | new_id().int & (1 << 80) - 1)


class Past:
    """Writes rows that are `days` old."""

    def __init__(self, world: World, team: Team, automation: UUID, destination: UUID) -> None:
        self.world, self.team, self.automation, self.destination = world, team, automation, destination

    async def _insert(self, table: str, days: float, stamp: str, **columns: Any) -> UUID:
        instant = datetime.now(UTC) - days * DAY
        row_id = id_of(instant)
        named = {"id": row_id, stamp: instant, **columns}
        places = ", ".join(f"${number}" for number in range(1, len(named) + 1))
        statement = f"INSERT INTO {table} ({', '.join(named)}) VALUES ({places})"
        await self.world.sql.execute(statement, *named.values())
        return row_id

    async def run(self, days: float, status: str = "completed", **columns: Any) -> UUID:
        owner = {"tenant_id": self.team.tenant_id, "automation_id": self.automation}
        return await self._insert("automation_run", days, "created_at", **owner, status=status, **columns)

    async def delivery(self, days: float, status: str = "delivered", run_id: UUID | None = None) -> UUID:
        owner = {"tenant_id": self.team.tenant_id, "destination_id": self.destination, "run_id": run_id}
        return await self._insert("delivery", days, "created_at", **owner, status=status, message={})

    async def skip(self, days: float, *, until: timedelta = timedelta()) -> UUID:
        slot = datetime.now(UTC) - days * DAY
        owner = {"automation_id": self.automation, "first_slot": slot, "last_slot": slot + until, "slots": 1}
        return await self._insert("slot_skip", days, "recorded_at", **owner, reason="overlap")


@pytest.fixture
async def past(world: World, team: Team) -> Past:
    destination = await world.telegram(team)
    [automation] = await world.automations(team, destination)
    return Past(world, team, automation, destination)


async def ids(world: World, table: str) -> set[UUID]:
    return {row["id"] for row in await world.sql.fetch(f"SELECT id FROM {table}")}


async def clean(pool: ConnectionPool, **options: Any) -> dict[str, int]:
    lease, term = await lead(pool)
    return await Cleanup(pool, lease, retention=RETENTION, interval=PASS, **options).run(term)


async def test_only_rows_past_their_retention_are_deleted(
    world: World, past: Past, pool: ConnectionPool
) -> None:
    for status in ("completed", "failed", "cancelled", "skipped"):
        await past.run(91, status)
    young = await past.run(89)
    unfinished = [await past.run(200, status) for status in ("waiting", "queued", "running", "retrying")]
    awaited = await past.run(100)
    to_come = await past.delivery(99, "retrying", awaited)
    await past.delivery(61)
    await past.delivery(61, "failed", young)
    recent = await past.delivery(59)
    await past.skip(91)
    lasting = await past.skip(95, until=10 * DAY)
    done = await clean(pool)
    assert await ids(world, "automation_run") == {young, awaited, *unfinished}
    assert await ids(world, "delivery") == {to_come, recent}
    assert await ids(world, "slot_skip") == {lasting}
    assert {name: done[name] for name in ("runs", "deliveries", "skipped_slots")} == {
        "runs": 4,
        "deliveries": 2,
        "skipped_slots": 1,
    }


async def test_logs_are_deleted_before_their_runs(world: World, past: Past, pool: ConnectionPool) -> None:
    line = [{"event": "figures collected"}]
    old, young = await past.run(31, logs=line), await past.run(29, logs=line)
    assert (await clean(pool))["run_logs"] == 1
    assert (await world.row("automation_run", old))["logs"] == []
    assert (await world.row("automation_run", young))["logs"] == line


async def test_cleanup_works_in_bounded_batches(world: World, past: Past, pool: ConnectionPool) -> None:
    for number in range(25):
        await past.run(91 + number)
    assert (await clean(pool, batch=4))["runs"] == 25
    assert await ids(world, "automation_run") == set()


async def test_dead_tokens_are_wiped_and_their_connections_kept(
    world: World, team: Team, past: Past, pool: ConnectionPool
) -> None:
    now = datetime.now(UTC)
    dead, fresh = [
        await world.connection(
            team,
            ZOOM_USER,
            "access",
            refresh_token="refresh",
            webhook_secret="hook",
            status="reauth_required",
            reauth_required_at=now - days * DAY,
        )
        for days in (31, 29)
    ]
    alive = await world.connection(team, ZOOM_USER, "access", refresh_token="refresh")
    assert (await clean(pool))["dead_tokens"] == 1
    wiped = await world.row("connection", dead)
    assert (wiped["token_sealed"], wiped["refresh_token_sealed"]) == (None, None)
    assert wiped["webhook_secret_sealed"] is not None
    for kept in (fresh, alive):
        assert (await world.row("connection", kept))["token_sealed"] is not None


async def test_download_tokens_that_have_expired_are_wiped(
    world: World, team: Team, past: Past, pool: ConnectionPool
) -> None:
    zoom = await world.connection(team, ZOOM_USER, "token")
    source = new_id()
    await world.sql.execute(
        "INSERT INTO recording_source (id, tenant_id, number, connection_id, name)"
        " VALUES ($1, $2, 1, $3, 'Me')",
        source,
        team.tenant_id,
        zoom,
    )
    now = datetime.now(UTC)
    for name, expires in (("old", now - DAY), ("fresh", now + DAY)):
        await world.sql.execute(
            "INSERT INTO recording (id, tenant_id, source_id, external_id, started_at, download_token_sealed,"
            " download_token_expires_at) VALUES ($1, $2, $3, $4, $5, 'sealed', $6)",
            new_id(),
            team.tenant_id,
            source,
            name,
            now,
            expires,
        )
    assert (await clean(pool))["expired_download_tokens"] == 1
    kept = await world.sql.fetchval(
        "SELECT external_id FROM recording WHERE download_token_sealed IS NOT NULL"
    )
    assert kept == "fresh"


async def test_internal_tables_are_cleaned_up_too(
    world: World, team: Team, past: Past, pool: ConnectionPool
) -> None:
    now = datetime.now(UTC)
    for bucket, age in (("facebook/app", 2 * DAY), ("zoom/app", DAY / 2)):
        await world.sql.execute(
            "INSERT INTO usage_sighting (bucket, percent, regain_seconds, seen_at) VALUES ($1, 50, 0, $2)",
            bucket,
            now - age,
        )
    for age in (-DAY, DAY):
        await world.sql.execute(
            "INSERT INTO oauth_attempt (id, tenant_id, user_id, kind, state_hash, redirect_uri, expires_at)"
            " VALUES ($1, $2, $3, 'zoom_user', $4, 'https://carillon.example', $5)",
            new_id(),
            team.tenant_id,
            team.user_id,
            new_id().bytes,
            now + age,
        )
    await world.sql.execute(
        "INSERT INTO reign (term, holder, acquired_at) SELECT -n, 'old', $1 FROM generate_series(1, 3) AS n",
        now - 91 * DAY,
    )
    done = await clean(pool)
    assert (done["usage_sightings"], done["abandoned_connects"], done["reigns"]) == (1, 1, 3)
    assert await world.sql.fetchval("SELECT count(*) FROM reign") == 1, "the present leader's"


async def test_a_deposed_leader_deletes_nothing(world: World, past: Past, pool: ConnectionPool) -> None:
    old = await past.run(91)
    lease, term = await lead(pool)
    await depose(pool)
    with pytest.raises(StaleTerm):
        await Cleanup(pool, lease, retention=RETENTION, interval=PASS).run(term)
    assert await ids(world, "automation_run") == {old}


async def test_a_new_leader_continues_the_old_ones_cleanup(
    world: World, past: Past, pool: ConnectionPool
) -> None:
    lease, term = await lead(pool)
    cleanup = Cleanup(pool, lease, retention=RETENTION, interval=PASS)
    assert await cleanup.seconds_to_next() == 0
    await cleanup.run(term)
    await depose(pool)
    successor = Cleanup(pool, lease, retention=RETENTION, interval=PASS)
    assert PASS - 60 < await successor.seconds_to_next() <= PASS


async def test_the_start_of_the_kept_history_is_recorded(
    world: World, past: Past, pool: ConnectionPool
) -> None:
    await clean(pool)
    value = await world.sql.fetchval("SELECT value FROM fact WHERE name = $1", KEPT_SINCE)
    since = datetime.fromisoformat(value)
    assert abs(datetime.now(UTC) - 90 * DAY - since) < timedelta(minutes=1)


async def test_a_locked_run_is_left_to_the_next_pass(
    world: World, past: Past, pool: ConnectionPool, database_url: str
) -> None:
    old, held = await past.run(91), await past.run(92)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM automation_run WHERE id = $1 FOR UPDATE", held)
            await clean(pool)
            assert await ids(world, "automation_run") == {held}
    finally:
        await other.close()
    assert old not in await ids(world, "automation_run")
