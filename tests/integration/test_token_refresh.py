"""The leader sends reminders of due tokens, and an executor refreshes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.errors import Consequence
from common.events import TokenReauthRequired, TokenRefreshDue
from common.models import ConnectionKind
from common.secrets.crypto import KeyRing
from common.work.places import Stopping
from executor.aftermath.application import AftermathWriter
from executor.tokens.keeper import TokenKeeper
from executor.tokens.refresher import Refresher
from executor.tokens.reminders import WAITING, TokenReminders
from executor.tokens.vault import Vault
from platforms.oauth.base import Discovered, Grant
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.zoom import ZOOM_USER
from scheduler.lease import StaleTerm
from scheduler.token_refresh import ASK_AGAIN_SECONDS, TokenRefresh
from tests.factories import Team, World
from tests.support.executor_harness import PUBLIC_URL
from tests.support.fake_grants import (
    ScriptedBusiness,
    ScriptedFacebook,
    ScriptedGrant,
    ScriptedServer,
    refusal,
)
from tests.support.leaders import depose, lead
from tests.support.outbox import Announcements
from tests.support.polling import eventually
from tests.support.waiting import waiting

Connect = Callable[..., Awaitable[UUID]]


def ago(**elapsed: float) -> datetime:
    return datetime.now(UTC) - timedelta(**elapsed)


@pytest.fixture
def connect(world: World, team: Team) -> Connect:
    """Connects an account whose token is due now."""

    async def add(kind: ConnectionKind = ZOOM_USER, **columns: Any) -> UUID:
        now = datetime.now(UTC)
        given = {
            "refresh_token": "refresh-1",
            "expires_at": now + timedelta(minutes=5),
            "refresh_at": now - timedelta(seconds=1),
            **columns,
        }
        return await world.connection(team, kind, "access-1", **given)

    return add


class TestReminding:
    async def test_a_due_token_is_announced_once(
        self, pool: ConnectionPool, connect: Connect, announced: Announcements, team: Team
    ) -> None:
        lease, term = await lead(pool)
        duty = TokenRefresh(pool, lease, interval=3_600)
        due = await connect()
        await connect(refresh_at=ago(seconds=-60))
        await connect(refresh_at=None)
        await connect(status="reauth_required")
        assert await duty.remind_batch(term) == 1
        assert await duty.remind_batch(term) == 0
        [event] = await announced.of(TokenRefreshDue)
        assert (event.connection_id, event.tenant_id) == (due, team.tenant_id)
        assert (event.kind, event.version) == ("zoom_user", 1)
        assert event.expires_at is not None

    async def test_a_reminder_without_a_result_is_repeated(
        self, pool: ConnectionPool, connect: Connect, world: World
    ) -> None:
        lease, term = await lead(pool)
        duty = TokenRefresh(pool, lease, interval=3_600)
        connection_id = await connect()
        assert await duty.remind_batch(term) == 1
        assert await duty.seconds_to_next() == pytest.approx(ASK_AGAIN_SECONDS, abs=5)
        await world.sql.execute(
            "UPDATE connection SET refresh_requested_at = $2 WHERE id = $1",
            connection_id,
            ago(seconds=ASK_AGAIN_SECONDS + 1),
        )
        assert await duty.seconds_to_next() == 0
        assert await duty.remind_batch(term) == 1

    async def test_the_leader_wakes_for_the_next_due_token(
        self, pool: ConnectionPool, connect: Connect
    ) -> None:
        lease, _ = await lead(pool)
        duty = TokenRefresh(pool, lease, interval=3_600)
        assert await duty.seconds_to_next() == 3_600
        await connect(refresh_at=ago(seconds=-90))
        await connect(refresh_at=ago(seconds=-900))
        assert await duty.seconds_to_next() == pytest.approx(90, abs=5)
        assert await TokenRefresh(pool, lease, interval=60).seconds_to_next() == 60

    async def test_a_token_being_refreshed_gets_no_reminder(
        self, pool: ConnectionPool, connect: Connect, world: World
    ) -> None:
        lease, term = await lead(pool)
        await connect()
        async with world.sql.transaction():
            await world.sql.execute("SELECT FROM connection FOR NO KEY UPDATE")
            assert await TokenRefresh(pool, lease, interval=3_600).remind_batch(term) == 0

    async def test_many_reminders_are_sent_in_batches(
        self, pool: ConnectionPool, connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scheduler.token_refresh.BATCH", 2)
        lease, term = await lead(pool)
        for _ in range(5):
            await connect()
        duty = TokenRefresh(pool, lease, interval=3_600)
        assert [await duty.remind_batch(term) for _ in range(4)] == [2, 2, 1, 0]

    async def test_a_deposed_leader_sends_no_reminder(
        self, pool: ConnectionPool, connect: Connect, world: World, announced: Announcements
    ) -> None:
        lease, term = await lead(pool)
        connection_id = await connect()
        await depose(pool)
        with pytest.raises(StaleTerm):
            await TokenRefresh(pool, lease, interval=3_600).remind_batch(term)
        assert await announced.all() == []
        assert (await world.row("connection", connection_id))["refresh_requested_at"] is None


class TestAttending:
    def reminders(self, pool: ConnectionPool, ring: KeyRing, *grants: Grant) -> TokenReminders:
        known = {grant.kind: grant for grant in grants}
        vault = Vault(pool, ring, worker="executor-1")
        refresher = Refresher(vault, AftermathWriter(public_url=PUBLIC_URL), known)
        return TokenReminders(vault, TokenKeeper(vault, refresher), refresher, known, places=1)

    async def test_a_due_token_is_refreshed_while_still_valid(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World
    ) -> None:
        grant = ScriptedGrant()
        connection_id = await connect(expires_at=ago(minutes=-12), refreshed_at=ago(minutes=48))
        reminders = self.reminders(pool, ring, grant)
        await asyncio.gather(*(reminders.handle(connection_id) for _ in range(5)))
        await reminders.handle(connection_id)
        assert len(grant.sent) == 1
        row = await world.row("connection", connection_id)
        assert row["token_version"] == 2
        assert row["refresh_requested_at"] is None
        assert row["refresh_at"] > ago(minutes=-50)

    async def test_a_token_without_an_expiry_is_checked(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World, announced: Announcements
    ) -> None:
        grant = ScriptedBusiness(
            found=Discovered(
                "7001",
                "Acme Ads",
                accounts=[{"id": "7001", "name": "Acme", "type": "advertiser", "currency": "EUR"}],
                scopes=("4",),
                settings={"open": True},
            ),
            due_in=timedelta(days=1),
        )
        connection_id = await connect(
            grant.kind, refresh_token=None, expires_at=None, settings={"mine": 1}, accounts=[]
        )
        await self.reminders(pool, ring, grant).handle(connection_id)
        row = await world.row("connection", connection_id)
        assert (row["token_version"], row["external_name"], row["scopes"]) == (1, "Acme Ads", ["4"])
        assert row["accounts"][0]["currency"] == "EUR"
        assert row["settings"] == {"mine": 1, "open": True}
        assert row["checked_at"] is not None
        assert row["refresh_at"] > ago(hours=-23)
        assert grant.sent == []
        assert await announced.all() == []

    async def test_a_check_that_finds_the_token_dead_condemns_it(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World, announced: Announcements
    ) -> None:
        grant = ScriptedBusiness(
            found=refusal(Consequence.REAUTH, "40105", detail="TikTok: Access token is incorrect")
        )
        connection_id = await connect(grant.kind, refresh_token=None, expires_at=None)
        await self.reminders(pool, ring, grant).handle(connection_id)
        row = await world.row("connection", connection_id)
        assert row["status"] == "reauth_required"
        assert "Access token is incorrect" in row["status_reason"]
        assert len(await announced.of(TokenReauthRequired)) == 1

    @pytest.mark.parametrize("consequence", [Consequence.TRANSIENT, Consequence.RATE, Consequence.INVALID])
    async def test_a_failed_check_is_repeated_later(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World, consequence: Consequence
    ) -> None:
        grant = ScriptedBusiness(found=refusal(consequence, "50000"))
        connection_id = await connect(grant.kind, refresh_token=None, expires_at=None)
        await self.reminders(pool, ring, grant).handle(connection_id)
        row = await world.row("connection", connection_id)
        assert (row["status"], row["problem"]) == ("active", None)
        assert ago(minutes=-70) > row["refresh_at"] > ago(minutes=-50)

    async def test_a_check_with_a_missing_permission_shows_it(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World
    ) -> None:
        grant = ScriptedBusiness(found=refusal(Consequence.PERM, "40001", detail="TikTok: no permission"))
        connection_id = await connect(grant.kind, refresh_token=None, expires_at=None)
        await self.reminders(pool, ring, grant).handle(connection_id)
        row = await world.row("connection", connection_id)
        assert (row["status"], row["problem"]) == (
            "active",
            "a permission is missing: TikTok: no permission",
        )

    @pytest.mark.parametrize(("days", "renewed"), [(9.5, True), (11, False), (None, False)])
    async def test_facebooks_tokens_are_exchanged_in_their_last_ten_days(
        self,
        pool: ConnectionPool,
        ring: KeyRing,
        connect: Connect,
        world: World,
        days: float | None,
        renewed: bool,
    ) -> None:
        grant = ScriptedFacebook(found=Discovered("999", "Ann"), due_in=timedelta(days=1))
        ends = None if days is None else ago(days=-days)
        connection_id = await connect(grant.kind, refresh_token=None, expires_at=ends)
        await self.reminders(pool, ring, grant).handle(connection_id)
        row = await world.row("connection", connection_id)
        assert (len(grant.sent), len(grant.looked)) == ((1, 0) if renewed else (0, 1))
        assert row["token_version"] == (2 if renewed else 1)

    async def test_an_exchange_that_returns_the_same_token_is_not_a_new_token(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World, announced: Announcements
    ) -> None:
        grant = ScriptedFacebook(due_in=timedelta(days=1))

        async def same(_stored: Any, _number: int) -> Any:
            tokens = grant.grant(_stored, datetime.now(UTC))
            return type(tokens)("access-1", expires_at=datetime.now(UTC) + timedelta(days=60))

        grant.script = same
        connection_id = await connect(grant.kind, refresh_token=None, expires_at=ago(days=-3))
        await self.reminders(pool, ring, grant).handle(connection_id)
        row = await world.row("connection", connection_id)
        assert row["token_version"] == 1
        assert row["expires_at"] > ago(days=-59)
        assert await announced.all() == []

    async def test_server_credentials_are_refreshed_too(
        self, pool: ConnectionPool, ring: KeyRing, world: World, team: Team
    ) -> None:
        grant = ScriptedServer()
        connection_id = await world.connection(
            team, grant.kind, credentials='{"client_id": "c"}', refresh_at=ago(seconds=1)
        )
        await self.reminders(pool, ring, grant).handle(connection_id)
        assert (await world.row("connection", connection_id))["token_sealed"] is not None

    @pytest.mark.parametrize(
        "columns", [{"refresh_at": ago(hours=-1)}, {"refresh_at": None}, {"status": "reauth_required"}]
    )
    async def test_a_token_no_longer_due_is_left_alone(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, columns: dict[str, Any]
    ) -> None:
        grant = ScriptedGrant()
        await self.reminders(pool, ring, grant).handle(await connect(**columns))
        assert grant.sent == []

    async def test_a_defect_with_one_reminder_stops_no_other(
        self, pool: ConnectionPool, ring: KeyRing, connect: Connect, world: World
    ) -> None:
        class Broken(ScriptedBusiness):
            def renew_at(self, tokens: Any, *, now: datetime) -> datetime | None:
                raise ZeroDivisionError

        grant = ScriptedGrant()
        broken = await connect(TIKTOK_BUSINESS, refresh_token=None, expires_at=None)
        sound = await connect()
        reminders = self.reminders(pool, ring, grant, Broken(found=Discovered("1", "A")))
        working = asyncio.create_task(reminders.run())
        try:
            await reminders.take(waiting(broken, sound))

            async def renewed() -> bool:
                version: int = (await world.row("connection", sound))["token_version"]
                return version == 2

            await eventually(renewed)
        finally:
            working.cancel()
            await asyncio.wait([working])

    async def test_reminders_beyond_the_queue_stay_in_the_topic(
        self, pool: ConnectionPool, ring: KeyRing
    ) -> None:
        reminders = self.reminders(pool, ring)
        await reminders.take(waiting(*(UUID(int=number) for number in range(WAITING))))
        taking = asyncio.create_task(reminders.take(waiting(UUID(int=WAITING))))
        await asyncio.sleep(0)
        assert not taking.done()
        reminders.close()
        with pytest.raises(Stopping):
            await taking
