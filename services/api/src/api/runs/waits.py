"""Why a run has not started yet, in a sentence for the people who wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from common.models import AutomationRun, Lane, RunStatus, Trigger

UNDER_WAY = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.RETRYING)
AT_ONCE = timedelta(seconds=2)
"""A run that has been queued for less long is on its way and waits for nothing."""


@dataclass(frozen=True, slots=True)
class Others:
    """What a run may wait for: other runs, as counted at this moment."""

    of_automation: int
    """Under way, of the same automation; for a backfill's run, other backfilled ones."""
    of_team: int
    """Under way, in all lanes."""
    running_in_lane: int
    """Being worked on, of the same team and lane."""
    queued_for_long: bool
    """Whether the run itself could have been started a while ago."""


def waits_because(status: RunStatus, lane: Lane, others: Others) -> str | None:
    """The reason; None for a run that waits for nothing."""
    match status:
        case RunStatus.WAITING if others.of_automation:
            return f"{_runs(others.of_automation)} of this automation must end first"
        case RunStatus.WAITING:
            return f"the team may have no more runs at once: {_runs(others.of_team)} under way"
        case RunStatus.QUEUED if others.queued_for_long and others.running_in_lane:
            return (
                f"no place is free for the team: {_runs(others.running_in_lane)} with {lane} priority"
                " being worked on"
            )
        case RunStatus.QUEUED if others.queued_for_long:
            return "no executor has taken it yet: all their places are in use, or none is running"
        case RunStatus.RETRYING:
            return "the next attempt is not due yet"
        case _:
            return None


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


async def others_of(session: AsyncSession, tenant_id: UUID, run_id: UUID) -> Others:
    """What the team's run may wait for."""
    run = select(AutomationRun).where(col(AutomationRun.id) == run_id).cte("this")
    of_team = col(AutomationRun.tenant_id) == tenant_id
    under_way = col(AutomationRun.status).in_(UNDER_WAY)
    is_backfill = col(AutomationRun.trigger) == Trigger.BACKFILL
    row = (
        await session.execute(
            select(
                select(func.count())
                .select_from(AutomationRun)
                .where(
                    col(AutomationRun.automation_id) == run.c.automation_id,
                    col(AutomationRun.id) != run_id,
                    col(AutomationRun.trigger) != Trigger.DRY_RUN,
                    is_backfill == (run.c.trigger == Trigger.BACKFILL),
                    under_way,
                )
                .scalar_subquery()
                .label("of_automation"),
                select(func.count())
                .select_from(AutomationRun)
                .where(of_team, under_way)
                .scalar_subquery()
                .label("of_team"),
                select(func.count())
                .select_from(AutomationRun)
                .where(
                    of_team,
                    col(AutomationRun.status) == RunStatus.RUNNING,
                    col(AutomationRun.lane) == run.c.lane,
                )
                .scalar_subquery()
                .label("running_in_lane"),
                (run.c.available_at < func.clock_timestamp() - AT_ONCE).label("queued_for_long"),
            ).select_from(run)
        )
    ).one()
    return Others(row.of_automation, row.of_team, row.running_in_lane, row.queued_for_long)
