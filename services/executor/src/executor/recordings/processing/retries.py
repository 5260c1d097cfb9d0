"""Whether and when a recording is tried again after a step failed. Pure: time and randomness are given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from common.errors import Consequence, PlatformError, RemoteError
from common.retry import RetryPolicy, next_attempt
from common.work.leases import MAX_UNCOUNTED
from executor.recordings.processing.pipeline import Step

NOT_READY = timedelta(hours=2)
"""How long a platform may say that it does not have a recording it has told of: it may still be making it."""
LOOK_AGAIN = timedelta(minutes=10)
RETRIES = RetryPolicy(base=timedelta(seconds=30), cap=timedelta(minutes=15))


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `delay`. `counted`: the attempt uses one up. `missing_since` as in Retries."""

    delay: timedelta
    counted: bool = True
    missing_since: datetime | None = None


def decide(
    error: Exception,
    step: Step,
    *,
    attempts: int,
    uncounted: int,
    missing_since: datetime | None,
    max_attempts: int,
    now: datetime,
    random: float,
) -> Again | None:
    """What follows from `error`, the end of the `attempts`th attempt that counts; None: it has failed."""
    may_put_off = uncounted < MAX_UNCOUNTED
    if _is_missing(error, step):
        since = missing_since or now
        if now - since < NOT_READY and may_put_off:
            return Again(LOOK_AGAIN, counted=False, missing_since=since)
        return None
    waits = isinstance(error, RemoteError) and error.consequence is Consequence.RATE and may_put_off
    # One that only waits is not the last, however few attempts there are.
    policy = RetryPolicy(max_attempts + int(waits), RETRIES.base, RETRIES.cap)
    delay = next_attempt(policy, attempt=max(1, attempts), error=error, random=random)
    return None if delay is None else Again(delay, counted=not waits)


def _is_missing(error: Exception, step: Step) -> bool:
    return (
        step is Step.DOWNLOAD and isinstance(error, PlatformError) and error.consequence is Consequence.GONE
    )
