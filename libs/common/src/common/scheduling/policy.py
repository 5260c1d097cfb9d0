"""What becomes of the slots that have come due: run, or skipped for a reason.

`decide_due` is called with the first slot nobody has decided about yet and the present instant. It decides
about every slot up to now exactly once and names the next undecided one, so a clock that jumps back makes it
wait, and an outage is answered with a few ranges instead of an object a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from common.scheduling.grids import as_utc
from common.scheduling.kinds import Schedule


class SkipReason(StrEnum):
    """Why a slot has no run."""

    CATCH_UP_LATEST = "catch_up_latest"
    """A later slot was due too, and only the latest is made up for."""


class SchedulePolicy(BaseModel):
    """What to do about slots that could not run when they came due."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catch_up: Literal["latest"] = "latest"


@dataclass(frozen=True, slots=True)
class Slot:
    """One instant a schedule names."""

    nominal: datetime
    """What the schedule names; it identifies the run."""
    fire_at: datetime
    """When to run."""
    excluded: str | None = None
    """Why it does not run, in words."""


@dataclass(frozen=True, slots=True)
class SkippedRange:
    """Consecutive slots skipped for one reason."""

    first: datetime
    last: datetime
    count: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class DueDecision:
    """What becomes of the slots up to now."""

    runs: tuple[Slot, ...]
    skipped: tuple[SkippedRange, ...]
    next_run: datetime | None
    """The first slot not decided about; None when the schedule has ended."""
    fire_at: datetime | None
    """When that slot is to run: nothing is to be done before."""


def decide_due(
    schedule: Schedule,
    policy: SchedulePolicy,
    next_run: datetime,
    now: datetime,
    *,
    automation_id: str = "",
    default_anchor: datetime | None = None,
    run_count: int = 0,
    limit: int = 100,
    grace: timedelta = timedelta(minutes=2),
) -> DueDecision:
    """Decide about every slot from `next_run` to `now`."""
    grid = schedule.grid(default_anchor)
    first, now = as_utc(next_run), as_utc(now)
    latest = grid.latest_at_or_before(now)
    if latest is None or latest < first:
        return DueDecision((), (), first, first)
    upcoming = grid.next_after(latest)
    skipped: tuple[SkippedRange, ...] = ()
    missed = grid.count(first, latest) - 1
    before = grid.latest_at_or_before(latest - timedelta(microseconds=1)) if missed else None
    if before is not None:
        skipped = (SkippedRange(first, before, missed, SkipReason.CATCH_UP_LATEST),)
    return DueDecision((Slot(latest, latest),), skipped, upcoming, upcoming)
