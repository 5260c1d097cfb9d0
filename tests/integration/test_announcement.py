"""Executors announce their automation types to the API, also several at once."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from pydantic import BaseModel

from common.database.pool import ConnectionPool
from executor.announcement import announce
from executor.handlers.base import Handler, Outcome, RunContext
from tests.factories import World
from tests.support.executor_harness import SCRIPTED, Config, Scripted, succeed


class NewerConfig(BaseModel):
    """What a later version takes."""

    weeks: int


class Newer(Handler[NewerConfig]):
    """The same kind of automation in a later version."""

    name: ClassVar[str] = SCRIPTED
    title: ClassVar[str] = "Scripted, newer"
    config = NewerConfig

    async def run(self, context: RunContext, config: NewerConfig) -> Outcome:
        """Never called here."""
        raise NotImplementedError


async def test_a_type_is_announced_with_its_configuration_schema(world: World, pool: ConnectionPool) -> None:
    await announce(pool, {SCRIPTED: Scripted(succeed)})
    [row] = await world.sql.fetch("SELECT * FROM automation_type")
    assert (row["type"], row["title"], row["config_schema"]) == (
        SCRIPTED,
        "Scripted",
        Config.model_json_schema(),
    )


async def test_a_newer_executor_announces_its_own_schema(world: World, pool: ConnectionPool) -> None:
    await announce(pool, {SCRIPTED: Scripted(succeed)})
    await announce(pool, {SCRIPTED: Newer()})
    [row] = await world.sql.fetch("SELECT * FROM automation_type")
    assert (row["title"], row["config_schema"]) == ("Scripted, newer", NewerConfig.model_json_schema())


async def test_executors_that_start_together_do_not_deadlock(world: World, pool: ConnectionPool) -> None:
    names = [f"kind-{number}" for number in range(20)]
    handlers = {name: type(name, (Scripted,), {"name": name})(succeed) for name in names}
    backwards = dict(reversed(handlers.items()))
    await asyncio.gather(*(announce(pool, one) for one in [handlers, backwards] * 4))
    assert await world.sql.fetchval("SELECT count(*) FROM automation_type") == 20
