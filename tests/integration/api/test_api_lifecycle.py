"""What owners do with an automation: pause for a while, catch up, try out, make up for the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.factories import Team, World
from tests.support.history import add_skip

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def first() -> datetime:
    """The first of four slots that have passed."""
    return datetime.now(UTC) - timedelta(minutes=35)


@pytest.fixture
async def automation(world: World, acme: Team, first: datetime) -> UUID:
    """Every ten minutes; nobody has decided about the slots from `first` on."""
    (made,) = await world.automations(
        acme,
        await world.telegram(acme),
        schedule={"type": "interval", "interval_minutes": 10, "anchor": first.isoformat()},
        next_run=first,
    )
    return made


async def test_pause_for_a_while_is_kept_and_can_be_changed(
    api: httpx.AsyncClient, world: World, automation: UUID
) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    path = f"/api/automations/{automation}/pause"

    paused = (await api.post(path, json={"until": until.isoformat()})).json()
    again = (await api.post(path, json={"until": until.isoformat()})).json()
    forever = (await api.post(path)).json()

    assert datetime.fromisoformat(paused["paused_until"]) == until
    assert again == paused
    assert (forever["status"], forever["paused_until"]) == ("paused", None)
    assert forever["paused_at"] == paused["paused_at"]
    past = await api.post(path, json={"until": (until - timedelta(days=1)).isoformat()})
    assert past.status_code == 422
    assert past.json()["errors"][0]["pointer"] == "/until"
    assert await world.sql.fetchval("SELECT paused_until FROM automation") is None


@pytest.mark.parametrize("catch_up", ["latest", "all"])
async def test_resume_can_leave_the_missed_slots_to_the_scheduler(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime, catch_up: str
) -> None:
    await api.post(f"/api/automations/{automation}/pause")

    resumed = await api.post(f"/api/automations/{automation}/resume", json={"catch_up": catch_up})

    assert resumed.json()["status"] == "active"
    row = await world.sql.fetchrow("SELECT * FROM automation")
    assert row is not None
    assert (row["catch_up_on_resume"], row["next_run"]) == (catch_up, first)
    assert await world.sql.fetchval("SELECT count(*) FROM slot_skip") == 0


async def test_run_by_hand_waits_where_the_plan_limits_runs(
    api: httpx.AsyncClient, world: World, automation: UUID
) -> None:
    await world.sql.execute("UPDATE tenant SET quota = '{\"max_concurrent_runs\": 2}'")

    run = (await api.post(f"/api/automations/{automation}/run")).json()

    assert run["status"] == "waiting"
    assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 0, "the leader lets it go"
    assert (await api.post(f"/api/runs/{run['id']}/cancel")).json()["status"] == "cancelled"


async def test_policy_is_kept_as_far_as_it_differs(api: httpx.AsyncClient, automation: UUID) -> None:
    path = f"/api/automations/{automation}"
    policy: dict[str, Any] = {"overlap": "queue_one", "catch_up": "latest", "retry": {"max_attempts": 2}}

    patched = (await api.patch(path, json={"policy": policy})).json()
    run = (await api.post(path + "/run")).json()

    assert patched["policy"] == {"overlap": "queue_one", "retry": {"max_attempts": 2}}
    assert run["max_attempts"] == 2
    refused = await api.patch(path, json={"policy": {"overlap": "explode", "retry": {"max_attempts": 0}}})
    assert {fault["pointer"] for fault in refused.json()["errors"]} == {
        "/policy/overlap",
        "/policy/retry/max_attempts",
    }


async def test_skipped_slots_tell_why(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    for number, reason in enumerate(("overlap", "paused", "expired")):
        await add_skip(world, automation, first=first + number * TEN_MINUTES, reason=reason)

    page = (await api.get(f"/api/automations/{automation}/skips", params={"limit": 2})).json()
    rest = (await api.get(page["next"])).json()

    assert [item["reason"] for item in page["items"] + rest["items"]] == ["expired", "paused", "overlap"]


async def test_quiet_hours_are_kept_and_taken_back(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    path = f"/api/destinations/{await world.telegram(acme)}"
    quiet = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin", "then": "deliver"}

    kept = (await api.patch(path, json={"quiet_hours": quiet})).json()
    refused = await api.patch(path, json={"quiet_hours": {"from": "25:00", "to": "07:00"}})
    cleared = (await api.patch(path, json={"quiet_hours": None})).json()

    assert kept["quiet_hours"] == quiet
    assert refused.json()["errors"][0]["pointer"] == "/quiet_hours/from"
    assert cleared["quiet_hours"] is None
