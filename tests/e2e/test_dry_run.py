"""A dry run through the real services: the work is done, the message shown, and nothing delivered."""

from __future__ import annotations

import httpx
import pytest

from tests.factories import World
from tests.support.stack import Service, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

HOOK = "dry-run"


async def test_a_dry_run_shows_the_report_and_sends_nothing(
    stack: Stack, database_url: str, encryption_keys: str, sandbox_server: Service
) -> None:
    world = await World.open(database_url, encryption_keys)
    try:
        team = await world.team()
        await world.facebook(team, f"sandbox-fb-{HOOK}")
        destination = await world.webhook(team, f"{sandbox_server.url}/hooks/{HOOK}")
        (automation,) = await world.automations(team, destination)
        api, *_others = await stack.start("api", "scheduler", "executor", "notifier")
        async with httpx.AsyncClient(
            base_url=api.url, headers={"Authorization": f"Bearer {team.api_key}"}, timeout=60
        ) as client:
            response = await client.post(f"/api/automations/{automation}/run", params={"dry_run": "true"})

        assert response.status_code == 200, response.text
        body = response.json()
        assert body["run"]["status"] == "completed", body["run"]
        (message,) = body["would_deliver"]
        assert message["title"]
        assert message["text"]
        assert body["summary"]
        assert body["counts"]["accounts"] > 0
        assert (body["counts"]["messages"], body["counts"]["parts"]) == (1, 1)
        assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 0
        counters = await world.sql.fetchrow("SELECT run_count, error_count, last_run FROM automation")
        assert counters is not None
        assert tuple(counters) == (0, 0, None)
    finally:
        await world.sql.close()
