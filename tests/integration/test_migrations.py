"""Migrations match the models, can be undone, and run once when several processes start together."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection
from sqlalchemy.pool import NullPool

from common.database.migrate import config, head, upgrade_async
from common.database.pool import create_engine, current_revision
from common.errors import ConfigurationError
from common.models import SCHEMA_REVISION, metadata
from tests.factories import World
from tests.support.databases import fresh_database

# Everything a migration can make, as PostgreSQL describes it itself.
_SCHEMA = """
SELECT 'column', table_name || '.' || column_name, data_type || coalesce(column_default, '') || is_nullable
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
ORDER BY 1, 2
"""


@pytest.fixture
def empty_database(postgres_server: Callable[[str], str]) -> Iterator[str]:
    """The URL of a database without any migration."""
    with fresh_database(postgres_server, "template1") as url:
        yield url


async def within(url: str, work: Callable[[Connection], Any]) -> Any:
    engine = create_engine(url, application_name="tests", poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def downgrade(url: str, revision: str = "base") -> None:
    def work(db: Connection) -> None:
        settings = config()
        settings.attributes["connection"] = db
        command.downgrade(settings, revision)

    await within(url, work)


async def schema(url: str) -> list[tuple[str, str, str]]:
    db = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await db.fetch(_SCHEMA)]
    finally:
        await db.close()


def test_the_code_names_the_newest_migration() -> None:
    assert head() == SCHEMA_REVISION


async def test_the_migrations_create_the_schema_of_the_models(database_url: str) -> None:
    def differences(db: Connection) -> list[Any]:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_object": lambda _object, name, kind, *_: (
                not (kind == "table" and name == "alembic_version")
            ),
        }
        return list(compare_metadata(MigrationContext.configure(db, opts=options), metadata))

    assert await within(database_url, differences) == []


async def test_the_checks_are_those_of_the_models(database_url: str) -> None:
    """Alembic does not compare CHECK constraints."""
    modelled = {
        (table.name, str(constraint.name)): values_in(str(constraint.sqltext))
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    db = await asyncpg.connect(database_url)
    try:
        rows = await db.fetch(
            "SELECT conrelid::regclass::text AS name, conname, pg_get_constraintdef(oid) AS definition"
            " FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        )
    finally:
        await db.close()
    migrated = {(row["name"], row["conname"]): values_in(row["definition"]) for row in rows}
    assert migrated == modelled
    assert len(modelled) > 10


def values_in(text: str) -> set[str]:
    return set(re.findall(r"'([^']*)'", text))


async def test_downgrade_to_base_and_upgrade_recreate_the_same_schema(empty_database: str) -> None:
    await upgrade_async(empty_database)
    first = await schema(empty_database)
    await downgrade(empty_database)
    left = [row for row in await schema(empty_database) if "alembic_version" not in row[1]]
    assert left == []
    await upgrade_async(empty_database)
    assert await schema(empty_database) == first


async def test_every_downgrade_works_with_rows_in_the_tables(
    empty_database: str, encryption_keys: str
) -> None:
    await upgrade_async(empty_database)
    world = await World.open(empty_database, encryption_keys)
    try:
        team = await world.team()
        destination_id = await world.telegram(team)
        [automation_id] = await world.automations(team, destination_id)
        for status in ("waiting", "queued", "skipped", "completed"):
            await world.run(team, automation_id, status=status)
        await world.run(team, automation_id, trigger="dry_run")
        await world.delivery(team, destination_id)
    finally:
        await world.sql.close()
    for script in ScriptDirectory.from_config(config()).walk_revisions():
        await downgrade(empty_database, str(script.down_revision or "base"))
    await upgrade_async(empty_database)
    db = await asyncpg.connect(empty_database)
    try:
        assert await current_revision(db) == head()
    finally:
        await db.close()


async def test_upgrading_a_current_database_changes_nothing(database_url: str) -> None:
    before = await schema(database_url)
    await upgrade_async(database_url)
    assert await schema(database_url) == before


async def test_processes_that_start_together_migrate_once(empty_database: str) -> None:
    """Replicas of a deployment start at once: one migrates, the others wait and find nothing to do."""
    script = "import sys; from common.database.migrate import upgrade; upgrade(sys.argv[1])"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, empty_database, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    db = await asyncpg.connect(empty_database)
    try:
        assert await current_revision(db) == head()
    finally:
        await db.close()


async def test_a_database_without_migrations_has_no_revision(empty_database: str) -> None:
    db = await asyncpg.connect(empty_database)
    try:
        assert await current_revision(db) is None
    finally:
        await db.close()


async def test_a_database_of_another_version_is_refused_with_what_to_do(empty_database: str) -> None:
    await upgrade_async(empty_database)
    db = await asyncpg.connect(empty_database)
    try:
        await db.execute("UPDATE alembic_version SET version_num = 'of another version'")
        with pytest.raises(ConfigurationError, match=r"another version of Carillon.*make clean"):
            await upgrade_async(empty_database)
        assert await db.fetchval("SELECT version_num FROM alembic_version") == "of another version"
    finally:
        await db.close()
