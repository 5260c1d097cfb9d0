"""What waits for a place: one line after the other, no more remembered than is allowed, and nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from common.work.places import Flow, Flows, Places, team
from common.work.waiting import ALL, EACH, Waiting, WaitingLines

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def items(flows: Flows, numbers: Iterable[int]) -> list[Waiting]:
    return [Waiting(UUID(int=10_000 + number), flows) for number in numbers]


def of(flow_id: UUID) -> Flows:
    """A flow that may have all places."""
    return (Flow(flow_id, 1_000.0),)


def let_in(lines: WaitingLines, places: Places) -> Counter[UUID]:
    return Counter(each.flows[0].id for each in lines.admit(places))


def test_lines_are_served_in_turn_whatever_their_length() -> None:
    lines, places = WaitingLines(), Places(9)
    lines.add(items(of(A), range(50)))
    lines.add(items(of(B), range(100, 150)))
    lines.add(items(of(C), range(200, 202)))
    assert let_in(lines, places) == {A: 4, B: 3, C: 2}


def test_whoever_was_served_last_waits_for_its_turn() -> None:
    lines, places = WaitingLines(), Places(1)
    lines.add(items(of(A), range(10)))
    lines.add(items(of(B), range(100, 110)))
    served = []
    for _ in range(4):
        [item] = lines.admit(places)
        served.append(item.flows[0].id)
        places.release(item.flows)
    assert served == [A, B, A, B]


def test_a_line_keeps_its_order() -> None:
    lines, places = WaitingLines(), Places(100)
    waiting = items((), range(60))
    lines.add(waiting)
    assert lines.admit(places) == waiting


def test_an_item_waits_once() -> None:
    lines = WaitingLines()
    waiting = items(of(A), range(5))
    lines.add(waiting)
    lines.add(waiting)
    assert len(lines) == 5


def test_a_long_line_is_cut_and_its_end_asks_for_the_rest() -> None:
    lines, places = WaitingLines(), Places(EACH * 2)
    lines.add(items((), range(EACH + 1)))
    assert len(lines) == EACH
    assert not lines.has_run_out
    assert len(lines.admit(places)) == EACH
    assert lines.has_run_out


def test_a_line_that_was_remembered_whole_asks_for_nothing() -> None:
    lines, places = WaitingLines(), Places(EACH * 2)
    lines.add(items((), range(EACH)))
    lines.admit(places)
    assert not lines.has_run_out


def test_the_end_of_what_was_a_part_asks_for_the_rest() -> None:
    lines, places = WaitingLines(), Places(10)
    lines.add(items((), range(3)), is_part=True)
    lines.admit(places)
    assert lines.has_run_out


def test_one_line_leaves_room_for_others_and_all_together_are_bounded() -> None:
    lines = WaitingLines()
    for number in range(ALL // EACH + 5):
        flows = of(UUID(int=number))
        lines.add(items(flows, range(number * 1_000, number * 1_000 + 2 * EACH)))
    assert len(lines) == ALL


def test_a_flow_is_held_back_while_it_is_full_and_its_next_items_are_known() -> None:
    lines, places = WaitingLines(), Places(4)
    lines.add(items((team(A),), range(10)))
    assert lines.held_back(places) == []
    assert let_in(lines, places) == {A: 3}
    assert lines.held_back(places) == [A]
    lines.add(items((team(B),), range(100, 101)))
    assert lines.held_back(places) == [A]
    lines.admit(places)
    assert lines.held_back(places) == [A], "B is full too, and nothing of it is known"
