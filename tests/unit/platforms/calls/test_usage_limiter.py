"""Calls wait for nearly full buckets and are refused for full ones."""

from __future__ import annotations

import pytest

from platforms.calls.usage import (
    LONGEST_PAUSE,
    MAX_WAIT,
    MIN_WAIT,
    SHORTEST_PAUSE,
    STALE_AFTER,
    LocalUsageStore,
    Sighting,
    Usage,
    UsageLimiter,
)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limiter(time: Time) -> UsageLimiter:
    return UsageLimiter(clock=time, sleep=time.sleep)


@pytest.mark.parametrize(
    ("percent", "pause"), [(0, 0), (74.9, 0), (75, SHORTEST_PAUSE), (85, 2.1), (94, 3.81)]
)
async def test_a_call_waits_the_longer_the_fuller_its_bucket(
    limiter: UsageLimiter, time: Time, percent: float, pause: float
) -> None:
    await limiter.note("a", Usage(percent))
    assert await limiter.admit("a") == 0
    assert sum(time.slept) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("usage", "closed"),
    [
        (Usage(95), MIN_WAIT),
        (Usage(100, 10), MIN_WAIT),
        (Usage(100, 420), 420),
        (Usage(100, 86_400), MAX_WAIT),
    ],
)
async def test_a_full_bucket_takes_no_call_until_its_time(
    limiter: UsageLimiter, time: Time, usage: Usage, closed: float
) -> None:
    await limiter.note("a", usage)
    assert await limiter.admit("a") == closed
    time.now += closed - 1
    assert await limiter.admit("a") == pytest.approx(1)
    time.now += 1
    assert await limiter.admit("a") == 0
    assert await limiter.admit("b") == 0


async def test_the_fullest_bucket_of_a_call_decides(limiter: UsageLimiter, time: Time) -> None:
    await limiter.note("app", Usage(80))
    await limiter.note("account", Usage(90))
    await limiter.admit("app", "account")
    assert time.slept == [pytest.approx(SHORTEST_PAUSE + 0.75 * (LONGEST_PAUSE - SHORTEST_PAUSE))]
    await limiter.note("app", Usage(99))
    assert await limiter.admit("app", "account") > 0
    assert await limiter.admit("account") == 0


async def test_news_replace_what_was_known(limiter: UsageLimiter) -> None:
    await limiter.note("a", Usage(100))
    await limiter.note("a", Usage(20))
    assert await limiter.admit("a") == 0


async def test_an_old_figure_says_nothing(limiter: UsageLimiter, time: Time) -> None:
    await limiter.note("a", Usage(90))
    time.now += STALE_AFTER + 1
    assert await limiter.admit("a") == 0
    assert time.slept == []


async def test_two_limiters_with_one_store_hold_back_together(time: Time) -> None:
    store = LocalUsageStore()
    await UsageLimiter(store, clock=time, sleep=time.sleep).note("a", Usage(100))
    assert await UsageLimiter(store, clock=time, sleep=time.sleep).admit("a") == MIN_WAIT


async def test_the_local_store_keeps_the_most_recent_buckets() -> None:
    store = LocalUsageStore(capacity=2)
    for bucket in ("a", "b", "a", "c"):
        await store.write(bucket, Sighting(Usage(1), 0))
    assert await store.read("b") is None
    assert await store.read("a") is not None
    assert await store.read("c") is not None
