"""What became of each slot of an automation, and why. Pure.

The past is told by its records: the runs there are, and the reasons recorded for slots without one. The
present schedule says nothing about it, because another may have held then. What has not been decided is told
by the schedule that holds, the automation's present standing and the leaders' reigns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any
from uuid import UUID

from common.models import AutomationStatus, RunStatus, Trigger
from common.scheduling import Schedule, SkipReason, Slot
from common.scheduling.timetable import Timetable
from common.scheduling.words import duration_words

LATE = timedelta(seconds=5)
"""From here on a dispatch was late enough to ask whether there was no leader."""

FORGOTTEN = "forgotten"
NO_LEADER = "no_leader"
LEADER_BUSY = "leader_busy"
CANCELLED_BY_REQUEST = "cancelled_by_request"
_TICK = datetime.resolution


class SlotState(StrEnum):
    """The state of a slot's run; without one skipped, due (still to come) or overdue (undecided).

    `forgotten`: it was so long ago that its record has been cleaned up.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    RUNNING = "running"
    RETRYING = "retrying"
    QUEUED = "queued"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    DUE = "due"
    OVERDUE = "overdue"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class SlotRun:
    """The run of a slot."""

    id: UUID
    scheduled_for: datetime
    status: RunStatus
    trigger: Trigger
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class RecordedSkip:
    """Consecutive slots recorded as skipped."""

    first: datetime
    last: datetime
    slots: int
    reason: str
    detail: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A time without a leader."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads now: a leader since `since`, or none since then. Both are unknown where none has ever led."""

    is_led: bool
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Period:
    """A schedule and the slots it names: those later than `after`, up to `until`; None: it holds."""

    schedule: Schedule | None
    """None where this release cannot read it."""
    after: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an automation stands.

    `undecided` is its first undecided slot; without one the schedule has ended, and `decided` is the last
    slot with a record. `runs_left`: how many runs its schedule still allows; None: any number.
    """

    id: UUID
    created_at: datetime
    status: AutomationStatus
    status_reason: str | None
    undecided: datetime | None
    decided: datetime | None = None
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    catch_up_on_resume: str | None = None
    runs_left: int | None = None

    def timetable(self, schedule: Schedule, *, undecided: bool = False) -> Timetable:
        """The slots of one of the automation's schedules."""
        return Timetable(
            schedule,
            automation_id=self.id,
            default_anchor=self.created_at,
            undecided=self.undecided if undecided else None,
        )


@dataclass(frozen=True, slots=True)
class SlotFate:
    """What became of one slot; of several consecutive ones where `slots` is more than 1."""

    slot: datetime
    state: SlotState
    reason: str | None = None
    detail: str | None = None
    last_slot: datetime | None = None
    slots: int = 1
    fire_at: datetime | None = None
    on_schedule: bool = True
    run: SlotRun | None = None
    lag: timedelta | None = None
    late_because: str | None = None

    def as_values(self) -> dict[str, Any]:
        """The fields as clients see them."""
        run = self.run
        return {
            "slot": self.slot,
            "last_slot": self.last_slot,
            "slots": self.slots,
            "fire_at": self.fire_at,
            "state": self.state,
            "reason": self.reason,
            "detail": self.detail,
            "on_schedule": self.on_schedule,
            "run_id": run.id if run else None,
            "trigger": run.trigger if run else None,
            "started_at": run.started_at if run else None,
            "completed_at": run.completed_at if run else None,
            "lag_seconds": None if self.lag is None else round(self.lag.total_seconds(), 3),
            "late_because": self.late_because,
        }


@dataclass(frozen=True, slots=True)
class Records:
    """Everything recorded about a range of slots."""

    periods: Sequence[Period]
    """Oldest first; the last one holds."""
    runs: Sequence[SlotRun]
    skips: Sequence[RecordedSkip]
    vacancies: Sequence[Vacancy]
    leadership: Leadership
    kept_since: datetime | None = None
    """What was before has been cleaned up."""
    rules_since: Mapping[str, datetime] = field(default_factory=dict)
    """Since when the zones have had the rules they have; those without an entry have had no others."""


@dataclass(frozen=True, slots=True)
class Range:
    """The slots in [first, last], the earliest `limit` of them; the present is `now`."""

    first: datetime
    last: datetime
    limit: int
    now: datetime


def fates(records: Records, standing: Standing, wanted: Range) -> tuple[list[SlotFate], datetime]:
    """The fate of each slot in order, and up to where nothing is left out."""
    told = _Told(records, standing, wanted)
    return told.fates, told.horizon


class _Told:
    """Puts the fates together. Every source is cut at `limit`; behind the earliest cut nothing is told."""

    def __init__(self, records: Records, standing: Standing, wanted: Range) -> None:
        self._records = records
        self._standing = standing
        self._wanted = wanted
        self.horizon = wanted.last
        holding = records.periods[-1].schedule
        self._today = None if holding is None else standing.timetable(holding)
        # Slots that are told together stay beside the slot they begin with, which may have a run of its own.
        found: dict[tuple[datetime, bool], SlotFate] = {}
        moved = [skip for skip in records.skips if skip.reason == SkipReason.MOVED]
        skips = [skip for skip in records.skips if skip.reason != SkipReason.MOVED]
        # The later counts. What moved away comes first: the new rules may name its instant again.
        for source in (
            self._skipped(moved),
            self._forgotten(),
            self._undecided(),
            self._skipped(skips),
            self._ran(),
        ):
            found |= {(fate.slot, fate.slots == 1): fate for fate in source}
        self.fates = [found[key] for key in sorted(found) if key[0] <= self.horizon]

    def _cut(self, slots: Iterator[datetime]) -> Iterator[datetime]:
        """The first `limit` of these; where there are more, the horizon is the last of them."""
        limit = self._wanted.limit
        taken = list(islice(slots, limit + 1))
        if len(taken) > limit:
            self.horizon = min(self.horizon, taken[limit] - _TICK)
        yield from taken[:limit]

    def _names_today(self, slot: datetime) -> bool:
        return self._today is not None and self._today.latest_at_or_before(slot) == slot

    def _period_of(self, slot: datetime) -> Period:
        periods = self._records.periods
        return next((one for one in reversed(periods) if one.after < slot), periods[0])

    def _ran(self) -> Iterator[SlotFate]:
        for run in self._records.runs:
            slot = run.scheduled_for
            schedule = self._period_of(slot).schedule
            fire_at = slot if schedule is None else self._standing.timetable(schedule).fire_at(slot)
            yield _of_run(run, fire_at, self._records.vacancies, on_schedule=self._names_today(slot))

    def _skipped(self, skips: Sequence[RecordedSkip]) -> Iterator[SlotFate]:
        limit = self._wanted.limit
        told = list(islice(self._each_skipped(skips), limit + 1))
        if len(told) > limit:
            self.horizon = min(self.horizon, told[limit].slot - _TICK)
        yield from told[:limit]

    def _each_skipped(self, skips: Sequence[RecordedSkip]) -> Iterator[SlotFate]:
        first, last = self._wanted.first, self._wanted.last
        for skip in sorted(skips, key=lambda one: one.first):
            timetable = self._namer_of(skip)
            if timetable is not None:
                slots = _walk(timetable, max(first, skip.first) - _TICK, min(last, skip.last))
                for slot in self._cut(slots):
                    on_schedule = self._names_today(slot)
                    yield SlotFate(slot, SlotState.SKIPPED, skip.reason, skip.detail, on_schedule=on_schedule)
            elif skip.first >= first:
                yield SlotFate(
                    skip.first,
                    SlotState.SKIPPED,
                    skip.reason,
                    skip.detail,
                    last_slot=skip.last if skip.slots > 1 else None,
                    slots=skip.slots,
                    on_schedule=skip.slots == 1 and self._names_today(skip.first),
                )

    def _namer_of(self, skip: RecordedSkip) -> Timetable | None:
        """The timetable that names the skipped slots one by one; None where they are told together."""
        schedule = self._period_of(skip.first).schedule
        if schedule is None or skip.slots == 1:
            return None
        rules_since = self._records.rules_since.get(schedule.timezone)
        if rules_since is not None and skip.recorded_at < rules_since:
            return None  # another tz database named them
        timetable = self._standing.timetable(schedule)
        return timetable if timetable.count(skip.first, skip.last) == skip.slots else None

    def _forgotten(self) -> Iterator[SlotFate]:
        """What the schedules of then named before the oldest record kept."""
        kept_since = self._records.kept_since
        if kept_since is None or kept_since <= self._wanted.first:
            return
        detail = f"what was before {_reading(kept_since)} has been cleaned up"
        for period in self._records.periods:
            ends = [kept_since - _TICK, self._wanted.last]
            ends += [end for end in (period.until, self._before_undecided()) if end is not None]
            if period.schedule is None:
                continue
            timetable = self._standing.timetable(period.schedule)
            begin = max(period.after, self._wanted.first - _TICK)
            for slot in self._cut(_walk(timetable, begin, min(ends))):
                yield SlotFate(
                    slot,
                    SlotState.FORGOTTEN,
                    FORGOTTEN,
                    detail,
                    fire_at=timetable.fire_at(slot),
                    on_schedule=self._names_today(slot),
                )

    def _before_undecided(self) -> datetime | None:
        undecided = self._standing.undecided
        return None if undecided is None else undecided - _TICK

    def _undecided(self) -> Iterator[SlotFate]:
        """What the schedule that holds names from the first undecided slot on."""
        schedule, standing, wanted = self._records.periods[-1].schedule, self._standing, self._wanted
        if schedule is None:
            return
        timetable = standing.timetable(schedule, undecided=True)
        begin = wanted.first - _TICK
        if standing.undecided is None:
            begin = max(begin, self._records.periods[-1].after, standing.decided or begin)
            for slot in self._cut(_walk(timetable, begin, min(wanted.last, wanted.now))):
                detail = standing.status_reason or "the schedule has no further slot"
                yield SlotFate(
                    slot, SlotState.SKIPPED, SkipReason.ENDED, detail, fire_at=timetable.fire_at(slot)
                )
            return
        runs_left = _runs_left(timetable, standing, wanted)
        with_run = {run.scheduled_for for run in self._records.runs}
        for slot in self._cut(_walk(timetable, max(begin, standing.undecided - _TICK), wanted.last)):
            if slot in with_run:
                continue
            fate = _undecided(timetable.slot(slot), standing, self._records.leadership, wanted.now)
            if fate.state in (SlotState.DUE, SlotState.OVERDUE) and runs_left is not None:
                if runs_left == 0:
                    return
                runs_left -= 1
            yield fate


def _walk(timetable: Timetable, after: datetime, until: datetime) -> Iterator[datetime]:
    slot = timetable.next_after(after)
    while slot is not None and slot <= until:
        yield slot
        slot = timetable.next_after(slot)


def _runs_left(timetable: Timetable, standing: Standing, wanted: Range) -> int | None:
    """How many runs the schedule still allows from the range's beginning on."""
    if standing.runs_left is None or standing.undecided is None:
        return None
    begin = standing.undecided
    if standing.status is AutomationStatus.PAUSED or standing.catch_up_on_resume == "none":
        begin = max(begin, wanted.now)  # what passes in a pause does not run
    ranges = timetable.ranges(begin, wanted.first - _TICK)
    return max(0, standing.runs_left - sum(found.count for found in ranges if found.excluded is None))


def _of_run(
    run: SlotRun, fire_at: datetime, vacancies: Sequence[Vacancy], *, on_schedule: bool = True
) -> SlotFate:
    reason, detail = run.error_code, run.error_message
    if run.status is RunStatus.CANCELLED:
        reason = reason or CANCELLED_BY_REQUEST
    elif run.status is RunStatus.SKIPPED:
        reason = reason or SkipReason.EXPIRED
    elif run.status is RunStatus.WAITING:
        reason, detail = "waiting", "it starts when another run of this automation or of the team has ended"
    elif run.status is RunStatus.COMPLETED:
        reason = detail = None
    lag: timedelta | None = None
    late: str | None = None
    if run.trigger is Trigger.SCHEDULE:
        lag = None if run.started_at is None else max(run.started_at - run.scheduled_for, timedelta())
        late = _vacant(fire_at, run.created_at, vacancies)
    return SlotFate(
        run.scheduled_for,
        SlotState(run.status.value),
        reason,
        detail,
        fire_at=fire_at,
        on_schedule=on_schedule,
        run=run,
        lag=lag,
        late_because=late,
    )


def _vacant(fire_at: datetime, dispatched_at: datetime, vacancies: Sequence[Vacancy]) -> str | None:
    """Why it was dispatched late, where there was no leader in between."""
    if dispatched_at - fire_at < LATE:
        return None
    for vacancy in vacancies:
        if vacancy.since <= dispatched_at and fire_at <= vacancy.until:
            return f"no leader for {duration_words(vacancy.until - vacancy.since)}"
    return None


def _undecided(slot: Slot, standing: Standing, leadership: Leadership, now: datetime) -> SlotFate:
    """The fate of an undecided slot."""

    def fate(state: SlotState, reason: str | None = None, detail: str | None = None) -> SlotFate:
        return SlotFate(slot.nominal, state, reason, detail, fire_at=slot.fire_at)

    has_passed = slot.fire_at <= now
    if slot.excluded is not None:
        moved = "" if slot.moved_to is None else f"; moved to {_reading(slot.moved_to)}"
        return fate(SlotState.SKIPPED, SkipReason.EXCLUDED, slot.excluded + moved)
    without_run = SlotState.SKIPPED if has_passed else SlotState.DUE
    if standing.status is AutomationStatus.PAUSED:
        ends = standing.paused_until
        if ends is not None and not has_passed and slot.nominal >= ends:
            return fate(SlotState.DUE)
        return fate(without_run, SkipReason.PAUSED, _paused(standing))
    if standing.status is not AutomationStatus.ACTIVE:
        return fate(without_run, standing.status.value, standing.status_reason)
    if not has_passed:
        return fate(SlotState.DUE)
    if standing.catch_up_on_resume == "none":
        return fate(
            SlotState.SKIPPED, SkipReason.PAUSED, "it passed during a pause, and nothing is made up for"
        )
    return fate(SlotState.OVERDUE, *_leaderless(leadership, now))


def _paused(standing: Standing) -> str:
    since = "paused" if standing.paused_at is None else f"paused since {_reading(standing.paused_at)}"
    if standing.paused_until is None:
        return f"{since}, until it is resumed"
    return f"{since}, until {_reading(standing.paused_until)}"


def _leaderless(leadership: Leadership, now: datetime) -> tuple[str, str]:
    if leadership.since is None:
        return NO_LEADER, "no scheduler has ever led"
    if leadership.is_led:
        return LEADER_BUSY, f"a leader has led since {_reading(leadership.since)} and is about to decide"
    vacant = duration_words(max(now - leadership.since, timedelta()))
    return NO_LEADER, f"no leader since {_reading(leadership.since)}, for {vacant}"


def _reading(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def run_of(row: Mapping[str, Any]) -> SlotRun:
    """A run from its columns."""
    return SlotRun(
        id=row["id"],
        scheduled_for=row["scheduled_for"],
        status=RunStatus(row["status"]),
        trigger=Trigger(row["trigger"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        error_code=row["error_code"],
        error_message=row["error_message"],
    )
