"""A migrated database for each test, copied from a template in milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator

import asyncpg

from common.migrate import upgrade_async

_numbers = itertools.count(1)


async def create_template(url: Callable[[str], str], name: str = "template_carillon") -> str:
    """A database at the current schema that nobody connects to; returns its name."""
    await _execute(url("postgres"), f"CREATE DATABASE {name}")
    await upgrade_async(url(name))
    return name


@contextlib.contextmanager
def fresh_database(url: Callable[[str], str], template: str) -> Iterator[str]:
    """The URL of a copy of `template`, dropped afterwards even while services hang on to it."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_execute(url("postgres"), f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield url(name)
    finally:
        asyncio.run(_execute(url("postgres"), f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
