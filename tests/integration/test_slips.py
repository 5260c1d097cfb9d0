"""An invalid value an operator put into one row delays no other team's runs and lifts no limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from common.database.pool import ConnectionPool
from scheduler.admission import Admission
from scheduler.dispatch import Dispatcher
from scheduler.limits import whole_number
from scheduler.repeated_failures import RepeatedFailures
from tests.factories import Team, World
from tests.support.leaders import lead

SLIPS: list[Any] = ["many", "", [], {"max": 1}, True, -1, 2.5, 1e99]


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ({"n": 5}, 5),
        ({"n": 0}, 0),
        ({"n": 5.0}, 5),
        ({"n": 2147483647}, 2147483647),
        ({"n": None}, None),
        ({}, None),
        ([], None),
        ("n", None),
        (None, None),
        *(({"n": slip}, None) for slip in SLIPS),
    ],
    ids=str,
)
async def test_only_a_whole_number_is_a_limit(pool: ConnectionPool, stored: Any, read: int | None) -> None:
    found = await pool.fetchval(
        f"SELECT {whole_number('value', 'n')} FROM (SELECT $1::jsonb AS value)", stored
    )
    assert found == read


async def set_quota(world: World, team: Team, limit: Any) -> None:
    await world.sql.execute(
        "UPDATE tenant SET quota = $2 WHERE id = $1", team.tenant_id, {"max_concurrent_runs": limit}
    )


async def states(world: World, team: Team) -> list[str]:
    rows: list[asyncpg.Record] = await world.sql.fetch(
        "SELECT status FROM automation_run WHERE tenant_id = $1 ORDER BY status", team.tenant_id
    )
    return [row["status"] for row in rows]


@pytest.mark.parametrize("slip", SLIPS, ids=str)
async def test_an_invalid_quota_falls_back_to_the_plan(
    world: World, team: Team, pool: ConnectionPool, slip: Any
) -> None:
    other = await world.team("Southwind")
    await world.sql.execute("UPDATE plan SET max_concurrent_runs = 1")
    await set_quota(world, team, slip)
    for one in (team, other):
        await world.automations(one, None, count=2, next_run=datetime.now(UTC) - timedelta(seconds=1))
    lease, term = await lead(pool)
    await Dispatcher(pool, lease, batch_size=500).dispatch_batch(term)
    admission = Admission(pool, lease, tenant_window=100)
    assert await admission.admit_batch(term) == 0
    for one in (team, other):
        assert await states(world, one) == ["queued", "waiting"]
    await world.sql.execute("UPDATE automation_run SET status = 'completed' WHERE status = 'queued'")
    assert await admission.admit_batch(term) == 2


async def test_a_quota_of_null_is_no_limit(world: World, team: Team, pool: ConnectionPool) -> None:
    await world.sql.execute("UPDATE plan SET max_concurrent_runs = 1")
    await set_quota(world, team, None)
    await world.automations(team, None, count=3, next_run=datetime.now(UTC) - timedelta(seconds=1))
    lease, term = await lead(pool)
    await Dispatcher(pool, lease, batch_size=500).dispatch_batch(term)
    assert await states(world, team) == ["queued"] * 3


@pytest.mark.parametrize("slip", SLIPS, ids=str)
async def test_an_invalid_policy_stops_no_duty(
    world: World, team: Team, pool: ConnectionPool, slip: Any
) -> None:
    broken, failing, waiting = await world.automations(team, None, count=3)

    async def set_policy(automation_id: UUID, policy: dict[str, Any], streak: int) -> None:
        await world.sql.execute(
            "UPDATE automation SET policy = $2, failure_streak = $3 WHERE id = $1",
            automation_id,
            policy,
            streak,
        )

    await set_policy(
        broken, {"overlap": "allow", "max_concurrent_runs": slip, "pause_on_failure_after": slip}, 9
    )
    await set_policy(failing, {"pause_on_failure_after": 3}, 3)
    for automation_id in (broken, waiting):
        await world.run(team, automation_id, status="waiting")
    lease, term = await lead(pool)
    assert await Admission(pool, lease, tenant_window=100).admit_batch(term) == 2
    assert await RepeatedFailures(pool, lease, public_url="http://localhost:8000").stop_batch(term) == 1
    assert (await world.row("automation", failing))["status"] == "error"
    assert (await world.row("automation", broken))["status"] == "active"
