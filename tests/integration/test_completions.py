"""Completions: state, deliveries and events in one transaction, and nothing from a superseded attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.events import NotificationRequested, RunCancelled, RunCompleted, RunFailed
from common.models import RunStatus
from common.secrets.crypto import KeyRing
from executor.aftermath.application import AftermathWriter
from executor.runs.claims import ClaimedRun, Claims
from executor.runs.completions import Completions
from executor.runs.results import CANCELLED, HANDED_BACK, Completion
from scheduler.rescue import Rescue
from tests.factories import Team, World
from tests.support.executor_harness import PUBLIC_URL, REPORT, token_keeper
from tests.support.leaders import lead
from tests.support.outbox import Announcements
from tests.support.statements import counted_pool

WORKER = "executor-1"
AFTERMATH = AftermathWriter(public_url=PUBLIC_URL)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Claimed = Callable[..., Awaitable[ClaimedRun]]


@pytest.fixture
def completions(pool: ConnectionPool) -> Completions:
    return Completions(pool, AFTERMATH, worker=WORKER)


@pytest.fixture
async def destination_id(world: World, team: Team) -> UUID:
    return await world.telegram(team)


@pytest.fixture
def claimed(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> Claimed:
    """A run of an automation of its own, claimed by WORKER and announced as such."""

    async def claim(*, run_id: UUID | None = None, **columns: Any) -> ClaimedRun:
        if run_id is None:
            [automation_id] = await world.automations(team, destination_id)
            run_id = await world.run(team, automation_id, **columns)
        claims = Claims(pool, token_keeper(pool, ring), worker=WORKER, lease_seconds=15)
        [run] = await claims.claim({run_id: None})
        await announced.clear()
        return run

    return claim


def completed(run: ClaimedRun, **more: Any) -> Completion:
    given = {"summary": "one report", "result": {"spend": 12.0}, "messages": [REPORT], **more}
    return Completion(run, RunStatus.COMPLETED, "completed", traceparent=TRACEPARENT, **given)


def retrying(run: ClaimedRun, **more: Any) -> Completion:
    given = {"error_code": "transient:500", "error_message": "try later", **more}
    return Completion(run, RunStatus.RETRYING, "failed", retry_after=timedelta(seconds=30), **given)


async def take_away(world: World, pool: ConnectionPool, run: ClaimedRun) -> None:
    """Let the lease of a run end, and the leader queue it again."""
    await world.sql.execute(
        "UPDATE automation_run SET lease_expires_at = clock_timestamp() - interval '1 s' WHERE id = $1",
        run.id,
    )
    lease, term = await lead(pool)
    assert await Rescue(pool, lease).rescue_batch(term) == 1
    await lease.resign(term)


async def test_a_completed_run_its_delivery_and_its_events_are_recorded_together(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements, destination_id: UUID
) -> None:
    claim = await claimed(trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    assert await completions.write([completed(claim, logs=[{"event": "fetched"}])]) == [True]
    run = await world.row("automation_run", claim.id)
    assert (run["status"], run["worker"], run["lease_expires_at"]) == ("completed", None, None)
    assert (run["result"], run["logs"]) == ({"spend": 12.0}, [{"event": "fetched"}])
    [delivery] = await world.sql.fetch("SELECT * FROM delivery")
    assert (delivery["run_id"], delivery["destination_id"], delivery["status"]) == (
        claim.id,
        destination_id,
        "queued",
    )
    assert delivery["message"]["text"] == REPORT.text
    assert (delivery["trace_id"], delivery["traceparent"]) == (claim.trace_id, TRACEPARENT)
    [requested] = await announced.of(NotificationRequested)
    assert (requested.delivery_id, requested.destination_id) == (delivery["id"], destination_id)
    [event] = await announced.of(RunCompleted)
    assert (event.run_id, event.attempt, event.summary) == (claim.id, 1, "one report")
    assert event.deliveries == (delivery["id"],)
    assert event.completed_at == run["completed_at"]
    assert {record.headers["traceparent"] for record in await announced.records()} == {TRACEPARENT}
    automation = await world.row("automation", claim.automation_id)
    assert (automation["run_count"], automation["error_count"]) == (1, 0)
    [attempt] = await world.sql.fetch("SELECT * FROM run_attempt")
    assert (attempt["outcome"], attempt["ended_at"] is not None) == ("completed", True)


async def test_a_failure_counts_and_a_success_ends_the_streak(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    first = await claimed()
    failed = Completion(first, RunStatus.FAILED, "failed", error_code="perm", error_message="no permission")
    await completions.write([failed])
    automation = await world.row("automation", first.automation_id)
    assert (automation["run_count"], automation["error_count"], automation["failure_streak"]) == (1, 1, 1)
    [event] = await announced.of(RunFailed)
    assert (event.error_code, event.error_message, event.retry_at) == ("perm", "no permission", None)
    run = await world.row("automation_run", first.id)
    assert (run["status"], run["error_code"]) == ("failed", "perm")
    second = await claimed(run_id=await _another(world, first))
    await completions.write([completed(second)])
    automation = await world.row("automation", first.automation_id)
    assert (automation["run_count"], automation["error_count"], automation["failure_streak"]) == (2, 1, 0)


async def _another(world: World, run: ClaimedRun) -> UUID:
    run_id: UUID = await world.sql.fetchval(
        "INSERT INTO automation_run (id, tenant_id, automation_id)"
        " VALUES (gen_random_uuid(), $1, $2) RETURNING id",
        run.tenant_id,
        run.automation_id,
    )
    return run_id


async def test_a_retry_is_delayed_and_announced_with_its_time(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    claim = await claimed()
    await completions.write([retrying(claim)])
    run = await world.row("automation_run", claim.id)
    assert (run["status"], run["worker"], run["completed_at"]) == ("retrying", None, None)
    assert await world.sql.fetchval(
        "SELECT available_at - clock_timestamp() BETWEEN interval '20 s' AND interval '30 s'"
        " FROM automation_run"
    )
    [event] = await announced.of(RunFailed)
    assert event.retry_at == run["available_at"]
    automation = await world.row("automation", claim.automation_id)
    assert (automation["run_count"], automation["error_count"]) == (0, 0), "it has not ended yet"


async def test_a_handed_back_run_does_not_use_an_attempt(
    world: World, claimed: Claimed, completions: Completions
) -> None:
    claim = await claimed(max_attempts=1)
    await completions.write([Completion(claim, RunStatus.RETRYING, HANDED_BACK)])
    run = await world.row("automation_run", claim.id)
    assert (run["status"], run["attempt"], run["uncounted"]) == ("retrying", 1, 1)


async def test_a_run_with_a_cancellation_request_is_not_retried(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    claim = await claimed()
    await world.sql.execute("UPDATE automation_run SET cancel_requested = true")
    await completions.write([retrying(claim)])
    run = await world.row("automation_run", claim.id)
    assert (run["status"], run["completed_at"] is not None) == ("cancelled", True)
    [event] = await announced.all()
    assert isinstance(event, RunCancelled)
    assert "requested" in event.reason


async def test_a_cancelled_run_is_recorded_as_cancelled(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    claim = await claimed()
    cancelled = Completion(claim, RunStatus.CANCELLED, CANCELLED, error_message="cancelled on request")
    await completions.write([cancelled])
    assert (await world.row("automation_run", claim.id))["status"] == "cancelled"
    [event] = await announced.all()
    assert isinstance(event, RunCancelled)
    assert event.reason == "cancelled on request"


async def test_a_superseded_run_names_the_later_slot(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    claim = await claimed()
    await world.sql.execute(
        "UPDATE automation_run SET cancel_requested = true, replaced_by = '2026-03-02T09:00:00Z'"
    )
    cancelled = Completion(claim, RunStatus.CANCELLED, CANCELLED, error_message="cancelled on request")
    await completions.write([cancelled])
    run = await world.row("automation_run", claim.id)
    said = "replaced by the run for 2026-03-02 09:00:00 UTC"
    assert (run["status"], run["error_code"], run["error_message"]) == ("cancelled", "replaced", said)
    [event] = await announced.all()
    assert isinstance(event, RunCancelled)
    assert event.reason == said


async def test_a_late_result_of_a_superseded_attempt_leaves_no_trace(
    world: World,
    pool: ConnectionPool,
    claimed: Claimed,
    completions: Completions,
    announced: Announcements,
) -> None:
    superseded = await claimed()
    await take_away(world, pool, superseded)
    before = await world.row("automation_run", superseded.id)
    await announced.clear()
    assert await completions.write([completed(superseded)]) == [False]
    assert await world.row("automation_run", superseded.id) == before
    assert await announced.all() == []
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 0
    assert (await world.row("automation", superseded.automation_id))["run_count"] == 0
    assert await world.sql.fetchval("SELECT outcome FROM run_attempt") == "lost"


async def test_only_the_current_attempt_of_a_group_is_recorded(
    world: World, pool: ConnectionPool, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    """A worker that was frozen may claim again what it is still running: both results come at once."""
    superseded = await claimed()
    await take_away(world, pool, superseded)
    present = await claimed(run_id=superseded.id)
    assert present.attempt == 2
    late = completed(superseded, summary="late", result={"from": "late"})
    current = completed(present, summary="current", result={"from": "current"})
    before = await world.row("automation_run", present.id)
    assert await completions.write([late]) == [False]
    assert await world.row("automation_run", present.id) == before
    assert await completions.write([late, current]) == [False, True]
    assert (await world.row("automation_run", present.id))["result"] == {"from": "current"}
    [event] = await announced.of(RunCompleted)
    assert (event.attempt, event.summary) == (2, "current")
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 1
    assert await world.sql.fetchval("SELECT outcome FROM run_attempt WHERE number = 1") == "lost"


async def test_another_workers_result_for_the_same_attempt_is_rejected(
    world: World, pool: ConnectionPool, claimed: Claimed
) -> None:
    claim = await claimed()
    assert await Completions(pool, AFTERMATH, worker="executor-2").write([completed(claim)]) == [False]
    assert (await world.row("automation_run", claim.id))["status"] == "running"


async def test_a_result_is_recorded_once(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    claim = await claimed()
    assert await completions.write([completed(claim)]) == [True]
    await announced.clear()
    assert await completions.write([completed(claim)]) == [False], "as after a lost answer to the commit"
    assert await announced.all() == []
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 1


async def test_a_deleted_destination_gets_no_delivery_and_fails_no_run(
    world: World,
    claimed: Claimed,
    completions: Completions,
    announced: Announcements,
    destination_id: UUID,
    team: Team,
) -> None:
    claim = await claimed()
    elsewhere = await world.telegram(team, chat_id=4712)
    await world.sql.execute("UPDATE automation SET destination_id = $1", elsewhere)
    await world.sql.execute("DELETE FROM destination WHERE id = $1", destination_id)
    assert await completions.write([completed(claim)]) == [True]
    assert (await world.row("automation_run", claim.id))["status"] == "completed"
    [event] = await announced.all()
    assert isinstance(event, RunCompleted)
    assert event.deliveries == ()


async def test_each_run_of_a_group_keeps_its_own_log(
    world: World, claimed: Claimed, completions: Completions
) -> None:
    logs = [
        (await claimed(), [{"event": f"line {line} of {number}"} for line in range(number)])
        for number in (0, 2, 1, 3)
    ]
    await completions.write([completed(run, logs=lines) for run, lines in logs])
    for run, lines in logs:
        assert (await world.row("automation_run", run.id))["logs"] == lines


async def test_the_next_attempt_appends_to_the_log(
    world: World, claimed: Claimed, completions: Completions
) -> None:
    first = await claimed()
    await completions.write([retrying(first, logs=[{"event": "first"}])])
    await world.sql.execute("UPDATE automation_run SET status = 'queued'")
    second = await claimed(run_id=first.id)
    await completions.write([completed(second, logs=[{"event": "second"}, {"event": "third"}])])
    logs = (await world.row("automation_run", first.id))["logs"]
    assert [entry["event"] for entry in logs] == ["first", "second", "third"]


async def test_messages_without_a_destination_are_not_delivered(
    world: World, team: Team, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    [automation_id] = await world.automations(team, None)
    claim = await claimed(run_id=await world.run(team, automation_id))
    assert await completions.write([completed(claim)]) == [True]
    assert await announced.of(NotificationRequested) == []


async def test_the_result_of_a_deleted_run_is_dropped(
    world: World, claimed: Claimed, completions: Completions, announced: Announcements
) -> None:
    deleted, kept = await claimed(), await claimed()
    await world.sql.execute("DELETE FROM automation WHERE id = $1", deleted.automation_id)
    assert await completions.write([completed(deleted), completed(kept)]) == [False, True]
    assert [event.run_id for event in await announced.of(RunCompleted)] == [kept.id]


async def test_an_error_while_writing_rolls_everything_back(
    world: World,
    claimed: Claimed,
    completions: Completions,
    announced: Announcements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = await claimed()
    before = await world.row("automation_run", claim.id)

    async def dies(*_args: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("executor.runs.completions.outbox.write", dies)
        with pytest.raises(ConnectionError):
            await completions.write([completed(claim)])
    assert await world.row("automation_run", claim.id) == before
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 0
    assert (await world.row("automation", claim.automation_id))["run_count"] == 0
    assert await announced.all() == []


async def test_a_group_is_one_round_of_statements_however_large(
    world: World, team: Team, destination_id: UUID, database_url: str, ring: KeyRing
) -> None:
    counts = []
    async with counted_pool(database_url) as (pool, statements):
        claims = Claims(pool, token_keeper(pool, ring), worker=WORKER, lease_seconds=15)
        for count in (1, 2, 60):
            automations = await world.automations(team, destination_id, count=count)
            runs = [await world.run(team, automation_id) for automation_id in automations]
            claimed = await claims.claim(dict.fromkeys(runs))
            statements.clear()
            group = [completed(run) for run in claimed]
            assert all(await Completions(pool, AFTERMATH, worker=WORKER).write(group))
            counts.append(len(statements))
    assert counts[1] == counts[2], statements
