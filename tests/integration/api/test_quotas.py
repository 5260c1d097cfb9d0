"""Quotas: nobody gets past a limit, not even two at once, and a refusal says what would fit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.factories import Team, World

HOURLY = {"type": "interval", "interval_minutes": 60}


@pytest.fixture
async def destination(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


def wanted(destination: UUID, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Numbers",
        "destination_id": str(destination),
        "type": "scheduled_report",
        "schedule_config": HOURLY,
        **changes,
    }


async def limit(world: World, team: Team, table: str = "tenant", **quota: Any) -> None:
    """Agree on other limits with a team, or with its owner."""
    identifier = team.tenant_id if table == "tenant" else team.user_id
    await world.sql.execute(f"UPDATE {table} SET quota = $2 WHERE id = $1", identifier, quota)


async def test_limits_and_use_are_shown(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    await world.automations(acme, None, 2)
    await world.sql.execute(
        "UPDATE automation SET status = 'stopped' WHERE id = (SELECT id FROM automation LIMIT 1)"
    )
    await limit(world, acme, max_automations=7, max_concurrent_runs=4)
    await limit(world, acme, "user_account", max_automations=None)

    body = (await api.get("/api/quota")).json()

    assert body == {
        "plan": "standard",
        "limits": {
            "max_automations": None,
            "min_interval_minutes": 1,
            "max_automation_jobs": 5,
            "min_automation_interval_hours": 1,
            "max_concurrent_runs": 4,
            "max_api_keys": 50,
            "max_destinations": 100,
            "max_connections": 100,
            "max_templates": 100,
        },
        "used": {
            "automations": 1,
            "automation_jobs": 0,
            "concurrent_runs": 0,
            "api_keys": 1,
            "destinations": 0,
            "connections": 0,
            "templates": 0,
        },
    }


ONE_MORE: Mapping[str, tuple[str, dict[str, Any]]] = {
    "max_api_keys": ("/api/api-keys", {"name": "Another"}),
    "max_destinations": (
        "/api/destinations",
        {"name": "Hook", "type": "webhook", "config": {"url": "https://example.com/hook"}},
    ),
    "max_connections": (
        "/api/connections",
        {"name": "Ads", "platform": "facebook", "token": "EAAB" + "x" * 40},
    ),
    "max_templates": ("/api/recording-templates", {"name": "Calls", "matching_rules": {}}),
}


@pytest.mark.parametrize("field", ONE_MORE)
async def test_what_else_a_team_has_is_limited(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, world: World, acme: Team, field: str
) -> None:
    """Also for ten requests at once."""
    path, body = ONE_MORE[field]
    await limit(world, acme, "tenant", **{field: 3})
    before = (await api.get("/api/quota")).json()["used"][field.removeprefix("max_")]

    answers = await asyncio.gather(*(api.post(path, json={**body}) for _ in range(10)))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 3 - before, 403: 7 + before}
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert refused.json()["title"] == "Quota exceeded"
    assert refused.json()["errors"][0]["detail"].startswith("3 of 3 ")
    assert (await api.get("/api/quota")).json()["used"][field.removeprefix("max_")] == 3
    assert (await stranger.post(path, json={**body})).status_code == 201


async def test_the_limit_of_the_plan_holds(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team, destination: UUID
) -> None:
    await world.automations(acme, destination, 100)
    await world.automations(globex, None, 3)

    refused = await api.post("/api/automations", json=wanted(destination))

    assert refused.status_code == 403
    problem = refused.json()
    assert (problem["title"], problem["type"]) == ("Quota exceeded", "/docs#quota-exceeded")
    assert "100 automations" in problem["detail"]
    assert problem["errors"][0]["detail"] == "100 of 100 automations are in use"
    assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 0
    await world.sql.execute(
        "UPDATE automation SET status = 'stopped' WHERE id = (SELECT min(id::text)::uuid FROM automation)"
    )
    assert (await api.post("/api/automations", json=wanted(destination))).status_code == 201


async def test_many_creations_at_once_stop_at_the_limit(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    await limit(world, acme, max_automations=3)

    responses = await asyncio.gather(
        *(api.post("/api/automations", json=wanted(destination, name=f"n{n}")) for n in range(8))
    )

    assert sorted(response.status_code for response in responses) == [201] * 3 + [403] * 5
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 3


async def test_a_schedule_that_runs_too_often_is_refused_with_one_that_fits(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    await limit(world, acme, min_interval_minutes=15)
    often = {"type": "cron", "expression": "0,50 * * * *"}

    created = await api.post("/api/automations", json=wanted(destination, schedule_config=often))
    (automation,) = await world.automations(acme, destination)
    changed = await api.patch(f"/api/automations/{automation}", json={"schedule_config": often})

    for refused in (created, changed):
        assert refused.status_code == 403
        (fault,) = refused.json()["errors"]
        assert fault["pointer"] == "/schedule_config/expression"
        assert "10 minutes apart" in fault["detail"]
        assert "*/15 * * * * would fit" in fault["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 1
    assert await world.sql.fetchval("SELECT version FROM automation") == 1


async def test_whoever_is_over_a_lowered_limit_can_rename_and_not_resume(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    automation, _other = await world.automations(acme, destination, 2)
    path = f"/api/automations/{automation}"
    await api.post(path + "/pause")
    await limit(world, acme, max_automations=1)

    renamed = await api.patch(path, json={"name": "still mine"})
    refused = await api.post(path + "/resume")
    await limit(world, acme, max_automations=2)
    resumed = await api.post(path + "/resume")

    assert (renamed.status_code, refused.status_code, resumed.status_code) == (200, 403, 200)


async def test_resume_asks_for_the_interval_of_today(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    (automation,) = await world.automations(acme, destination, schedule=HOURLY)
    await api.post(f"/api/automations/{automation}/pause")
    await limit(world, acme, min_interval_minutes=120)

    refused = await api.post(f"/api/automations/{automation}/resume")

    assert refused.status_code == 403
    assert refused.json()["errors"][0]["pointer"] == "/schedule_config/interval_minutes"
    assert await world.sql.fetchval("SELECT status FROM automation") == "paused"
