"""What errors do to connections, automations and owners, also when many occur at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.errors import Consequence, PlatformError
from common.events import AutomationChanged, RunFailed, TokenReauthRequired
from common.models import Lane
from common.secrets.crypto import KeyRing
from executor.aftermath.statements import TELL_AGAIN_AFTER_DAYS
from executor.handlers.base import Account, Outcome, RunContext
from platforms.zoom import ZOOM_SERVER
from tests.factories import Team, World
from tests.support.executor_harness import SCRIPTED, Worker, succeed, working
from tests.support.outbox import Announcements

TOKEN = "EAAGm0PX4ZCpsBAKZCk7lONGACCESSTOKEN"

Automate = Callable[..., Awaitable[UUID]]
Act = Callable[[RunContext], Awaitable[Outcome]]


@pytest.fixture
def automate(world: World, team: Team) -> Automate:
    """An automation of scripted runs."""

    async def add(destination: UUID | None = None, *platforms: str, **policy: Any) -> UUID:
        [automation_id] = await world.automations(
            team, destination, kind=SCRIPTED, config={}, platforms=platforms or ("facebook",)
        )
        await world.sql.execute("UPDATE automation SET policy = $2 WHERE id = $1", automation_id, policy)
        return automation_id

    return add


async def finish(world: World, worker: Worker, *runs: UUID) -> list[Any]:
    """Execute the runs; their rows afterwards."""
    await carry_out(worker, *runs)
    return [await world.row("automation_run", run_id) for run_id in runs]


async def carry_out(worker: Worker, *runs: UUID) -> None:
    """Execute the runs, to the end."""
    await worker.take(Lane.NORMAL, dict.fromkeys(runs))
    await worker.execution.drain(10)


def error_of(account: Account, consequence: Consequence, detail: str = "Facebook: no") -> PlatformError:
    return PlatformError(
        detail, consequence, platform="facebook", code="190", connection_id=str(account.connection_id)
    )


def failing(consequence: Consequence, detail: str = "Facebook: no") -> Act:
    """Uses the first account, and fails."""

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        raise error_of(context.accounts[0], consequence, detail)

    return act


def limping(*consequences: Consequence) -> Act:
    """Completes, and says what it met with each account."""

    async def act(context: RunContext) -> Outcome:
        for account in context.accounts:
            await account.credential.current()
        faults = [
            error_of(account, consequence)
            for account, consequence in zip(context.accounts, consequences, strict=False)
        ]
        return Outcome("a part", {}, faults=faults)

    return act


async def told(world: World) -> list[str]:
    """The titles of what owners were told."""
    rows = await world.sql.fetch("SELECT message FROM delivery WHERE run_id IS NULL ORDER BY created_at")
    return [row["message"]["title"] for row in rows]


async def test_many_runs_with_one_dead_token_notify_the_owner_once(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    automate: Automate,
    announced: Announcements,
) -> None:
    chat = await world.telegram(team)
    await world.facebook(team, TOKEN)
    automations = [await automate(chat) for _ in range(20)]
    runs = [await world.run(team, automation_id) for automation_id in automations]
    act = failing(Consequence.REAUTH, f"Facebook: the session of {TOKEN} has expired")
    async with working(pool, ring, act, name="one") as one, working(pool, ring, act, name="two") as two:
        async with asyncio.timeout(30):
            await asyncio.gather(carry_out(one, *runs[::2]), carry_out(two, *runs[1::2]))
    rows = await world.sql.fetch("SELECT status, count(*) AS n FROM automation_run GROUP BY status")
    assert [(row["status"], row["n"]) for row in rows] == [("failed", 20)]
    assert await told(world) == ["Facebook account “Facebook” must be connected again"]
    [event] = await announced.of(TokenReauthRequired)
    assert event.paused_automations == 20
    assert len(await announced.of(AutomationChanged)) == 20
    paused = await world.sql.fetchval("SELECT count(*) FROM automation WHERE status = 'paused'")
    assert paused == 20
    shown = str([dict(row) for row in await world.sql.fetch("SELECT message FROM delivery")])
    shown += str([dict(row) for row in await world.sql.fetch("SELECT status_reason FROM connection")])
    assert TOKEN not in shown + str(await announced.all())


async def test_a_token_replaced_meanwhile_is_not_condemned_and_the_run_is_retried(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    connection_id = await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate())

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        await world.sql.execute("UPDATE connection SET token_version = token_version + 1")
        raise error_of(context.accounts[0], Consequence.REAUTH)

    async with working(pool, ring, act) as worker:
        [run] = await finish(world, worker, run_id)
    connection = await world.row("connection", connection_id)
    assert (connection["status"], connection["status_reason"]) == ("active", None)
    assert run["status"] == "retrying"
    assert run["available_at"] < datetime.now(UTC) + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("columns", "policy"),
    [({"attempt": 2, "max_attempts": 3}, {}), ({}, {"retry": {"never": ["reauth"]}})],
    ids=["the last attempt", "an owner who wants no other"],
)
async def test_a_replaced_token_allows_no_more_than_the_runs_attempts(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    automate: Automate,
    columns: dict[str, Any],
    policy: dict[str, Any],
) -> None:
    await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate(None, **policy), **columns)

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        await world.sql.execute("UPDATE connection SET token_version = token_version + 1")
        raise error_of(context.accounts[0], Consequence.REAUTH)

    async with working(pool, ring, act) as worker:
        [run] = await finish(world, worker, run_id)
    assert run["status"] == "failed"


async def test_a_locked_connection_delays_no_result(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    """The holder of the lock is refreshing or replacing the token, so its result counts."""
    connection_id = await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate())
    async with working(pool, ring, failing(Consequence.REAUTH)) as worker:
        async with world.sql.transaction():
            await world.sql.execute("SELECT FROM connection FOR NO KEY UPDATE")
            async with asyncio.timeout(5):
                await worker.take(Lane.NORMAL, {run_id: None})
                await worker.execution.drain(4)
        assert (await world.row("automation_run", run_id))["status"] == "failed"
        assert (await world.row("connection", connection_id))["status"] == "active"


async def test_automations_with_another_live_account_are_not_paused(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    chat, other_chat = await world.telegram(team), await world.telegram(team, chat_id=2)
    dead, living = [await world.facebook(team, TOKEN + str(number)) for number in (1, 2)]
    automations = [await automate(chat), await automate(chat), await automate(other_chat)]
    run_id = await world.run(team, automations[0])
    async with working(pool, ring, failing(Consequence.REAUTH)) as worker:
        await finish(world, worker, run_id)
    assert [(await world.row("connection", each))["status"] for each in (dead, living)] == [
        "reauth_required",
        "active",
    ]
    statuses = {(await world.row("automation", each))["status"] for each in automations}
    assert statuses == {"active"}
    rows = await world.sql.fetch("SELECT destination_id, message FROM delivery")
    assert sorted(row["destination_id"] for row in rows) == sorted([chat, other_chat]), "each place once"
    assert "No automation is paused" in rows[0]["message"]["text"]


async def test_two_accounts_that_die_at_once_pause_all_their_automations(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    automate: Automate,
    announced: Announcements,
) -> None:
    await world.facebook(team, TOKEN + "1")
    await world.facebook(team, TOKEN + "2")
    automations = [await automate() for _ in range(6)]
    runs = [await world.run(team, automation_id) for automation_id in automations]
    both = asyncio.Barrier(2)

    def dying(index: int) -> Act:
        async def act(context: RunContext) -> Outcome:
            await context.accounts[index].credential.current()
            async with asyncio.timeout(10):
                if context.run_id in (runs[0], runs[1]):
                    await both.wait()
            raise error_of(context.accounts[index], Consequence.REAUTH)

        return act

    async with (
        working(pool, ring, dying(0), name="one") as one,
        working(pool, ring, dying(1), name="two") as two,
    ):
        await asyncio.gather(carry_out(one, runs[0]), carry_out(two, runs[1]))
    statuses = await world.sql.fetch("SELECT DISTINCT status FROM automation")
    assert [row["status"] for row in statuses] == ["paused"]
    assert sorted(event.paused_automations for event in await announced.of(TokenReauthRequired)) == [0, 6]


async def test_only_automations_of_the_platform_are_paused_and_keep_their_next_slot(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    stranger = await world.team("Southwind")
    connection_id = await world.facebook(team, TOKEN)
    used, both, unused = [
        await automate(None, *platforms) for platforms in (("facebook",), ("zoom", "facebook"), ("zoom",))
    ]
    stopped = await automate()
    await world.sql.execute("UPDATE automation SET status = 'stopped' WHERE id = $1", stopped)
    [foreign] = await world.automations(stranger, None)
    run_id = await world.run(team, used)
    async with working(pool, ring, failing(Consequence.REAUTH)) as worker:
        await finish(world, worker, run_id)
    rows = {each: await world.row("automation", each) for each in (used, both, unused, stopped, foreign)}
    assert [row["status"] for row in rows.values()] == ["paused", "paused", "active", "stopped", "active"]
    assert rows[used]["paused_for_connection_id"] == connection_id
    assert rows[used]["next_run"] is not None
    assert "must be connected again" in rows[used]["status_reason"]


async def test_a_dead_account_among_others_does_not_fail_the_run_and_is_notified(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    chat = await world.telegram(team)
    dead, living = [await world.facebook(team, TOKEN + str(number)) for number in (1, 2)]
    run_id = await world.run(team, await automate(chat))
    async with working(pool, ring, limping(Consequence.REAUTH)) as worker:
        [run] = await finish(world, worker, run_id)
    assert run["status"] == "completed"
    assert (await world.row("connection", dead))["status"] == "reauth_required"
    assert (await world.row("connection", living))["status"] == "active"
    assert await told(world) == ["Facebook account “Facebook” must be connected again"]


async def test_a_partly_missing_permission_is_notified_once_and_stops_nothing(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    chat = await world.telegram(team)
    connection_id = await world.facebook(team, TOKEN)
    automation_id = await automate(chat)
    async with working(pool, ring, limping(Consequence.PERM)) as worker:
        for _ in range(3):
            [run] = await finish(world, worker, await world.run(team, automation_id))
            assert run["status"] == "completed"
    assert (await world.row("automation", automation_id))["status"] == "active"
    assert (await world.row("connection", connection_id))[
        "problem"
    ] == "a permission is missing: Facebook: no"
    assert await told(world) == ["Facebook account “Facebook” lacks a permission"]


async def test_success_clears_a_problem_and_its_return_is_not_notified_each_time(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    chat = await world.telegram(team)
    connection_id = await world.facebook(team, TOKEN)
    limps, works, idle = await automate(chat), await automate(chat), await automate(chat)

    async def act(context: RunContext) -> Outcome:
        if context.automation_id == idle:
            return await succeed(context)
        if context.automation_id == limps:
            return await limping(Consequence.PERM)(context)
        return await limping()(context)

    async def problem_after(automation_id: UUID) -> str | None:
        await finish(world, worker, await world.run(team, automation_id))
        found: str | None = (await world.row("connection", connection_id))["problem"]
        return found

    async with working(pool, ring, act) as worker:
        assert await problem_after(limps) is not None
        assert await problem_after(idle) is not None, "it did not use the account"
        assert await problem_after(works) is None
        assert await problem_after(limps) is not None
        assert len(await told(world)) == 1
        assert await problem_after(works) is None
        await world.sql.execute(
            "UPDATE delivery SET created_at = created_at - $1::interval",
            timedelta(days=TELL_AGAIN_AFTER_DAYS, seconds=1),
        )
        await problem_after(limps)
        assert len(await told(world)) == 2


async def test_a_missing_permission_stops_each_automation_with_a_notice_for_each(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    automate: Automate,
    announced: Announcements,
) -> None:
    chat = await world.telegram(team)
    await world.facebook(team, TOKEN)
    first, second, third = [await automate(chat) for _ in range(3)]
    runs = [await world.run(team, each) for each in (first, first, second)]
    async with working(pool, ring, failing(Consequence.PERM, "Facebook: (#200) needs ads_read")) as worker:
        await finish(world, worker, *runs)
    rows = [await world.row("automation", each) for each in (first, second, third)]
    assert [row["status"] for row in rows] == ["error", "error", "active"]
    assert rows[0]["status_reason"] == "stopped: a permission is missing: Facebook: (#200) needs ads_read"
    assert sorted(await told(world)) == [f"{row['name']} has been stopped" for row in rows[:2]]
    assert sorted(event.automation_id for event in await announced.of(AutomationChanged)) == sorted(
        [first, second]
    )


async def test_a_dry_run_has_no_aftermath(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    chat = await world.telegram(team)
    connection_id = await world.facebook(team, TOKEN)
    automation_id = await automate(chat)
    runs = [await world.run(team, automation_id, trigger="dry_run") for _ in range(2)]
    for run_id, consequence in zip(runs, (Consequence.REAUTH, Consequence.PERM), strict=True):
        async with working(pool, ring, failing(consequence)) as worker:
            [run] = await finish(world, worker, run_id)
        assert run["status"] == "failed"
    row = await world.row("connection", connection_id)
    assert (row["status"], row["problem"]) == ("active", None)
    assert (await world.row("automation", automation_id))["status"] == "active"
    assert await told(world) == []


@pytest.mark.parametrize("named", [None, "not an id", "01900000-0000-7000-8000-000000000000"])
async def test_an_error_that_names_no_account_of_the_run_ends_only_the_run(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate, named: str | None
) -> None:
    connection_id = await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate())

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        raise PlatformError("not connected", Consequence.REAUTH, platform="facebook", connection_id=named)

    async with working(pool, ring, act) as worker:
        [run] = await finish(world, worker, run_id)
    assert run["status"] == "failed"
    assert (await world.row("connection", connection_id))["status"] == "active"


async def test_an_account_of_another_team_cannot_be_condemned(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    foreign = await world.facebook(await world.team("Southwind"), "another")
    await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate())

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        raise PlatformError("no", Consequence.REAUTH, platform="facebook", connection_id=str(foreign))

    async with working(pool, ring, act) as worker:
        await finish(world, worker, run_id)
    assert (await world.row("connection", foreign))["status"] == "active"


async def test_a_late_result_condemns_no_connection(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    connection_id = await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate())

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        await world.sql.execute("UPDATE automation_run SET worker = 'another', attempt = attempt + 1")
        raise error_of(context.accounts[0], Consequence.REAUTH)

    async with working(pool, ring, act) as worker:
        await finish(world, worker, run_id)
    assert (await world.row("connection", connection_id))["status"] == "active"


async def test_unstorable_text_does_not_lose_the_aftermath(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    connection_id = await world.facebook(team, TOKEN)
    run_id = await world.run(team, await automate())
    async with working(pool, ring, limping(Consequence.REAUTH)) as worker:
        await finish(world, worker, run_id)
    assert (await world.row("connection", connection_id))["status"] == "reauth_required"
    other = await world.facebook(team, TOKEN + "2")
    again = await automate()

    async def act(context: RunContext) -> Outcome:
        await context.accounts[0].credential.current()
        fault = error_of(context.accounts[0], Consequence.REAUTH, "nul \x00 and lone \ud83d")
        return Outcome("a part", {}, faults=[fault])

    async with working(pool, ring, act) as worker:
        [run] = await finish(world, worker, await world.run(team, again))
    assert run["status"] == "completed"
    assert (await world.row("connection", other))["status"] == "reauth_required"


class TestLimits:
    async def attempt(
        self, world: World, pool: ConnectionPool, ring: KeyRing, run_id: UUID, wait: float = 900
    ) -> tuple[Any, bool]:
        """The run after an attempt that met a limit, and whether it was told that it is the last one."""
        last: list[bool] = []

        async def act(context: RunContext) -> Outcome:
            last.append(context.last_attempt)
            raise PlatformError("slow down", Consequence.RATE, platform="facebook", retry_after=wait)

        async with working(pool, ring, act) as worker:
            [run] = await finish(world, worker, run_id)
        return run, last[0]

    async def test_a_rate_limit_delays_a_run_without_using_attempts(
        self,
        world: World,
        team: Team,
        pool: ConnectionPool,
        ring: KeyRing,
        automate: Automate,
        announced: Announcements,
    ) -> None:
        run_id = await world.run(team, await automate(), max_attempts=1)
        for number in range(1, 4):
            run, last = await self.attempt(world, pool, ring, run_id)
            assert (run["status"], run["attempt"], run["uncounted"]) == ("retrying", number, number)
            assert run["available_at"] > datetime.now(UTC) + timedelta(seconds=880)
            assert last, "as far as it is given attempts, this is the only one"
            await world.sql.execute("UPDATE automation_run SET status = 'queued'")
        outcomes = await world.sql.fetch("SELECT outcome FROM run_attempt")
        assert [row["outcome"] for row in outcomes] == ["delayed"] * 3
        assert all(event.retry_at is not None for event in await announced.of(RunFailed))

    async def test_a_rate_limit_delays_a_run_by_a_day_at_most(
        self, world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
    ) -> None:
        began = datetime.now(UTC) - timedelta(hours=23)
        run_id = await world.run(team, await automate(), started_at=began)
        run, last = await self.attempt(world, pool, ring, run_id, wait=10 * 3_600)
        assert run["available_at"] == pytest.approx(began + timedelta(hours=24), abs=timedelta(seconds=2))
        assert not last
        await world.sql.execute(
            "UPDATE automation_run SET status = 'queued', started_at = $1", began - timedelta(hours=1)
        )
        run, last = await self.attempt(world, pool, ring, run_id)
        assert run["status"] == "failed"
        assert last, "it could still make the best of it"

    async def test_a_rate_limit_does_not_delay_a_run_beyond_its_expiry(
        self, world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
    ) -> None:
        expires = datetime.now(UTC) + timedelta(minutes=5)
        run_id = await world.run(team, await automate(), expires_at=expires)
        run, _ = await self.attempt(world, pool, ring, run_id)
        assert run["status"] == "retrying"
        assert run["available_at"] < expires - timedelta(seconds=55)

    async def test_a_policy_can_exclude_rate_limits_from_retry(
        self, world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
    ) -> None:
        run_id = await world.run(team, await automate(None, retry={"never": ["rate"]}))
        run, _ = await self.attempt(world, pool, ring, run_id)
        assert run["status"] == "failed"


async def test_credentials_without_a_token_are_claimed(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, automate: Automate
) -> None:
    await world.connection(team, ZOOM_SERVER, credentials='{"client_id": "c"}')
    run_id = await world.run(team, await automate(None, "zoom"))
    async with working(pool, ring) as worker:
        [claimed] = await worker.claims.claim({run_id: None})
    assert [account.kind for account in claimed.accounts] == ["zoom_server"]
