"""Refreshing tokens: once for all callers, stored before use, with lost responses recorded as such."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from common.database.pool import ConnectionPool, create_pool
from common.errors import Consequence, PlatformError
from common.events import AutomationChanged, NotificationRequested, TokenReauthRequired, TokenRefreshed
from common.ids import new_id
from common.models import Lane
from common.secrets.crypto import KeyRing
from common.work.leases import RUNS
from common.work.stopping import blame, in_hand
from executor.handlers.base import Outcome, RunContext
from executor.tokens import refresher
from executor.tokens.credential import KeptCredential
from executor.tokens.decisions import ADOPT_AFTER, Token
from executor.tokens.keeper import TokenKeeper
from executor.tokens.vault import RENEWALS, Vault
from platforms.calls.renewal import with_renewal
from platforms.oauth.base import Stored, TokenSet
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support.executor_harness import PUBLIC_URL, SCRIPTED, token_keeper, working
from tests.support.fake_grants import LIFE, ScriptedGrant, ScriptedServer, answer_lost, refusal
from tests.support.outbox import Announcements
from tests.support.polling import eventually

Connect = Callable[..., Awaitable[UUID]]


@pytest.fixture
def grant() -> ScriptedGrant:
    return ScriptedGrant()


@pytest.fixture
def keeper(pool: ConnectionPool, ring: KeyRing, grant: ScriptedGrant) -> TokenKeeper:
    return token_keeper(pool, ring, {grant.kind: grant})


@pytest.fixture
def connect(world: World, team: Team, grant: ScriptedGrant) -> Connect:
    """Connects an account whose token, `access-1`, ends within a minute."""

    async def add(*, ends_in: float = 60, **columns: Any) -> UUID:
        now = datetime.now(UTC)
        given = {
            "refresh_token": "refresh-1",
            "expires_at": now + timedelta(seconds=ends_in),
            "refreshed_at": now - LIFE,
            **columns,
        }
        return await world.connection(team, grant.kind, "access-1", **given)

    return add


def credential(keeper: TokenKeeper, connection_id: UUID, ends_in: float = 60) -> KeptCredential:
    """What a run that was claimed a moment ago holds."""
    now = datetime.now(UTC)
    token = Token("access-1", 1, now + timedelta(seconds=ends_in), now - LIFE)
    return KeptCredential(keeper, connection_id, ZOOM_USER, token)


def opened(ring: KeyRing, row: asyncpg.Record, column: str) -> str:
    return ring.open(row[f"{column}_sealed"], tenant_id=row["tenant_id"], row_id=row["id"], column=column)


async def renewals(world: World) -> list[tuple[str | None, str | None]]:
    rows = await world.sql.fetch("SELECT outcome, error_code FROM token_refresh ORDER BY started_at")
    return [(row["outcome"], row["error_code"]) for row in rows]


async def test_an_expiring_token_is_refreshed_and_stored_with_its_refresh_token(
    world: World, connect: Connect, keeper: TokenKeeper, ring: KeyRing, announced: Announcements
) -> None:
    connection_id = await connect()
    held = credential(keeper, connection_id)
    assert await held.current() == "access-2"
    row = await world.row("connection", connection_id)
    assert (opened(ring, row, "token"), opened(ring, row, "refresh_token")) == ("access-2", "refresh-2")
    assert (row["token_version"], row["scopes"]) == (2, ["recording:read"])
    assert row["expires_at"] > datetime.now(UTC) + timedelta(minutes=59)
    assert row["refresh_at"] == row["expires_at"] - timedelta(minutes=5)
    assert row["refreshed_at"] is not None
    assert await renewals(world) == [("refreshed", None)]
    [event] = await announced.all()
    assert event == TokenRefreshed(
        connection_id=connection_id,
        tenant_id=row["tenant_id"],
        platform="zoom",
        kind="zoom_user",
        version=2,
        expires_at=row["expires_at"],
    )
    assert list(held.seen) == ["access-1", "access-2"], "neither may be shown"


async def test_fifty_uses_of_one_expiring_token_at_once_make_one_request(
    world: World,
    connect: Connect,
    database_url: str,
    ring: KeyRing,
    grant: ScriptedGrant,
    announced: Announcements,
) -> None:
    connection_id = await connect()
    pools = [await create_pool(database_url, application_name="executor", size=4) for _ in range(2)]
    try:
        keepers = [token_keeper(pool, ring, {grant.kind: grant}) for pool in pools]
        users = [credential(keepers[number % 2], connection_id) for number in range(50)]
        async with asyncio.timeout(20):
            tokens = await asyncio.gather(*(user.current() for user in users))
            again = await asyncio.gather(*(user.renewed("access-1") for user in users))
    finally:
        for pool in pools:
            pool.terminate()
    assert set(tokens) == set(again) == {"access-2"}
    assert len(grant.sent) == 1
    assert len(await announced.of(TokenRefreshed)) == 1
    assert (await world.row("connection", connection_id))["token_version"] == 2


@pytest.mark.parametrize("ends_in", [60, 3_000], ids=["about to end", "ended early, by the platform"])
async def test_fifty_runs_with_one_token_that_dies_all_complete(
    world: World,
    team: Team,
    connect: Connect,
    pool: ConnectionPool,
    ring: KeyRing,
    grant: ScriptedGrant,
    ends_in: float,
) -> None:
    await connect(ends_in=ends_in)
    automations = await world.automations(team, None, 50, kind=SCRIPTED, config={}, platforms=("zoom",))
    runs = [await world.run(team, automation_id) for automation_id in automations]

    async def call(token: str) -> str:
        if token == "access-1":
            raise refusal(Consequence.REFRESH, "124")
        return token

    async def act(context: RunContext) -> Outcome:
        return Outcome(await with_renewal(context.accounts[0].credential, call), {})

    known = {grant.kind: grant}
    one = working(pool, ring, act, name="executor-1", grants=known)
    other = working(pool, ring, act, name="executor-2", grants=known)
    async with one as first, other as second:
        await first.take(Lane.NORMAL, dict.fromkeys(runs[::2]))
        await second.take(Lane.NORMAL, dict.fromkeys(runs[1::2]))
        await asyncio.gather(first.execution.drain(20), second.execution.drain(20))
    rows = await world.sql.fetch("SELECT status, result ->> 'summary' AS used FROM automation_run")
    assert {(row["status"], row["used"]) for row in rows} == {("completed", "access-2")}
    assert len(grant.sent) == 1
    assert (await world.row("automation_run", runs[0]))["attempt"] == 1


async def test_a_rejected_token_is_refreshed_once_for_all_callers(
    connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect(ends_in=3_000)
    users = [credential(keeper, connection_id, 3_000) for _ in range(50)]
    assert {await user.current() for user in users} == {"access-1"}
    assert grant.sent == []
    tokens = await asyncio.gather(*(user.renewed("access-1") for user in users))
    assert set(tokens) == {"access-2"}
    assert len(grant.sent) == 1
    assert users[0].blamed == 2, "the one it was given instead"


async def test_the_new_token_is_not_used_before_it_is_stored(
    world: World, connect: Connect, keeper: TokenKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection_id = await connect()
    at_the_store, go_on = asyncio.Event(), asyncio.Event()
    end = Vault.end

    async def slow_end(*args: Any) -> None:
        await end(*args)
        at_the_store.set()
        await go_on.wait()

    monkeypatch.setattr(Vault, "end", slow_end)
    asking = asyncio.create_task(credential(keeper, connection_id).current())
    await at_the_store.wait()
    assert not asking.done()
    assert keeper.known(connection_id) is None
    assert (await world.row("connection", connection_id))["token_version"] == 1
    go_on.set()
    assert await asking == "access-2"
    assert (await world.row("connection", connection_id))["token_version"] == 2


async def test_a_cancelled_caller_does_not_cancel_the_refresh(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()
    answering = asyncio.Event()

    async def slow(stored: Stored, _number: int) -> TokenSet:
        await answering.wait()
        return grant.grant(stored, datetime.now(UTC))

    grant.script = slow
    cancelled, patient = [asyncio.create_task(credential(keeper, connection_id).current()) for _ in range(2)]
    await eventually(lambda: grant.sent)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    answering.set()
    assert await patient == "access-2"
    assert await renewals(world) == [("refreshed", None)]


async def test_the_intent_is_committed_before_the_request_is_sent(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()
    seen: list[Any] = []

    async def look(stored: Stored, _number: int) -> TokenSet:
        seen.extend(await renewals(world))
        return grant.grant(stored, datetime.now(UTC))

    grant.script = look
    await credential(keeper, connection_id).current()
    assert seen == [(None, None)]


async def test_a_crash_after_sending_is_recorded_as_unknown(
    world: World,
    connect: Connect,
    pool: ConnectionPool,
    ring: KeyRing,
    grant: ScriptedGrant,
    announced: Announcements,
) -> None:
    connection_id = await connect()
    sent = asyncio.Event()

    async def granted_and_lost(stored: Stored, number: int) -> TokenSet:
        tokens = grant.grant(stored, datetime.now(UTC))
        if number == 1:
            sent.set()
            await asyncio.Event().wait()
        return tokens

    grant.script = granted_and_lost
    dying = token_keeper(pool, ring, {grant.kind: grant}, name="executor-1")
    waiting = asyncio.create_task(credential(dying, connection_id).current())
    await sent.wait()
    await dying.close(0)
    await asyncio.wait([waiting])
    row = await world.row("connection", connection_id)
    assert (row["status"], row["token_version"], opened(ring, row, "token")) == ("active", 1, "access-1")
    assert await renewals(world) == [(None, None)]

    # Until its process must be dead, the valid token is used and no request is sent.
    successor = token_keeper(pool, ring, {grant.kind: grant}, name="executor-2")
    assert await credential(successor, connection_id).current() == "access-1"
    assert len(grant.sent) == 1

    await world.sql.execute("UPDATE token_refresh SET started_at = started_at - $1::interval", ADOPT_AFTER)
    with pytest.raises(PlatformError) as raised:
        await credential(successor, connection_id).renewed("access-1")
    assert raised.value.consequence is Consequence.REAUTH
    assert raised.value.connection_id == str(connection_id)
    assert [stored.refresh_token for stored in grant.sent] == ["refresh-1", "refresh-1"], "one retry"
    row = await world.row("connection", connection_id)
    assert row["status"] == "reauth_required"
    assert "answer to an earlier renewal was lost" in row["status_reason"]
    outcomes = await renewals(world)
    assert [outcome for outcome, _ in outcomes] == ["unknown", "rejected"]
    assert len(await announced.of(TokenReauthRequired)) == 1


async def test_refresh_retries_once_after_a_lost_response(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()

    async def lost_first(stored: Stored, number: int) -> TokenSet:
        if number == 1:
            raise answer_lost()
        return grant.grant(stored, datetime.now(UTC))

    grant.script = lost_first
    assert await credential(keeper, connection_id).current() == "access-2"
    assert [outcome for outcome, _ in await renewals(world)] == ["unknown", "refreshed"]
    assert (await world.row("connection", connection_id))["status"] == "active"


async def test_a_granted_but_lost_response_requires_reconnecting_with_the_reason(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()

    async def given_and_lost(stored: Stored, number: int) -> TokenSet:
        tokens = grant.grant(stored, datetime.now(UTC))
        if number == 1:
            raise answer_lost()
        return tokens

    grant.script = given_and_lost
    with pytest.raises(PlatformError, match="answer to an earlier renewal was lost"):
        await credential(keeper, connection_id).current()
    assert [outcome for outcome, _ in await renewals(world)] == ["unknown", "rejected"]


async def test_repeatedly_lost_responses_keep_the_valid_token_in_use(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()

    async def lost(_stored: Stored, _number: int) -> TokenSet:
        raise answer_lost()

    grant.script = lost
    held = credential(keeper, connection_id)
    assert await held.current() == "access-1"
    assert await held.current() == "access-1"
    assert len(grant.sent) == 2, "not asked again at once"
    row = await world.row("connection", connection_id)
    assert row["status"] == "active"
    assert row["refresh_at"] > datetime.now(UTC) + timedelta(seconds=10)
    with pytest.raises(PlatformError) as raised:
        await held.renewed("access-1")
    assert raised.value.consequence is Consequence.TRANSIENT
    assert 10 < (raised.value.retry_after or 0) < 3_600
    assert len(grant.sent) == 2


async def test_an_error_while_reading_the_response_counts_as_lost(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()

    async def defective(_stored: Stored, _number: int) -> TokenSet:
        raise KeyError("access_token")

    grant.script = defective
    assert await credential(keeper, connection_id).current() == "access-1"
    assert [outcome for outcome, _ in await renewals(world)] == ["unknown", "unknown"]


async def test_a_refresh_request_times_out(
    world: World,
    connect: Connect,
    keeper: TokenKeeper,
    grant: ScriptedGrant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refresher, "REQUEST_SECONDS", 0.05)
    connection_id = await connect()

    async def silent(_stored: Stored, _number: int) -> TokenSet:
        await asyncio.Event().wait()
        raise AssertionError

    grant.script = silent
    assert await credential(keeper, connection_id).current() == "access-1"
    assert [code for _, code in await renewals(world)] == ["answer_lost", "transient:answer_lost"]


@pytest.mark.parametrize("consequence", [Consequence.TRANSIENT, Consequence.RATE, Consequence.INVALID])
async def test_a_transient_refresh_error_keeps_the_valid_token_in_use(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant, consequence: Consequence
) -> None:
    connection_id = await connect()

    async def fail(_stored: Stored, _number: int) -> TokenSet:
        raise refusal(consequence, "later")

    grant.script = fail
    held = credential(keeper, connection_id)
    assert await held.current() == "access-1"
    assert await renewals(world) == [("failed", f"{consequence.value}:later")]
    assert (await world.row("connection", connection_id))["status"] == "active"
    # Once it may be tried again, it is, and then it works.
    await world.sql.execute("UPDATE connection SET refresh_at = now()")
    grant.script = None
    assert await held.current() == "access-2"


async def test_without_a_valid_token_the_error_has_a_retry_time(
    connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect(ends_in=-10)

    async def down(_stored: Stored, _number: int) -> TokenSet:
        raise refusal(Consequence.TRANSIENT, "503")

    grant.script = down
    held = credential(keeper, connection_id, -10)
    for _ in range(2):
        with pytest.raises(PlatformError) as raised:
            await held.current()
        assert raised.value.consequence is Consequence.TRANSIENT
        assert raised.value.retry_after is not None
    assert len(grant.sent) == 1


async def test_a_rejected_grant_pauses_its_automations_and_notifies_once(
    world: World,
    team: Team,
    connect: Connect,
    database_url: str,
    ring: KeyRing,
    grant: ScriptedGrant,
    announced: Announcements,
) -> None:
    grant.living = "another"
    chat, other_chat, alerts = [await world.telegram(team, chat_id=number) for number in (1, 2, 3)]
    first, second = [
        (await world.automations(team, destination, platforms=("zoom",)))[0]
        for destination in (chat, other_chat)
    ]
    [untouched] = await world.automations(team, chat, platforms=("facebook",))
    await world.sql.execute("UPDATE tenant SET alerts_destination_id = $1", alerts)
    connection_id = await connect(name="Academy")
    pools = [await create_pool(database_url, application_name="executor", size=4) for _ in range(3)]
    try:
        keepers = [token_keeper(pool, ring, {grant.kind: grant}) for pool in pools]
        users = [credential(keepers[number % 3], connection_id) for number in range(30)]
        errors = await asyncio.gather(*(user.current() for user in users), return_exceptions=True)
    finally:
        for pool in pools:
            pool.terminate()
    assert {error.consequence for error in errors if isinstance(error, PlatformError)} == {Consequence.REAUTH}
    assert len(errors) == 30
    assert len(grant.sent) == 1
    row = await world.row("connection", connection_id)
    assert row["status"] == "reauth_required"
    assert "Invalid Token!" in row["status_reason"]
    assert row["reauth_required_at"] is not None
    for automation_id in (first, second):
        automation = await world.row("automation", automation_id)
        assert (automation["status"], automation["paused_for_connection_id"]) == ("paused", connection_id)
        assert "Academy" in automation["status_reason"]
        assert automation["next_run"] is not None, "it keeps its place in the schedule"
    assert (await world.row("automation", untouched))["status"] == "active"
    [delivery] = await world.sql.fetch("SELECT * FROM delivery")
    assert delivery["destination_id"] == alerts
    text = delivery["message"]["text"]
    assert f"{PUBLIC_URL}/connections/{connection_id}" in text
    assert "2 automations are paused" in text
    assert "Invalid Token!" in text
    [event] = await announced.of(TokenReauthRequired)
    assert (event.connection_id, event.version, event.paused_automations) == (connection_id, 1, 2)
    changed = await announced.of(AutomationChanged)
    assert sorted((event.automation_id, event.change) for event in changed) == sorted(
        [(first, "paused"), (second, "paused")]
    )
    assert len(await announced.of(NotificationRequested)) == 1


async def test_a_pair_is_stored_although_the_lock_was_lost_after_the_response(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant, ring: KeyRing
) -> None:
    connection_id = await connect()

    async def cut_off(stored: Stored, _number: int) -> TokenSet:
        tokens = grant.grant(stored, datetime.now(UTC))
        await world.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        return tokens

    grant.script = cut_off
    assert await credential(keeper, connection_id).current() == "access-2"
    row = await world.row("connection", connection_id)
    assert (opened(ring, row, "refresh_token"), row["token_version"]) == ("refresh-2", 2)
    assert await renewals(world) == [("refreshed", None)]
    assert len(grant.sent) == 1


async def test_a_pair_granted_for_a_replaced_token_does_not_overwrite_it(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant, ring: KeyRing, team: Team
) -> None:
    connection_id = await connect()
    pasted = ring.seal("pasted", tenant_id=team.tenant_id, row_id=connection_id, column="token")

    async def replaced_meanwhile(stored: Stored, _number: int) -> TokenSet:
        tokens = grant.grant(stored, datetime.now(UTC))
        await world.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        await world.sql.execute(
            "UPDATE connection SET token_sealed = $1, token_version = token_version + 1, expires_at = NULL",
            pasted,
        )
        return tokens

    grant.script = replaced_meanwhile
    assert await credential(keeper, connection_id).current() == "pasted"
    row = await world.row("connection", connection_id)
    assert (opened(ring, row, "token"), row["token_version"]) == ("pasted", 2)


async def test_a_locked_row_is_not_waited_for_while_the_token_is_valid(
    world: World, connect: Connect, keeper: TokenKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.tokens.vault.LOCK_PATIENCE", 0.05)
    connection_id = await connect()
    async with world.sql.transaction():
        await world.sql.execute("SELECT FROM connection FOR UPDATE")
        assert await credential(keeper, connection_id).current() == "access-1"
        with pytest.raises(PlatformError) as raised:
            await credential(keeper, connection_id).renewed("access-1")
    assert raised.value.consequence is Consequence.TRANSIENT


async def test_fifty_refreshes_at_once_leave_pooled_sessions_to_others(
    connect: Connect, database_url: str, ring: KeyRing, grant: ScriptedGrant
) -> None:
    several = [await connect() for _ in range(50)]
    pool = await create_pool(database_url, application_name="executor", size=5)
    answering = asyncio.Event()

    async def slow(stored: Stored, _number: int) -> TokenSet:
        await answering.wait()
        return TokenSet("another", refresh_token="next", expires_at=datetime.now(UTC) + LIFE)

    grant.script = slow
    try:
        keeper = token_keeper(pool, ring, {grant.kind: grant})
        asking = [asyncio.create_task(credential(keeper, each).current()) for each in several]
        await eventually(lambda: len(grant.sent) == 2)
        async with asyncio.timeout(2):
            assert await pool.fetchval("SELECT 1") == 1
        answering.set()
        assert set(await asyncio.gather(*asking)) == {"another"}
    finally:
        pool.terminate()


async def test_server_credentials_obtain_a_token(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing
) -> None:
    grant = ScriptedServer()
    connection_id = await world.connection(
        team, grant.kind, credentials='{"account_id": "a", "client_id": "c", "client_secret": "s"}'
    )
    keeper = token_keeper(pool, ring, {grant.kind: grant})
    held = KeptCredential(keeper, connection_id, grant.kind, None)
    assert await asyncio.gather(*(held.current() for _ in range(10))) == ["access-2"] * 10
    assert [dict(stored.credentials) for stored in grant.sent] == [
        {"account_id": "a", "client_id": "c", "client_secret": "s"}
    ]


async def test_wrong_credentials_of_the_tenants_own_app_are_the_tenants_to_correct(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing
) -> None:
    async def refuse(_stored: Stored, _number: int) -> TokenSet:
        raise refusal(Consequence.INVALID, "invalid_client")

    grant = ScriptedServer(script=refuse)
    connection_id = await world.connection(team, grant.kind, credentials='{"client_id": "c"}')
    keeper = token_keeper(pool, ring, {grant.kind: grant})
    with pytest.raises(PlatformError) as raised:
        await KeptCredential(keeper, connection_id, grant.kind, None).current()
    assert raised.value.consequence is Consequence.REAUTH
    assert (await world.row("connection", connection_id))["status"] == "reauth_required"


async def test_a_token_without_refresh_is_used_and_condemned_when_rejected(
    world: World, team: Team, keeper: TokenKeeper
) -> None:
    connection_id = await world.connection(team, ZOOM_USER, "pasted")
    held = KeptCredential(keeper, connection_id, ZOOM_USER, Token("pasted", 1))
    assert await held.current() == "pasted"
    with pytest.raises(PlatformError, match="nothing to renew it with"):
        await held.renewed("pasted")
    assert (await world.row("connection", connection_id))["status"] == "reauth_required"


async def test_a_condemned_or_deleted_connection_sends_no_request(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    condemned = await connect(status="reauth_required", status_reason="revoked by its owner")
    with pytest.raises(PlatformError, match="revoked by its owner") as raised:
        await credential(keeper, condemned).current()
    assert raised.value.consequence is Consequence.REAUTH
    with pytest.raises(PlatformError) as raised:
        await credential(keeper, new_id()).current()
    assert raised.value.consequence is Consequence.REAUTH
    assert grant.sent == []


async def test_a_refresh_that_has_blocked_two_processes_is_not_sent_a_third_time(
    world: World,
    connect: Connect,
    keeper: TokenKeeper,
    grant: ScriptedGrant,
    announced: Announcements,
    database_url: str,
) -> None:
    """Its owner is told, and may connect the account again."""
    connection_id = await connect(ends_in=-1)

    async def blocked(number: int) -> None:
        refresh_id = await world.token_refresh(connection_id, worker=f"executor-{number}")
        hang = Context()
        hang.run(in_hand.set, (RENEWALS, (refresh_id, 1)))
        blame(database_url, worker=f"executor-{number}")(hang)

    await blocked(1)
    assert await renewals(world) == [("unknown", "blocked")]

    async def lost(stored: Stored, number: int) -> TokenSet:
        raise answer_lost()

    grant.script = lost
    with pytest.raises(PlatformError):
        await credential(keeper, connection_id, ends_in=-1).current()
    sent = len(grant.sent)
    assert sent == 2, "one process may have been unlucky"

    await blocked(2)
    await world.sql.execute("UPDATE connection SET refresh_at = NULL")
    with pytest.raises(PlatformError) as refused:
        await credential(keeper, connection_id, ends_in=-1).current()
    assert refused.value.consequence is Consequence.REAUTH
    assert len(grant.sent) == sent
    row = await world.row("connection", connection_id)
    assert row["status"] == "reauth_required"
    assert "two processes" in row["status_reason"]
    assert len(await announced.of(TokenReauthRequired)) == 1


async def test_what_blocks_in_a_refresh_is_the_refresh_and_not_the_run(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect()
    seen: list[object] = []

    async def watched(stored: Stored, number: int) -> TokenSet:
        seen.append(in_hand.get())
        return grant.grant(stored, datetime.now(UTC))

    grant.script = watched
    run = (RUNS, (new_id(), 1))
    in_hand.set(run)
    await credential(keeper, connection_id).current()
    [row] = await world.sql.fetch("SELECT id FROM token_refresh")
    assert seen == [(RENEWALS, (row["id"], 1))]
    assert in_hand.get() == run


async def test_an_unreadable_refresh_token_is_reported_and_nothing_is_sent(
    world: World, connect: Connect, keeper: TokenKeeper, grant: ScriptedGrant
) -> None:
    connection_id = await connect(ends_in=-1)
    await world.sql.execute("UPDATE connection SET refresh_token_sealed = token_sealed")
    with pytest.raises(PlatformError) as raised:
        await credential(keeper, connection_id, -1).current()
    assert (raised.value.consequence, raised.value.code) == (Consequence.INVALID, "undecryptable")
    assert grant.sent == []


async def test_a_run_that_used_two_tokens_condemns_neither(
    world: World, connect: Connect, keeper: TokenKeeper
) -> None:
    connection_id = await connect(ends_in=3_000)
    held = credential(keeper, connection_id, 3_000)
    blamed = [held.blamed]
    await held.current()
    blamed.append(held.blamed)
    keeper.remember(connection_id, Token("pasted", 2))
    assert await held.current() == "pasted"
    blamed.append(held.blamed)
    assert blamed == [None, 1, None]
