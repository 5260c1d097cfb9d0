"""The database's clock decides, whatever the machine's clock shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.clock import DatabaseClock

TRUE = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class World:
    """The true time, a machine whose clock errs, and a way to the database that takes its time."""

    def __init__(self, error: timedelta = timedelta(0)) -> None:
        self.passed = 0.0
        self.error = error
        self.way = 0.0
        self.clock = DatabaseClock(
            machine=lambda: self.now() + self.error, monotonic=lambda: 1_000 + self.passed
        )

    def now(self) -> datetime:
        return TRUE + timedelta(seconds=self.passed)

    async def read(self) -> datetime:
        self.passed += self.way / 2
        instant = self.now()
        self.passed += self.way / 2
        return instant


def test_until_the_database_was_asked_the_machines_clock_has_to_do() -> None:
    assert World(HOUR).clock.now() == TRUE + HOUR


@pytest.mark.parametrize("error", [HOUR, -HOUR])
async def test_a_wrong_machine_tells_the_databases_time_and_is_not_ready(error: timedelta) -> None:
    world = World(error)
    await world.clock.ask(world.read)
    world.passed += 60
    assert world.clock.now() == world.now()
    wrong = await world.clock.check()
    assert wrong is not None
    assert "3600 s" in wrong


async def test_a_clock_that_is_set_while_the_process_runs_changes_nothing_but_readiness() -> None:
    world = World()
    await world.clock.ask(world.read)
    assert await world.clock.check() is None
    world.error = timedelta(seconds=6)
    assert world.clock.now() == world.now()
    assert await world.clock.check() is not None


async def test_the_answers_way_is_allowed_for() -> None:
    world = World()
    world.way = 1.0
    await world.clock.ask(world.read)
    assert world.clock.now() == world.now()


async def test_an_answer_that_was_long_on_its_way_is_not_believed() -> None:
    world = World()
    await world.clock.ask(world.read)

    async def late() -> datetime:
        instant = world.now()
        world.passed += 10
        return instant

    await world.clock.ask(late)
    assert world.clock.now() == world.now()
