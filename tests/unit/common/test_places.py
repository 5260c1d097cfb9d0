"""Places: never more than there is, each lane its share, and nobody waits for places that are free."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.models import Lane
from common.work.places import Places, Stopping, lanes


async def settled() -> None:
    """Let everybody who was woken go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_lane_gets_what_it_wants_up_to_its_share() -> None:
    capacity = lanes(10)
    assert capacity[Lane.LOW].take(8) == 5
    assert capacity[Lane.LOW].take(1) == 0
    assert capacity[Lane.NORMAL].take(8) == 5
    assert capacity[Lane.HIGH].take(1) == 0, "all ten are taken"


def test_a_flood_of_backfills_leaves_room_for_a_manual_run() -> None:
    capacity = lanes(50)
    assert capacity[Lane.LOW].take(1_000) == 25
    assert capacity[Lane.NORMAL].take(1_000) == 25
    capacity[Lane.NORMAL].release(5)
    assert capacity[Lane.HIGH].take(1) == 1


@pytest.mark.parametrize("total", [1, 2, 3])
def test_every_lane_has_a_place_however_small_the_process(total: int) -> None:
    for lane in Lane:
        assert lanes(total)[lane].take(1) == 1


async def test_a_waiter_gets_the_place_that_becomes_free() -> None:
    capacity = lanes(1)
    capacity[Lane.NORMAL].take(1)
    waiting = asyncio.create_task(capacity[Lane.NORMAL].wait_and_take(3))
    await settled()
    assert not waiting.done()
    capacity[Lane.NORMAL].release()
    assert await waiting == 1


async def test_places_returned_together_reach_all_waiters() -> None:
    capacity = lanes(4)
    capacity[Lane.HIGH].take(4)
    waiting = [asyncio.create_task(capacity[Lane.HIGH].wait_and_take(1)) for _ in range(3)]
    await settled()
    capacity[Lane.HIGH].release(4)
    async with asyncio.timeout(1):
        assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_the_higher_lane_is_served_first() -> None:
    capacity = lanes(2)
    capacity[Lane.HIGH].take(2)
    served: list[Lane] = []

    async def wait(lane: Lane) -> None:
        await capacity[lane].wait_and_take(1)
        served.append(lane)

    tasks = [asyncio.create_task(wait(lane)) for lane in (Lane.LOW, Lane.NORMAL, Lane.HIGH)]
    await settled()
    for _ in range(2):
        capacity[Lane.HIGH].release()
        await settled()
    assert served == [Lane.HIGH, Lane.NORMAL]
    tasks[0].cancel()


async def test_a_cancelled_waiter_does_not_lose_the_place() -> None:
    capacity = lanes(1)
    capacity[Lane.NORMAL].take(1)
    gave_up = asyncio.create_task(capacity[Lane.NORMAL].wait_and_take(1))
    patient = asyncio.create_task(capacity[Lane.NORMAL].wait_and_take(1))
    await settled()
    # It is woken and cancelled in the same moment.
    capacity[Lane.NORMAL].release()
    gave_up.cancel()
    async with asyncio.timeout(1):
        assert await patient == 1


async def test_a_closed_capacity_hands_out_nothing_and_says_so() -> None:
    capacity = lanes(2)
    capacity[Lane.NORMAL].take(1)
    capacity[Lane.HIGH].take(1)
    waiting = [asyncio.create_task(capacity[lane].wait_and_take(1)) for lane in Lane]
    await settled()
    for lane in Lane:
        capacity[lane].close()
    for task in waiting:
        with pytest.raises(Stopping):
            await task
    capacity[Lane.NORMAL].release()
    assert capacity[Lane.NORMAL].take(1) == 0
    with pytest.raises(Stopping):
        await capacity[Lane.HIGH].wait_and_take(1)


def test_work_that_has_begun_already_is_counted_beyond_what_there_is() -> None:
    places = Places(2)
    assert places.take(1) == 1
    places.overdraw(2)
    assert (places.used, places.free, places.take(1)) == (3, 0, 0)
    places.release(2)
    assert places.free == 1


STEPS = st.lists(st.tuples(st.sampled_from(Lane), st.integers(1, 8), st.booleans()), min_size=1, max_size=60)


@given(total=st.integers(1, 20), steps=STEPS)
def test_places_in_use_never_exceed_the_total(total: int, steps: Sequence[tuple[Lane, int, bool]]) -> None:
    capacity = lanes(total)
    held = dict.fromkeys(Lane, 0)
    for lane, places, takes in steps:
        if takes:
            held[lane] += capacity[lane].take(places)
        elif held[lane]:
            given_back = min(held[lane], places)
            capacity[lane].release(given_back)
            held[lane] -= given_back
        assert {lane: places.used for lane, places in capacity.items()} == held
        assert sum(held.values()) <= total
        assert all(capacity[one].free >= 0 for one in Lane)
