"""What becomes of an automation whose time has come. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from common.models import AutomationStatus, RunStatus
from common.scheduling.automation_policy import AutomationPolicy
from common.scheduling.schedule import (
    OverlapAction,
    ScheduleError,
    SkippedRange,
    SkipReason,
    decide_due,
    decide_overlap,
    parse_schedule,
)

OVERLAP = "overlap"
PAUSED = "paused"
UNSCHEDULABLE = "unschedulable"


@dataclass(frozen=True, slots=True)
class Due:
    """What is known about an automation whose `next_run` has come.

    `first_slot` is the first slot nobody has decided about; `next_run` when it was to fire.
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
    """What becomes of one due automation. `cancel_running`: its unfinished runs make room."""

    runs: Sequence[PlannedRun] = ()
    skips: Sequence[Skip] = ()
    next_slot: datetime | None = None
    next_run: datetime | None = None
    status: AutomationStatus = AutomationStatus.ACTIVE
    status_reason: str | None = None
    cancel_running: bool = False


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A time without a leader."""

    since: datetime
    until: datetime


def decide(due: Due, *, now: datetime, vacancies: Sequence[Vacancy] = (), limit: int = 100) -> Decision:
    """Decide about every slot of one automation up to `now`.

    A `next_run` that is not one of the schedule's own instants was put there on purpose (an operator's
    UPDATE) and is honoured as a slot. A schedule or policy that cannot be read any more stops the automation
    and says why, instead of holding up its neighbours.
    """
    try:
        schedule = parse_schedule(due.schedule_config)
        policy = AutomationPolicy.model_validate(due.policy)
    except (ScheduleError, ValidationError) as error:
        slot = due.first_slot if due.first_slot <= now else due.next_run
        return Decision(
            skips=[Skip(slot, slot, 1, UNSCHEDULABLE)],
            status=AutomationStatus.ERROR,
            status_reason=f"cannot be scheduled: {error}"[:500],
        )
    decided = decide_due(
        schedule,
        policy,
        due.first_slot,
        now,
        automation_id=due.id,
        default_anchor=due.created_at,
        run_count=due.fired_count,
        limit=limit,
    )
    slots = [slot.nominal for slot in decided.runs]
    if not slots and not decided.skipped and due.next_run <= now:
        slots = [due.next_run]
    tally = _Tally(due.active, due.waiting)
    runs = [_plan_run(slot, policy, tally) for slot in slots]
    skips = [_late(skip, vacancies) for skip in decided.skipped]
    skips += [
        Skip(slot, slot, 1, OVERLAP, "the previous run had not finished")
        for slot, run in zip(slots, runs, strict=True)
        if run is None
    ]
    slots_with_runs = [run.slot for run in runs if run is not None]
    return Decision(
        runs=[run for run in runs if run is not None],
        skips=merge(skips, slots_with_runs),
        next_slot=decided.next_run,
        next_run=decided.fire_at,
        status=AutomationStatus.ACTIVE if decided.next_run else AutomationStatus.STOPPED,
        status_reason=None if decided.next_run else "the schedule has no further slot",
        cancel_running=tally.replaced,
    )


@dataclass(slots=True)
class _Tally:
    """The automation's unfinished runs, as the decisions about several slots at once add to them."""

    active: int
    waiting: int
    replaced: bool = False


def _plan_run(slot: datetime, policy: AutomationPolicy, tally: _Tally) -> PlannedRun | None:
    """A run for this slot, or None where the overlap policy skips it."""
    match decide_overlap(policy.overlap, running=tally.active, queued=tally.waiting):
        case OverlapAction.SKIP:
            return None
        case OverlapAction.QUEUE:
            tally.waiting += 1
            status = RunStatus.WAITING
        case OverlapAction.REPLACE:
            # It waits until what it replaces has ended; of several due at once, only the last need run.
            tally.replaced = True
            tally.waiting += 1
            status = RunStatus.WAITING
        case OverlapAction.START:
            limited = policy.max_concurrent_runs is not None and tally.active >= policy.max_concurrent_runs
            tally.active += 1
            status = RunStatus.WAITING if limited else RunStatus.QUEUED
    expires = None if policy.expires_after is None else slot + policy.expires_after
    return PlannedRun(slot, status, expires, policy.retry.max_attempts)


def decide_resume(due: Due, *, now: datetime, catch_up: str) -> Decision:
    """Decide about the slots that passed while an automation was paused.

    `catch_up` is what its owner chose for them: `none` records them as paused, `latest` and `all` run what
    the automation's other policies allow.
    """
    chosen = {**due.policy, "catch_up": "latest" if catch_up == "none" else catch_up}
    decision = decide(replace(due, policy=chosen), now=now)
    if catch_up != "none" or decision.status is AutomationStatus.ERROR:
        return decision
    passed = [
        skip if skip.reason == SkipReason.EXCLUDED else replace(skip, reason=PAUSED)
        for skip in decision.skips
    ]
    passed += [Skip(run.slot, run.slot, 1, PAUSED) for run in decision.runs]
    return replace(decision, runs=(), skips=merge(passed, ()), cancel_running=False)


def _late(skip: SkippedRange, vacancies: Sequence[Vacancy]) -> Skip:
    """A skipped range, with the time without a leader that made it late."""
    detail = skip.detail
    if detail is None and skip.reason is not SkipReason.ENDED:
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
