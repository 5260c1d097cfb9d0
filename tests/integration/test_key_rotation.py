"""Key rotation seals every secret again, loses none, and runs beside the services."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from uuid import UUID

import pytest
from sqlalchemy import LargeBinary

from common.models import metadata
from common.secrets.crypto import KeyRing, new_encryption_key
from common.secrets.rotation import BATCH, rotate, sealed_columns
from platforms.facebook import FACEBOOK_USER
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World

OLD, NEW, OTHER = (new_encryption_key(name) for name in ("old", "new", "other"))


@pytest.fixture
def encryption_keys() -> str:
    return OLD


async def token_of(world: World, team: Team, connection_id: UUID, ring: KeyRing) -> str:
    row = await world.row("connection", connection_id)
    return ring.open(row["token_sealed"], tenant_id=team.tenant_id, row_id=connection_id, column="token")


def test_every_bytes_column_is_sealed_or_listed_as_public() -> None:
    plain = {
        "api_key.key_hash",
        "oauth_attempt.state_hash",
        "outbox.value",
        "sync_chunk.body",
        "idempotency_key.request_hash",
    }
    columns = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert columns - plain == {str(column) for column in sealed_columns()}
    for column in sealed_columns():
        assert {"id", "tenant_id"} <= set(metadata.tables[column.table].columns.keys())


async def test_after_rotation_the_old_key_is_not_needed(world: World, team: Team, database_url: str) -> None:
    connection = await world.connection(
        team, ZOOM_USER, "access", refresh_token="refresh", webhook_secret="hook"
    )
    await world.telegram(team)
    rotated = await rotate(database_url, KeyRing.parse(f"{NEW},{OLD}"))
    done = {str(each.column): each.sealed for each in rotated if each.sealed}
    assert done == {
        "connection.token_sealed": 1,
        "connection.refresh_token_sealed": 1,
        "connection.webhook_secret_sealed": 1,
        "destination.secret_sealed": 1,
    }
    assert await token_of(world, team, connection, KeyRing.parse(NEW)) == "access"
    again = await rotate(database_url, KeyRing.parse(f"{NEW},{OLD}"))
    assert sum(each.sealed for each in again) == 0


async def test_rotation_works_in_batches(world: World, team: Team, database_url: str) -> None:
    for _ in range(BATCH + 3):
        await world.connection(team, FACEBOOK_USER, "token")
    [tokens, *_] = [
        each
        for each in await rotate(database_url, KeyRing.parse(f"{NEW},{OLD}"))
        if str(each.column) == "connection.token_sealed"
    ]
    assert (tokens.sealed, tokens.unreadable) == (BATCH + 3, [])


async def test_unreadable_secrets_are_named_and_stop_nothing(
    world: World, team: Team, database_url: str
) -> None:
    good = await world.connection(team, FACEBOOK_USER, "token")
    foreign = KeyRing.parse(OTHER).seal("lost", tenant_id=team.tenant_id, row_id=good, column="token")
    lost = await world.connection(team, FACEBOOK_USER, token_sealed=foreign)
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "common", "keys", "rotate"],
        env={**os.environ, "DATABASE_URL": database_url, "ENCRYPTION_KEYS": f"{NEW},{OLD}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "connection.token_sealed: 1 sealed with the new key" in ended.stderr
    assert f"no key in ENCRYPTION_KEYS opens {lost}" in ended.stderr
    assert await token_of(world, team, good, KeyRing.parse(NEW)) == "token"
    assert (await world.row("connection", lost))["token_sealed"] == foreign


async def test_a_token_replaced_during_rotation_is_kept(
    world: World, team: Team, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await world.connection(team, FACEBOOK_USER, "before")
    both = KeyRing.parse(f"{NEW},{OLD}")
    fresh = both.seal("meanwhile", tenant_id=team.tenant_id, row_id=connection, column="token")
    opened: list[bytes] = []

    def open_late(ring: KeyRing, sealed: bytes, *, tenant_id: UUID, row_id: UUID, column: str) -> str:
        opened.append(sealed)
        return "before"

    monkeypatch.setattr(KeyRing, "open", open_late)
    seal = KeyRing.seal

    def seal_late(ring: KeyRing, text: str, *, tenant_id: UUID, row_id: UUID, column: str) -> bytes:
        # Between the read and the write a service stores a new token.
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import asyncio, asyncpg, sys\n"
                "async def go():\n"
                "    c = await asyncpg.connect(sys.argv[1])\n"
                "    await c.execute('UPDATE connection SET token_sealed = $1', bytes.fromhex(sys.argv[2]))\n"
                "    await c.close()\n"
                "asyncio.run(go())",
                database_url,
                fresh.hex(),
            ],
            check=True,
            timeout=60,
        )
        return seal(ring, text, tenant_id=tenant_id, row_id=row_id, column=column)

    monkeypatch.setattr(KeyRing, "seal", seal_late)
    rotated = await rotate(database_url, both)
    monkeypatch.undo()
    assert opened
    assert sum(each.sealed for each in rotated) == 0
    assert await token_of(world, team, connection, both) == "meanwhile"
