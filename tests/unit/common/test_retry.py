"""Retry decisions for every kind of error, attempt and delay."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import (
    CarillonError,
    ChannelError,
    ConfigurationError,
    Consequence,
    PlatformError,
    RemoteError,
)
from common.retry import (
    MAX_VENDOR_WAIT,
    TELEGRAM_SCHEDULE,
    WEBHOOK_SCHEDULE,
    RetryPolicy,
    RetrySchedule,
    next_attempt,
)

POLICY = RetryPolicy(max_attempts=6, base=timedelta(seconds=5), cap=timedelta(minutes=1))
TRANSIENT = RemoteError("down", Consequence.TRANSIENT)


@pytest.mark.parametrize(
    ("attempt", "least", "most"), [(1, 2.5, 5), (2, 5, 10), (3, 10, 20), (4, 20, 40), (5, 30, 60)]
)
def test_backoff_doubles_up_to_its_cap_with_jitter_above_half(
    attempt: int, least: float, most: float
) -> None:
    shortest = next_attempt(POLICY, attempt=attempt, error=TRANSIENT, random=0.0)
    longest = next_attempt(POLICY, attempt=attempt, error=TRANSIENT, random=1.0)
    assert (shortest, longest) == (timedelta(seconds=least), timedelta(seconds=most))


def test_the_last_attempt_is_the_last() -> None:
    assert next_attempt(POLICY, attempt=5, error=TRANSIENT, random=0.5) is not None
    assert next_attempt(POLICY, attempt=6, error=TRANSIENT, random=0.5) is None
    assert next_attempt(POLICY, attempt=7, error=TRANSIENT, random=0.5) is None


@pytest.mark.parametrize(
    ("consequence", "again"),
    [
        (Consequence.TRANSIENT, True),
        (Consequence.RATE, True),
        (Consequence.REFRESH, True),
        (Consequence.BLOCKED, True),
        (Consequence.SPLIT, False),
        (Consequence.REAUTH, False),
        (Consequence.PERM, False),
        (Consequence.INVALID, False),
        (Consequence.GONE, False),
    ],
)
def test_each_consequence_says_whether_trying_again_can_help(consequence: Consequence, again: bool) -> None:
    error = ChannelError("no", consequence)
    assert error.permanent is not again
    assert (next_attempt(POLICY, attempt=1, error=error, random=0.5) is not None) is again


def test_our_errors_state_whether_they_are_permanent() -> None:
    class Passing(CarillonError):
        permanent = False

    assert next_attempt(POLICY, attempt=1, error=ConfigurationError("no"), random=0.5) is None
    assert next_attempt(POLICY, attempt=1, error=Passing("wait"), random=0.5) is not None


def test_an_unexpected_error_is_retried_like_a_transient_one() -> None:
    assert next_attempt(POLICY, attempt=1, error=KeyError("spend"), random=0.0) == timedelta(seconds=2.5)


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0, 1), (0.5, 1), (90, 90), (86_400, 86_400), (1e300, 86_400), (math.inf, 86_400), (math.nan, 86_400)],
)
def test_a_vendors_retry_after_is_followed_within_bounds(asked: float, waited: float) -> None:
    error = PlatformError("wait", Consequence.RATE, platform="facebook", retry_after=asked)
    assert next_attempt(POLICY, attempt=1, error=error, random=0.0) == timedelta(seconds=waited)


def test_a_vendors_retry_after_does_not_add_attempts() -> None:
    error = PlatformError("wait", Consequence.RATE, platform="facebook", retry_after=10)
    assert next_attempt(POLICY, attempt=6, error=error, random=0.0) is None


@pytest.mark.parametrize(
    ("consequence", "least"),
    [(Consequence.RATE, timedelta(minutes=1)), (Consequence.BLOCKED, timedelta(hours=2))],
)
def test_a_rate_limit_without_retry_after_has_a_default_delay(
    consequence: Consequence, least: timedelta
) -> None:
    error = ChannelError("wait", consequence)
    assert next_attempt(POLICY, attempt=1, error=error, random=0.0) == least


@pytest.mark.parametrize("schedule", [WEBHOOK_SCHEDULE, TELEGRAM_SCHEDULE], ids=["webhook", "telegram"])
def test_a_schedule_gives_its_delays_in_order(schedule: RetrySchedule) -> None:
    for attempt, delay in enumerate(schedule.delays, start=1):
        assert next_attempt(schedule, attempt=attempt, error=TRANSIENT, random=0.0) == delay
        assert next_attempt(schedule, attempt=attempt, error=TRANSIENT, random=1.0) == delay * 1.1
    assert next_attempt(schedule, attempt=schedule.max_attempts, error=TRANSIENT, random=0.0) is None


def test_the_webhook_schedule_lasts_three_days() -> None:
    assert sum(WEBHOOK_SCHEDULE.delays, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


@given(
    policy=st.one_of(
        st.builds(
            RetryPolicy,
            max_attempts=st.integers(1, 10_000),
            base=st.timedeltas(timedelta(milliseconds=1), timedelta(hours=1)),
            cap=st.timedeltas(timedelta(hours=1), timedelta(days=1)),
        ),
        st.sampled_from([WEBHOOK_SCHEDULE, TELEGRAM_SCHEDULE]),
    ),
    attempt=st.integers(1, 10_000),
    consequence=st.sampled_from(Consequence),
    retry_after=st.none() | st.floats(),
    random=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_always_positive_and_bounded(
    policy: RetryPolicy | RetrySchedule,
    attempt: int,
    consequence: Consequence,
    retry_after: float | None,
    random: float,
) -> None:
    error = RemoteError("no", consequence, retry_after=retry_after)
    delay = next_attempt(policy, attempt=attempt, error=error, random=random)
    if attempt >= policy.max_attempts or error.permanent:
        assert delay is None
    else:
        assert delay is not None
        assert timedelta(0) < delay <= MAX_VENDOR_WAIT * 1.1
