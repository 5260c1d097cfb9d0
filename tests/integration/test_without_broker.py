"""A broker that goes away delays work by seconds and takes no service out of rotation."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from common.settings import KafkaSettings
from tests.factories import Team, World
from tests.support.backends import Broker
from tests.support.polling import eventually
from tests.support.stack import Stack
from tests.support.tcp_proxy import proxy_to

PICKED_UP_WITHIN = 8.0
LINES_A_MINUTE = 100


@pytest.mark.slow
async def test_runs_are_picked_up_and_the_executor_stays_ready_while_the_broker_is_away(
    stack: Stack, world: World, team: Team, broker: Broker
) -> None:
    _, executor = await stack.start("scheduler", "executor")
    broker.kill()
    said = len(executor.log.splitlines())

    async def is_degraded() -> bool:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{executor.url}/readyz")
        assert answer.status_code == 200, answer.text
        return any(check.startswith("degraded") for check in answer.json()["checks"].values())

    await eventually(is_degraded, within=45, every=1)
    await world.automations(team, None, next_run=datetime.now(UTC))
    await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

    async def is_begun() -> bool:
        begun: bool = await world.sql.fetchval(
            "SELECT EXISTS (SELECT FROM automation_run WHERE started_at IS NOT NULL)"
        )
        return begun

    await eventually(is_begun, within=PICKED_UP_WITHIN)
    waited = await world.sql.fetchval(
        "SELECT extract(epoch FROM started_at - scheduled_for)::float8 FROM automation_run"
    )
    assert waited < PICKED_UP_WITHIN
    assert len(executor.log.splitlines()) - said < LINES_A_MINUTE, "the libraries repeat themselves"


@pytest.mark.slow
async def test_services_start_and_work_without_a_broker_and_join_it_when_it_comes(
    stack: Stack, world: World, team: Team, kafka: KafkaSettings
) -> None:
    port = int(kafka.kafka_bootstrap_servers.rpartition(":")[2])
    delivery_id = await world.delivery(team, await world.telegram(team), next_attempt_at=datetime.now(UTC))
    await world.automations(team, None, next_run=datetime.now(UTC))
    async with proxy_to(port) as way, httpx.AsyncClient() as client:
        way.refuse()
        services = await stack.start(
            "scheduler", "executor", "notifier", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{way.port}"
        )

        async def is_begun() -> bool:
            run = await world.sql.fetchval("SELECT max(started_at) FROM automation_run")
            attempts = await world.sql.fetchval("SELECT attempt FROM delivery WHERE id = $1", delivery_id)
            return run is not None and attempts > 0

        await eventually(is_begun, within=PICKED_UP_WITHIN)
        way.mend()

        async def have_joined() -> bool:
            answers = [await client.get(f"{each.url}/readyz") for each in services]
            return all(set(answer.json()["checks"].values()) == {"ok"} for answer in answers)

        await eventually(have_joined, within=30, every=0.5)
        await world.automations(team, None, next_run=datetime.now(UTC))
        await world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")

        async def second_is_begun() -> bool:
            return bool(await world.sql.fetchval("SELECT count(started_at) FROM automation_run") == 2)

        await eventually(second_is_begun, within=5)
