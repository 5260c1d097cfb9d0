"""Rescue: a run whose executor fell silent, or whose retry is due, goes on; and nothing else is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.events import AutomationDue, RunCancelled, RunFailed
from common.models import Lane
from scheduler.lease import StaleTerm, Term
from scheduler.rescue import Rescue
from tests.factories import Team, World
from tests.support.leaders import admitted, depose, lead
from tests.support.outbox import Announcements

LOST = timedelta(seconds=-1)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Leader:
    """Rescues in its term."""

    def __init__(self, rescue: Rescue, term: Term) -> None:
        self._rescue = rescue
        self._term = term

    async def rescue(self) -> int:
        return await self._rescue.rescue_batch(self._term)


@pytest.fixture
async def leader(pool: ConnectionPool) -> Leader:
    lease, term = await lead(pool)
    return Leader(Rescue(pool, lease), term)


@pytest.fixture
async def automation_id(world: World, team: Team) -> UUID:
    [only] = await world.automations(team, None)
    return only


async def test_a_run_whose_lease_ran_out_is_queued_again_and_announced(
    world: World, team: Team, automation_id: UUID, leader: Leader, announced: Announcements
) -> None:
    slot = datetime.now(UTC) - timedelta(minutes=1)
    run_id = await world.running(
        team, automation_id, lease=LOST, attempt=2, scheduled_for=slot, lane="high", traceparent=TRACEPARENT
    )
    assert await leader.rescue() == 1
    run = await world.row("automation_run", run_id)
    assert (run["status"], run["worker"], run["lease_expires_at"], run["completed_at"]) == (
        "queued",
        None,
        None,
        None,
    )
    assert run["attempt"] == 2, "the lost attempt counts; the next claim adds its own"
    [record] = await announced.records()
    assert record.headers["traceparent"] == TRACEPARENT
    [event] = await announced.of(AutomationDue)
    assert (event.run_id, event.lane, event.scheduled_for) == (run_id, Lane.HIGH, slot)
    [attempt] = await world.sql.fetch("SELECT * FROM run_attempt WHERE run_id = $1", run_id)
    assert (attempt["outcome"], attempt["error_code"]) == ("lost", "executor_lost")
    assert attempt["ended_at"] is not None
    assert "not known" in attempt["error_message"], "how far it came is unknown, and the record says so"


async def test_a_run_with_a_valid_lease_is_left_alone(
    world: World, team: Team, automation_id: UUID, leader: Leader, announced: Announcements
) -> None:
    run_id = await world.running(team, automation_id)
    before = await world.row("automation_run", run_id)
    assert await leader.rescue() == 0
    assert await world.row("automation_run", run_id) == before
    assert await announced.all() == []


async def test_a_lost_run_with_a_cancellation_request_is_cancelled(
    world: World, team: Team, automation_id: UUID, leader: Leader, announced: Announcements
) -> None:
    run_id = await world.running(team, automation_id, lease=LOST, cancel_requested=True)
    await leader.rescue()
    run = await world.row("automation_run", run_id)
    assert (run["status"], run["error_code"]) == ("cancelled", "cancelled")
    assert run["completed_at"] is not None
    [event] = await announced.all()
    assert isinstance(event, RunCancelled)
    assert event.run_id == run_id


async def test_a_run_lost_in_its_last_attempt_fails(
    world: World, team: Team, automation_id: UUID, leader: Leader, announced: Announcements
) -> None:
    runs = [await world.running(team, automation_id, lease=LOST, attempt=3, max_attempts=3) for _ in range(2)]
    await leader.rescue()
    for run_id in runs:
        run = await world.row("automation_run", run_id)
        assert (run["status"], run["error_code"]) == ("failed", "executor_lost")
        assert run["completed_at"] is not None
    failures = await announced.of(RunFailed)
    assert {event.run_id for event in failures} == set(runs)
    assert all(event.retry_at is None and event.attempt == 3 for event in failures)
    automation = await world.row("automation", automation_id)
    assert (automation["error_count"], automation["run_count"], automation["failure_streak"]) == (2, 2, 2)


async def test_what_was_handed_back_before_does_not_make_an_attempt_the_last(
    world: World, team: Team, automation_id: UUID, leader: Leader
) -> None:
    run_id = await world.running(team, automation_id, lease=LOST, attempt=3, uncounted=1, max_attempts=3)
    await leader.rescue()
    assert (await world.row("automation_run", run_id))["status"] == "queued"


async def test_a_lost_dry_run_does_not_count_as_a_failure(
    world: World, team: Team, automation_id: UUID, leader: Leader
) -> None:
    run_id = await world.running(team, automation_id, lease=LOST, max_attempts=1, trigger="dry_run")
    await leader.rescue()
    assert (await world.row("automation_run", run_id))["status"] == "failed"
    automation = await world.row("automation", automation_id)
    assert (automation["error_count"], automation["failure_streak"]) == (0, 0)


async def test_a_thousand_lost_runs_take_a_few_batches(
    world: World, team: Team, automation_id: UUID, leader: Leader, announced: Announcements
) -> None:
    await world.sql.execute(
        """
        INSERT INTO automation_run (id, tenant_id, automation_id, status, worker, attempt, lease_expires_at)
        SELECT gen_random_uuid(), $1, $2, 'running', 'executor-1', 1, now() - interval '1 s'
          FROM generate_series(1, 1000)
        """,
        team.tenant_id,
        automation_id,
    )
    handled = [await leader.rescue() for _ in range(3)]
    assert handled == [500, 500, 0]
    assert len(await announced.of(AutomationDue)) == 1000


async def test_a_deposed_leader_rescues_nothing(
    world: World,
    team: Team,
    automation_id: UUID,
    pool: ConnectionPool,
    leader: Leader,
    announced: Announcements,
) -> None:
    run_id = await world.running(team, automation_id, lease=LOST)
    before = await world.row("automation_run", run_id)
    await depose(pool)
    with pytest.raises(StaleTerm):
        await leader.rescue()
    assert await world.row("automation_run", run_id) == before
    assert await announced.all() == []


async def test_a_result_that_is_being_recorded_wins_over_the_rescue(
    world: World,
    team: Team,
    automation_id: UUID,
    leader: Leader,
    database_url: str,
    encryption_keys: str,
) -> None:
    """The executor holds the row at the moment its lease runs out: rescue passes on, and finds it done."""
    run_id = await world.running(team, automation_id, lease=LOST)
    executor = await World.open(database_url, encryption_keys)
    try:
        async with executor.sql.transaction():
            await executor.sql.execute(
                "UPDATE automation_run SET status = 'completed', worker = NULL, lease_expires_at = NULL"
                " WHERE id = $1",
                run_id,
            )
            assert await leader.rescue() == 0
    finally:
        await executor.sql.close()
    assert await leader.rescue() == 0
    assert (await world.row("automation_run", run_id))["status"] == "completed"


async def test_a_due_retry_is_queued_and_announced(
    world: World, team: Team, pool: ConnectionPool, automation_id: UUID, announced: Announcements
) -> None:
    now = datetime.now(UTC)
    due = await world.run(
        team, automation_id, status="retrying", attempt=1, available_at=now - timedelta(seconds=1)
    )
    later = await world.run(
        team, automation_id, status="retrying", attempt=1, available_at=now + timedelta(seconds=60)
    )
    assert await admitted(pool) == 1
    assert (await world.row("automation_run", due))["status"] == "queued"
    assert (await world.row("automation_run", later))["status"] == "retrying"
    assert [event.run_id for event in await announced.of(AutomationDue)] == [due]
