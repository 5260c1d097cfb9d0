"""Backfills: past slots that have no run get one, once, and behind everything else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from common.database.pool import ConnectionPool
from common.events import RunCancelled, parse
from scheduler.admission import Admission
from tests.factories import Team, World
from tests.support.history import add_run
from tests.support.leaders import lead

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


async def test_backfill_runs_each_slot_without_a_run_once(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1", first + 4 * TEN_MINUTES)
    await add_run(world, acme, automation, slot=first + TEN_MINUTES)
    path = f"/api/automations/{automation}/backfill"
    wanted = {"from": (first - timedelta(days=1)).isoformat(), "to": datetime.now(UTC).isoformat()}

    made = await api.post(path, json=wanted)
    again = await api.post(path, json=wanted)

    assert made.status_code == 202
    body = made.json()
    assert body["runs"] == 3
    assert made.headers["location"] == f"/api/backfills/{body['id']}"
    assert datetime.fromisoformat(body["last_slot"]) == first + 3 * TEN_MINUTES
    assert again.status_code == 409
    assert (await api.get(path + "s")).json()["items"] == [body]
    rows = await world.sql.fetch("SELECT * FROM automation_run WHERE backfill_id IS NOT NULL ORDER BY 1")
    assert {row["scheduled_for"] for row in rows} == {first, first + 2 * TEN_MINUTES, first + 3 * TEN_MINUTES}
    assert {(row["status"], row["lane"], row["trigger"]) for row in rows} == {("waiting", "low", "backfill")}


async def test_backfill_leaves_alone_what_the_scheduler_has_not_decided(
    api: httpx.AsyncClient, automation: UUID, first: datetime
) -> None:
    response = await api.post(
        f"/api/automations/{automation}/backfill",
        json={"from": first.isoformat(), "to": datetime.now(UTC).isoformat()},
    )

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/from"


async def test_backfill_of_too_much_says_how_much_it_is(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    now = datetime.now(UTC)
    anchor = now - timedelta(days=30)
    (automation,) = await world.automations(
        acme,
        None,
        schedule={"type": "interval", "interval_minutes": 1, "anchor": anchor.isoformat()},
        next_run=now + timedelta(minutes=1),
    )

    response = await api.post(
        f"/api/automations/{automation}/backfill",
        json={"from": anchor.isoformat(), "to": now.isoformat()},
    )

    assert response.status_code == 422
    (fault,) = response.json()["errors"]
    assert fault["pointer"] == "/to"
    assert fault["detail"].startswith("43,20")
    assert "at most 1,000" in fault["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 0


async def test_cancelled_backfill_ends_what_waits(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1", first + 4 * TEN_MINUTES)
    backfill = (
        await api.post(
            f"/api/automations/{automation}/backfill",
            json={"from": first.isoformat(), "to": datetime.now(UTC).isoformat()},
        )
    ).json()
    await world.sql.execute(
        "UPDATE automation_run SET status = 'running', worker = 'w' WHERE scheduled_for = $1", first
    )

    cancelled = [await api.post(f"/api/backfills/{backfill['id']}/cancel") for _ in range(2)]

    assert [response.json()["status"] for response in cancelled] == ["cancelled", "cancelled"]
    states = await world.sql.fetch(
        "SELECT status, cancel_requested FROM automation_run ORDER BY scheduled_for"
    )
    assert [tuple(row) for row in states] == [("running", True)] + [("cancelled", True)] * 3
    events = await world.sql.fetch("SELECT * FROM outbox")
    assert len([parse(row["headers"], row["value"], RunCancelled) for row in events]) == 3


@pytest.fixture
async def backfill(api: httpx.AsyncClient, world: World, automation: UUID, first: datetime) -> str:
    """A backfill of all four slots."""
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1", first + 4 * TEN_MINUTES)
    made = await api.post(
        f"/api/automations/{automation}/backfill",
        json={"from": first.isoformat(), "to": datetime.now(UTC).isoformat()},
    )
    identifier: str = made.json()["id"]
    return identifier


async def test_progress_counts_the_runs_by_their_state(
    api: httpx.AsyncClient, world: World, backfill: str
) -> None:
    rows = await world.sql.fetch("SELECT id FROM automation_run ORDER BY scheduled_for")
    for (run,), status in zip(rows, ("completed", "failed", "running"), strict=False):
        await world.sql.execute("UPDATE automation_run SET status = $2 WHERE id = $1", run, status)

    body = (await api.get(f"/api/backfills/{backfill}")).json()

    assert body["progress"] == {
        "waiting": 1,
        "queued": 0,
        "running": 1,
        "retrying": 0,
        "completed": 1,
        "failed": 1,
        "cancelled": 0,
        "skipped": 0,
    }
    assert sum(body["progress"].values()) == body["runs"]


async def test_the_leader_lets_its_runs_go_one_at_a_time_and_ends_it(
    api: httpx.AsyncClient, world: World, pool: ConnectionPool, backfill: str, first: datetime
) -> None:
    lease, term = await lead(pool)
    admission = Admission(pool, lease, tenant_window=100)
    order = []
    for _ in range(4):
        await admission.admit_batch(term)
        queued = await world.sql.fetch("SELECT id, scheduled_for FROM automation_run WHERE status = 'queued'")
        order += [(row["scheduled_for"] - first) // TEN_MINUTES for row in queued]
        await world.sql.execute("UPDATE automation_run SET status = 'completed' WHERE status = 'queued'")
    await admission.admit_batch(term)

    assert order == [0, 1, 2, 3]
    assert (await api.get(f"/api/backfills/{backfill}")).json()["status"] == "completed"
    assert (await api.post(f"/api/backfills/{backfill}/cancel")).status_code == 409


async def test_two_backfills_at_once_make_each_run_once(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1", first + 4 * TEN_MINUTES)
    body = {"from": first.isoformat(), "to": datetime.now(UTC).isoformat()}

    responses = await asyncio.gather(
        *(api.post(f"/api/automations/{automation}/backfill", json=body) for _ in range(3))
    )

    assert sorted(response.status_code for response in responses) == [202, 409, 409]
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 4
    assert await world.sql.fetchval("SELECT count(*) FROM backfill") == 1


async def test_excluded_slots_are_not_made_up_for_and_do_not_count(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    (automation,) = await world.automations(
        acme,
        None,
        schedule={"type": "daily", "hour": 9, "exclude": {"weekdays": [5, 6]}},
        next_run=datetime.now(UTC) + timedelta(days=1),
    )

    made = await api.post(
        f"/api/automations/{automation}/backfill",
        json={"from": monday.isoformat(), "to": (monday + timedelta(days=7)).isoformat()},
    )

    assert made.json()["runs"] == 6


async def test_a_thousand_slots_are_made_at_once(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    (automation,) = await world.automations(
        acme,
        None,
        schedule={"type": "cron", "expression": "* * * * *"},
        next_run=datetime.now(UTC) + timedelta(minutes=1),
    )
    path = f"/api/automations/{automation}/backfill"

    refused = await api.post(
        path, json={"from": start.isoformat(), "to": (start + timedelta(minutes=1000)).isoformat()}
    )
    made = await api.post(
        path, json={"from": start.isoformat(), "to": (start + timedelta(minutes=999)).isoformat()}
    )

    assert (refused.status_code, made.status_code) == (422, 202)
    assert "1,001 slots" in refused.json()["errors"][0]["detail"]
    assert made.json()["runs"] == 1000


async def test_a_range_backwards_is_refused(api: httpx.AsyncClient, automation: UUID) -> None:
    refused = await api.post(
        f"/api/automations/{automation}/backfill",
        json={"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
    )

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/to"


async def test_slots_whose_runs_may_have_been_cleaned_up_are_not_run_again(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await world.sql.execute(
        "UPDATE automation SET next_run = $1, next_slot = $1, created_at = $2",
        first + 4 * TEN_MINUTES,
        first - timedelta(minutes=1),
    )
    await world.sql.execute(
        "INSERT INTO fact (name, value) VALUES ('history_kept_since', $1)",
        (first + TEN_MINUTES).isoformat(),
    )
    path = f"/api/automations/{automation}/backfill"
    until = {"to": datetime.now(UTC).isoformat()}
    refused = await api.post(path, json={"from": first.isoformat(), **until})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/from"
    assert "cleaned up" in refused.json()["errors"][0]["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 0
    allowed = await api.post(path, json={"from": (first + TEN_MINUTES).isoformat(), **until})
    assert allowed.status_code == 202, allowed.text
