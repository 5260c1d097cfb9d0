"""Receivers that hang: they use few places, the others are served, and a chat is still read in order."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.secrets.crypto import KeyRing
from common.work.waiting import Waiting
from notifier.channels.base import Parcel, Receipt
from notifier.deliveries.claims import flows
from notifier.pacing import Limit
from tests.factories import Team, World
from tests.support.notifier_harness import notifying
from tests.support.polling import eventually


@pytest.fixture
async def destination_id(world: World, team: Team) -> UUID:
    return await world.telegram(team)


async def all_delivered(world: World, *ids: UUID) -> None:
    async def are_delivered() -> bool:
        count = await world.sql.fetchval(
            "SELECT count(*) FROM delivery WHERE id = ANY($1::uuid[]) AND status = 'delivered'", ids
        )
        return bool(count == len(ids))

    await eventually(are_delivered)


async def test_a_receiver_that_hangs_makes_no_other_wait(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, destination_id: UUID
) -> None:
    hanging = [await world.delivery(team, destination_id) for _ in range(60)]
    beside = await world.delivery(team, await world.telegram(team, chat_id=5))
    stranger = await world.team("Contoso")
    other = await world.delivery(stranger, await world.telegram(stranger, chat_id=6))
    sent: list[UUID] = []
    never = asyncio.Event()

    async def send(parcel: Parcel) -> Receipt:
        if parcel.id in hanging:
            await never.wait()
        sent.append(parcel.id)
        return Receipt(200, {})

    async with notifying(pool, ring, send, concurrency=20) as notifier:
        for delivery_id in (*hanging, beside, other):
            row = await world.row("delivery", delivery_id)
            item = Waiting(delivery_id, flows(row["tenant_id"], row["destination_id"]))
            await notifier.delivering.take([item])
        await eventually(lambda: len(sent) == 2)
        await eventually(lambda: notifier.delivering.used == 4)
        assert set(sent) == {beside, other}
        never.set()
        await all_delivered(world, *hanging)
        assert notifier.delivering.used == 0


async def test_a_chat_is_read_in_order_also_beyond_the_places_of_its_destination(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, destination_id: UUID
) -> None:
    ids = sorted([await world.delivery(team, destination_id) for _ in range(30)])
    sent: list[UUID] = []

    async def send(parcel: Parcel) -> Receipt:
        await asyncio.sleep(0.002 * random.random())
        sent.append(parcel.id)
        return Receipt(200, {})

    many = [Limit("chat", 1_000, 1.0, burst=500)]
    async with notifying(pool, ring, send, concurrency=20, limits=many) as notifier:
        await notifier.delivering.take([Waiting(each, flows(team.tenant_id, destination_id)) for each in ids])
        await all_delivered(world, *ids)
    assert sent == ids


async def test_what_is_due_and_has_no_place_is_not_looked_for_without_a_pause(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    destination_id: UUID,
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(3):
        await world.delivery(team, destination_id, status="retrying", next_attempt_at=past)
    looks = 0
    begun, never = asyncio.Event(), asyncio.Event()

    async def hang(_parcel: Parcel) -> Receipt:
        begun.set()
        await never.wait()
        raise AssertionError("waited for nothing and it came")

    async with notifying(pool, ring, hang, concurrency=1) as notifier:
        waiting_of = notifier.claims.seconds_to_next_retry

        async def counted() -> float | None:
            nonlocal looks
            looks += 1
            return await waiting_of()

        sweeping = asyncio.create_task(notifier.delivering.sweep_regularly(counted))
        await asyncio.wait_for(begun.wait(), 5)
        await asyncio.sleep(1.5)
        sweeping.cancel()
        await asyncio.wait([sweeping])
    assert looks <= 3
