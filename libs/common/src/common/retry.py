"""Whether and when to retry: decided here, for runs and for deliveries.

Pure: time and randomness are passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from common.errors import CarillonError, Consequence, RemoteError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter above half of the delay.

    Attributes:
        max_attempts: attempts in all, the first one included.
        base: delay before the second attempt.
        cap: the longest delay that backoff alone leads to; a vendor's own wait may be longer.
    """

    max_attempts: int = 5
    base: timedelta = timedelta(seconds=5)
    cap: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Fixed delays between attempts, with up to 10 % of jitter on top."""

    delays: Sequence[timedelta]

    @property
    def max_attempts(self) -> int:
        """The first attempt and one after each delay."""
        return len(self.delays) + 1


# Standard Webhooks' example schedule: 5 s to 24 h, 75½ hours in all.
WEBHOOK_SCHEDULE = RetrySchedule(
    tuple(
        timedelta(seconds=seconds)
        for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    )
)
# A chat report that is a day late is useless.
TELEGRAM_SCHEDULE = RetrySchedule(
    tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1_800, 7_200, 21_600))
)
MAX_VENDOR_WAIT = timedelta(hours=24)
RATE_FLOOR = timedelta(seconds=1)


def next_attempt(
    policy: RetryPolicy | RetrySchedule, *, attempt: int, error: BaseException, random: float
) -> timedelta | None:
    """How long to wait after attempt number `attempt` failed with `error`; None: do not try again.

    `random` is in [0, 1). An error that is not one of ours is a defect or an environment fault, and is
    retried like a transient one. A wait the vendor asked for is kept to, up to 24 hours.
    """
    if attempt >= policy.max_attempts or (isinstance(error, CarillonError) and error.permanent):
        return None
    if isinstance(policy, RetrySchedule):
        delay = policy.delays[attempt - 1] * (1 + 0.1 * random)
    else:
        # Doubling comes to the cap long before 2³² bases; beyond, it would leave the range of a timedelta.
        exponential = min(policy.cap, policy.base * 2 ** min(attempt - 1, 32))
        delay = exponential * (0.5 + 0.5 * random)
    if isinstance(error, RemoteError):
        if error.retry_after is not None:
            asked = max(0.0, min(MAX_VENDOR_WAIT.total_seconds(), error.retry_after))
            advertised = timedelta(seconds=asked) + timedelta(seconds=random)
            return min(max(advertised, RATE_FLOOR), MAX_VENDOR_WAIT)
        if error.consequence is Consequence.RATE:
            return max(delay, timedelta(minutes=1))
        if error.consequence is Consequence.BLOCKED:
            return max(delay, timedelta(hours=2))
    return delay
