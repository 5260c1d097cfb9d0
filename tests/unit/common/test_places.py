"""Places: never more than there are, a share for each lane, and room for a newcomer."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.models import Lane
from common.work.places import Flows, Places, destination, lanes, team

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def taken(places: Places, wanted: int, flows: Flows = ()) -> int:
    """How many of so many items find a place."""
    return sum(places.take(flows) for _ in range(wanted))


def test_a_lane_gets_what_it_wants_up_to_its_share() -> None:
    capacity = lanes(10)
    assert taken(capacity[Lane.LOW], 8) == 5
    assert taken(capacity[Lane.LOW], 1) == 0
    assert taken(capacity[Lane.NORMAL], 8) == 5
    assert taken(capacity[Lane.HIGH], 1) == 0, "all ten are taken"


def test_a_flood_of_backfills_leaves_room_for_a_manual_run() -> None:
    capacity = lanes(50)
    assert taken(capacity[Lane.LOW], 1_000) == 25
    assert taken(capacity[Lane.NORMAL], 1_000) == 25
    for _ in range(5):
        capacity[Lane.NORMAL].release(())
    assert taken(capacity[Lane.HIGH], 1) == 1


@pytest.mark.parametrize("total", [1, 2, 3])
def test_every_lane_has_a_place_however_small_the_process(total: int) -> None:
    for lane in Lane:
        assert lanes(total)[lane].take((team(A),))


def test_one_team_leaves_places_for_the_next_and_that_one_for_a_third() -> None:
    places = Places(50)
    assert [taken(places, 1_000, (team(each),)) for each in (A, B, C)] == [38, 9, 3]


def test_a_team_that_comes_when_others_have_finished_gets_more() -> None:
    places = Places(50)
    taken(places, 1_000, (team(A),))
    taken(places, 1_000, (team(B),))
    for _ in range(38):
        places.release((team(A),))
    assert taken(places, 1_000, (team(B),)) == 38 - 9


def test_one_destination_gets_few_places_and_its_other_destinations_the_rest_of_the_team() -> None:
    places = Places(50)
    assert taken(places, 300, (team(A), destination(B))) == 10
    assert taken(places, 300, (team(A), destination(C))) == 8
    assert places.free == 32


@pytest.mark.parametrize(("total", "most"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 6)])
def test_a_small_process_works_for_one_team_too(total: int, most: int) -> None:
    assert taken(Places(total), 100, (team(A),)) == most


def test_whoever_has_nothing_gets_the_last_place() -> None:
    places = Places(4)
    assert taken(places, 100, (team(A),)) == 3
    assert not places.has_room_for((team(A),))
    assert places.take((team(B), destination(C)))


def test_a_lane_counts_its_own_work_of_a_team() -> None:
    """A team's flood of scheduled runs does not hold up a click of one of its own people."""
    capacity = lanes(50)
    assert taken(capacity[Lane.NORMAL], 1_000, (team(A),)) == 34
    assert capacity[Lane.HIGH].take((team(A),))


def test_a_closed_process_hands_out_nothing() -> None:
    capacity = lanes(2)
    for lane in Lane:
        capacity[lane].close()
        assert not capacity[lane].take(())


def test_work_that_has_begun_already_is_counted_beyond_what_there_is() -> None:
    places = Places(2)
    assert places.take((team(A),))
    places.overdraw((team(A),))
    places.overdraw((team(B),))
    assert (places.used, places.free, places.take((team(C),))) == (3, 0, False)
    places.release((team(A),))
    places.release((team(A),))
    assert places.free == 1
    assert places.take((team(A),)), "nothing is left of what was given back"


STEPS = st.lists(
    st.tuples(st.sampled_from(Lane), st.integers(0, 3), st.integers(1, 8), st.booleans()),
    min_size=1,
    max_size=60,
)


@given(total=st.integers(1, 20), steps=STEPS)
def test_places_in_use_never_exceed_the_total(
    total: int, steps: Sequence[tuple[Lane, int, int, bool]]
) -> None:
    capacity = lanes(total)
    held: list[tuple[Lane, Flows]] = []
    for lane, number, count, takes in steps:
        flows = (team(UUID(int=number)), destination(UUID(int=number + 100)))
        if takes:
            held += [(lane, flows)] * taken(capacity[lane], count, flows)
        else:
            for each in [one for one in held if one == (lane, flows)][:count]:
                held.remove(each)
                capacity[lane].release(flows)
        for one in Lane:
            mine = sum(at is one for at, _ in held)
            assert capacity[one].used == mine
            assert capacity[one].free >= 0
            newcomer = (team(UUID(int=99)),)
            assert capacity[one].has_room_for(newcomer) is (capacity[one].free > 0), "a place for a newcomer"
        assert len(held) <= total
