"""What becomes of the slots that have come due: run, or skipped for a reason.

`decide_due` is called with the first slot nobody has decided about yet and the present instant. It decides
about every slot that has come due exactly once and names the next undecided one. So a clock that jumps back
only makes it wait, and an outage is answered with a few ranges, not with an object a slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from common.scheduling.fields import refusal
from common.scheduling.instants import as_utc
from common.scheduling.kinds import Schedule
from common.scheduling.timetable import Slot, SlotRange, Timetable

_TICK = timedelta(microseconds=1)


class SkipReason(StrEnum):
    """Why a slot has no run."""

    CATCH_UP_LATEST = "catch_up_latest"
    """A later slot was due too, and only the latest is made up for."""
    CATCH_UP_NONE = "catch_up_none"
    """It was late, and nothing is made up for."""
    CATCH_UP_WINDOW = "catch_up_window"
    """It was due longer ago than anything is made up for."""
    EXPIRED = "expired"
    """Its result would have come too late to be of use."""
    EXCLUDED = "excluded"
    """The schedule excludes its day."""
    ENDED = "ended"
    """The schedule has had all its runs."""


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise refusal("duration", "write a duration longer than nothing, in seconds or as PT6H")
    return duration


Duration = Annotated[timedelta, AfterValidator(_positive)]

CatchUp = Literal["all", "latest", "none"]
Overlap = Literal["skip", "queue_one", "queue_all", "cancel_running", "allow"]


class SchedulePolicy(BaseModel):
    """What to do about slots that could not run when they came due, and about runs that would overlap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catch_up: CatchUp = Field(
        default="latest",
        description="Of the slots missed: run all in turn, the latest, or none",
    )
    catch_up_window: Duration | None = Field(
        default=None, description="Slots due longer ago are not made up for"
    )
    expires_after: Duration | None = Field(
        default=None, description="A run that has not started so long after its time is of no use"
    )
    overlap: Overlap = Field(
        default="skip",
        description="While a run is still going: skip the next, queue one, queue all, cancel it, or run both",
    )


@dataclass(frozen=True, slots=True)
class SkippedRange:
    """Consecutive slots skipped for one reason."""

    first: datetime
    last: datetime
    count: int
    reason: SkipReason
    detail: str | None = None
    """For excluded slots: what excludes them, in words."""


@dataclass(frozen=True, slots=True)
class DueDecision:
    """What becomes of the slots that have come due."""

    runs: tuple[Slot, ...]
    """Oldest first."""
    skipped: tuple[SkippedRange, ...]
    """Oldest first."""
    next_run: datetime | None
    """The first slot not decided about: what to pass the next time. None when the schedule has ended."""
    fire_at: datetime | None
    """When that slot's run starts, or when it is to be recorded as excluded: nothing is to be done before."""


def decide_due(
    schedule: Schedule,
    policy: SchedulePolicy,
    next_run: datetime,
    now: datetime,
    *,
    automation_id: str | UUID = "",
    default_anchor: datetime | None = None,
    run_count: int = 0,
    limit: int = 100,
    grace: timedelta = timedelta(minutes=2),
) -> DueDecision:
    """Decide about every slot from `next_run` on whose start has come.

    Args:
        next_run: the first slot nobody has decided about; between two slots it stands for the later one.
        now: the present instant. Earlier than `next_run`, nothing is decided.
        automation_id: places the automation in a window and its jitter.
        default_anchor: where an interval without an anchor begins.
        run_count: how many runs there have been, for a schedule with `max_runs`.
        limit: how many runs at most. Where `catch_up` is `all` and more are due, `next_run` of the decision
        is
            not later than `now`, and the caller asks again.
        grace: a slot this late is on time all the same; `catch_up: none` runs it.
    """
    timetable = Timetable(schedule, automation_id=automation_id, default_anchor=default_anchor)
    first, now = as_utc(next_run), as_utc(now)
    latest = timetable.latest_fired(now)
    if latest is None or latest < first:
        return _decision(timetable, [], [], timetable.first_from(first))
    remaining = schedule.runs_left(run_count)
    if remaining == 0:
        return _decision(timetable, [], _skip_all(timetable, first, latest, SkipReason.ENDED), None)

    skipped: list[SkippedRange] = []
    for age, reason in (
        (policy.catch_up_window, SkipReason.CATCH_UP_WINDOW),
        (policy.expires_after, SkipReason.EXPIRED),
        (grace if policy.catch_up == "none" else None, SkipReason.CATCH_UP_NONE),
    ):
        stale = timetable.latest_fired(now - age - _TICK) if age is not None else None
        if stale is not None and stale >= first:
            skipped += _skip_all(timetable, first, stale, reason)
            first = stale + _TICK
    if first > latest:
        return _decision(timetable, [], skipped, timetable.next_after(latest))

    if policy.catch_up == "latest":
        runs, passed = _latest(timetable, first, latest)
        decided = latest
    else:
        runs, passed, decided = _in_turn(timetable, first, latest, min(limit, remaining or limit))
    skipped += passed
    if remaining is not None and len(runs) >= remaining:
        skipped += _skip_all(timetable, decided + _TICK, latest, SkipReason.ENDED)
        return _decision(timetable, runs, skipped, None)
    return _decision(timetable, runs, skipped, timetable.next_after(decided))


def _latest(timetable: Timetable, first: datetime, latest: datetime) -> tuple[list[Slot], list[SkippedRange]]:
    """The last slot in [first, latest] that is not excluded, and the others as skipped."""
    ranges = list(timetable.ranges(first, latest))
    chosen = max((found.last for found in ranges if found.excluded is None), default=None)
    if chosen is None:
        return [], [_skipped(found, SkipReason.EXCLUDED) for found in ranges]
    skipped = _skip_all(timetable, first, chosen - _TICK, SkipReason.CATCH_UP_LATEST)
    skipped += _skip_all(timetable, chosen + _TICK, latest, SkipReason.EXCLUDED)
    return [timetable.slot(chosen)], skipped


def _in_turn(
    timetable: Timetable, first: datetime, latest: datetime, limit: int
) -> tuple[list[Slot], list[SkippedRange], datetime]:
    """The first `limit` slots in [first, latest] that are not excluded, those that are, and the last
    decided."""
    runs: list[Slot] = []
    skipped: list[SkippedRange] = []
    for found in timetable.ranges(first, latest):
        if found.excluded is not None:
            skipped.append(_skipped(found, SkipReason.EXCLUDED))
            continue
        for nominal in _walk(timetable, found):
            runs.append(timetable.slot(nominal))
            if len(runs) == limit:
                return runs, skipped, nominal
    return runs, skipped, latest


def _walk(timetable: Timetable, found: SlotRange) -> Iterator[datetime]:
    slot: datetime | None = found.first
    while slot is not None and slot <= found.last:
        yield slot
        slot = timetable.next_after(slot)


def _skip_all(
    timetable: Timetable, first: datetime, last: datetime, reason: SkipReason
) -> list[SkippedRange]:
    return [_skipped(found, reason) for found in timetable.ranges(first, last)]


def _skipped(found: SlotRange, reason: SkipReason) -> SkippedRange:
    if found.excluded is not None:
        reason = SkipReason.EXCLUDED
    return SkippedRange(found.first, found.last, found.count, reason, found.excluded)


def _decision(
    timetable: Timetable, runs: list[Slot], skipped: list[SkippedRange], next_run: datetime | None
) -> DueDecision:
    fire_at = None if next_run is None else timetable.slot(next_run).fire_at
    return DueDecision(tuple(runs), tuple(skipped), next_run, fire_at)


class OverlapAction(StrEnum):
    """What to do with a run that has come due while others of its automation are not finished."""

    START = "start"
    QUEUE = "queue"
    """Start it when the others have finished."""
    SKIP = "skip"
    REPLACE = "replace"
    """Cancel the others and start it."""


def decide_overlap(overlap: Overlap, *, running: int, queued: int) -> OverlapAction:
    """What the overlap policy says about one more run of an automation.

    Args:
        running: how many of its runs are going.
        queued: how many wait for those to finish.
    """
    if running + queued == 0:
        return OverlapAction.START
    match overlap:
        case "allow":
            return OverlapAction.START
        case "cancel_running":
            return OverlapAction.REPLACE
        case "queue_all":
            return OverlapAction.QUEUE
        case "queue_one":
            return OverlapAction.SKIP if queued else OverlapAction.QUEUE
        case "skip":
            return OverlapAction.SKIP
