"""A storm: faults drawn from a seed strike every part while automations fire several times a second.

`make chaos SEEDS=1-20 MINUTES=5` runs long ones. The plan is printed before it begins, and the
same seed gives the same plan. See storm_check.py for the judge.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.secrets.crypto import new_webhook_secret
from tests.chaos.seam.environment import seam_environment
from tests.chaos.storm_check import EVERY, Expected, Judgement, judge, unfinished, verified
from tests.factories import Team, World
from tests.support.backends import Broker
from tests.support.elections import through
from tests.support.figures import Figures
from tests.support.file_receiver import FileReceiver, file_receiver
from tests.support.polling import eventually
from tests.support.stack import Service, Stack
from tests.support.tcp_proxy import TcpProxy, proxy_to

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

MINUTES = float(os.environ.get("STORM_MINUTES", "0.75"))
AUTOMATIONS = 180
KINDS = ("scheduler", "scheduler", "executor", "executor", "notifier", "api")
FINISHED_WITHIN = 150.0
_LEADERS = "SELECT count(*) FROM leadership WHERE expires_at > clock_timestamp()"
# The third try of a delivery comes five minutes after the second: a storm does not wait for it.
_RETRY_NOW = (
    "UPDATE delivery SET next_attempt_at = now() WHERE status = 'retrying' AND next_attempt_at > now()"
)
ON_A_SERVICE = ("kill", "freeze", "terminate", "silence", "refuse", "lose answers")
ON_ALL = ("receiver away", "broker silent", "broker emptied", "database away")


def seeds() -> list[int]:
    """`STORM_SEEDS`: 7, or 1-20, or a list of both."""
    found: list[int] = []
    for part in os.environ.get("STORM_SEEDS", "1").split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@dataclass(frozen=True)
class Fault:
    """One fault: after how many seconds of calm, what, on which service, for how long."""

    after: float
    what: str
    service: int
    seconds: float

    def __str__(self) -> str:
        where = f" {KINDS[self.service]} {self.service}" if self.what in ON_A_SERVICE else ""
        return f"after {self.after:.1f} s: {self.what}{where} for {self.seconds:.1f} s"


def plan(seed: int, minutes: float) -> list[Fault]:
    """The faults of a storm of this length."""
    dice = random.Random(seed)
    faults: list[Fault] = []
    while sum(fault.after + fault.seconds for fault in faults) < minutes * 60:
        what = dice.choice(ON_A_SERVICE * 2 + ON_ALL)
        longest = 20.0 if what == "freeze" else 8.0
        fault = Fault(dice.uniform(0.2, 3), what, dice.randrange(len(KINDS)), dice.uniform(1, longest))
        faults.append(fault)
    return faults


@dataclass
class Storm:
    """The services, each with a way of its own to PostgreSQL, and what is counted meanwhile."""

    world: World
    broker: Broker
    services: list[Service]
    proxies: list[TcpProxy]
    receiver: FileReceiver
    receiver_proxy: TcpProxy
    team: Team
    secret: str
    ledger: Path
    first: dict[UUID, datetime] = field(default_factory=dict)
    manual: list[UUID] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    received: list[tuple[str, str]] = field(default_factory=list)
    without_leader: float = 0.0
    stops: list[float] = field(default_factory=list)
    exits: Counter[int] = field(default_factory=Counter)

    async def populate(self, destination_id: UUID) -> None:
        """One slot a minute for each automation, spread over the minute."""
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        for second in range(60):
            first = start + timedelta(seconds=second)
            schedule = {"type": "interval", "interval_minutes": 1, "anchor": first.isoformat()}
            for automation_id in await self.world.automations(
                self.team,
                destination_id,
                AUTOMATIONS // 60,
                kind="effect",
                schedule=schedule,
                config={"url": self.receiver.url},
                platforms=[],
                next_run=first,
            ):
                self.first[automation_id] = first
        await self.world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

    async def strike(self, fault: Fault) -> None:
        """Do it, and undo it when its time is over."""
        service, proxy = self.services[fault.service], self.proxies[fault.service]
        match fault.what:
            case "kill":
                service.kill()
                await asyncio.sleep(fault.seconds)
                await service.start()
            case "terminate":
                began = time.monotonic()
                service.terminate()
                self.exits[await service.exited(within=60)] += 1
                self.stops.append(time.monotonic() - began)
                await service.start()
            case "freeze":
                service.pause()
                await asyncio.sleep(fault.seconds)
                service.resume()
            case "silence" | "refuse":
                (proxy.silence if fault.what == "silence" else proxy.refuse)()
                await asyncio.sleep(fault.seconds)
                proxy.mend()
            case "lose answers":
                proxy.lose_commit_answers(5)
                await asyncio.sleep(fault.seconds)
            case "receiver away":
                self.receiver_proxy.refuse()
                await asyncio.sleep(fault.seconds)
                self.receiver_proxy.mend()
            case "broker silent":
                self.broker.pause()
                await asyncio.sleep(fault.seconds)
                self.broker.resume()
            case "broker emptied":
                await self.broker.restart()
            case "database away":
                for each in self.proxies:
                    each.refuse()
                await asyncio.sleep(fault.seconds)
                for each in self.proxies:
                    each.mend()

    async def watch_leader(self, observer: World) -> None:
        """Keep the longest time without a valid lease."""
        last = time.monotonic()
        while True:
            if await observer.sql.fetchval(_LEADERS):
                last = time.monotonic()
            self.without_leader = max(self.without_leader, time.monotonic() - last)
            await asyncio.sleep(0.05)

    async def run_by_hand(self, seed: int) -> None:
        """A manual run every second or so, asked for again under the same key until it is acknowledged."""
        dice = random.Random(seed)
        headers = {"Authorization": f"Bearer {self.team.api_key}"}
        async with httpx.AsyncClient(base_url=self.services[-1].url, headers=headers, timeout=5) as client:
            while True:
                path = f"/api/automations/{dice.choice(list(self.first))}/run"
                key = {"Idempotency-Key": str(new_id())}
                while True:
                    try:
                        answer = await client.post(path, headers=key)
                    except httpx.HTTPError as error:
                        self.answers[type(error).__name__] += 1
                    else:
                        self.answers[str(answer.status_code)] += 1
                        if answer.is_success:
                            self.manual.append(UUID(answer.json()["id"]))
                        if answer.status_code < 429:
                            break
                    await asyncio.sleep(0.5)
                await asyncio.sleep(1)

    async def judged(self, until: datetime) -> Judgement:
        """Wait for the end of what began before `until`, and ask the judge."""

        async def nothing_left() -> bool:
            await self.world.sql.execute(_RETRY_NOW)
            self.verify()
            return await unfinished(self.world.sql, until) == 0

        with suppress(AssertionError):  # the judge counts what is stuck
            await eventually(nothing_left, within=FINISHED_WITHIN, every=0.5)
        self.verify()
        ledger = self.ledger.read_text().splitlines()
        return await judge(self.world.sql, Expected(self.first, until), self.manual, self.received, ledger)

    def verify(self) -> None:
        """Check the requests that have come since, as a receiver would: soon."""
        taken, self.receiver.taken = self.receiver.taken, []
        self.received += [
            verified(each.headers, each.body, self.secret) for each in taken if "webhook-id" in each.headers
        ]

    async def receive(self) -> None:
        """Check requests as they come: a signature counts for five minutes, and a storm may be longer."""
        while True:
            self.verify()
            await asyncio.sleep(1)


@pytest.fixture
async def storm(world: World, stack: Stack, broker: Broker, tmp_path: Path) -> AsyncIterator[Storm]:
    folder = tmp_path / "seam"
    database_url = stack.environment["DATABASE_URL"]
    async with AsyncExitStack() as opened:
        receiver = await opened.enter_async_context(file_receiver())
        receiver_proxy = await opened.enter_async_context(proxy_to(urlsplit(receiver.url).port or 80))
        allowed = f"{urlsplit(receiver.url).netloc},127.0.0.1:{receiver_proxy.port}"
        common: dict[str, Any] = {
            **seam_environment(folder),
            "OUTBOUND_ALLOWED_HOSTS": allowed,
            "RECEIVER_ALLOWED_HOSTS": allowed,
        }
        services, proxies = [], []
        for kind in KINDS:
            proxies.append(await opened.enter_async_context(proxy_to(urlsplit(database_url).port or 5432)))
            services.append(stack.add(kind, **common, DATABASE_URL=through(proxies[-1], database_url)))
        await asyncio.gather(*(service.start() for service in services))
        team, secret = await world.team(), new_webhook_secret()
        storm = Storm(
            world, broker, services, proxies, receiver, receiver_proxy, team, secret, folder / "ledger"
        )
        destination = await world.webhook(team, f"http://127.0.0.1:{receiver_proxy.port}/hook", secret)
        await storm.populate(destination)
        yield storm
        stack.close()


@pytest.mark.parametrize("seed", seeds())
async def test_a_storm_loses_and_doubles_nothing(
    storm: Storm, seed: int, database_url: str, encryption_keys: str, figures: Figures
) -> None:
    faults = plan(seed, MINUTES)
    print(f"\nseed {seed}, {len(faults)} faults:", *faults, sep="\n  ", flush=True)
    observer = await World.open(database_url, encryption_keys)
    around = [
        asyncio.create_task(storm.watch_leader(observer)),
        asyncio.create_task(storm.run_by_hand(seed)),
        asyncio.create_task(storm.receive()),
    ]
    try:
        for fault in faults:
            await asyncio.sleep(fault.after)
            await storm.strike(fault)
        for task in around:
            assert not task.done(), task.exception()
    finally:
        for task in around:
            task.cancel()
        await asyncio.wait(around)
        await observer.sql.close()
    until = datetime.now(UTC)
    found = await storm.judged(until)
    found.seen |= {
        "faults": len(faults),
        "seconds without a leader, longest, all faults": storm.without_leader,
        "seconds to stop after SIGTERM, longest": max(storm.stops, default=0.0),
        **{f"exit status {status} after SIGTERM": count for status, count in storm.exits.items()},
        **{f"API answers: {answer}": count for answer, count in storm.answers.items()},
    }
    print(f"\nseed {seed}\n{found.table()}", *found.words[:20], sep="\n", flush=True)
    for what, count in (found.faults | found.seen).items():
        figures.record(f"storm {seed}: {what}", count, "")
    assert found.seen["slots"] > EVERY.total_seconds() * MINUTES
    assert not {what: count for what, count in found.faults.items() if count}, f"seed {seed}"
    assert all(stop <= 20 for stop in storm.stops)
    assert set(storm.exits) <= {0}
