"""A migrated database for each test: copied from a template once, then emptied and used again.

Emptying takes a few milliseconds. Copying and dropping make the server write a checkpoint each, which with
several test processes came to more than the tests themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import asyncpg

from common.database.migrate import upgrade_async

_numbers = itertools.count(1)

_OURS = "nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
# Everything a test may have changed of a database besides its rows.
_SHAPE = f"""
SELECT md5(string_agg(part, E'\\n' ORDER BY part)) FROM (
    SELECT 'schema ' || nspname FROM pg_namespace WHERE {_OURS}
    UNION ALL SELECT concat_ws(' ', c.relkind, nspname, relname, relrowsecurity)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS}
    UNION ALL SELECT concat_ws(' ', relname, attname, atttypid, attnotnull)
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE {_OURS} AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, convalidated) FROM pg_constraint c
      JOIN pg_namespace n ON n.oid = c.connamespace WHERE {_OURS}
    UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
     WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'function', nspname, proname) FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS}
    UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting s
      JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
) AS parts (part)
"""
_TABLES = """
SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1
"""
_ALONE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SEQUENCES = "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences"


async def create_template(url: Callable[[str], str], name: str = "template_carillon") -> str:
    """A database at the current schema that nobody connects to; returns its name."""
    await _execute(url("postgres"), f"CREATE DATABASE {name}")
    await upgrade_async(url(name))
    return name


@contextlib.contextmanager
def fresh_database(url: Callable[[str], str], template: str) -> Iterator[str]:
    """The URL of a copy of `template`, dropped afterwards even while services hang on to it."""
    name = asyncio.run(_create(url, template))
    try:
        yield url(name)
    finally:
        asyncio.run(_execute(url("postgres"), f"DROP DATABASE {name} WITH (FORCE)"))


class Databases:
    """Copies of a template, each used by one test at a time. What a test has made of more than rows is not
    used again."""

    def __init__(self, url: Callable[[str], str], template: str) -> None:
        self._url = url
        self._template = template
        self._free: list[str] = []
        self._rows: Mapping[str, str] = {}
        self._shape = ""

    @contextlib.contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of an empty database."""
        name = self._free.pop() if self._free else asyncio.run(self._make())
        try:
            yield self._url(name)
        finally:
            if asyncio.run(self._emptied(name)):
                self._free.append(name)
            else:
                asyncio.run(_execute(self._url("postgres"), f"DROP DATABASE {name} WITH (FORCE)"))

    async def _make(self) -> str:
        name = await _create(self._url, self._template)
        if not self._shape:
            await self._learn(self._url(name))
        return name

    async def _learn(self, url: str) -> None:
        db = await asyncpg.connect(url)
        try:
            tables = [row["name"] for row in await db.fetch(_TABLES)]
            rows = {
                table: await db.fetchval(f"SELECT coalesce(json_agg(t), '[]')::text FROM {table} t")
                for table in tables
            }
            self._rows = rows
            self._shape = await db.fetchval(_SHAPE)
        finally:
            await db.close()

    async def _emptied(self, name: str) -> bool:
        try:
            connection: asyncpg.Connection[Any] = await asyncpg.connect(self._url(name))
        except asyncpg.PostgresError:  # the test has shut everybody out
            return False
        try:
            await connection.execute(_ALONE)
            if await connection.fetchval(_SHAPE) != self._shape:
                return False
            async with connection.transaction():
                # The order does not matter where nobody checks references.
                await connection.execute("SET LOCAL session_replication_role = replica")
                await connection.execute(";".join(f"DELETE FROM {table}" for table in self._rows))
                for table, rows in self._rows.items():
                    if json.loads(rows):
                        await connection.execute(
                            f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1)",
                            rows,
                        )
                await connection.execute(_SEQUENCES)
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close()
        return True


async def _create(url: Callable[[str], str], template: str) -> str:
    name = f"test_{next(_numbers)}"
    await _execute(url("postgres"), f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


async def _execute(url: str, statement: str) -> None:
    db = await asyncpg.connect(url)
    try:
        await db.execute(statement)
    finally:
        await db.close()
