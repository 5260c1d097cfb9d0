"""One suite for every handler: what a run may do when it is only tried, refused, stopped, or dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from api.automations.schemas import AutomationTypeOut
from api.automations.types import read_config
from carillon.services import vendors_at
from common.database.pool import ConnectionPool, create_pool
from common.http import create_client
from common.models import RunStatus, Trigger
from common.secrets.crypto import KeyRing
from common.work.worker import Stop
from executor.handlers import load_handlers
from executor.handlers.base import Handler
from executor.runs.results import Completion
from executor.settings import ExecutorSettings
from tests.factories import Team, World
from tests.support.channels import Sandbox
from tests.support.database_fingerprint import fingerprint
from tests.support.databases import fresh_database
from tests.support.handlers import DRIVERS, OURS
from tests.support.handlers.base import (
    BOOKKEEPING,
    CuttableTransport,
    HandlerDriver,
    HandlerEnvironment,
    HandlerHarness,
)
from tests.support.planted_secrets import PlantedSecrets
from tests.support.stack import Service

GRACE = 2.0
"""Seconds a cancelled handler may take."""
MOST_DEATHS = 6
"""Calls of a run at each of which it dies once; where it makes more, some are left out."""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=DRIVERS, ids=lambda make: make.name)
def driver(request: pytest.FixtureRequest) -> HandlerDriver:
    """One handler."""
    make: Callable[[], HandlerDriver] = request.param
    return make()


@pytest.fixture
def store_url(postgres_server: Callable[[str], str]) -> Iterator[str]:
    """An empty database of a user's."""
    with fresh_database(postgres_server, "template1") as url:
        yield url


@pytest.fixture
async def world(database_url: str, encryption_keys: str) -> AsyncIterator[World]:
    """Writes rows, and reads what became of them."""
    opened = await World.open(database_url, encryption_keys)
    yield opened
    await opened.sql.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ConnectionPool]:
    """What the executor holds."""
    opened = await create_pool(database_url, application_name="handlers", size=5)
    yield opened
    opened.terminate()


@pytest.fixture
async def team(world: World) -> Team:
    """Who owns the automations."""
    return await world.team()


@pytest.fixture
def ring(encryption_keys: str) -> KeyRing:
    """The keys of this test's secrets."""
    return KeyRing.parse(encryption_keys)


@pytest.fixture
async def sandbox(sandbox_server: Service) -> AsyncIterator[Sandbox]:
    """The vendors' side; what it has received is long to tell."""
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as http:
        yield Sandbox(sandbox_server.url, http)


@pytest.fixture
def planted() -> PlantedSecrets:
    """The secrets of this test."""
    return PlantedSecrets()


@pytest.fixture
async def environment(
    world: World, team: Team, sandbox: Sandbox, store_url: str, planted: PlantedSecrets
) -> HandlerEnvironment:
    """What handlers are set up on."""
    return HandlerEnvironment(world, team, sandbox, store_url, planted)


def _settings(sandbox_server: Service, store_url: str, encryption_keys: str) -> ExecutorSettings:
    vendors = {name.lower(): value for name, value in vendors_at(sandbox_server.port).items()}
    store = urlsplit(store_url)
    hosts = f"{vendors.pop('outbound_allowed_hosts')},{store.hostname}:{store.port}"
    return ExecutorSettings.model_validate(
        {
            **vendors,
            "outbound_allowed_hosts": hosts,
            "receiver_allowed_hosts": hosts,
            "database_url": SecretStr("postgresql://nobody@localhost/none"),
            "kafka_bootstrap_servers": "localhost:1",
            "encryption_keys": encryption_keys,
        }
    )


@pytest.fixture
def handlers(sandbox_server: Service, store_url: str, encryption_keys: str) -> Mapping[str, Handler[Any]]:
    """The executor's own handlers, loaded as at its start."""
    loaded = load_handlers(_settings(sandbox_server, store_url, encryption_keys))
    return {name: handler for name, handler in loaded.items() if name in OURS}


Build = Callable[..., Awaitable[HandlerHarness]]


@pytest.fixture
async def build(
    pool: ConnectionPool,
    environment: HandlerEnvironment,
    handlers: Mapping[str, Handler[Any]],
    driver: HandlerDriver,
    ring: KeyRing,
    sandbox_server: Service,
) -> AsyncIterator[Build]:
    """Puts the handler on an executor taken apart, with what it needs connected."""
    async with AsyncExitStack() as opened:

        async def make(*, broken: bool = False) -> HandlerHarness:
            await driver.set_up(environment, broken=broken)
            line = create_client(
                timeout=httpx.Timeout(30.0),
                allowed_hosts={f"127.0.0.1:{sandbox_server.port}"},
                receiver_hosts={f"127.0.0.1:{sandbox_server.port}"},
            )
            transport = CuttableTransport(await opened.enter_async_context(line))
            http = await opened.enter_async_context(httpx.AsyncClient(transport=transport))
            chat = await environment.world.telegram(environment.team)
            return HandlerHarness(
                pool, ring, environment.world, environment.team, handlers, transport, http, driver, chat
            )

        yield make


@pytest.fixture
async def harness(build: Build) -> HandlerHarness:
    """The same, all in order."""
    return await build()


@pytest.fixture
async def usual(harness: HandlerHarness) -> object:
    """The effects of a run that nothing disturbs, of an automation that is no more. It has some."""
    run_id = await harness.queue()
    await harness.complete(run_id)
    effects = await harness.driver.effects(run_id)
    assert effects
    await harness.automation()
    return effects


def test_every_handler_has_a_driver(handlers: Mapping[str, Handler[Any]]) -> None:
    assert {make().type for make in DRIVERS} == set(handlers) == OURS


class TestDryRun:
    async def test_it_shows_and_changes_nothing(self, harness: HandlerHarness, world: World) -> None:
        run_id = await harness.queue(trigger=Trigger.DRY_RUN.value)
        before = _without(BOOKKEEPING, await fingerprint(world.sql))
        completion = await harness.complete(run_id)
        assert completion.summary
        assert _without(BOOKKEEPING, await fingerprint(world.sql)) == before
        assert not await harness.driver.effects(run_id)
        json.dumps(completion.result)

    async def test_it_leaves_the_next_run_what_it_has_to_do(
        self, harness: HandlerHarness, usual: object
    ) -> None:
        await harness.complete(await harness.queue(trigger=Trigger.DRY_RUN.value))
        run_id = await harness.queue()
        await harness.complete(run_id)
        assert await harness.driver.effects(run_id) == usual


class TestMistakes:
    async def test_the_api_points_at_them(self, harness: HandlerHarness, driver: HandlerDriver) -> None:
        handler = harness.handlers[driver.type]
        known = {
            driver.type: AutomationTypeOut(
                type=driver.type,
                title=handler.title,
                description="",
                config_schema=handler.config.model_json_schema(),
            )
        }
        allowed = {"127.0.0.1"}
        _, faults = read_config(driver.type, dict(driver.config), known, allowed_hosts=allowed)
        assert not faults
        for mistake in driver.mistakes:
            config = {**driver.config, **mistake.change}
            _, (fault,) = read_config(driver.type, config, known, allowed_hosts=allowed)
            assert fault.pointer == f"/automation_config{mistake.pointer}"
            assert fault.detail

    async def test_a_run_that_meets_one_ends_and_names_the_field(
        self, harness: HandlerHarness, driver: HandlerDriver
    ) -> None:
        mistake = driver.mistakes[-1]
        await harness.automation({**driver.config, **mistake.change})
        run_id = await harness.queue()
        completion = await harness.make(await harness.claim(run_id))
        assert (completion.status, completion.error_code) == (RunStatus.FAILED, "invalid_configuration")
        assert mistake.pointer.split("/")[1] in (completion.error_message or "")
        assert harness.transport.calls == 0


class TestStopping:
    @pytest.mark.slow
    @pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
    async def test_a_cancelled_run_ends_at_once_and_leaves_nothing_half_done(
        self, harness: HandlerHarness, usual: object, after: bool
    ) -> None:
        for call in await _deaths(harness):
            await harness.automation()
            run_id = await harness.queue()
            run = await harness.claim(run_id)
            harness.transport.cut_at(call, after=after)
            attempt = asyncio.create_task(harness.make(run, why_stopped=lambda: Stop.CANCELLED))
            if not await _cut(harness, attempt):
                continue
            attempt.cancel()
            async with asyncio.timeout(GRACE):
                completion = await attempt
            harness.transport.restore()
            assert completion.status is RunStatus.CANCELLED
            assert await harness.record(completion)
            again = await harness.queue()
            await harness.complete(again)
            assert await harness.driver.effects(again) == usual, f"cancelled at call {call}"

    async def test_a_run_that_takes_too_long_is_stopped_and_tried_again(
        self, harness: HandlerHarness, usual: object
    ) -> None:
        run_id = await harness.queue()
        run = await harness.claim(run_id)
        harness.transport.cut_at(1, after=False)
        async with asyncio.timeout(0.5 + GRACE):
            completion = await harness.make(run, run_timeout=0.5)
        harness.transport.restore()
        assert (completion.status, completion.error_code) == (RunStatus.RETRYING, "run_timeout")
        assert await harness.record(completion)
        await harness.rescue(run_id)
        await harness.complete(run_id)
        assert await harness.driver.effects(run_id) == usual


class TestDying:
    @pytest.mark.slow
    @pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
    async def test_whichever_call_it_dies_at_the_next_attempt_finishes(
        self, harness: HandlerHarness, usual: object, after: bool
    ) -> None:
        for call in await _deaths(harness):
            await harness.automation()
            run_id = await harness.queue()
            if not await harness.die_at(await harness.claim(run_id), call, after=after):
                continue
            await harness.rescue(run_id)
            await harness.complete(run_id)
            assert await harness.driver.effects(run_id) == usual, f"died at call {call}"

    async def test_dying_before_the_result_is_recorded_repeats_nothing_that_can_be_told(
        self, harness: HandlerHarness, usual: object
    ) -> None:
        run_id = await harness.queue()
        lost = await harness.make(await harness.claim(run_id))
        assert lost.status is RunStatus.COMPLETED
        await harness.rescue(run_id)
        await harness.complete(run_id)
        assert await harness.driver.effects(run_id) == usual

    async def test_a_result_that_comes_after_the_next_attempt_began_is_rejected(
        self, harness: HandlerHarness, usual: object
    ) -> None:
        run_id = await harness.queue()
        late = await harness.make(await harness.claim(run_id))
        await harness.rescue(run_id)
        current = await harness.claim(run_id)
        assert not await harness.record(late)
        assert await harness.record(await harness.make(current))
        assert await harness.driver.effects(run_id) == usual


class TestMemory:
    async def test_a_failed_attempt_leaves_it_as_it_was(self, harness: HandlerHarness, world: World) -> None:
        await harness.complete(await harness.queue())
        before = await fingerprint(world.sql, "automation_state")
        run_id = await harness.queue()
        harness.transport.restore()
        harness.transport.is_dead = True
        failed = await harness.make(await harness.claim(run_id))
        assert failed.status is RunStatus.RETRYING, failed.error_message
        assert await harness.record(failed)
        assert await fingerprint(world.sql, "automation_state") == before

    async def test_what_is_remembered_can_be_read_by_the_next_run(self, harness: HandlerHarness) -> None:
        await harness.complete(await harness.queue())
        again = await harness.queue()
        await harness.complete(again)


class TestSecrets:
    @pytest.mark.parametrize("broken", [False, True], ids=["all in order", "refused"])
    async def test_none_is_written_anywhere(
        self, build: Build, world: World, planted: PlantedSecrets, broken: bool
    ) -> None:
        harness = await build(broken=broken)
        with capture_logs() as logs:
            run_id = await harness.queue()
            completion = await harness.make(await harness.claim(run_id))
            assert (completion.status is RunStatus.COMPLETED) is not broken, completion.error_message
            await harness.record(completion)
        assert len(planted) > 0
        assert planted.look([*_lines(logs), *await _tables(world)]) == []


def _without(tables: Sequence[str], fingerprints: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fingerprints.items() if name not in tables}


async def _deaths(harness: HandlerHarness) -> list[int]:
    """At which of its outbound calls a run shall die.

    How many it makes may differ by a few from run to run, since calls that come at the same time share a
    batch: to the last of them it may not come.
    """
    harness.transport.restore()
    await harness.complete(await harness.queue())
    calls = harness.transport.calls
    if calls <= MOST_DEATHS:
        return list(range(1, calls + 1))
    return sorted({1 + number * (calls - 1) // (MOST_DEATHS - 1) for number in range(MOST_DEATHS)})


async def _cut(harness: HandlerHarness, attempt: asyncio.Task[Completion]) -> bool:
    """Whether the line was cut before the attempt was through."""
    cut = asyncio.create_task(harness.transport.cut.wait())
    async with asyncio.timeout(60):
        await asyncio.wait([cut, attempt], return_when=asyncio.FIRST_COMPLETED)
    was_cut = harness.transport.cut.is_set()
    cut.cancel()
    assert was_cut or harness.transport.calls > 1, "it called nobody"
    return was_cut


def _lines(logs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [("log", repr(entry)) for entry in logs]


async def _tables(world: World) -> list[tuple[str, str]]:
    """All that our database shows of itself."""
    names = await world.sql.fetch("SELECT relname FROM pg_stat_user_tables")
    return [
        (name, row[0]) for (name,) in names for row in await world.sql.fetch(f"SELECT t::text FROM {name} t")
    ]
