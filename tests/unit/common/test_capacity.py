"""Capacity: never more than there is, each lane its share, and nobody waits for places that are free."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.models import Lane
from common.work.places import Capacity, Stopping


async def settled() -> None:
    """Let everybody who was woken go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_lane_gets_what_it_wants_up_to_its_share() -> None:
    capacity = Capacity(10)
    assert capacity.take(Lane.LOW, 8) == 5
    assert capacity.take(Lane.LOW, 1) == 0
    assert capacity.take(Lane.NORMAL, 8) == 5
    assert capacity.take(Lane.HIGH, 1) == 0, "all ten are taken"


def test_a_flood_of_backfills_leaves_room_for_a_click() -> None:
    capacity = Capacity(50)
    assert capacity.take(Lane.LOW, 1_000) == 25
    assert capacity.take(Lane.NORMAL, 1_000) == 25
    capacity.release(Lane.NORMAL, 5)
    assert capacity.take(Lane.HIGH, 1) == 1


@pytest.mark.parametrize("total", [1, 2, 3])
def test_every_lane_has_a_place_however_small_the_process(total: int) -> None:
    for lane in Lane:
        assert Capacity(total).take(lane, 1) == 1


async def test_whoever_waits_gets_the_place_that_becomes_free() -> None:
    capacity = Capacity(1)
    capacity.take(Lane.NORMAL, 1)
    waiting = asyncio.create_task(capacity.wait_and_take(Lane.NORMAL, 3))
    await settled()
    assert not waiting.done()
    capacity.release(Lane.NORMAL)
    assert await waiting == 1


async def test_places_given_back_together_reach_everybody_who_waits() -> None:
    capacity = Capacity(4)
    capacity.take(Lane.HIGH, 4)
    waiting = [asyncio.create_task(capacity.wait_and_take(Lane.HIGH, 1)) for _ in range(3)]
    await settled()
    capacity.release(Lane.HIGH, 4)
    async with asyncio.timeout(1):
        assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_the_higher_lane_is_served_first() -> None:
    capacity = Capacity(2)
    capacity.take(Lane.HIGH, 2)
    served: list[Lane] = []

    async def wait(lane: Lane) -> None:
        await capacity.wait_and_take(lane, 1)
        served.append(lane)

    tasks = [asyncio.create_task(wait(lane)) for lane in (Lane.LOW, Lane.NORMAL, Lane.HIGH)]
    await settled()
    for _ in range(2):
        capacity.release(Lane.HIGH)
        await settled()
    assert served == [Lane.HIGH, Lane.NORMAL]
    tasks[0].cancel()


async def test_a_waiter_who_gave_up_does_not_swallow_the_place() -> None:
    capacity = Capacity(1)
    capacity.take(Lane.NORMAL, 1)
    gave_up = asyncio.create_task(capacity.wait_and_take(Lane.NORMAL, 1))
    patient = asyncio.create_task(capacity.wait_and_take(Lane.NORMAL, 1))
    await settled()
    # It is woken and cancelled in the same moment.
    capacity.release(Lane.NORMAL)
    gave_up.cancel()
    async with asyncio.timeout(1):
        assert await patient == 1


async def test_a_closed_capacity_hands_out_nothing_and_says_so() -> None:
    capacity = Capacity(2)
    capacity.take(Lane.NORMAL, 1)
    capacity.take(Lane.HIGH, 1)
    waiting = [asyncio.create_task(capacity.wait_and_take(lane, 1)) for lane in Lane]
    await settled()
    capacity.close()
    for task in waiting:
        with pytest.raises(Stopping):
            await task
    capacity.release(Lane.NORMAL)
    assert capacity.take(Lane.NORMAL, 1) == 0
    with pytest.raises(Stopping):
        await capacity.wait_and_take(Lane.HIGH, 1)


STEPS = st.lists(st.tuples(st.sampled_from(Lane), st.integers(1, 8), st.booleans()), min_size=1, max_size=60)


@given(total=st.integers(1, 20), steps=STEPS)
def test_there_are_never_more_places_than_there_are(
    total: int, steps: Sequence[tuple[Lane, int, bool]]
) -> None:
    capacity = Capacity(total)
    held = dict.fromkeys(Lane, 0)
    for lane, places, takes in steps:
        if takes:
            held[lane] += capacity.take(lane, places)
        elif held[lane]:
            given_back = min(held[lane], places)
            capacity.release(lane, given_back)
            held[lane] -= given_back
        assert capacity.used == held
        assert sum(held.values()) <= total
        assert all(capacity.free(one) >= 0 for one in Lane)
