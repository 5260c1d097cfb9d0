"""What becomes of an automation whose time has come. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from common.automation_policy import AutomationPolicy
from common.models import AutomationStatus, RunStatus
from common.scheduling import (
    DueDecision,
    DueRun,
    OverlapAction,
    ScheduleError,
    SkippedRange,
    SkipReason,
    Slot,
    Unfinished,
    decide_due,
    decide_overlap,
    parse_schedule,
    pass_over,
)


@dataclass(frozen=True, slots=True)
class Due:
    """What is known about an automation whose `next_run` has come.

    `first_slot` is the first undecided slot; `next_run` when it was to fire.
    """

    id: UUID
    schedule_config: Mapping[str, Any]
    policy: Mapping[str, Any]
    first_slot: datetime
    next_run: datetime
    created_at: datetime
    fired_count: int
    active: int
    """Its runs that are queued, running or to be retried."""
    waiting: int
    """Its runs that wait for those."""
    taken: Sequence[datetime] = ()
    """Slots from `first_slot` on that have a run already: a person started one."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A slot that gets a run."""

    slot: datetime
    status: RunStatus
    expires_at: datetime | None
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Skip:
    """Consecutive slots that get no run."""

    first: datetime
    last: datetime
    slots: int
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one due automation. `replaced_by`: the slot for which its unfinished runs make room."""

    runs: Sequence[PlannedRun] = ()
    skips: Sequence[Skip] = ()
    next_slot: datetime | None = None
    next_run: datetime | None = None
    status: AutomationStatus = AutomationStatus.ACTIVE
    status_reason: str | None = None
    replaced_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A time without a leader."""

    since: datetime
    until: datetime


def decide(due: Due, *, now: datetime, vacancies: Sequence[Vacancy] = (), limit: int = 100) -> Decision:
    """Decide about every slot of one automation up to `now`.

    A `next_run` before the first undecided slot was put there by an operator (by an UPDATE), and is a slot of
    its own. A schedule or policy that cannot be read any more stops the automation
    and says why, instead of holding up its neighbours.
    """
    try:
        schedule = parse_schedule(due.schedule_config)
        policy = AutomationPolicy.model_validate(due.policy)
    except (ScheduleError, ValidationError) as error:
        return _unreadable(due, error, now)
    decided = decide_due(
        schedule,
        policy,
        due.first_slot,
        now,
        automation_id=due.id,
        default_anchor=due.created_at,
        run_count=due.fired_count,
        unfinished=Unfinished(due.active, due.waiting),
        taken=due.taken,
        limit=limit,
    )
    planned, skipped = list(decided.runs), list(decided.skipped)
    if due.next_run <= now < due.first_slot:
        action = decide_overlap(policy.overlap, running=due.active, queued=due.waiting)
        if action is OverlapAction.SKIP:
            skipped = [SkippedRange(due.next_run, due.next_run, 1, SkipReason.OVERLAP)]
        else:
            planned = [DueRun(Slot(due.next_run, due.next_run), action)]
    runs = _plan_runs(planned, policy, due.active)
    replaced_by = next((run.slot.nominal for run in planned if run.action is OverlapAction.REPLACE), None)
    return replace(
        _conclude(due, decided, [_explained(skip, vacancies) for skip in skipped], runs),
        replaced_by=replaced_by,
    )


def _unreadable(due: Due, error: ValueError, now: datetime) -> Decision:
    slot = due.first_slot if due.first_slot <= now else due.next_run
    return Decision(
        skips=[Skip(slot, slot, 1, SkipReason.UNSCHEDULABLE)],
        status=AutomationStatus.ERROR,
        status_reason=f"cannot be scheduled: {error}"[:500],
    )


def _conclude(
    due: Due, decided: DueDecision, skips: Sequence[Skip], runs: Sequence[PlannedRun] = ()
) -> Decision:
    return Decision(
        runs=runs,
        skips=merge(skips, [*(run.slot for run in runs), *due.taken]),
        next_slot=decided.next_run,
        next_run=decided.fire_at,
        status=AutomationStatus.ACTIVE if decided.next_run else AutomationStatus.STOPPED,
        status_reason=None if decided.next_run else "the schedule has no further slot",
    )


def _plan_runs(due_runs: Sequence[DueRun], policy: AutomationPolicy, active: int) -> list[PlannedRun]:
    """The runs to insert. One that replaces others waits until those have ended."""
    runs = []
    limit = policy.max_concurrent_runs
    for run in due_runs:
        starts = run.action is OverlapAction.START and (limit is None or active < limit)
        active += run.action is OverlapAction.START
        slot = run.slot.nominal
        expires = None if policy.expires_after is None else slot + policy.expires_after
        status = RunStatus.QUEUED if starts else RunStatus.WAITING
        runs.append(PlannedRun(slot, status, expires, policy.retry.max_attempts))
    return runs


def decide_resume(due: Due, *, now: datetime, catch_up: str) -> Decision:
    """Decide about the slots that passed while an automation was paused.

    `catch_up` is what its owner chose for them: `none` records them as paused, `latest` and `all` run what
    the automation's other policies allow.
    """
    if catch_up != "none":
        return decide(replace(due, policy={**due.policy, "catch_up": catch_up}), now=now)
    try:
        schedule = parse_schedule(due.schedule_config)
    except ScheduleError as error:
        return _unreadable(due, error, now)
    decided = pass_over(
        schedule,
        due.first_slot,
        now,
        SkipReason.PAUSED,
        automation_id=due.id,
        default_anchor=due.created_at,
        taken=due.taken,
    )
    skipped = list(decided.skipped)
    if due.next_run <= now < due.first_slot:
        skipped = [SkippedRange(due.next_run, due.next_run, 1, SkipReason.PAUSED)]
    return _conclude(due, decided, [_explained(skip, ()) for skip in skipped])


def _explained(skip: SkippedRange, vacancies: Sequence[Vacancy]) -> Skip:
    """A skipped range in words; a late one with the time without a leader that made it late."""
    detail = skip.detail
    if skip.reason is SkipReason.OVERLAP:
        detail = "the previous run had not finished"
    elif detail is None and skip.reason is not SkipReason.ENDED:
        for vacancy in vacancies:
            if vacancy.since <= skip.last and skip.first <= vacancy.until:
                detail = f"no leader for {duration(vacancy.until - vacancy.since)}"
    return Skip(skip.first, skip.last, skip.count, str(skip.reason), detail)


def merge(skips: Sequence[Skip], runs: Sequence[datetime]) -> list[Skip]:
    """Skips in order, neighbours with the same reason as one; a slot with a run parts its neighbours."""
    merged: list[Skip] = []
    for skip in sorted(skips, key=lambda one: one.first):
        last = merged[-1] if merged else None
        if (
            last is not None
            and (last.reason, last.detail) == (skip.reason, skip.detail)
            and not any(last.last < run < skip.first for run in runs)
        ):
            merged[-1] = replace(last, last=skip.last, slots=last.slots + skip.slots)
        else:
            merged.append(skip)
    return merged


def duration(length: timedelta) -> str:
    """A length of time in words: `3 min 12 s`."""
    seconds = int(length.total_seconds())
    parts = [
        (seconds // 86_400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    ]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"
