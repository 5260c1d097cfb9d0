import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sandbox.clock import Clock
from sandbox.inbox import Filter, Inbox
from tests.unit.sandbox.conftest import NOON


def inbox(keep: int = 100, keep_bytes: int = 10**6) -> Inbox:
    return Inbox(Clock(source=lambda: NOON), keep, keep_bytes)


def soon() -> float:
    return asyncio.get_running_loop().time() + 5


def test_all_are_counted_but_only_the_newest_kept() -> None:
    box = inbox(keep=3)
    for number in range(10):
        box.add("telegram", str(number % 2), {"n": number})
    assert [record.detail["n"] for record in box.select(Filter(), 100)] == [7, 8, 9]
    assert (box.count(), box.count("telegram"), box.count("telegram", "1")) == (10, 10, 5)
    assert box.count("webhook") == 0


def test_large_records_push_out_more() -> None:
    box = inbox(keep_bytes=100)
    for number in range(5):
        box.add("webhook", "a", {"n": number}, size=40)
    assert [record.detail["n"] for record in box.select(Filter(), 100)] == [3, 4]


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 50), st.integers(1, 50))
def test_following_by_sequence_misses_and_repeats_nothing(
    keep: int, total: int, after: int, step: int
) -> None:
    box = inbox(keep=keep)
    for _ in range(total):
        box.add("telegram", "", {})
    seen: list[int] = []
    at = max(after, total - keep, 1)
    while found := box.select(Filter(after=at), step):
        seen += [record.seq for record in found]
        at = seen[-1]
    assert seen == list(range(max(after, total - keep, 1) + 1, total + 1))


def test_filters_combine() -> None:
    box = inbox()
    box.add("telegram", "1", {})
    box.add("webhook", "1", {})
    box.add("telegram", "2", {})
    assert [record.seq for record in box.select(Filter(kind="telegram", address="1"), 10)] == [1]
    assert [record.seq for record in box.select(Filter(kind="telegram"), 1)] == [3]
    assert box.select(Filter(since=NOON + 1), 10) == []


async def test_everybody_who_waits_is_woken_by_the_next_arrival() -> None:
    box = inbox()
    waiting = [asyncio.create_task(box.wait(soon())) for _ in range(3)]
    await asyncio.sleep(0)
    box.add("telegram", "1", {})
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_waiting_ends_at_the_deadline() -> None:
    assert await inbox().wait(asyncio.get_running_loop().time() + 0.01) is False


async def test_closing_lets_everybody_go_for_good() -> None:
    box = inbox()
    waiting = asyncio.create_task(box.wait(soon()))
    await asyncio.sleep(0)
    box.close()
    await waiting
    assert await box.wait(soon()) is False


def test_the_sequence_goes_on_after_a_reset() -> None:
    box = inbox()
    box.add("telegram", "1", {})
    box.reset()
    assert (box.count(), box.select(Filter(), 10)) == (0, [])
    assert box.add("telegram", "1", {}).seq == 2
