"""Pausing and resuming: the leader decides about every slot that passed, by what its owner chose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.database.pool import ConnectionPool
from scheduler.dispatch import Dispatcher
from tests.factories import Team, World
from tests.support.leaders import lead

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def first() -> datetime:
    """The first of four slots that have passed."""
    return datetime.now(UTC) - timedelta(minutes=35)


@pytest.fixture
async def automation(world: World, acme: Team, first: datetime) -> UUID:
    """Every ten minutes and paused; the slots from `first` on are undecided."""
    (made,) = await world.automations(
        acme,
        await world.telegram(acme),
        schedule={"type": "interval", "interval_minutes": 10, "anchor": first.isoformat()},
        next_run=first,
    )
    await world.sql.execute("UPDATE automation SET status = 'paused', paused_at = $1", first)
    return made


async def dispatch(pool: ConnectionPool) -> None:
    """What a leader does when it is woken."""
    lease, term = await lead(pool)
    dispatcher = Dispatcher(pool, lease, batch_size=100)
    await dispatcher.resume_due(term)
    while await dispatcher.dispatch_batch(term):
        pass


async def outcome(world: World, first: datetime) -> tuple[list[int], list[tuple[int, int, str]]]:
    """Which slots got a run, and which ranges a reason, counted from the first slot."""
    runs = await world.sql.fetch("SELECT scheduled_for FROM automation_run ORDER BY 1")
    skips = await world.sql.fetch("SELECT first_slot, last_slot, reason FROM slot_skip ORDER BY 1")
    return (
        [(row["scheduled_for"] - first) // TEN_MINUTES for row in runs],
        [
            ((row["first_slot"] - first) // TEN_MINUTES, (row["last_slot"] - first) // TEN_MINUTES, row[2])
            for row in skips
        ],
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, ([], [(0, 3, "paused")])),
        ({"catch_up": "none"}, ([], [(0, 3, "paused")])),
        ({"catch_up": "latest"}, ([3], [(0, 2, "catch_up_latest")])),
        ({"catch_up": "all"}, ([0, 1, 2, 3], [])),
    ],
)
async def test_resume_decides_about_what_passed(
    api: httpx.AsyncClient,
    world: World,
    pool: ConnectionPool,
    automation: UUID,
    first: datetime,
    body: dict[str, Any] | None,
    expected: object,
) -> None:
    await world.sql.execute('UPDATE automation SET policy = \'{"overlap": "allow"}\'')

    resumed = await api.post(f"/api/automations/{automation}/resume", json=body)
    await dispatch(pool)

    assert resumed.status_code == 200
    assert datetime.fromisoformat(resumed.json()["next_run"]) == first + 4 * TEN_MINUTES
    assert await outcome(world, first) == expected
    row = await world.sql.fetchrow("SELECT * FROM automation")
    assert row is not None
    assert (row["next_run"], row["catch_up_on_resume"]) == (first + 4 * TEN_MINUTES, None)


async def test_what_was_chosen_when_pausing_holds_when_it_resumes_by_itself(
    api: httpx.AsyncClient, world: World, pool: ConnectionPool, automation: UUID, first: datetime
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    paused = await api.post(
        f"/api/automations/{automation}/pause", json={"until": until.isoformat(), "catch_up": "latest"}
    )
    await world.sql.execute("UPDATE automation SET paused_until = now() - interval '1 second'")

    await dispatch(pool)

    assert paused.json()["status"] == "paused"
    assert await outcome(world, first) == ([3], [(0, 2, "catch_up_latest")])


async def test_what_was_chosen_when_pausing_holds_unless_resuming_says_otherwise(
    api: httpx.AsyncClient, world: World, automation: UUID
) -> None:
    path = f"/api/automations/{automation}"
    chosen = []
    for body in ({}, {"catch_up": "none"}):
        await api.post(path + "/pause", json={"catch_up": "all"})
        await api.post(path + "/resume", json=body)
        chosen.append(await world.sql.fetchval("SELECT catch_up_on_resume FROM automation"))

    assert chosen == ["all", "none"]


async def test_resume_with_nothing_passed_leaves_the_next_slot_alone(
    api: httpx.AsyncClient, world: World, pool: ConnectionPool, automation: UUID, first: datetime
) -> None:
    to_come = first + 4 * TEN_MINUTES
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1", to_come)

    await api.post(f"/api/automations/{automation}/resume", json={"catch_up": "latest"})
    await dispatch(pool)

    row = await world.sql.fetchrow("SELECT * FROM automation")
    assert row is not None
    assert (row["status"], row["next_run"], row["catch_up_on_resume"]) == ("active", to_come, None)
    assert await outcome(world, first) == ([], [])


async def test_resume_after_an_error_without_a_place_in_the_schedule_finds_one(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await world.sql.execute(
        "UPDATE automation SET status = 'error', failure_streak = 5, next_run = NULL, next_slot = NULL"
    )

    resumed = (await api.post(f"/api/automations/{automation}/resume")).json()

    assert (resumed["status"], resumed["failure_streak"]) == ("active", 0)
    assert datetime.fromisoformat(resumed["next_run"]) == first + 4 * TEN_MINUTES


@pytest.mark.parametrize(
    "until", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2026-12-01T00:00:00"]
)
async def test_an_instant_no_calendar_can_hold_is_refused(
    api: httpx.AsyncClient, automation: UUID, until: str
) -> None:
    refused = await api.post(f"/api/automations/{automation}/pause", json={"until": until})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/until"


async def test_an_unknown_choice_is_refused(api: httpx.AsyncClient, automation: UUID) -> None:
    for action in ("pause", "resume"):
        refused = await api.post(f"/api/automations/{automation}/{action}", json={"catch_up": "some"})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/catch_up"
