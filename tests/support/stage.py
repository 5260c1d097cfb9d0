"""Running services whose every secret is watched: those in their settings, and those that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from common.database.pool import connect
from common.secrets.crypto import KeyRing
from common.settings import KafkaSettings
from tests.factories import World
from tests.support import harvest
from tests.support.canaries import Canaries
from tests.support.collector import Collector, collecting
from tests.support.desks import Desk
from tests.support.harvest import Notebook, Places
from tests.support.pages import Person
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

SERVICES = ("api", "scheduler", "executor", "notifier")
_LOOK_EVERY = 0.2


@dataclass
class Stage:
    """What the scenes of a test play on."""

    stack: Stack
    canaries: Canaries
    world: World
    sandbox: httpx.AsyncClient
    collector: Collector
    kafka: KafkaSettings
    ring: KeyRing
    notebook: Notebook = field(default_factory=Notebook)
    desks: list[Desk] = field(default_factory=list)
    feed: bytearray = field(default_factory=bytearray)
    _exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """The world's connection does one thing at a time."""

    @property
    def origin(self) -> str:
        """Where the API is."""
        return self.stack["api"].url

    @property
    def vendor(self) -> str:
        """Where the sandbox is."""
        return str(self.sandbox.base_url).rstrip("/")

    async def desk(self, name: str) -> Desk:
        """A new team's."""
        async with self._turn:
            team = await self.world.team(name)
        # Its first characters are shown on purpose, so that people can tell their keys apart.
        self.canaries.plant(f"the API key of {name}", team.api_key, public=team.api_key[:8])
        client = await self._exits.enter_async_context(
            self.notebook.client(self.origin, Authorization=f"Bearer {team.api_key}")
        )
        desk = Desk(name, team, client)
        self.desks.append(desk)
        return desk

    async def visitor(self) -> Person:
        """Somebody at the console, signed in as nobody yet."""
        return Person(await self._exits.enter_async_context(self.notebook.client(self.origin)))

    async def fault(self, **description: Any) -> None:
        """Switch trouble at the sandbox on."""
        answer = await self.sandbox.post("/_sandbox/faults", json=description)
        assert answer.is_success, answer.text

    async def no_faults(self) -> None:
        """Switch all of it off; all of it must have struck."""

        async def all_struck() -> bool:
            faults = (await self.sandbox.get("/_sandbox/faults")).raise_for_status().json()["faults"]
            idle = [fault["match"] for fault in faults if not fault["struck"]]
            assert not idle, f"never met: {idle}"
            return True

        await eventually(all_struck, within=5)
        (await self.sandbox.delete("/_sandbox/faults")).raise_for_status()

    async def adopt(self) -> None:
        """Watch every secret that is in the database now."""
        async with self._turn:
            await self.canaries.adopt(self.world.sql, self.ring)

    async def follow(self, desk: Desk) -> None:
        """Keep what the team's live feed tells from now on."""
        task = asyncio.create_task(self._follow(desk))
        self._exits.push_async_callback(_ended, task)
        await eventually(lambda: bool(self.feed), what="the live feed says hello")

    async def _follow(self, desk: Desk) -> None:
        async with desk.api.stream("GET", harvest.ENDLESS, timeout=None) as answer:
            async for chunk in answer.aiter_bytes():
                self.feed += chunk

    async def gather(self) -> dict[str, Places]:
        """Everything there is to see, by where it was seen. Ends the services."""
        found: dict[str, Places] = {
            "live feed": [("the live feed", bytes(self.feed))],
            "answers": self.notebook.answers,
        }
        for name, places in (await harvest.rows(self.world.sql)).items():
            found[f"table {name}"] = places
        for name, places in (await harvest.records(self.kafka)).items():
            found[f"topic {name}"] = places
        services = [self.stack[name] for name in SERVICES]
        await asyncio.gather(*(service.stop() for service in services))
        found["logs"] = harvest.logs(services)
        found["spans"] = [("a span", body) for body in self.collector.exports]
        return found


@asynccontextmanager
async def staged(
    stack: Stack,
    kafka: KafkaSettings,
    canaries: Canaries,
    sandbox: Service,
    environment: Mapping[str, str],
) -> AsyncIterator[Stage]:
    """Start the services in this environment, and watch for the length of the block."""
    ring = KeyRing.parse(stack.environment["ENCRYPTION_KEYS"])
    async with AsyncExitStack() as exits:
        collector = await exits.enter_async_context(collecting())
        await stack.start(
            *SERVICES,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY="500",
            **environment,
        )
        url = stack.environment["DATABASE_URL"]
        world = await World.open(url, stack.environment["ENCRYPTION_KEYS"])
        exits.push_async_callback(world.sql.close)
        vendor = await exits.enter_async_context(
            httpx.AsyncClient(base_url=sandbox.url, timeout=60, trust_env=False)
        )
        watch = asyncio.create_task(_watch(url, ring, canaries))
        exits.push_async_callback(_ended, watch)
        stage = Stage(stack, canaries, world, vendor, collector, kafka, ring)
        exits.push_async_callback(stage._exits.aclose)
        yield stage


async def _watch(url: str, ring: KeyRing, canaries: Canaries) -> None:
    """Adopt what is sealed in the database again and again: tokens that rotate live for moments only."""
    connection = await connect(url, application_name="watch")
    try:
        while True:
            await canaries.adopt(connection, ring)
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        await connection.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Stop a task; what it failed with is raised."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
