"""Keeping to the receivers' limits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.pacing import PATIENCE, Limit, Pacer

CHAT = Limit("bot:chat", 60, 60.0, burst=3)
GROUP = Limit("bot:chat:group", 20, 60.0, burst=3)
BOT = Limit("bot", 30, 1.0, burst=5)


def drain(pacer: Pacer, limits: list[Limit], now: float, count: int) -> list[float]:
    """Send `count` deliveries as the notifier does, one after the other, asking again when put off."""
    sent: list[float] = []
    while len(sent) < count:
        wait = pacer.reserve("bot:chat", limits, now)
        now += wait
        if wait <= PATIENCE:
            sent.append(now)
    return sent


@given(
    count=st.integers(2, 40),
    burst=st.integers(1, 39),
    period=st.floats(0.5, 120),
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=120),
)
def test_no_window_holds_more_than_the_limit(
    count: int, burst: int, period: float, gaps: list[float]
) -> None:
    limit = Limit("key", count, period, burst=min(burst, count - 1))
    pacer = Pacer()
    now, sent = 1_000.0, []
    for gap in gaps:
        now += gap
        wait = pacer.reserve("key", [limit], now)
        if wait <= PATIENCE:
            sent.append(now + wait)
    sent.sort()
    for first, last in zip(sent, sent[count:], strict=False):
        assert last - first >= period * (1 - 1e-9)


def test_a_short_burst_goes_at_once_and_the_rest_is_spaced() -> None:
    pacer = Pacer()
    waits = [pacer.reserve("bot:chat", [CHAT], 0.0) for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] == pytest.approx(CHAT.interval)
    assert waits[4] == pytest.approx(2 * CHAT.interval)


def test_a_group_gets_twenty_messages_in_a_minute() -> None:
    sent = drain(Pacer(), [CHAT, BOT, GROUP], 0.0, 60)
    for start in sent:
        assert sum(start <= at < start + 60 for at in sent) <= 20
    assert sent[-1] < 4 * 60


def test_a_refused_reservation_uses_no_capacity() -> None:
    pacer = Pacer()
    while pacer.reserve("bot:chat", [GROUP], 0.0) <= PATIENCE:
        pass
    free_at = pacer.reserve("bot:chat", [GROUP], 0.0)
    for _ in range(100):
        pacer.reserve("bot:chat", [GROUP], 0.0)
    assert pacer.reserve("bot:chat", [GROUP], free_at) <= PATIENCE


def test_postponed_deliveries_return_one_at_a_time() -> None:
    pacer = Pacer()
    waits = [pacer.reserve("bot:chat", [CHAT, BOT, GROUP], 0.0) for _ in range(40)]
    put_off = [wait for wait in waits if wait > PATIENCE]
    assert len(put_off) > 30
    assert all(later - earlier >= GROUP.interval - 1e-9 for earlier, later in pairwise(put_off))
    taken = [pacer.reserve("bot:chat", [CHAT, BOT, GROUP], at) for at in put_off]
    assert all(wait <= PATIENCE for wait in taken)


def test_each_part_of_a_message_counts() -> None:
    pacer = Pacer()
    assert pacer.reserve("bot:chat", [GROUP], 0.0, messages=10) == 0
    wait = pacer.reserve("bot:chat", [GROUP], 0.0)
    assert wait == pytest.approx(8 * GROUP.interval)


def test_one_bot_serves_many_chats_side_by_side() -> None:
    pacer = Pacer()
    waits = [
        pacer.reserve(f"bot:{chat}", [Limit(f"bot:{chat}", 60, 60.0, burst=3), BOT], 0.0)
        for chat in range(60)
    ]
    assert waits == sorted(waits)
    assert waits[5 - 1] == 0
    assert waits[-1] == pytest.approx(55 * BOT.interval)


def test_a_held_key_waits_until_told_and_others_do_not() -> None:
    pacer = Pacer()
    pacer.hold("webhook:1", [], 30.0, 100.0)
    assert pacer.reserve("webhook:1", [], 100.0) == 30.0
    assert pacer.reserve("webhook:1", [], 129.0) == 1.0
    assert pacer.reserve("webhook:1", [], 130.0) == 0.0
    assert pacer.reserve("webhook:2", [], 100.0) == 0.0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pacer = Pacer()
    pacer.hold("bot:chat", [CHAT, BOT], 60.0, 0.0)
    pacer.hold("bot:chat", [CHAT, BOT], 5.0, 1.0)
    assert pacer.reserve("bot:chat", [CHAT, BOT], 10.0) == 50.0


def test_deliveries_postponed_by_a_pause_return_one_at_a_time() -> None:
    pacer = Pacer()
    pacer.hold("bot:chat", [CHAT, BOT], 30.0, 0.0)
    waits = [pacer.reserve("bot:chat", [CHAT, BOT], 0.0) for _ in range(10)]
    assert waits[0] == 30.0
    assert all(later - earlier >= CHAT.interval - 1e-9 for earlier, later in pairwise(waits))


def test_after_a_short_pause_only_the_burst_is_sent_at_once() -> None:
    pacer = Pacer()
    pacer.hold("bot:chat", [CHAT], 1.0, 0.0)
    waits = [pacer.reserve("bot:chat", [CHAT], 0.0) for _ in range(4)]
    assert waits[:3] == [1.0, 1.0, 1.0]
    assert waits[3] == pytest.approx(1.0 + CHAT.interval)


def test_two_chats_told_to_wait_pause_the_bot() -> None:
    pacer = Pacer()
    chats = [Limit(f"bot:{number}", 60, 60.0, burst=3) for number in range(3)]
    pacer.hold("bot:0", [chats[0], BOT], 20.0, 0.0)
    pacer.hold("bot:0", [chats[0], BOT], 20.0, 1.0)
    assert pacer.reserve("bot:2", [chats[2], BOT], 1.0) == 0.0
    pacer.hold("bot:1", [chats[1], BOT], 10.0, 2.0)
    assert pacer.reserve("bot:2", [chats[2], BOT], 2.0) == 10.0
    assert pacer.reserve("bot:2", [chats[2], BOT], 12.0) == 0.0


def test_pauses_that_do_not_overlap_leave_the_bot_alone() -> None:
    pacer = Pacer()
    chats = [Limit(f"bot:{number}", 60, 60.0, burst=3) for number in range(3)]
    pacer.hold("bot:0", [chats[0], BOT], 5.0, 0.0)
    pacer.hold("bot:1", [chats[1], BOT], 5.0, 6.0)
    assert pacer.reserve("bot:2", [chats[2], BOT], 6.0) == 0.0


def test_idle_keys_are_dropped() -> None:
    pacer = Pacer()
    for number in range(50_000):
        pacer.reserve(f"bot:{number}", [Limit(f"bot:{number}", 60, 60.0, burst=3)], number * 0.1)
    assert len(pacer) < 3_000


@pytest.mark.parametrize(
    ("count", "period", "burst"), [(1, 60.0, 1), (5, 60.0, 5), (5, 0.0, 1), (5, 60.0, 0)]
)
def test_a_limit_that_allows_nothing_is_refused(count: int, period: float, burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        Limit("key", count, period, burst=burst)
