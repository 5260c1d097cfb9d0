"""Running services whose secrets, in settings and in the database, are all planted for a later search."""

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
from tests.support import exposed_text
from tests.support.collector import Collector, collecting
from tests.support.console_browser import Person
from tests.support.exposed_text import Places, ResponseLog
from tests.support.planted_secrets import PlantedSecrets
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.team_client import TeamClient

SERVICES = ("api", "scheduler", "executor", "notifier")
_LOOK_EVERY = 0.2


@dataclass
class WatchedServices:
    """Services, sandbox and collector of one test, and the secrets planted in them."""

    stack: Stack
    planted: PlantedSecrets
    world: World
    sandbox: httpx.AsyncClient
    collector: Collector
    kafka: KafkaSettings
    ring: KeyRing
    responses: ResponseLog = field(default_factory=ResponseLog)
    team_clients: list[TeamClient] = field(default_factory=list)
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

    async def team_client(self, name: str) -> TeamClient:
        """A new team's."""
        async with self._turn:
            team = await self.world.team(name)
        # Its first characters are shown on purpose, so that people can tell their keys apart.
        self.planted.plant(f"the API key of {name}", team.api_key, public=team.api_key[:8])
        client = await self._exits.enter_async_context(
            self.responses.client(self.origin, Authorization=f"Bearer {team.api_key}")
        )
        team_client = TeamClient(name, team, client)
        self.team_clients.append(team_client)
        return team_client

    async def visitor(self) -> Person:
        """A console browser that is not signed in."""
        return Person(await self._exits.enter_async_context(self.responses.client(self.origin)))

    async def fault(self, **description: Any) -> None:
        """Add a fault at the sandbox."""
        answer = await self.sandbox.post("/_sandbox/faults", json=description)
        assert answer.is_success, answer.text

    async def no_faults(self) -> None:
        """Remove all faults; each must have struck at least once."""

        async def all_struck() -> bool:
            faults = (await self.sandbox.get("/_sandbox/faults")).raise_for_status().json()["faults"]
            idle = [fault["match"] for fault in faults if not fault["struck"]]
            assert not idle, f"never met: {idle}"
            return True

        await eventually(all_struck, within=5)
        (await self.sandbox.delete("/_sandbox/faults")).raise_for_status()

    async def adopt(self) -> None:
        """Plant every secret that is in the database now."""
        async with self._turn:
            await self.planted.adopt(self.world.sql, self.ring)

    async def follow(self, team_client: TeamClient) -> None:
        """Record the team's live feed from now on."""
        task = asyncio.create_task(self._follow(team_client))
        self._exits.push_async_callback(_ended, task)
        await eventually(lambda: bool(self.feed), what="the live feed says hello")

    async def _follow(self, team_client: TeamClient) -> None:
        async with team_client.api.stream("GET", exposed_text.ENDLESS, timeout=None) as answer:
            async for chunk in answer.aiter_bytes():
                self.feed += chunk

    async def gather(self) -> dict[str, Places]:
        """All text the services exposed, by place. Stops the services."""
        found: dict[str, Places] = {
            "live feed": [("the live feed", bytes(self.feed))],
            "answers": self.responses.answers,
        }
        for name, places in (await exposed_text.rows(self.world.sql)).items():
            found[f"table {name}"] = places
        for name, places in (await exposed_text.records(self.kafka)).items():
            found[f"topic {name}"] = places
        services = [self.stack[name] for name in SERVICES]
        await asyncio.gather(*(service.stop() for service in services))
        found["logs"] = exposed_text.logs(services)
        found["spans"] = [("a span", body) for body in self.collector.exports]
        return found


@asynccontextmanager
async def watched_services(
    stack: Stack,
    kafka: KafkaSettings,
    planted: PlantedSecrets,
    sandbox: Service,
    environment: Mapping[str, str],
) -> AsyncIterator[WatchedServices]:
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
        watch = asyncio.create_task(_watch(url, ring, planted))
        exits.push_async_callback(_ended, watch)
        watched = WatchedServices(stack, planted, world, vendor, collector, kafka, ring)
        exits.push_async_callback(watched._exits.aclose)
        yield watched


async def _watch(url: str, ring: KeyRing, planted: PlantedSecrets) -> None:
    """Adopt what is sealed in the database again and again: tokens that rotate live for moments only."""
    connection = await connect(url, application_name="watch")
    try:
        while True:
            await planted.adopt(connection, ring)
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        await connection.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Stop a task; what it failed with is raised."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
