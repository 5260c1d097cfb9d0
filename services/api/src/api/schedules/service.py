"""Trying a schedule out before trusting it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.schemas import ScheduleAdvice
from api.faults import pointer
from api.problems import unacceptable
from api.quotas.service import QuotaExceeded, require_interval, require_room
from api.rows import find_owned
from api.schedules.collisions import Collision, Neighbour, worst_collision
from api.schedules.schemas import SchedulePreviewOut, SchedulePreviewRequest, UpcomingRun
from api.security import Principal
from common.errors import FieldError
from common.models import Automation, AutomationRun, AutomationStatus, RunStatus
from common.scheduling import (
    PreviewedRun,
    Schedule,
    ScheduleError,
    ScheduleWarning,
    describe_schedule,
    parse_schedule,
    preview,
    schedule_to_cron,
    schedule_warnings,
    smallest_gap,
)
from common.scheduling.words import duration_words

MAX_NEIGHBOURS = 200
CROWD = 5
"""Others in one minute from which on a warning is due: fewer share a platform's rate limit with ease."""
_COMPARED_RUNS = 10
_RECENT_RUNS = 20
_ANY_TYPE = "scheduled_report"
_NOT_YOURS = "no automation of yours has this id"


async def look_ahead(
    session: AsyncSession, principal: Principal, wanted: SchedulePreviewRequest, *, now: datetime
) -> SchedulePreviewOut:
    """What a schedule means for this team. Raises Unprocessable."""
    schedule = read(wanted.schedule)
    if wanted.automation_id is None:
        automation = Automation(
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            type=_ANY_TYPE,
            schedule_config=wanted.schedule,
            created_at=now,
        )
    else:
        found = await find_owned(session, Automation, principal.tenant_id, wanted.automation_id)
        if found is None:
            raise unacceptable([FieldError("/automation_id", _NOT_YOURS)])
        automation = Automation(
            **found.model_dump(exclude={"schedule_config"}), schedule_config=wanted.schedule
        )
    after = now if wanted.after is None else wanted.after.astimezone(UTC)
    # In a thread: a rare date is looked for over centuries, and other requests need not wait for it.
    runs, surprises = await asyncio.to_thread(_compute, schedule, automation, after, wanted.count)
    warnings = [ScheduleAdvice(code=str(one.code), message=one.message, at=one.at) for one in surprises]
    warnings += await _quota(session, automation, is_new=wanted.automation_id is None, now=now)
    collision = await _collision(session, automation, runs)
    if collision is not None and collision.automations >= CROWD:
        warnings.append(_crowded(collision))
    if wanted.automation_id is not None:
        warnings += await _long_runs(session, automation, schedule, now=now)
    return SchedulePreviewOut(
        description=describe_schedule(schedule),
        cron=schedule_to_cron(schedule),
        timezone=schedule.timezone,
        next_runs=[UpcomingRun(slot=run.slot.nominal, at=run.slot.fire_at, local=run.local) for run in runs],
        warnings=warnings,
        collisions=collision.automations if collision else 0,
    )


def read(raw: Mapping[str, Any], field: str = "schedule") -> Schedule:
    """The schedule; raises Unprocessable naming what is wrong with it, field by field."""
    try:
        return parse_schedule(raw)
    except ScheduleError as error:
        raise unacceptable(
            [
                FieldError(pointer((field, *filter(None, fault.path.split(".")))), fault.message)
                for fault in error.errors
            ]
        ) from error


def _compute(
    schedule: Schedule, automation: Automation, after: datetime, count: int
) -> tuple[Sequence[PreviewedRun], Sequence[ScheduleWarning]]:
    anchor = automation.created_at
    ahead = preview(
        schedule,
        count,
        after,
        automation_id=automation.id,
        default_anchor=anchor,
        run_count=automation.fired_count,
    )
    return ahead.runs, schedule_warnings(schedule, after, default_anchor=anchor)


async def _quota(
    session: AsyncSession, automation: Automation, *, is_new: bool, now: datetime
) -> list[ScheduleAdvice]:
    try:
        if is_new:
            await require_room(session, automation, now=now, lock=False)
        else:
            await require_interval(session, automation, now=now)
    except QuotaExceeded as refusal:
        return [ScheduleAdvice(code="quota", message=refusal.detail, at=None)]
    return []


async def _collision(
    session: AsyncSession, automation: Automation, runs: Sequence[PreviewedRun]
) -> Collision | None:
    query = (
        select(col(Automation.id), col(Automation.schedule_config), col(Automation.created_at))
        .where(
            col(Automation.tenant_id) == automation.tenant_id,
            col(Automation.status) == AutomationStatus.ACTIVE,
            col(Automation.id) != automation.id,
        )
        .order_by(col(Automation.next_run))
        .limit(MAX_NEIGHBOURS)
    )
    neighbours = [Neighbour(*row) for row in await session.execute(query)]
    slots = [run.slot for run in runs[:_COMPARED_RUNS]]
    return await asyncio.to_thread(worst_collision, slots, neighbours)


async def _long_runs(
    session: AsyncSession, automation: Automation, schedule: Schedule, *, now: datetime
) -> list[ScheduleAdvice]:
    """Whether the automation's runs have lately taken longer than the time between two slots."""
    gap = await asyncio.to_thread(smallest_gap, schedule, now, default_anchor=automation.created_at)
    recent = (
        select((col(AutomationRun.completed_at) - col(AutomationRun.started_at)).label("took"))
        .where(
            col(AutomationRun.automation_id) == automation.id,
            col(AutomationRun.status) == RunStatus.COMPLETED,
        )
        .order_by(col(AutomationRun.created_at).desc())
        .limit(_RECENT_RUNS)
        .subquery()
    )
    took = await session.scalar(select(func.percentile_cont(0.5).within_group(recent.c.took)))
    if gap is None or took is None or took <= gap.length:
        return []
    message = (
        f"Its last runs took {duration_words(took)}, half of them longer, and its slots come as close as "
        f"{duration_words(gap.length)}: the overlap policy decides about the rest."
    )
    return [ScheduleAdvice(code="runs_overlap", message=message, at=gap.first)]


def _crowded(collision: Collision) -> ScheduleAdvice:
    one = collision.automations == 1
    shown = f"At least {MAX_NEIGHBOURS}" if collision.automations >= MAX_NEIGHBOURS else collision.automations
    message = (
        f"{shown} other automation{'' if one else 's'} of your team {'is' if one else 'are'} due in the same "
        "minute and share the platforms' rate limits; a few minutes' difference or a jitter spreads them."
    )
    return ScheduleAdvice(code="collisions", message=message, at=collision.at)
