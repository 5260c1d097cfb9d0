"""Execution: what becomes of a run, whatever its handler does and whatever happens to the executor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog

from common.database.pool import ConnectionPool
from common.errors import Consequence, PlatformError
from common.events import NotificationRequested, RunCompleted, RunFailed, RunStarted
from common.models import Lane
from common.secrets.crypto import KeyRing
from executor.handlers.base import Outcome, RunContext
from scheduler.admission import Admission
from tests.factories import Team, World
from tests.support.executor_harness import REPORT, SCRIPTED, Gate, Worker, succeed, working
from tests.support.leaders import lead
from tests.support.outbox import Announcements
from tests.support.polling import eventually

TOKEN = "EAAGm0PX4ZCpsBAKZCk7lONGACCESSTOKEN"

Queue = Callable[..., Awaitable[UUID]]


@pytest.fixture
def queue(world: World, team: Team) -> Queue:
    """Queues a run of a scripted automation of its own, with a destination."""
    destinations: list[UUID] = []

    async def add(
        *, config: Any = None, kind: str = SCRIPTED, policy: dict[str, Any] | None = None, **columns: Any
    ) -> UUID:
        if not destinations:
            destinations.append(await world.telegram(team))
        [automation_id] = await world.automations(
            team, destinations[0], kind=kind, config={} if config is None else config
        )
        if policy is not None:
            await world.sql.execute("UPDATE automation SET policy = $2 WHERE id = $1", automation_id, policy)
        return await world.run(team, automation_id, **columns)

    return add


async def take(worker: Worker, *runs: UUID, lane: Lane = Lane.NORMAL) -> None:
    await worker.take(lane, dict.fromkeys(runs))


async def ended(world: World, *runs: UUID) -> list[asyncpg.Record]:
    """The rows of these runs once no worker holds any of them."""

    async def all_ended() -> list[asyncpg.Record]:
        rows = await world.sql.fetch(
            "SELECT * FROM automation_run WHERE id = ANY($1::uuid[]) AND status NOT IN ('queued', 'running')",
            runs,
        )
        return rows if len(rows) == len(runs) else []

    rows = await eventually(all_ended)
    return sorted(rows, key=lambda row: runs.index(row["id"]))


def raising(error: BaseException) -> Callable[[RunContext], Awaitable[Outcome]]:
    async def act(_context: RunContext) -> Outcome:
        raise error

    return act


def platform_error(consequence: Consequence, **more: Any) -> PlatformError:
    return PlatformError("Facebook said no", consequence, platform="facebook", code="190", **more)


async def test_a_run_is_executed_and_its_report_goes_to_the_notifier(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue, announced: Announcements
) -> None:
    run_id = await queue()
    async with working(pool, ring) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["attempt"]) == ("completed", 1)
    assert run["result"] == {"spend": 12.0, "summary": "one report"}
    assert [type(event) for event in await announced.all()] == [
        RunStarted,
        NotificationRequested,
        RunCompleted,
    ]
    assert worker.execution.used == 0


async def test_a_handler_knows_what_its_messages_go_to(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    seen: list[str | None] = []

    async def act(context: RunContext) -> Outcome:
        seen.append(context.destination_type)
        return Outcome("done", {})

    run_id = await queue()
    async with working(pool, ring, act) as worker:
        await take(worker, run_id)
        await ended(world, run_id)
    assert seen == ["telegram"]


async def test_a_permanent_error_ends_the_run(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue, announced: Announcements
) -> None:
    run_id = await queue()
    async with working(pool, ring, raising(platform_error(Consequence.PERM))) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["error_code"], run["error_message"]) == (
        "failed",
        "perm:190",
        "Facebook said no",
    )
    [event] = await announced.of(RunFailed)
    assert event.retry_at is None


@pytest.mark.parametrize(
    ("attempt", "least", "most"), [(0, 2.5, 5), (1, 5, 10), (2, 10, 20)], ids=["first", "second", "third"]
)
async def test_a_transient_error_is_retried_with_backoff(
    world: World,
    pool: ConnectionPool,
    ring: KeyRing,
    queue: Queue,
    attempt: int,
    least: float,
    most: float,
) -> None:
    run_id = await queue(attempt=attempt)
    async with working(pool, ring, raising(platform_error(Consequence.TRANSIENT))) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["attempt"]) == ("retrying", attempt + 1)
    [ended_at] = await world.sql.fetch("SELECT ended_at FROM run_attempt")
    wait = (run["available_at"] - ended_at["ended_at"]).total_seconds()
    assert least - 0.5 < wait <= most


async def test_a_vendors_retry_after_is_followed(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue()
    limited = raising(platform_error(Consequence.RATE, retry_after=900))
    async with working(pool, ring, limited) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert run["available_at"] > datetime.now(UTC) + timedelta(seconds=880)


async def test_the_last_attempt_ends_the_run(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue(attempt=2, max_attempts=3)
    async with working(pool, ring, raising(platform_error(Consequence.TRANSIENT))) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["attempt"]) == ("failed", 3)


async def test_a_policy_can_exclude_error_classes_from_retry(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue(policy={"retry": {"never": ["transient"]}})
    async with working(pool, ring, raising(platform_error(Consequence.TRANSIENT))) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert run["status"] == "failed"


async def test_a_run_over_its_timeout_is_stopped(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue()
    stopped = asyncio.Event()

    async def endless(_context: RunContext) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError("waited for nothing and it came")

    async with working(pool, ring, endless, run_timeout=0.1) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert stopped.is_set()
    assert (run["status"], run["error_code"]) == ("retrying", "run_timeout")
    assert "0.1 s" in run["error_message"]


async def test_a_handlers_own_timeout_error_is_not_the_runs_timeout(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue()
    async with working(pool, ring, raising(TimeoutError())) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert run["error_code"] == "internal_error"


async def test_a_cancelled_run_is_stopped_at_the_next_heartbeat(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id, other = await queue(), await queue()
    gate = Gate()
    async with working(pool, ring, gate.act, lease_seconds=0.4) as worker:
        await take(worker, run_id, other)
        await eventually(lambda: gate.begun == 2)
        await world.sql.execute("UPDATE automation_run SET cancel_requested = true WHERE id = $1", run_id)
        [run] = await ended(world, run_id)
        assert run["status"] == "cancelled"
        gate.open()
        [kept] = await ended(world, other)
    assert kept["status"] == "completed"


async def test_an_unexpected_error_shows_its_type_and_hides_its_text(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, queue: Queue, announced: Announcements
) -> None:
    await world.facebook(team, TOKEN)
    run_id = await queue()

    async def leaks(context: RunContext) -> Outcome:
        token = await context.accounts[0].credential.current()
        context.log.warning(f"asking with {token}", token_used=token)
        raise KeyError(f"no field 'spend' in the answer to {token}")

    with structlog.testing.capture_logs() as logs:
        async with working(pool, ring, leaks) as worker:
            await take(worker, run_id)
            [run] = await ended(world, run_id)
    assert (run["status"], run["error_code"]) == ("retrying", "internal_error")
    assert "KeyError" in run["error_message"]
    shown = [str(dict(run)), str(logs), str(await announced.records())]
    shown += [str(row) for row in await world.sql.fetch("SELECT * FROM run_attempt")]
    assert not [text for text in shown if TOKEN in text]
    assert any("KeyError" in str(entry.get("exception", "")) for entry in logs), "an operator can find it"


async def test_a_token_echoed_in_a_vendors_error_is_redacted(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    await world.facebook(team, TOKEN)
    run_id = await queue()
    error = PlatformError(f"Malformed access token {TOKEN}", Consequence.REAUTH, platform="facebook")
    async with working(pool, ring, raising(error)) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert run["error_message"] == "Malformed access token [hidden]"
    assert TOKEN not in str(run["logs"])


@pytest.mark.parametrize(
    ("config", "said"), [({"days": "many"}, "days"), ({"weeks": 1}, "weeks"), ([], "automation_config")]
)
async def test_an_invalid_configuration_is_reported_by_field(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue, config: Any, said: str
) -> None:
    run_id = await queue(config=config or {})
    if config == []:
        await world.sql.execute("UPDATE automation SET automation_config = '[]'")
    async with working(pool, ring) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["error_code"]) == ("failed", "invalid_configuration")
    assert said in run["error_message"]
    assert worker.handler.attempts == []


async def test_an_unknown_automation_type_fails_the_run_by_name(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue(kind="teleport")
    async with working(pool, ring) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["error_code"]) == ("failed", "unknown_type")
    assert "'teleport'" in run["error_message"]


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Outcome("fine", {"text": "nul \x00"}),
        Outcome("lone \ud83d", {}),
        Outcome("fine", {"figure": float("nan")}),
        Outcome("fine", {"object": object()}),
        Outcome("fine", {}, [REPORT.model_copy(update={"text": "nul \x00"})]),
        Outcome("fine", {}, [REPORT] * 2_000),
    ],
    ids=["nothing", "nul", "surrogate", "nan", "object", "nul in a message", "too many messages"],
)
async def test_an_unstorable_result_fails_only_its_own_run(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue, outcome: Any
) -> None:
    poison, *sound = [await queue() for _ in range(4)]

    async def act(context: RunContext) -> Outcome:
        if context.run_id == poison:
            unstorable: Outcome = outcome
            return unstorable
        return await succeed(context)

    async with working(pool, ring, act) as worker:
        await take(worker, poison, *sound)
        [bad, *good] = await ended(world, poison, *sound)
        assert [run["status"] for run in good] == ["completed"] * 3
        assert bad["status"] in ("failed", "retrying")
        assert bad["error_code"] in ("unstorable", "internal_error")
        later = await queue()
        await take(worker, later)
        [run] = await ended(world, later)
        assert run["status"] == "completed", "the executor goes on"
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 4


async def test_an_unstorable_error_text_does_not_lose_its_consequences(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue()
    error = PlatformError("nul \x00", Consequence.TRANSIENT, platform="facebook")
    async with working(pool, ring, raising(error)) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert (run["status"], run["error_code"]) == ("retrying", "unstorable")


async def test_a_lane_uses_no_more_than_its_share(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    backfills = [await queue(lane="low") for _ in range(6)]
    clicked = await queue(lane="high")
    gate = Gate()
    async with working(pool, ring, gate.act, concurrency=4) as worker:
        await take(worker, *backfills, lane=Lane.LOW)
        await eventually(lambda: gate.begun == 2)
        assert worker.execution.shares[-1].free == 0
        async with asyncio.timeout(5):
            await take(worker, clicked, lane=Lane.HIGH)
        await eventually(lambda: gate.begun == 3)
        gate.open()
        await ended(world, clicked, *backfills)
    assert worker.execution.used == 0


async def test_an_event_on_the_wrong_lane_returns_its_place_to_that_lane(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue(lane="high")
    async with working(pool, ring) as worker:
        await take(worker, run_id, lane=Lane.LOW)
        await ended(world, run_id)
        await worker.execution.drain(5)
    assert worker.execution.used == 0


async def test_stopping_hands_back_unfinished_runs_without_using_an_attempt(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, queue: Queue
) -> None:
    run_id = await queue(max_attempts=1)
    gate = Gate()
    async with working(pool, ring, gate.act) as worker:
        await take(worker, run_id)
        await eventually(lambda: gate.begun)
        worker.execution.close()
        await worker.execution.drain(0.1)
        [run] = await ended(world, run_id)
    assert (run["status"], run["error_code"]) == ("retrying", "handed_back")
    lease, term = await lead(pool)
    assert await Admission(pool, lease, tenant_window=100).admit_batch(term) == 1, "it is due at once"
    async with working(pool, ring, name="executor-2") as successor:
        await take(successor, run_id)
        [run] = await ended(world, run_id)
    assert run["status"] == "completed", "although it had one attempt only"


async def test_a_result_survives_a_lost_database_session(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue, announced: Announcements
) -> None:
    runs = [await queue() for _ in range(3)]
    gate = Gate()
    async with working(pool, ring, gate.act) as worker:
        await take(worker, *runs)
        await eventually(lambda: gate.begun == 3)
        async with world.sql.transaction():
            await world.sql.execute("SELECT FROM automation_run FOR UPDATE")
            gate.open()
            # The results are on their way and wait for the rows: now every connection of the pool breaks.
            await eventually(lambda: _waits_for_a_lock(world))
            assert await world.sql.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'service-under-test' AND datname = current_database()"
            )
        rows = await ended(world, *runs)
    assert [row["status"] for row in rows] == ["completed"] * 3
    assert sorted(worker.handler.attempts) == sorted((run_id, 1) for run_id in runs)
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 3
    assert len(await announced.of(RunCompleted)) == 3


async def test_a_dry_run_shows_what_it_would_deliver_and_delivers_nothing(
    world: World, pool: ConnectionPool, ring: KeyRing, queue: Queue, announced: Announcements
) -> None:
    run_id = await queue(trigger="dry_run")
    async with working(pool, ring) as worker:
        await take(worker, run_id)
        [run] = await ended(world, run_id)
    assert run["result"]["would_deliver"][0]["text"] == REPORT.text
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 0
    assert await announced.of(NotificationRequested) == []
    assert (await world.row("automation", run["automation_id"]))["run_count"] == 0


async def _waits_for_a_lock(world: World) -> bool:
    waiting: bool = await world.sql.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    return waiting


async def test_a_handlers_state_is_kept_only_by_completed_runs(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing
) -> None:
    [automation] = await world.automations(team, None, kind=SCRIPTED, config={})
    seen: list[dict[str, Any]] = []

    async def act(context: RunContext) -> Outcome:
        seen.append(dict(context.state))
        if context.dry_run:
            return Outcome("dry", {}, state={"told": 99})
        return Outcome("done", {}, state={"told": len(seen)})

    async with working(pool, ring, act) as worker:
        for trigger in ("schedule", "dry_run", "manual"):
            run = await world.run(team, automation, trigger=trigger)
            await worker.take(Lane.NORMAL, {run: None})
            await ended(world, run)
    assert seen == [{}, {"told": 1}, {"told": 1}]
    assert await world.sql.fetchval("SELECT state FROM automation_state") == {"told": 3}
