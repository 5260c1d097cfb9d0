"""An API on a machine whose clock is wrong: the database's decides, and the API is not ready."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from api.main import wire
from api.settings import ApiSettings
from common.clock import DatabaseClock, utc_now
from tests.factories import Team, World

HOUR = timedelta(hours=1)
EVERY_FIVE_MINUTES = {"type": "interval", "interval_minutes": 5}


@pytest.fixture(params=[HOUR, -HOUR], ids=["fast", "slow"])
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    error: timedelta = request.param
    clock = DatabaseClock(machine=lambda: datetime.now(UTC) + error)
    monkeypatch.setattr("common.clock._clock", clock)


@pytest.mark.usefixtures("wrong")
async def test_the_next_slot_follows_the_databases_clock(
    settings: ApiSettings,
    assembly: FastAPI,
    world: World,
    acme: Team,
    client_of: Callable[[Team | None], httpx.AsyncClient],
) -> None:
    destination = await world.webhook(acme, "https://example.com/hook", None)
    assembly.state.collaborators = wire(settings, "api-test", utc_now)
    async with assembly.router.lifespan_context(assembly):
        api = client_of(acme)
        created = await api.post(
            "/api/automations",
            json={
                "name": "Numbers",
                "destination_id": str(destination),
                "type": "scheduled_report",
                "schedule_config": EVERY_FIVE_MINUTES,
            },
        )
        ready = await api.get("/readyz")
    assert created.status_code == 201, created.text
    wait = await world.sql.fetchval(
        "SELECT extract(epoch FROM next_run - clock_timestamp())::float8 FROM automation"
    )
    assert -1 < wait <= 300
    assert ready.status_code == 503
    assert "clock is 3600 s" in ready.json()["checks"]["clock"]
