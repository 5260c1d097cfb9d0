"""What became of each slot of an automation, and why. Pure.

Merges the slots its schedule names, the runs there are, and the reasons recorded for slots without one. Every
slot gets an answer: where nothing is recorded, the automation's present standing and the leaders' reigns
give it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from common.models import AutomationStatus, RunStatus, Trigger
from common.scheduling import Slot
from common.scheduling.words import duration_words

LATE = timedelta(seconds=5)
"""From here on a dispatch was late enough to ask whether nobody led."""

PAUSED = "paused"
EXCLUDED = "excluded"
ENDED = "ended"
EDITED = "schedule_edited"
EXPIRED = "expired"
FORGOTTEN = "forgotten"
NO_LEADER = "no_leader"
LEADER_BUSY = "leader_busy"
CANCELLED_BY_REQUEST = "cancelled_by_request"


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


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A time without a leader."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads now: a leader since `since`, or nobody since then. Both are unknown where nobody ever led."""

    is_led: bool
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an automation stands. `undecided` is the first slot nobody has decided about; None: there is none
    any more. `runs_left`: how many runs its schedule still allows; None: any number."""

    status: AutomationStatus
    status_reason: str | None
    undecided: datetime | None
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    catch_up_on_resume: str | None = None
    runs_left: int | None = None


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
class History:
    """Everything known about a range of slots."""

    planned: Sequence[Slot]
    runs: Sequence[SlotRun]
    skips: Sequence[RecordedSkip]
    vacancies: Sequence[Vacancy]
    leadership: Leadership
    kept_since: datetime | None = None
    """What was before has been cleaned up."""


def fates(history: History, standing: Standing, *, first: datetime, now: datetime) -> list[SlotFate]:
    """The fate of each slot from `first` on, in order.

    Runs and recorded reasons of slots that are none of today's schedule are listed too: it was edited.
    """
    runs = {run.scheduled_for: run for run in history.runs}
    planned = {slot.nominal for slot in history.planned}
    covering = _Covering(history.skips)
    found: list[SlotFate] = []
    runs_left = standing.runs_left
    for slot in history.planned:
        run = runs.get(slot.nominal)
        skip = covering.at(slot.nominal)
        if run is not None:
            found.append(_of_run(run, slot.fire_at, history.vacancies))
        elif skip is not None:
            found.append(SlotFate(slot.nominal, SlotState.SKIPPED, skip.reason, skip.detail))
        elif history.kept_since is not None and slot.nominal < history.kept_since:
            found.append(_forgotten(slot, history.kept_since))
        else:
            fate = _unrecorded(slot, standing, history.leadership, now)
            if fate.state in (SlotState.DUE, SlotState.OVERDUE) and runs_left is not None:
                if runs_left == 0:
                    continue
                runs_left -= 1
            if not (fate.reason == ENDED and slot.nominal > now):
                found.append(fate)
    found += [
        _of_run(run, run.scheduled_for, history.vacancies, on_schedule=False)
        for run in history.runs
        if run.scheduled_for not in planned
    ]
    found += [
        SlotFate(
            skip.first,
            SlotState.SKIPPED,
            skip.reason,
            skip.detail,
            last_slot=skip.last if skip.slots > 1 else None,
            slots=skip.slots,
            on_schedule=False,
        )
        for skip in history.skips
        if skip.first >= first and skip.first not in planned and skip.first not in runs
    ]
    return list({fate.slot: fate for fate in sorted(found, key=lambda fate: fate.slot)}.values())


class _Covering:
    """Finds the recorded reason for slots that are asked for in ascending order."""

    def __init__(self, skips: Sequence[RecordedSkip]) -> None:
        self._skips = sorted(skips, key=lambda skip: skip.first)
        self._next = 0

    def at(self, slot: datetime) -> RecordedSkip | None:
        while self._next < len(self._skips) and self._skips[self._next].last < slot:
            self._next += 1
        if self._next == len(self._skips) or self._skips[self._next].first > slot:
            return None
        return self._skips[self._next]


def _of_run(
    run: SlotRun, fire_at: datetime, vacancies: Sequence[Vacancy], *, on_schedule: bool = True
) -> SlotFate:
    reason, detail = run.error_code, run.error_message
    if run.status is RunStatus.CANCELLED:
        reason = reason or CANCELLED_BY_REQUEST
    elif run.status is RunStatus.SKIPPED:
        reason = reason or EXPIRED
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
    """Why it was dispatched late, where nobody led in between."""
    if dispatched_at - fire_at < LATE:
        return None
    for vacancy in vacancies:
        if vacancy.since <= dispatched_at and fire_at <= vacancy.until:
            return f"no leader for {duration_words(vacancy.until - vacancy.since)}"
    return None


def _forgotten(slot: Slot, kept_since: datetime) -> SlotFate:
    detail = f"what was before {_reading(kept_since)} has been cleaned up"
    return SlotFate(slot.nominal, SlotState.FORGOTTEN, FORGOTTEN, detail, fire_at=slot.fire_at)


def _unrecorded(slot: Slot, standing: Standing, leadership: Leadership, now: datetime) -> SlotFate:
    """The fate of a slot about which nothing is written down."""

    def fate(state: SlotState, reason: str | None = None, detail: str | None = None) -> SlotFate:
        return SlotFate(slot.nominal, state, reason, detail, fire_at=slot.fire_at)

    has_passed = slot.fire_at <= now
    if standing.undecided is None:
        return fate(SlotState.SKIPPED, ENDED, standing.status_reason or "the schedule has no further slot")
    if slot.nominal < standing.undecided:
        return fate(SlotState.SKIPPED, EDITED, "the automation had another schedule then")
    if slot.excluded is not None:
        moved = "" if slot.moved_to is None else f"; moved to {_reading(slot.moved_to)}"
        return fate(SlotState.SKIPPED, EXCLUDED, slot.excluded + moved)
    without_run = SlotState.SKIPPED if has_passed else SlotState.DUE
    if standing.status is AutomationStatus.PAUSED:
        ends = standing.paused_until
        if ends is not None and not has_passed and slot.nominal >= ends:
            return fate(SlotState.DUE)
        return fate(without_run, PAUSED, _paused(standing))
    if standing.status is not AutomationStatus.ACTIVE:
        return fate(without_run, standing.status.value, standing.status_reason)
    if not has_passed:
        return fate(SlotState.DUE)
    if standing.catch_up_on_resume == "none":
        return fate(SlotState.SKIPPED, PAUSED, "it passed during a pause, and nothing is made up for")
    return fate(SlotState.OVERDUE, *_undecided(leadership, now))


def _paused(standing: Standing) -> str:
    since = "paused" if standing.paused_at is None else f"paused since {_reading(standing.paused_at)}"
    if standing.paused_until is None:
        return f"{since}, until it is resumed"
    return f"{since}, until {_reading(standing.paused_until)}"


def _undecided(leadership: Leadership, now: datetime) -> tuple[str, str]:
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
