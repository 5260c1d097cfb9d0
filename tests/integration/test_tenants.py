"""The first tenant is created once, however often the command runs."""

from __future__ import annotations

import asyncio

import pytest

from common.errors import Conflict
from common.secrets.crypto import hash_api_key
from common.tenants import bootstrap
from tests.factories import World

KEY = "car_" + "k" * 43


async def count(world: World, table: str) -> int:
    number: int = await world.sql.fetchval(f"SELECT count(*) FROM {table}")
    return number


async def test_repeating_with_the_same_key_changes_nothing(world: World, database_url: str) -> None:
    for _ in range(3):
        key = await bootstrap(
            database_url, tenant_name="Northwind", user_email="owner@example.org", api_key=KEY
        )
        assert key == KEY
    assert [await count(world, table) for table in ("tenant", "user_account", "api_key")] == [1, 1, 1]
    row = await world.sql.fetchrow(
        "SELECT t.name, u.email, u.role, k.key_hash, k.hint FROM api_key k"
        " JOIN user_account u ON u.id = k.user_id JOIN tenant t ON t.id = k.tenant_id"
    )
    assert row is not None
    assert tuple(row) == ("Northwind", "owner@example.org", "owner", hash_api_key(KEY), "car_kkkk")


async def test_without_a_key_each_call_creates_one_for_the_same_owner(
    world: World, database_url: str
) -> None:
    keys = {
        await bootstrap(database_url, tenant_name="Northwind", user_email="owner@example.org")
        for _ in range(2)
    }
    assert len(keys) == 2
    assert [await count(world, table) for table in ("tenant", "user_account", "api_key")] == [1, 1, 2]


async def test_two_concurrent_calls_create_one_tenant(world: World, database_url: str) -> None:
    await asyncio.gather(
        *(
            bootstrap(database_url, tenant_name="Northwind", user_email="owner@example.org", api_key=KEY)
            for _ in range(4)
        )
    )
    assert [await count(world, table) for table in ("tenant", "user_account", "api_key")] == [1, 1, 1]


async def test_another_teams_key_is_rejected_and_nothing_is_created(world: World, database_url: str) -> None:
    await bootstrap(database_url, tenant_name="Northwind", user_email="owner@example.org", api_key=KEY)
    with pytest.raises(Conflict) as refused:
        await bootstrap(database_url, tenant_name="Southwind", user_email="owner@example.org", api_key=KEY)
    assert KEY not in refused.value.detail
    assert [await count(world, table) for table in ("tenant", "user_account", "api_key")] == [1, 1, 1]


async def test_the_key_itself_is_nowhere_in_the_database(world: World, database_url: str) -> None:
    await bootstrap(database_url, tenant_name="Northwind", user_email="owner@example.org", api_key=KEY)
    rows = await world.sql.fetch("SELECT k::text AS row FROM api_key k")
    assert KEY not in str([row["row"] for row in rows])
