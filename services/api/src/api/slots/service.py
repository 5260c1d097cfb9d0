"""Reading what became of an automation's slots: a handful of queries, however many slots there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.slots.timeline import (
    History,
    Leadership,
    RecordedSkip,
    SlotFate,
    SlotRun,
    Standing,
    Vacancy,
    fates,
    run_of,
)
from common.history import KEPT_SINCE
from common.models import Automation, AutomationRun, AutomationStatus, Fact, Reign, SlotSkip
from common.models import Leadership as LeadershipRow
from common.scheduling import (
    Schedule,
    ScheduleError,
    Slot,
    count_slots_between,
    latest_slot_at_or_before,
    parse_schedule,
    plan,
)

MAX_SLOTS = 1_000
_FEWEST_READ = 100
_MAX_VACANCIES = 1_000
_TICK = datetime.resolution
_RUN = tuple(
    col(getattr(AutomationRun, name))
    for name in (
        "id",
        "scheduled_for",
        "status",
        "trigger",
        "created_at",
        "started_at",
        "completed_at",
        "error_code",
        "error_message",
    )
)


@dataclass(frozen=True, slots=True)
class SlotRange:
    """The fates of a range's slots, and where it goes on if that was not all."""

    fates: Sequence[SlotFate]
    next_slot: datetime | None


async def read_slots(
    session: AsyncSession,
    automation: Automation,
    first: datetime,
    last: datetime,
    *,
    limit: int,
    now: datetime,
) -> SlotRange:
    """What became of the slots in [first, last], the earliest `limit` of them.

    There are none before the automation's creation, except those that were made up for.
    """
    schedule = _schedule_of(automation)
    most = max(limit, _FEWEST_READ)
    planned = _planned(automation, schedule, first, last, most + 1)
    runs = await _runs(session, automation, first, last, most + 1)
    skips = await _skips(session, automation, first, last, most + 1)
    # Each list may have been cut; behind the place where the first of them was, they no longer match.
    horizon = min(
        [last]
        + ([planned[-1].nominal - _TICK] if len(planned) > most else [])
        + ([runs[-1].scheduled_for - _TICK] if len(runs) > most else [])
        + ([skips[-1].last - _TICK] if len(skips) > most else [])
    )
    history = History(
        planned=[
            *_made_up_for(automation, schedule, runs, horizon),
            *(slot for slot in planned if slot.nominal <= horizon),
        ],
        runs=[run for run in runs if run.scheduled_for <= horizon],
        skips=[skip for skip in skips if skip.first <= horizon],
        vacancies=await _vacancies(session, first, last),
        leadership=await _leadership(session),
        kept_since=await history_kept_since(session),
    )
    found = fates(history, _standing(automation, schedule, first), first=first, now=now)
    if len(found) > limit:
        return SlotRange(found[:limit], found[limit].slot)
    return SlotRange(found, horizon + _TICK if horizon < last else None)


def _schedule_of(automation: Automation) -> Schedule | None:
    try:
        return parse_schedule(automation.schedule_config)
    except ScheduleError:
        return None  # a later release's; what is recorded can be shown all the same


def _planned(
    automation: Automation, schedule: Schedule | None, first: datetime, last: datetime, limit: int
) -> list[Slot]:
    if schedule is None:
        return []
    created_at = automation.created_at
    after = created_at if first <= created_at else first - _TICK
    slots = plan(schedule, after, last, automation_id=automation.id, default_anchor=created_at)
    return list(islice(slots, limit))


def _made_up_for(
    automation: Automation, schedule: Schedule | None, runs: Sequence[SlotRun], horizon: datetime
) -> list[Slot]:
    """The slots from before the automation's creation that have runs."""
    if schedule is None:
        return []
    before = [run.scheduled_for for run in runs if run.scheduled_for <= min(automation.created_at, horizon)]
    anchor = automation.created_at
    return [
        Slot(slot, slot)
        for slot in before
        if latest_slot_at_or_before(schedule, slot, default_anchor=anchor) == slot
    ]


def _standing(automation: Automation, schedule: Schedule | None, first: datetime) -> Standing:
    undecided = automation.next_slot or automation.next_run
    runs_left = None if schedule is None else schedule.runs_left(automation.fired_count)
    if schedule is not None and runs_left is not None and undecided is not None and undecided < first:
        anchor = automation.created_at
        before = count_slots_between(schedule, undecided, first - _TICK, default_anchor=anchor)
        runs_left = max(0, runs_left - before)
    return Standing(
        status=AutomationStatus(automation.status),
        status_reason=automation.status_reason,
        undecided=undecided,
        paused_at=automation.paused_at,
        paused_until=automation.paused_until,
        catch_up_on_resume=automation.catch_up_on_resume,
        runs_left=runs_left,
    )


async def _runs(
    session: AsyncSession, automation: Automation, first: datetime, last: datetime, limit: int
) -> list[SlotRun]:
    slot = col(AutomationRun.scheduled_for)
    query = select(*_RUN).where(col(AutomationRun.automation_id) == automation.id, slot.between(first, last))
    rows = await session.execute(query.order_by(slot).limit(limit))
    return [run_of(dict(row._mapping)) for row in rows]


async def _skips(
    session: AsyncSession, automation: Automation, first: datetime, last: datetime, limit: int
) -> list[RecordedSkip]:
    query = (
        select(
            col(SlotSkip.first_slot),
            col(SlotSkip.last_slot),
            col(SlotSkip.slots),
            col(SlotSkip.reason),
            col(SlotSkip.detail),
        )
        .where(
            col(SlotSkip.automation_id) == automation.id,
            col(SlotSkip.last_slot) >= first,
            col(SlotSkip.first_slot) <= last,
        )
        .order_by(col(SlotSkip.last_slot))
        .limit(limit)
    )
    return [RecordedSkip(*row) for row in await session.execute(query)]


async def _vacancies(session: AsyncSession, first: datetime, last: datetime) -> list[Vacancy]:
    query = (
        select(col(Reign.vacant_since), col(Reign.acquired_at))
        .where(col(Reign.acquired_at) >= first, col(Reign.vacant_since) <= last)
        .order_by(col(Reign.acquired_at))
        .limit(_MAX_VACANCIES)
    )
    rows = await session.execute(query)
    return [Vacancy(since, until) for since, until in rows if since is not None]


async def history_kept_since(session: AsyncSession) -> datetime | None:
    """Runs and skipped slots from before then may have been cleaned up; None: nothing ever was."""
    value = await session.scalar(select(col(Fact.value)).where(col(Fact.name) == KEPT_SINCE))
    return None if value is None else datetime.fromisoformat(value)


async def _leadership(session: AsyncSession) -> Leadership:
    is_led = col(LeadershipRow.expires_at) > func.clock_timestamp()
    row = (
        await session.execute(
            select(is_led, col(LeadershipRow.acquired_at), col(LeadershipRow.expires_at)).limit(1)
        )
    ).one_or_none()
    if row is None:
        return Leadership(is_led=False, since=None)
    return Leadership(is_led=row[0], since=row.acquired_at if row[0] else row.expires_at)
