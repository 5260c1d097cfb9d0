"""The live feed of a real process on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from common.broker import create_producer
from common.events import Event, NotificationDelivered, RunStarted, to_record
from common.ids import new_id
from common.settings import KafkaSettings
from tests.factories import Team, World
from tests.support.backends import Broker
from tests.support.polling import eventually
from tests.support.stack import Service, Stack


@pytest.fixture
async def service(stack: Stack) -> Service:
    (started,) = await stack.start("api")
    await condition(started, "ok")
    return started


@pytest.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    started = create_producer(kafka, client_id="tests")
    await started.start()
    yield started
    await started.stop()


async def condition(service: Service, wanted: str) -> None:
    """Wait until /readyz says this about Kafka; it is ready all the time."""

    async def says() -> bool:
        async with httpx.AsyncClient(base_url=service.url) as client:
            response = await client.get("/readyz")
        assert response.status_code == 200
        return bool(response.json()["checks"]["kafka"].startswith(wanted))

    await eventually(says, within=40, every=0.2, what=f"kafka {wanted}")


class Watcher:
    """Somebody who reads the live feed."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def event(self) -> tuple[str, dict[str, Any]]:
        """The next event that is not a comment."""
        name = ""
        async with asyncio.timeout(20):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
        raise EOFError

    async def end(self) -> None:
        """Read until the stream ends."""
        async with asyncio.timeout(20):
            async for _line in self._lines:
                pass


@contextlib.asynccontextmanager
async def watching(service: Service, team: Team) -> AsyncIterator[Watcher]:
    headers = {"Authorization": f"Bearer {team.api_key}", "Last-Event-ID": "whatever"}
    async with (
        httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30) as client,
        client.stream("GET", "/api/events") as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        watcher = Watcher(response.aiter_lines())
        assert (await watcher.event())[0] == "hello"
        yield watcher


def started(team: Team, automation_id: UUID) -> RunStarted:
    return RunStarted(
        run_id=new_id(),
        automation_id=automation_id,
        tenant_id=team.tenant_id,
        attempt=1,
        scheduled_for=None,
        started_at=datetime.now(UTC),
        worker="executor-1",
    )


async def publish(producer: AIOKafkaProducer, kafka: KafkaSettings, event: Event) -> None:
    record = to_record(event, source="tests", time=datetime.now(UTC))
    await producer.send_and_wait(
        kafka.kafka_topic_prefix + record.topic,
        record.value,
        key=record.key.encode(),
        headers=[(name, value.encode()) for name, value in record.headers.items()],
    )


async def test_watchers_see_their_teams_events_with_names(
    service: Service, world: World, acme: Team, globex: Team, producer: AIOKafkaProducer, kafka: KafkaSettings
) -> None:
    destination = await world.telegram(acme)
    (automation,) = await world.automations(acme, destination)
    async with watching(service, acme) as watcher, watching(service, globex) as stranger:
        topic = kafka.kafka_topic_prefix + "automation.run"
        await producer.send_and_wait(topic, b"not an event", key=str(automation).encode())
        await publish(producer, kafka, started(globex, new_id()))
        await publish(producer, kafka, started(acme, automation))
        name, data = await watcher.event()
        await publish(
            producer,
            kafka,
            NotificationDelivered(
                delivery_id=new_id(),
                destination_id=destination,
                tenant_id=acme.tenant_id,
                run_id=None,
                attempt=1,
                delivered_at=datetime.now(UTC),
            ),
        )
        delivered, delivery = await watcher.event()

        assert (name, data["automation_name"]) == ("run.started", "scheduled_report 1")
        assert (delivered, delivery["destination_name"]) == (
            "delivery.delivered",
            f"telegram {destination}",
        )
        _, theirs = await stranger.event()
        assert theirs["tenant_id"] == str(globex.tenant_id)


async def test_stopping_ends_the_streams_at_once(service: Service, acme: Team) -> None:
    async with watching(service, acme) as watcher:
        service.terminate()
        await watcher.end()

    # Sooner than the deadline that open answers are given.
    assert await service.exited(within=6) == 0


@pytest.mark.slow
async def test_feed_pauses_without_kafka_and_returns_with_it(
    service: Service,
    broker: Broker,
    world: World,
    acme: Team,
    kafka: KafkaSettings,
) -> None:
    broker.kill()
    await condition(service, "degraded")
    async with httpx.AsyncClient(base_url=service.url) as client:
        headers = {"Authorization": f"Bearer {acme.api_key}"}
        assert (await client.get("/api/tenant", headers=headers)).status_code == 200
    await broker.restart()
    await condition(service, "ok")

    producer = create_producer(kafka, client_id="tests")
    await producer.start()
    try:
        (automation,) = await world.automations(acme, None)
        async with watching(service, acme) as watcher:
            event = asyncio.create_task(watcher.event())
            # The consumer may still be on its way back to the end of its partitions: say it until it hears.
            while not event.done():
                await publish(producer, kafka, started(acme, automation))
                await asyncio.wait([event], timeout=0.5)
            assert (await event)[0] == "run.started"
    finally:
        await producer.stop()
