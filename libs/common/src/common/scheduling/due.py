"""What becomes of the slots that have come due: run, or skipped for a reason.

`decide_due` is called with the first undecided slot and the present instant. It decides about every slot that
has come due exactly once and names the next undecided one. So a clock that jumps back only makes it wait, and
an outage is answered with a few ranges, not with an object a slot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from common.scheduling.instants import as_utc
from common.scheduling.kinds import Once, Schedule
from common.scheduling.policy import OverlapAction, SchedulePolicy, decide_overlap
from common.scheduling.timetable import Slot, SlotRange, Timetable

GRACE = timedelta(minutes=2)
"""A slot this late is on time all the same."""

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
    OVERLAP = "overlap"
    """Another run had not finished, and the overlap policy lets this one go."""
    PAUSED = "paused"
    """It passed in a pause, and its owner wants nothing made up for."""
    SKIPPED_BY_REQUEST = "skipped_by_request"
    """Its owner asked for the next run to be left out."""
    SCHEDULE_EDITED = "schedule_edited"
    """It was due by a schedule that an edit replaced before it ran."""
    MOVED = "moved"
    """Another tz database puts the time it stands for at another instant."""
    UNSCHEDULABLE = "unschedulable"
    """The schedule or the policy cannot be read."""


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
class DueRun:
    """A slot that runs."""

    slot: Slot
    action: OverlapAction
    """Start at once, queue behind the unfinished runs, or replace them; never skip."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The runs of the automation that have not ended."""

    running: int = 0
    """Queued, running or to be retried."""
    queued: int = 0
    """Waiting for those to finish."""


@dataclass(frozen=True, slots=True)
class DueDecision:
    """What becomes of the slots that have come due."""

    runs: tuple[DueRun, ...]
    """Oldest first."""
    skipped: tuple[SkippedRange, ...]
    """Oldest first."""
    next_run: datetime | None
    """The first undecided slot: what to pass the next time. None when the schedule has ended."""
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
    unfinished: Unfinished = Unfinished(),
    taken: Sequence[datetime] = (),
    limit: int = 100,
    grace: timedelta = GRACE,
) -> DueDecision:
    """Decide about every slot from `next_run` on whose start has come.

    Args:
        next_run: the first undecided slot. It is one although the schedule does not name it: an earlier tz
            database did.
        now: the present instant. Earlier than `next_run`, nothing is decided.
        automation_id: places the automation in a window and its jitter.
        default_anchor: where an interval without an anchor begins.
        run_count: how many runs there have been, for a schedule with `max_runs`. A slot that the overlap
            policy lets go does not count.
        unfinished: the automation's runs that have not ended.
        taken: slots from `next_run` on that have a run already, because a person started one. Each gets
            neither another run nor a reason.
        limit: how many runs at most. Where `catch_up` is `all` and more are due, `next_run` of the decision
            is not later than `now`, and the caller asks again.
        grace: a slot this late is on time all the same. Of several on time, `catch_up: none` runs the newest.
    """
    first, now = as_utc(next_run), as_utc(now)
    timetable = Timetable(
        schedule, automation_id=automation_id, default_anchor=default_anchor, undecided=first
    )
    latest = timetable.latest_fired(now)
    if latest is None or latest < first:
        return _decision(timetable, [], [], timetable.first_from(first))
    remaining = schedule.runs_left(run_count)
    slots = _DueSlots(timetable, sorted(taken))
    if remaining == 0:
        return _decision(timetable, [], slots.skip(first, latest, SkipReason.ENDED), None)

    skipped: list[SkippedRange] = []
    for age, reason in (
        (policy.catch_up_window, SkipReason.CATCH_UP_WINDOW),
        (policy.expires_after, SkipReason.EXPIRED),
        (grace if policy.catch_up == "none" else None, SkipReason.CATCH_UP_NONE),
    ):
        stale = timetable.latest_fired(now - age - _TICK) if age is not None else None
        if stale is not None and stale >= first:
            skipped += slots.skip(first, stale, reason)
            first = stale + _TICK
    if first > latest:
        return _decision(timetable, [], skipped, timetable.next_after(latest))

    admission = _Admission(policy, unfinished, waits=isinstance(schedule, Once), late=now - grace)
    if policy.catch_up == "all":
        runs, passed, decided = slots.in_turn(first, latest, min(limit, remaining or limit), admission)
    else:
        older = SkipReason.CATCH_UP_NONE if policy.catch_up == "none" else SkipReason.CATCH_UP_LATEST
        runs, passed = slots.newest(first, latest, older, admission)
        decided = latest
    skipped += passed
    if remaining is not None and len(runs) >= remaining:
        skipped += slots.skip(decided + _TICK, latest, SkipReason.ENDED)
        return _decision(timetable, runs, skipped, None)
    return _decision(timetable, runs, skipped, timetable.next_after(decided))


def pass_over(
    schedule: Schedule,
    next_run: datetime,
    now: datetime,
    reason: SkipReason,
    *,
    automation_id: str | UUID = "",
    default_anchor: datetime | None = None,
    taken: Sequence[datetime] = (),
) -> DueDecision:
    """Skip every slot from `next_run` on whose start has come; excluded ones for that reason instead.

    Nothing runs, so nothing counts towards `max_runs`.
    """
    first = as_utc(next_run)
    timetable = Timetable(
        schedule, automation_id=automation_id, default_anchor=default_anchor, undecided=first
    )
    latest = timetable.latest_fired(as_utc(now))
    if latest is None or latest < first:
        return _decision(timetable, [], [], timetable.first_from(first))
    skipped = _DueSlots(timetable, sorted(taken)).skip(first, latest, reason)
    return _decision(timetable, [], skipped, timetable.next_after(latest))


def skip_slots(
    timetable: Timetable,
    first: datetime,
    last: datetime,
    reason: SkipReason,
    *,
    taken: Sequence[datetime] = (),
) -> list[SkippedRange]:
    """The slots in [first, last] as skipped, without those taken; excluded ones for that reason instead."""
    return _DueSlots(timetable, sorted(taken)).skip(first, last, reason)


class _Admission:
    """What the overlap policy says about one slot after another.

    A slot that was missed did not overlap anything when it was due: where all missed slots are made up for,
    it waits its turn. The same holds for the only slot of a schedule: there is no later one in its place.
    Slots decided about together do not overlap each other, because none of them has run.
    """

    def __init__(
        self, policy: SchedulePolicy, unfinished: Unfinished, *, waits: bool, late: datetime
    ) -> None:
        self._overlap = policy.overlap
        self._catches_up = policy.catch_up == "all"
        self._unfinished = unfinished
        self._waits = waits
        self._late = late
        self._runs = 0

    def of(self, slot: Slot) -> OverlapAction:
        before = self._unfinished
        action = decide_overlap(self._overlap, running=before.running, queued=before.queued)
        if self._catches_up and slot.fire_at < self._late and self._overlap != "allow":
            action = OverlapAction.QUEUE if before.running + before.queued else OverlapAction.START
        elif action is OverlapAction.SKIP and self._waits:
            action = OverlapAction.QUEUE
        if action is OverlapAction.START and self._runs and self._overlap != "allow":
            action = OverlapAction.QUEUE
        if action is not OverlapAction.SKIP:
            self._runs += 1
        return action


class _DueSlots:
    """The slots of a timetable that have come due, without those that have a run already."""

    def __init__(self, timetable: Timetable, taken: Sequence[datetime]) -> None:
        self._timetable = timetable
        self._taken = taken

    def skip(self, first: datetime, last: datetime, reason: SkipReason) -> list[SkippedRange]:
        """The slots in [first, last] as skipped; excluded ones for that reason instead."""
        return [_skipped(found, reason) for found in self._ranges(first, last)]

    def newest(
        self, first: datetime, last: datetime, older: SkipReason, admission: _Admission
    ) -> tuple[list[DueRun], list[SkippedRange]]:
        """The last slot in [first, last] that is not excluded, and the others as skipped.

        Where that slot has its run already, there is nothing to make up for.
        """
        chosen = max(
            (found.last for found in self._timetable.ranges(first, last) if found.excluded is None),
            default=None,
        )
        if chosen is None:
            return [], self.skip(first, last, SkipReason.EXCLUDED)
        runs: list[DueRun] = []
        skipped = self.skip(first, chosen - _TICK, older)
        if chosen not in self._taken:
            slot = self._timetable.slot(chosen)
            action = admission.of(slot)
            if action is OverlapAction.SKIP:
                skipped += self.skip(chosen, chosen, SkipReason.OVERLAP)
            else:
                runs.append(DueRun(slot, action))
        skipped += self.skip(chosen + _TICK, last, SkipReason.EXCLUDED)
        return runs, skipped

    def in_turn(
        self, first: datetime, last: datetime, limit: int, admission: _Admission
    ) -> tuple[list[DueRun], list[SkippedRange], datetime]:
        """The first `limit` slots in [first, last] that run, those that do not, and the last decided."""
        runs: list[DueRun] = []
        skipped: list[SkippedRange] = []
        for found in self._ranges(first, last):
            if found.excluded is not None:
                skipped.append(_skipped(found, SkipReason.EXCLUDED))
                continue
            for nominal in self._walk(found):
                slot = self._timetable.slot(nominal)
                action = admission.of(slot)
                if action is OverlapAction.SKIP:
                    skipped.append(SkippedRange(nominal, nominal, 1, SkipReason.OVERLAP))
                    continue
                runs.append(DueRun(slot, action))
                if len(runs) == limit:
                    return runs, skipped, nominal
        return runs, skipped, last

    def _ranges(self, first: datetime, last: datetime) -> Iterator[SlotRange]:
        for slot in self._taken:
            if first <= slot <= last:
                yield from self._timetable.ranges(first, slot - _TICK)
                first = slot + _TICK
        yield from self._timetable.ranges(first, last)

    def _walk(self, found: SlotRange) -> Iterator[datetime]:
        slot: datetime | None = found.first
        while slot is not None and slot <= found.last:
            yield slot
            slot = self._timetable.next_after(slot)


def _skipped(found: SlotRange, reason: SkipReason) -> SkippedRange:
    if found.excluded is not None:
        reason = SkipReason.EXCLUDED
    return SkippedRange(found.first, found.last, found.count, reason, found.excluded)


def _decision(
    timetable: Timetable, runs: list[DueRun], skipped: list[SkippedRange], next_run: datetime | None
) -> DueDecision:
    fire_at = None if next_run is None else timetable.slot(next_run).fire_at
    return DueDecision(tuple(runs), tuple(skipped), next_run, fire_at)
