"""Rows in a user's own PostgreSQL: inserted, restated, and never partially."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from common.automation_config.data_sync import DataSyncConfig
from common.database.pool import ConnectionPool
from common.errors import Consequence, PlatformError
from common.models import POSTGRESQL
from executor.handlers.base import Account
from executor.handlers.data_sync import DataSync
from tests.factories import Team, World
from tests.support.databases import fresh_database
from tests.support.fake_ads import FakeAds, FakeSources, ad_account, refusal
from tests.support.polling import eventually
from tests.support.run_contexts import account
from tests.support.syncs import Syncing, executor_settings, spend_is_the_day, syncing

TABLE = '"Ads"."days"'
METRICS = ["spend", "impressions", "cpc"]


@pytest.fixture
def store_url(postgres_server: Callable[[str], str]) -> Iterator[str]:
    """An empty database of the user's."""
    with fresh_database(postgres_server, "template1") as url:
        yield url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """What the user sees there."""
    db = await asyncpg.connect(store_url)
    yield db
    await db.close()


@pytest.fixture
def ads() -> FakeAds:
    return FakeAds(
        accounts=[ad_account("act_1", name="Shop"), ad_account("act_2", name="Outdoor", currency="USD")],
        account_values=spend_is_the_day,
    )


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


Build = Callable[..., Any]


@pytest.fixture
def build(
    world: World, pool: ConnectionPool, team: Team, ads: FakeAds, encryption_keys: str, store_url: str
) -> Build:
    """Makes a sync into the user's database, or to wherever `dsn` leads."""

    async def make(*, dsn: str = store_url, allowed: bool = True, **config: Any) -> Syncing:
        parts = urlsplit(store_url)
        hosts = (f"{parts.hostname}:{parts.port}",) if allowed else ()
        connection_id = await world.connection(team, POSTGRESQL, dsn)
        made = await syncing(
            world,
            pool,
            team,
            DataSync(executor_settings(encryption_keys, *hosts), sources=FakeSources(ads)),
            {
                "sync_type": "database",
                "connection_id": str(connection_id),
                "table": "Ads.days",
                "create_schema": True,
                "metrics": METRICS,
                **config,
            },
        )
        made.accounts = [_store(dsn, connection_id)]
        return made

    return make


def _store(dsn: str, connection_id: Any) -> Account:
    return account(POSTGRESQL, dsn, name="Warehouse", connection_id=connection_id)


async def _days(store: asyncpg.Connection[asyncpg.Record]) -> dict[str, Decimal | None]:
    """Spend by account or campaign and day."""
    rows = await store.fetch(
        f"SELECT account_id, campaign_id, day, spend FROM {TABLE} ORDER BY account_id, campaign_id, day"
    )
    return {f"{row['campaign_id'] or row['account_id']} {row['day']}": row["spend"] for row in rows}


async def _failed(sync: Syncing, http: httpx.AsyncClient, **context: Any) -> PlatformError:
    with pytest.raises(PlatformError) as failed:
        await sync.attempt(http, **context)
    return failed.value


async def test_schema_and_table_are_created_on_request_and_filled(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
) -> None:
    sync = await build()
    outcome = await sync.attempt(http)
    assert outcome.summary == "6 rows of 2 accounts stored in Ads.days"
    assert [statement.split("(")[0].strip() for statement in outcome.result["statements"]] == [
        'CREATE SCHEMA "Ads"',
        f"CREATE TABLE {TABLE}",
    ]
    row = await store.fetchrow(f"SELECT * FROM {TABLE} WHERE account_id = 'act_2' AND day = '2026-11-20'")
    assert row is not None
    assert row["synced_at"] is not None
    assert {name: value for name, value in row.items() if name != "synced_at"} == {
        "platform": "facebook",
        "account_id": "act_2",
        "account_name": "Outdoor",
        "currency": "USD",
        "level": "account",
        "campaign_id": "",
        "campaign_name": None,
        "day": row["day"],
        "spend": Decimal("20.50"),
        "impressions": Decimal(2000),
        "cpc": None,
    }


async def test_restated_days_replace_earlier_rows(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, ads: FakeAds
) -> None:
    sync = await build(accounts=["act_1"])
    await sync.recorded(await sync.attempt(http))
    ads.account_values = lambda _account, _days: {"spend": 1}
    outcome = await sync.attempt(http)
    assert await _days(store) == {
        "act_1 2026-11-18": Decimal("18.50"),
        "act_1 2026-11-19": 1,
        "act_1 2026-11-20": 1,
        "act_1 2026-11-21": 1,
    }
    assert outcome.result["statements"] == []


async def test_a_first_run_begins_at_the_configured_day(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
) -> None:
    sync = await build(start_date="2026-01-01")
    outcome = await sync.attempt(http)
    assert outcome.result["rows"] == await store.fetchval(f"SELECT count(*) FROM {TABLE}") == 2 * 324


async def test_repeating_a_sync_changes_nothing(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
) -> None:
    sync = await build()
    await sync.attempt(http)
    before = await _days(store)
    # The executor died after the commit, before the run was recorded: nothing is remembered.
    await sync.attempt(http)
    assert await _days(store) == before


async def test_two_concurrent_syncs_agree(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
) -> None:
    one, other = await build(), await build()
    await one.attempt(http)
    contexts = [(sync, await sync.context(http)) for sync in (one, other)]
    await asyncio.gather(
        *(sync.handler.run(each, DataSyncConfig.model_validate(sync.config)) for sync, each in contexts)
    )
    assert len(await _days(store)) == 6


async def test_rows_beyond_one_statement_share_a_transaction(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, ads: FakeAds
) -> None:
    ads.campaign_values = lambda account, days: {
        f"{account.id}-{number}": spend_is_the_day(account, days) for number in range(500)
    }
    sync = await build(level="campaign")
    outcome = await sync.attempt(http)
    assert outcome.result["rows"] == await store.fetchval(f"SELECT count(*) FROM {TABLE}") == 3_000
    assert await store.fetchval(f"SELECT count(DISTINCT xmin::text) FROM {TABLE}") == 1


async def test_a_campaign_missing_from_restated_days_is_deleted(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, ads: FakeAds
) -> None:
    ads.accounts = [ad_account("act_1")]
    ads.campaign_values = lambda _account, _days: {"a": {"spend": 1}, "b": {"spend": 2}}
    sync = await build(level="campaign")
    await sync.recorded(await sync.attempt(http))
    ads.campaign_values = lambda _account, _days: {"a": {"spend": 3}}
    outcome = await sync.attempt(http)
    assert outcome.result["removed"] == 2
    assert await _days(store) == {
        "a 2026-11-18": 1,
        "a 2026-11-19": 3,
        "a 2026-11-20": 3,
        "a 2026-11-21": 3,
        "b 2026-11-18": 2,
    }


async def test_other_columns_of_the_users_table_are_kept(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
) -> None:
    sync = await build(accounts=["act_1"])
    await sync.recorded(await sync.attempt(http))
    await store.execute(f"ALTER TABLE {TABLE} ADD COLUMN note text DEFAULT 'mine'")
    await store.execute(f"ALTER TABLE {TABLE} DROP COLUMN cpc")
    outcome = await sync.attempt(http)
    assert outcome.result["statements"] == [f'ALTER TABLE {TABLE} ADD COLUMN "cpc" numeric']
    assert await store.fetchval(f"SELECT count(*) FROM {TABLE} WHERE note = 'mine'") == 4


async def test_names_with_unstorable_characters_are_accepted(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, ads: FakeAds
) -> None:
    ads.accounts = [ad_account("act_1", name="Sh\x00op \ud83d'; DROP TABLE x; --")]
    sync = await build()
    await sync.attempt(http)
    names = await store.fetch(f"SELECT DISTINCT account_name FROM {TABLE}")
    assert [row[0] for row in names] == ["Shop ?'; DROP TABLE x; --"]


class TestWhatIsMissing:
    async def test_a_missing_table_is_reported_with_the_sql_to_run(
        self, build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
    ) -> None:
        sync = await build(create_schema=False)
        error = await _failed(sync, http)
        assert (error.consequence, error.code) == (Consequence.INVALID, "schema")
        assert await store.fetchval("SELECT to_regnamespace('\"Ads\"') IS NULL")
        await store.execute(error.detail.partition("create_schema:\n")[2])
        await sync.attempt(http)
        assert len(await _days(store)) == 6

    async def test_a_dry_run_shows_the_sql_and_changes_nothing(
        self, build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient
    ) -> None:
        sync = await build()
        outcome = await sync.attempt(http, dry_run=True)
        assert outcome.summary == "6 rows of 2 accounts would be passed on"
        assert outcome.result["table"] == TABLE
        assert len(outcome.result["statements"]) == 2
        assert outcome.result["first_rows"][0]["spend"] == "18.50"
        assert outcome.state is None
        assert await store.fetchval("SELECT to_regnamespace('\"Ads\"') IS NULL")

    async def test_rows_that_cannot_be_stored_change_nothing(
        self, build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, ads: FakeAds
    ) -> None:
        sync = await build()
        await sync.recorded(await sync.attempt(http))
        before = await _days(store)
        await store.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT small CHECK (spend < 21)")
        error = await _failed(sync, http)
        assert (error.consequence, error.code) == (Consequence.INVALID, "23514")
        assert await _days(store) == before


class TestRefusals:
    async def test_a_wrong_password_requires_reconnecting(
        self, build: Build, store_url: str, http: httpx.AsyncClient
    ) -> None:
        parts = urlsplit(store_url)
        dsn = store_url.replace(f":{parts.password}@", ":wr0ng-passw0rd@")
        sync = await build(dsn=dsn)
        error = await _failed(sync, http)
        assert (error.consequence, error.code) == (Consequence.REAUTH, "28P01")
        assert error.connection_id == sync.config["connection_id"]
        assert "wr0ng" not in str(error)
        assert str(parts.username) not in str(error)

    async def test_a_missing_database_is_reported(
        self, build: Build, store_url: str, http: httpx.AsyncClient
    ) -> None:
        error = await _failed(await build(dsn=store_url.rpartition("/")[0] + "/nowhere"), http)
        assert (error.consequence, error.code) == (Consequence.INVALID, "3D000")

    async def test_a_missing_permission_is_reported(
        self, build: Build, store: asyncpg.Connection[asyncpg.Record], store_url: str, http: httpx.AsyncClient
    ) -> None:
        parts = urlsplit(store_url)
        await store.execute("CREATE ROLE sync_reader LOGIN PASSWORD 'only-for-reading'")
        try:
            dsn = f"postgresql://sync_reader:only-for-reading@{parts.hostname}:{parts.port}{parts.path}"
            error = await _failed(await build(dsn=dsn), http)
        finally:
            await store.execute("DROP ROLE sync_reader")
        assert (error.consequence, error.code) == (Consequence.PERM, "42501")
        assert "permission denied for database" in error.detail

    async def test_a_closed_port_is_retried(
        self, build: Build, store_url: str, encryption_keys: str, ads: FakeAds, http: httpx.AsyncClient
    ) -> None:
        sync = await build(dsn="postgresql://bob:s3cr3t-dsn@127.0.0.1:1/x")
        sync.handler = DataSync(executor_settings(encryption_keys, "127.0.0.1"), sources=FakeSources(ads))
        error = await _failed(sync, http)
        assert (error.consequence, error.code) == (Consequence.TRANSIENT, "refused")
        assert "127.0.0.1" not in str(error)

    async def test_a_required_tls_mode_is_enforced(
        self, build: Build, store_url: str, http: httpx.AsyncClient
    ) -> None:
        # The test server has no TLS.
        for mode in ("require", "verify-full"):
            error = await _failed(await build(dsn=f"{store_url}?sslmode={mode}"), http)
            assert error.consequence is Consequence.TRANSIENT
        await (await build(dsn=f"{store_url}?sslmode=prefer")).attempt(http)

    @pytest.mark.parametrize(
        "dsn",
        [
            "postgresql://bob:s3cr3t-dsn@localhost/x",
            "postgresql://bob:s3cr3t-dsn@127.0.0.1/x",
            "postgresql://bob:s3cr3t-dsn@[::1]/x",
            "postgresql://bob:s3cr3t-dsn@169.254.169.254/x",
            "postgresql://bob:s3cr3t-dsn@db.internal/x",
            "postgresql://bob:s3cr3t-dsn@2130706433/x",
        ],
    )
    async def test_private_hosts_are_refused(self, build: Build, http: httpx.AsyncClient, dsn: str) -> None:
        error = await _failed(await build(dsn=dsn, allowed=False), http)
        assert (error.consequence, error.code) == (Consequence.INVALID, "blocked_address")
        assert "s3cr3t" not in str(error)

    async def test_a_missing_connection_must_be_connected(
        self, build: Build, http: httpx.AsyncClient
    ) -> None:
        sync = await build()
        sync.accounts = []
        error = await _failed(sync, http)
        assert (error.consequence, error.code) == (Consequence.REAUTH, "not_connected")
        assert error.connection_id is None
        assert error.detail.startswith("connection_id: ")

    async def test_the_last_attempt_stores_the_accounts_it_could_read(
        self, build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, ads: FakeAds
    ) -> None:
        ads.refusals = {"act_2": refusal(Consequence.TRANSIENT)}
        sync = await build()
        assert not (await _failed(sync, http)).permanent
        assert await store.fetchval("SELECT to_regnamespace('\"Ads\"') IS NULL")
        outcome = await sync.attempt(http, last_attempt=True)
        assert len(await _days(store)) == 3
        assert outcome.state is not None
        assert outcome.state["watermarks"] == {"facebook/act_1": "2026-11-20"}
        assert [fault.consequence for fault in outcome.faults] == [Consequence.TRANSIENT]


async def test_cancelling_a_run_that_waits_for_a_locked_table_stores_nothing(
    build: Build, store: asyncpg.Connection[asyncpg.Record], http: httpx.AsyncClient, world: World
) -> None:
    sync = await build()
    await sync.recorded(await sync.attempt(http))
    before = await _days(store)
    transaction = store.transaction()
    await transaction.start()
    await store.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
    context = await sync.context(http)
    running = asyncio.create_task(sync.handler.run(context, DataSyncConfig.model_validate(sync.config)))

    async def waits() -> bool:
        waiting = "wait_event_type = 'Lock' AND application_name = 'Carillon'"
        return bool(await world.sql.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}"))

    await eventually(waits)
    running.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await running
    await transaction.rollback()
    assert await _days(store) == before
