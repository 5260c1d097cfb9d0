"""Reading what became of an automation's slots: a handful of queries, however many slots there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.pagination import PageRequest
from api.rows import newest_first
from api.slots.timeline import (
    Leadership,
    Period,
    Range,
    RecordedSkip,
    Records,
    SlotFate,
    SlotRun,
    Standing,
    Vacancy,
    fates,
    run_of,
)
from common.history import KEPT_SINCE, ZONE_RULES, read_zone_rules
from common.models import Automation, AutomationRun, AutomationStatus, Fact, Reign, SchedulePeriod, SlotSkip
from common.models import Leadership as LeadershipRow
from common.scheduling import Schedule, ScheduleError, SkipReason, parse_schedule

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
    most = max(limit, _FEWEST_READ)
    runs = await _runs(session, automation, first, last, most + 1)
    skips = await _skips(session, automation, first, last, most + 1)
    # Each list may have been cut; behind the place where the first of them was, they no longer match.
    horizon = min(
        [last]
        + ([runs[-1].scheduled_for - _TICK] if len(runs) > most else [])
        + ([skips[-1].last - _TICK] if len(skips) > most else [])
    )
    periods = await _periods(session, automation, first)
    records = Records(
        periods=periods,
        runs=[run for run in runs if run.scheduled_for <= horizon],
        skips=[skip for skip in skips if skip.first <= horizon],
        vacancies=await _vacancies(session, first, last),
        leadership=await _leadership(session),
        kept_since=await history_kept_since(session),
        rules_since=await _rules_since(session, periods),
    )
    standing = await _standing(session, automation, records.periods[-1].schedule)
    found, horizon = fates(records, standing, Range(first, horizon, most, now))
    if len(found) > limit:
        return SlotRange(found[:limit], found[limit].slot)
    return SlotRange(found, horizon + _TICK if horizon < last else None)


def _readable(raw: Mapping[str, Any]) -> Schedule | None:
    try:
        return parse_schedule(raw)
    except ScheduleError:
        return None  # a later release's; what is recorded can be shown all the same


async def _periods(session: AsyncSession, automation: Automation, first: datetime) -> list[Period]:
    """The schedules that held from `first` on, the one that holds last."""
    query = (
        select(
            col(SchedulePeriod.schedule_config),
            col(SchedulePeriod.begins_after),
            col(SchedulePeriod.ends_at),
        )
        .where(
            col(SchedulePeriod.automation_id) == automation.id,
            col(SchedulePeriod.ends_at).is_(None) | (col(SchedulePeriod.ends_at) >= first),
        )
        .order_by(col(SchedulePeriod.ends_at).nulls_last(), col(SchedulePeriod.begins_after))
    )
    periods = [Period(_readable(raw), after, until) for raw, after, until in await session.execute(query)]
    return periods or [Period(_readable(automation.schedule_config), automation.created_at, None)]


async def _rules_since(session: AsyncSession, periods: Sequence[Period]) -> dict[str, datetime]:
    """Since when the schedules' zones have had their rules, where they have had others here."""
    zones = {ZONE_RULES + one.schedule.timezone for one in periods if one.schedule is not None}
    facts = await session.execute(select(col(Fact.name), col(Fact.value)).where(col(Fact.name).in_(zones)))
    known = {name.removeprefix(ZONE_RULES): read_zone_rules(value)[1] for name, value in facts}
    return {name: since for name, since in known.items() if since is not None}


async def period_page(
    session: AsyncSession, automation: Automation, wanted: PageRequest
) -> Sequence[SchedulePeriod]:
    """The schedules an automation has had, latest first, and one more than the page shows."""
    query = select(SchedulePeriod).where(col(SchedulePeriod.automation_id) == automation.id)
    found = await session.scalars(newest_first(query, SchedulePeriod, wanted, by="changed_at"))
    return found.all()


async def _standing(session: AsyncSession, automation: Automation, schedule: Schedule | None) -> Standing:
    undecided = automation.next_slot or automation.next_run
    return Standing(
        id=automation.id,
        created_at=automation.created_at,
        status=AutomationStatus(automation.status),
        status_reason=automation.status_reason,
        undecided=undecided,
        decided=await last_recorded(session, automation.id) if undecided is None else None,
        paused_at=automation.paused_at,
        paused_until=automation.paused_until,
        catch_up_on_resume=automation.catch_up_on_resume,
        runs_left=None if schedule is None else schedule.runs_left(automation.fired_count),
    )


async def last_recorded(session: AsyncSession, automation_id: UUID) -> datetime | None:
    """The latest slot with a run or a reason on record, those aside that moved: they may be still to come."""
    ran = select(func.max(col(AutomationRun.scheduled_for))).where(
        col(AutomationRun.automation_id) == automation_id
    )
    skipped = select(func.max(col(SlotSkip.last_slot))).where(
        col(SlotSkip.automation_id) == automation_id, col(SlotSkip.reason) != SkipReason.MOVED
    )
    latest: datetime | None = await session.scalar(
        select(func.greatest(ran.scalar_subquery(), skipped.scalar_subquery()))
    )
    return latest


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
            col(SlotSkip.recorded_at),
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
