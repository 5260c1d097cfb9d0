"""A limit counted by the second is waited out inside the call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.errors import Consequence, PlatformError
from platforms.calls.pace import SPREAD, TRIES, Pace
from platforms.calls.usage import MIN_WAIT, Usage, UsageLimiter

TOO_FAST = PlatformError("App reaches the QPS limit.", Consequence.RATE, platform="tiktok", retry_after=1.0)
BY_MINUTE = PlatformError("too many a minute", Consequence.RATE, platform="tiktok", retry_after=300.0)
UNTOLD = PlatformError("too many", Consequence.RATE, platform="zoom")
DOWN = PlatformError("down", Consequence.TRANSIENT, platform="zoom", retry_after=1.0)


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


@pytest.fixture
def pace(limiter: UsageLimiter) -> Pace:
    return Pace(limiter, random=lambda: 0.5)


class Calls:
    """A platform that answers with these errors in turn, then well."""

    def __init__(self, pace: Pace, errors: Sequence[PlatformError]) -> None:
        self._pace = pace
        self._errors = list(errors)
        self.made = 0

    async def send(self) -> str:
        assert await self._pace.admit("qps") == 0
        self.made += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"


async def test_a_call_that_came_too_fast_is_made_again_in_a_moment(pace: Pace, time: Time) -> None:
    calls = Calls(pace, [TOO_FAST, TOO_FAST])
    assert await pace.call("qps", calls.send) == "answer"
    assert calls.made == 3
    assert time.slept == [1.0 + SPREAD / 2] * 2


async def test_it_is_not_made_for_ever(pace: Pace) -> None:
    calls = Calls(pace, [TOO_FAST] * 10)
    with pytest.raises(PlatformError) as raised:
        await pace.call("qps", calls.send)
    assert raised.value is TOO_FAST
    assert calls.made == TRIES


@pytest.mark.parametrize("error", [BY_MINUTE, UNTOLD, DOWN], ids=["minutes", "no time told", "not a limit"])
async def test_other_refusals_are_the_runs_business(pace: Pace, time: Time, error: PlatformError) -> None:
    calls = Calls(pace, [error])
    with pytest.raises(PlatformError):
        await pace.call("qps", calls.send)
    assert (calls.made, time.slept) == (1, [])


async def test_other_calls_to_the_bucket_wait_too_and_those_to_another_do_not(
    limiter: UsageLimiter, time: Time
) -> None:
    limiter.hold("qps", 1.0)
    limiter.hold("qps", 0.2)
    assert await limiter.admit("other") == 0
    assert time.slept == []
    assert await limiter.admit("other", "qps") == 0
    assert time.slept == [1.0], "the longer of the two"
    assert await limiter.admit("qps") == 0
    assert time.slept == [1.0], "it is over"


async def test_a_full_bucket_refuses_before_any_call_waits(limiter: UsageLimiter, time: Time) -> None:
    limiter.hold("qps", 1.0)
    await limiter.note("qps", Usage(100))
    assert await limiter.admit("qps") == MIN_WAIT
    assert time.slept == []
