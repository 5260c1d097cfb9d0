"""Claims: each run goes to exactly one worker, with what its own team connected and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.events import RunStarted
from common.ids import new_id
from common.models import Lane
from common.secrets.crypto import KeyRing, new_encryption_key
from executor.runs.claims import Claims
from tests.factories import Team, World
from tests.support.executor_harness import ids, token_keeper
from tests.support.outbox import Announcements
from tests.support.statements import counted_pool

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def claims(pool: ConnectionPool, ring: KeyRing) -> Claims:
    return Claims(pool, token_keeper(pool, ring), worker="executor-1", lease_seconds=15)


@pytest.fixture
async def automation_id(world: World, team: Team) -> UUID:
    [only] = await world.automations(team, None)
    return only


async def queued(world: World, team: Team, automation_id: UUID, count: int) -> list[UUID]:
    return [await world.run(team, automation_id) for _ in range(count)]


async def test_a_claim_takes_the_run_counts_the_attempt_and_announces_it(
    world: World, team: Team, automation_id: UUID, claims: Claims, announced: Announcements
) -> None:
    slot = datetime.now(UTC) - timedelta(seconds=2)
    run_id = await world.run(
        team, automation_id, scheduled_for=slot, trace_id="4bf92f3577b34da6a3ce929d0e0e4736"
    )
    [claimed] = await claims.claim({run_id: TRACEPARENT})
    assert (claimed.id, claimed.attempt, claimed.slot) == (run_id, 1, slot)
    assert claimed.traceparent == TRACEPARENT, "the event's context, not the stored one"
    run = await world.row("automation_run", run_id)
    assert (run["status"], run["worker"], run["attempt"]) == ("running", "executor-1", 1)
    assert await world.sql.fetchval(
        "SELECT lease_expires_at - clock_timestamp() BETWEEN interval '10 s' AND interval '15 s'"
        " FROM automation_run"
    )
    [attempt] = await world.sql.fetch("SELECT * FROM run_attempt")
    assert (attempt["run_id"], attempt["number"], attempt["worker"]) == (run_id, 1, "executor-1")
    [event] = await announced.all()
    assert event == RunStarted(
        run_id=run_id,
        automation_id=automation_id,
        tenant_id=team.tenant_id,
        attempt=1,
        trace_id=run["trace_id"],
        scheduled_for=slot,
        started_at=run["started_at"],
        worker="executor-1",
    )


async def test_a_duplicate_of_an_event_claims_nothing(
    world: World, team: Team, automation_id: UUID, claims: Claims, announced: Announcements
) -> None:
    [run_id] = await queued(world, team, automation_id, 1)
    assert ids(await claims.claim({run_id: None})) == [run_id]
    await announced.clear()
    assert await claims.claim({run_id: None}) == []
    assert await announced.all() == []
    assert (await world.row("automation_run", run_id))["attempt"] == 1


@pytest.mark.parametrize("status", ["waiting", "running", "retrying", "completed", "failed", "cancelled"])
async def test_only_a_queued_run_is_claimed(
    world: World, team: Team, automation_id: UUID, claims: Claims, status: str
) -> None:
    run_id = await world.run(team, automation_id, status=status)
    before = await world.row("automation_run", run_id)
    assert await claims.claim({run_id: None, new_id(): None}) == []
    assert await world.row("automation_run", run_id) == before


async def test_an_expired_run_is_not_started(
    world: World, team: Team, automation_id: UUID, claims: Claims
) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    run_id = await world.run(team, automation_id, expires_at=past, available_at=past)
    assert await claims.claim({run_id: None}) == []
    assert await claims.waiting(Lane.NORMAL, waited_seconds=1, without=[], limit=5) == []


async def test_the_sweep_finds_runs_whose_event_was_lost(
    world: World, team: Team, automation_id: UUID, claims: Claims
) -> None:
    now = datetime.now(UTC)
    oldest, older, fresh = [
        await world.run(team, automation_id, available_at=now - timedelta(seconds=age))
        for age in (120, 60, 1)
    ]
    await world.run(team, automation_id, available_at=now - timedelta(seconds=90), lane="low")
    found = await claims.waiting(Lane.NORMAL, waited_seconds=15, without=[], limit=1)
    assert [each.id for each in found] == [oldest]
    found = await claims.waiting(Lane.NORMAL, waited_seconds=15, without=[], limit=5)
    assert [each.id for each in found] == [oldest, older]
    assert fresh in {
        each.id for each in await claims.waiting(Lane.NORMAL, waited_seconds=0, without=[], limit=5)
    }
    assert await claims.waiting(Lane.NORMAL, waited_seconds=0, without=[team.tenant_id], limit=5) == []


async def test_a_run_gets_its_own_teams_accounts_of_its_own_platforms(
    world: World, team: Team, claims: Claims
) -> None:
    other = await world.team("Southwind")
    connection = await world.facebook(team, "token-of-northwind")
    await world.facebook(other, "token-of-southwind")
    inactive = await world.facebook(team, "token-that-expired")
    await world.sql.execute("UPDATE connection SET status = 'reauth_required' WHERE id = $1", inactive)
    ours, theirs, none = [
        (await world.automations(owner, None, platforms=platforms))[0]
        for owner, platforms in ((team, ["facebook"]), (other, ["facebook"]), (team, ["zoom"]))
    ]
    runs = {
        await world.run(owner, automation): automation
        for owner, automation in ((team, ours), (other, theirs), (team, none))
    }
    claimed = await claims.claim(dict.fromkeys(runs))
    tokens = {run.automation_id: [account.credential.seen[0] for account in run.accounts] for run in claimed}
    assert tokens == {ours: ["token-of-northwind"], theirs: ["token-of-southwind"], none: []}
    assert next(run for run in claimed if run.automation_id == ours).accounts[0].connection_id == connection
    assert "token-of" not in repr(claimed), "a claimed run may be logged"


async def test_a_run_knows_the_kind_of_its_destination(world: World, team: Team, claims: Claims) -> None:
    destinations = [await world.telegram(team), await world.webhook(team, "https://example.org/hook"), None]
    automations = [(await world.automations(team, each))[0] for each in destinations]
    runs = [await world.run(team, automation) for automation in automations]
    claimed = {run.id: run.destination_type for run in await claims.claim(dict.fromkeys(runs))}
    assert [claimed[run] for run in runs] == ["telegram", "webhook", None]


async def test_an_unreadable_token_is_left_out_and_stops_no_run(
    world: World, team: Team, pool: ConnectionPool
) -> None:
    await world.facebook(team, "sealed-with-another-key")
    [automation_id] = await world.automations(team, None)
    [run_id] = await queued(world, team, automation_id, 1)
    stranger = KeyRing.parse(new_encryption_key("other"))
    [claimed] = await Claims(pool, token_keeper(pool, stranger), worker="executor-1", lease_seconds=15).claim(
        {run_id: None}
    )
    assert claimed.accounts == []


@pytest.mark.parametrize("platforms", ["null", "7", '"facebook"', '{"facebook": 1}'])
async def test_an_unreadable_list_of_platforms_counts_as_empty(
    world: World, team: Team, claims: Claims, platforms: str
) -> None:
    await world.facebook(team)
    [automation_id] = await world.automations(team, None)
    await world.sql.execute("UPDATE automation SET platforms = $1::text::jsonb", platforms)
    [run_id] = await queued(world, team, automation_id, 1)
    [claimed] = await claims.claim({run_id: None})
    assert (claimed.platforms, claimed.accounts) == ([], [])


async def test_the_number_of_statements_does_not_grow_with_the_batch(
    world: World, team: Team, automation_id: UUID, database_url: str, ring: KeyRing
) -> None:
    await world.facebook(team)
    counts = []
    async with counted_pool(database_url) as (pool, statements):
        claims = Claims(pool, token_keeper(pool, ring), worker="executor-1", lease_seconds=15)
        for count in (1, 2, 50):
            runs = await queued(world, team, automation_id, count)
            statements.clear()
            assert len(await claims.claim(dict.fromkeys(runs))) == count
            counts.append(len(statements))
    assert counts[1] == counts[2], statements


async def test_a_crash_during_a_claim_leaves_the_run_claimable(
    world: World,
    team: Team,
    automation_id: UUID,
    claims: Claims,
    announced: Announcements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [run_id] = await queued(world, team, automation_id, 1)

    async def dies(*_args: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("executor.runs.claims.outbox.write", dies)
        with pytest.raises(ConnectionError):
            await claims.claim({run_id: None})
    assert (await world.row("automation_run", run_id))["status"] == "queued"
    assert await world.sql.fetchval("SELECT count(*) FROM run_attempt") == 0
    assert ids(await claims.claim({run_id: None})) == [run_id]
    assert len(await announced.of(RunStarted)) == 1
