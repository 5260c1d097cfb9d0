"""Dispatch: every due slot becomes one run or one recorded reason, in one transaction, by the leader only."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from opentelemetry.trace import TraceFlags

from common import telemetry
from common.database.pool import ConnectionPool
from common.events import AutomationChanged, AutomationDue, RunSkipped
from common.models import Lane
from scheduler.dispatch import Dispatcher
from scheduler.lease import StaleTerm, Term
from tests.factories import Team, World
from tests.support.leaders import depose, lead
from tests.support.outbox import Announcements
from tests.support.spans import recorded_spans
from tests.support.statements import counted_pool


class Leader:
    """Dispatches until nothing is due any more."""

    def __init__(self, dispatcher: Dispatcher, term: Term) -> None:
        self.dispatcher = dispatcher
        self.term = term

    @classmethod
    async def on(cls, pool: ConnectionPool, *, batch_size: int = 500) -> Leader:
        lease, term = await lead(pool)
        return cls(Dispatcher(pool, lease, batch_size=batch_size), term)

    async def dispatch(self) -> int:
        """How many batches it took, the empty one included."""
        batches = 1
        while await self.dispatcher.dispatch_batch(self.term):
            batches += 1
            assert batches < 50, "dispatching does not come to an end"
        return batches


@pytest.fixture
async def leader(pool: ConnectionPool) -> Leader:
    return await Leader.on(pool)


def ago(**length: float) -> datetime:
    return datetime.now(UTC) - timedelta(**length)


def every_minute(anchor: datetime, minutes: int = 1) -> dict[str, Any]:
    return {"type": "interval", "interval_minutes": minutes, "anchor": anchor.isoformat()}


async def runs_of(world: World, *automations: UUID) -> list[asyncpg.Record]:
    return await world.sql.fetch(
        "SELECT * FROM automation_run WHERE automation_id = ANY($1::uuid[]) ORDER BY scheduled_for",
        automations,
    )


async def automation(world: World, automation_id: UUID) -> asyncpg.Record:
    row = await world.sql.fetchrow("SELECT * FROM automation WHERE id = $1", automation_id)
    assert row is not None
    return row


async def skips_of(world: World, automation_id: UUID) -> list[asyncpg.Record]:
    return await world.sql.fetch(
        "SELECT * FROM slot_skip WHERE automation_id = $1 ORDER BY first_slot", automation_id
    )


async def _start_by_hand(world: World, team: Team, automation_id: UUID, status: str = "running") -> None:
    await world.sql.execute(
        "INSERT INTO automation_run (id, tenant_id, automation_id, trigger, status)"
        " VALUES (gen_random_uuid(), $1, $2, 'manual', $3)",
        team.tenant_id,
        automation_id,
        status,
    )


async def test_a_due_slot_becomes_one_queued_run_and_its_event(
    world: World, team: Team, leader: Leader, announced: Announcements
) -> None:
    due = ago(seconds=1)
    [automation_id] = await world.automations(team, None, next_run=due)
    await leader.dispatch()
    [run] = await runs_of(world, automation_id)
    assert (run["scheduled_for"], run["status"], run["trigger"]) == (due, "queued", "schedule")
    [event] = await announced.all()
    assert event == AutomationDue(
        run_id=run["id"],
        automation_id=automation_id,
        tenant_id=team.tenant_id,
        lane=Lane.NORMAL,
        trigger="schedule",
        scheduled_for=due,
    )
    after = await automation(world, automation_id)
    assert after["next_run"] == due + timedelta(days=1)
    assert after["last_run"] is not None


async def test_automations_not_due_or_not_active_are_not_dispatched(
    world: World, team: Team, leader: Leader, announced: Announcements
) -> None:
    due = ago(seconds=1)
    others = await world.automations(team, None, count=4, next_run=due)
    for automation_id, status in zip(others, ("paused", "stopped", "error"), strict=False):
        await world.sql.execute("UPDATE automation SET status = $2 WHERE id = $1", automation_id, status)
    await world.sql.execute("UPDATE automation SET next_run = NULL WHERE id = $1", others[3])
    others += await world.automations(team, None, next_run=datetime.now(UTC) + timedelta(seconds=60))
    before = await world.sql.fetch("SELECT * FROM automation ORDER BY id")
    assert await leader.dispatch() == 1
    assert await world.sql.fetch("SELECT * FROM automation ORDER BY id") == before
    assert await announced.all() == []


async def test_a_slot_gets_one_run_however_often_it_comes_due(
    world: World, team: Team, leader: Leader, announced: Announcements
) -> None:
    due = ago(seconds=1)
    [automation_id] = await world.automations(team, None, next_run=due)
    await leader.dispatch()
    # As a restored backup would have it: the run is there, and `next_run` knows nothing of it.
    await world.sql.execute("UPDATE automation_run SET status = 'completed'")
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1", due)
    await announced.clear()
    await leader.dispatch()
    assert len(await runs_of(world, automation_id)) == 1
    assert await announced.of(AutomationDue) == [], "the run has been announced already"
    assert (await automation(world, automation_id))["next_run"] == due + timedelta(days=1)


async def test_the_database_refuses_a_second_run_for_a_slot(world: World, team: Team, leader: Leader) -> None:
    due = ago(seconds=1)
    [automation_id] = await world.automations(team, None, next_run=due)
    await leader.dispatch()
    with pytest.raises(asyncpg.UniqueViolationError):
        await world.sql.execute(
            "INSERT INTO automation_run (id, tenant_id, automation_id, scheduled_for)"
            " VALUES (gen_random_uuid(), $1, $2, $3)",
            team.tenant_id,
            automation_id,
            due,
        )


async def test_the_number_of_statements_does_not_grow_with_the_due_automations(
    database_url: str, world: World, team: Team
) -> None:
    late = every_minute(ago(minutes=30))
    counts = []
    async with counted_pool(database_url) as (pool, statements):
        leader = await Leader.on(pool)
        # The first round fills the connection's cache of types.
        for count in (6, 10, 400):
            # Punctual and late ones, a busy one and a broken one: every statement there is.
            await world.automations(team, None, count=count // 2, next_run=ago(seconds=1))
            due = await world.automations(
                team, None, count=count // 2, next_run=ago(minutes=30), schedule=late
            )
            await _start_by_hand(world, team, due[0])
            await world.sql.execute("UPDATE automation SET schedule_config = '{}' WHERE id = $1", due[1])
            statements.clear()
            assert await leader.dispatcher.dispatch_batch(leader.term)
            counts.append(len(statements))
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 416 - 3
    assert counts[1] == counts[2], statements


async def test_a_batch_takes_no_more_than_its_size(world: World, team: Team, pool: ConnectionPool) -> None:
    leader = await Leader.on(pool, batch_size=4)
    await world.automations(team, None, count=10, next_run=ago(seconds=1))
    assert await leader.dispatcher.dispatch_batch(leader.term)
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 4
    await leader.dispatch()
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 10


async def test_after_a_days_outage_the_latest_slot_runs_and_the_others_are_recorded(
    world: World, team: Team, leader: Leader, announced: Announcements
) -> None:
    anchor = ago(hours=24).replace(microsecond=0)
    [automation_id] = await world.automations(team, None, next_run=anchor, schedule=every_minute(anchor, 10))
    await leader.dispatch()
    [run] = await runs_of(world, automation_id)
    latest = anchor + timedelta(hours=24)
    assert run["scheduled_for"] == latest
    [skip] = await skips_of(world, automation_id)
    assert (skip["first_slot"], skip["last_slot"], skip["slots"], skip["reason"]) == (
        anchor,
        latest - timedelta(minutes=10),
        144,
        "catch_up_latest",
    )
    assert (await automation(world, automation_id))["next_run"] == latest + timedelta(minutes=10)
    [skipped] = await announced.of(RunSkipped)
    assert (skipped.first_slot, skipped.last_slot, skipped.slots) == (
        anchor,
        latest - timedelta(minutes=10),
        144,
    )


@pytest.mark.parametrize("status", ["queued", "running", "retrying"])
async def test_an_overlapping_slot_is_recorded_as_skipped(
    world: World, team: Team, leader: Leader, announced: Announcements, status: str
) -> None:
    due = ago(seconds=1)
    [automation_id] = await world.automations(team, None, next_run=due)
    await _start_by_hand(world, team, automation_id, status)
    await leader.dispatch()
    assert [run["trigger"] for run in await runs_of(world, automation_id)] == ["manual"]
    [skip] = await skips_of(world, automation_id)
    assert (skip["first_slot"], skip["slots"], skip["reason"]) == (due, 1, "overlap")
    [event] = await announced.all()
    assert isinstance(event, RunSkipped)
    after = await automation(world, automation_id)
    assert after["next_run"] == due + timedelta(days=1)
    assert after["last_run"] is None, "nothing ran"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_finished_run_does_not_count_as_overlap(
    world: World, team: Team, leader: Leader, status: str
) -> None:
    [automation_id] = await world.automations(team, None, next_run=ago(seconds=1))
    await _start_by_hand(world, team, automation_id, status)
    await leader.dispatch()
    assert len(await runs_of(world, automation_id)) == 2


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"type": "sometimes"},
        {"type": "interval", "interval_minutes": 0},
        {"type": "cron", "expression": "61 * * * *"},
        {"type": "daily", "hour": 9, "timezone": "Europe/Nowhere"},
        [],
        "daily",
        None,
        7,
    ],
    ids=str,
)
async def test_a_broken_schedule_stops_only_its_automation(
    world: World, team: Team, leader: Leader, announced: Announcements, config: object
) -> None:
    due = ago(seconds=1)
    broken, sound = await world.automations(team, None, count=2, next_run=due)
    await world.sql.execute(
        "UPDATE automation SET schedule_config = $2::text::jsonb WHERE id = $1", broken, json.dumps(config)
    )
    await leader.dispatch()
    assert await runs_of(world, broken) == []
    assert len(await runs_of(world, sound)) == 1
    stopped = await automation(world, broken)
    assert (stopped["status"], stopped["next_run"]) == ("error", None)
    assert stopped["status_reason"]
    [skip] = await skips_of(world, broken)
    assert (skip["first_slot"], skip["slots"], skip["reason"]) == (due, 1, "unschedulable")
    assert [event.reason for event in await announced.of(RunSkipped)] == ["unschedulable"]
    [changed] = await announced.of(AutomationChanged)
    assert (changed.automation_id, changed.status) == (broken, "error")
    assert (await automation(world, sound))["status"] == "active"


async def test_a_next_run_set_by_sql_fires_once_and_the_grid_continues(
    world: World, team: Team, leader: Leader
) -> None:
    grid = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    [automation_id] = await world.automations(team, None, next_run=grid)
    put = ago(seconds=3)
    await world.sql.execute("UPDATE automation SET next_run = $2 WHERE id = $1", automation_id, put)
    await leader.dispatch()
    [run] = await runs_of(world, automation_id)
    assert run["scheduled_for"] == put
    assert (await automation(world, automation_id))["next_run"] == grid
    assert await skips_of(world, automation_id) == []


async def test_a_schedule_without_further_slots_ends_as_stopped(
    world: World, team: Team, leader: Leader, announced: Announcements
) -> None:
    at = ago(seconds=2)
    [automation_id] = await world.automations(
        team, None, next_run=at, schedule={"type": "once", "at": at.isoformat()}
    )
    await leader.dispatch()
    [run] = await runs_of(world, automation_id)
    assert run["scheduled_for"] == at
    after = await automation(world, automation_id)
    assert (after["status"], after["next_run"]) == ("stopped", None)
    assert "no further slot" in after["status_reason"]
    [changed] = await announced.of(AutomationChanged)
    assert changed.status == "stopped"
    await leader.dispatch()
    assert len(await runs_of(world, automation_id)) == 1


async def test_dispatchers_in_parallel_never_dispatch_twice(
    world: World, team: Team, pool: ConnectionPool, announced: Announcements
) -> None:
    automations = await world.automations(team, None, count=300, next_run=ago(seconds=1))
    leader = await Leader.on(pool, batch_size=20)
    await asyncio.gather(*(leader.dispatch() for _ in range(6)))
    runs = await runs_of(world, *automations)
    assert sorted(run["automation_id"] for run in runs) == sorted(automations)
    events = await announced.of(AutomationDue)
    assert sorted(event.run_id for event in events) == sorted(run["id"] for run in runs)
    assert await world.sql.fetchval("SELECT count(*) FROM slot_skip") == 0


async def test_a_locked_automation_delays_no_other(
    world: World, team: Team, leader: Leader, database_url: str, encryption_keys: str
) -> None:
    edited, other = await world.automations(team, None, count=2, next_run=ago(seconds=1))
    editor = await World.open(database_url, encryption_keys)
    try:
        async with editor.sql.transaction():
            await editor.sql.execute("SELECT FROM automation WHERE id = $1 FOR UPDATE", edited)
            async with asyncio.timeout(5):
                await leader.dispatch()
            assert len(await runs_of(world, other)) == 1
            assert await runs_of(world, edited) == []
    finally:
        await editor.sql.close()
    await leader.dispatch()
    assert len(await runs_of(world, edited)) == 1


async def test_an_edit_committed_first_decides_about_the_slot(
    world: World, team: Team, leader: Leader
) -> None:
    [automation_id] = await world.automations(team, None, next_run=ago(seconds=1))
    await world.sql.execute("UPDATE automation SET status = 'paused' WHERE id = $1", automation_id)
    await leader.dispatch()
    assert await runs_of(world, automation_id) == []
    assert (await automation(world, automation_id))["status"] == "paused", "dispatch did not undo the pause"


@pytest.mark.parametrize("lane", list(Lane))
async def test_the_lane_follows_the_priority(
    world: World, team: Team, leader: Leader, announced: Announcements, lane: Lane
) -> None:
    [automation_id] = await world.automations(team, None, next_run=ago(seconds=1), priority=lane.value)
    await leader.dispatch()
    [run] = await runs_of(world, automation_id)
    assert run["lane"] == lane
    [record] = await announced.records()
    assert record.topic == f"automation.due.{lane.value}"
    assert record.key == str(run["id"])


async def test_every_run_has_a_trace_of_its_own_and_its_event_carries_it(
    world: World,
    team: Team,
    leader: Leader,
    announced: Announcements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    automations = await world.automations(team, None, count=20, next_run=ago(seconds=1))
    with recorded_spans(monkeypatch) as spans:
        await leader.dispatch()
    runs = await runs_of(world, *automations)
    assert len({run["trace_id"] for run in runs}) == 20
    for run in runs:
        version, trace_id, span_id, flags = run["traceparent"].split("-")
        assert (version, trace_id, len(span_id)) == ("00", run["trace_id"], 16)
        assert int(trace_id, 16)
        assert int(span_id, 16)
        assert int(flags, 16) & TraceFlags.SAMPLED
    carried = {record.key: record.headers["traceparent"] for record in await announced.records()}
    assert carried == {str(run["id"]): run["traceparent"] for run in runs}
    ended = {f"{span.context.trace_id:032x}": span for span in spans.ended() if span.context is not None}
    assert ended.keys() == {run["trace_id"] for run in runs}
    assert all(span.parent is None for span in ended.values()), "nothing ties one run's trace to another's"
    assert telemetry.context_of(runs[0]["traceparent"])


async def test_a_deposed_leader_writes_nothing(
    world: World, team: Team, leader: Leader, pool: ConnectionPool
) -> None:
    due = ago(minutes=5).replace(microsecond=0)
    [automation_id] = await world.automations(team, None, next_run=due, schedule=every_minute(due))
    [once] = await world.automations(
        team, None, next_run=due, schedule={"type": "once", "at": due.isoformat()}
    )
    before = await world.sql.fetch("SELECT * FROM automation ORDER BY id")
    await depose(pool)
    with pytest.raises(StaleTerm):
        await leader.dispatcher.dispatch_batch(leader.term)
    assert await world.sql.fetch("SELECT * FROM automation ORDER BY id") == before
    assert await runs_of(world, automation_id, once) == []
    for table in ("outbox", "slot_skip"):
        assert await world.sql.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_a_crash_before_the_commit_leaves_the_slot_to_the_next_leader(
    world: World, team: Team, database_url: str, pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = ago(seconds=1)
    [automation_id] = await world.automations(team, None, next_run=due)
    leader = await Leader.on(pool)

    async def dies(*_args: object) -> None:
        raise ConnectionError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr("scheduler.dispatch.outbox.write", dies)
        with pytest.raises(ConnectionError):
            await leader.dispatcher.dispatch_batch(leader.term)
    assert await runs_of(world, automation_id) == []
    await leader.dispatch()
    assert len(await runs_of(world, automation_id)) == 1


async def test_the_leader_knows_when_to_wake_by_the_databases_clock(
    world: World, team: Team, leader: Leader
) -> None:
    assert await leader.dispatcher.seconds_to_next() is None
    await world.automations(team, None, next_run=datetime.now(UTC) + timedelta(seconds=90))
    await world.automations(team, None, next_run=datetime.now(UTC) + timedelta(seconds=30))
    await world.sql.execute(
        "UPDATE automation SET status = 'paused' WHERE next_run < now() + interval '60 s'"
    )
    seconds = await leader.dispatcher.seconds_to_next()
    assert seconds is not None
    assert 80 < seconds <= 90
