"""The way of a run from its slot to its delivery, as steps with the time each took. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.runs.schemas import RunDetail
from api.web.times import between, duration
from common.models import DeliveryStatus, RunStatus, Trigger

_ASKED_FOR = {
    Trigger.MANUAL: "Asked for",
    Trigger.DRY_RUN: "Dry run asked for",
    Trigger.BACKFILL: "Backfill asked for",
}
_ENDED_OTHERWISE = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class Step:
    """One station. `state`: done, current, pending or failed; `took`: seconds since the one before."""

    label: str
    state: str
    at: datetime | None = None
    took: float | None = None
    note: str = ""


def timeline(run: RunDetail) -> list[Step]:
    """The stations of a run, those to come included."""
    steps: list[Step] = []
    scheduled = run.trigger is Trigger.SCHEDULE and run.scheduled_for is not None
    if scheduled:
        steps.append(Step("Slot", "done", run.scheduled_for))
    steps.append(
        Step(
            _ASKED_FOR.get(run.trigger, "Dispatched"),
            "done",
            run.created_at,
            between(run.scheduled_for, run.created_at) if scheduled else None,
        )
    )
    steps += [_start(run), _end(run)]
    if run.deliveries:
        steps.append(_delivery(run))
    elif run.status not in (*_ENDED_OTHERWISE, RunStatus.COMPLETED):
        steps.append(Step("Delivered", "pending"))
    return steps


def _start(run: RunDetail) -> Step:
    if run.started_at is not None:
        return Step("Started", "done", run.started_at, between(run.created_at, run.started_at))
    if run.status in (RunStatus.WAITING, RunStatus.QUEUED):
        return Step("Starting", "current", note=run.waits_because or "")
    return Step("Never started", "failed" if run.status in _ENDED_OTHERWISE else "pending")


def _end(run: RunDetail) -> Step:
    took = between(run.started_at or run.created_at, run.completed_at)
    match run.status:
        case RunStatus.COMPLETED:
            return Step("Completed", "done", run.completed_at, took, _attempts(run))
        case RunStatus.FAILED | RunStatus.SKIPPED | RunStatus.CANCELLED:
            return Step(run.status.capitalize(), "failed", run.completed_at, took, _attempts(run))
        case RunStatus.RUNNING:
            return Step("Running", "current", note=_attempts(run))
        case RunStatus.RETRYING:
            return Step("Trying again", "current", run.available_at, note=_attempts(run))
        case _:
            return Step("Completed", "pending")


def _attempts(run: RunDetail) -> str:
    return f"attempt {run.attempt} of {run.max_attempts}" if run.attempt > 1 else ""


def _delivery(run: RunDetail) -> Step:
    delivered = [delivery for delivery in run.deliveries if delivery.status is DeliveryStatus.DELIVERED]
    lost = [
        delivery
        for delivery in run.deliveries
        if delivery.status in (DeliveryStatus.FAILED, DeliveryStatus.DROPPED)
    ]
    total = len(run.deliveries)
    last = max((delivery.delivered_at for delivery in delivered if delivery.delivered_at), default=None)
    if lost:
        return Step("Not delivered", "failed", last, note=f"{len(lost)} of {total}" if total > 1 else "")
    if len(delivered) == total:
        note = f"{total} messages" if total > 1 else ""
        return Step("Delivered", "done", last, between(run.completed_at, last), note)
    return Step("Delivering", "current", note=f"{len(delivered)} of {total}" if total > 1 else "")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch between two steps as a part of the whole, in per cent."""

    label: str
    x: float
    width: float
    tone: int


def spans(steps: Sequence[Step]) -> list[Span]:
    """Where the time went: each step's stretch to scale, over the whole way. Empty when nothing is known."""
    known = [
        step for step in steps if step.at is not None and step.took is not None and step.state != "current"
    ]
    whole = sum(max(0.0, step.took or 0.0) for step in known)
    if whole <= 0 or len(known) < 2:
        return []
    drawn, x = [], 0.0
    for tone, step in enumerate(known):
        width = 100 * max(0.0, step.took or 0.0) / whole
        drawn.append(Span(f"{step.label}: {duration(step.took)}", round(x, 2), round(width, 2), tone))
        x += width
    return drawn
