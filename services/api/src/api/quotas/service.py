"""Keeping a team within its quota, also under concurrent requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from api.faults import pointer
from api.quotas.limits import JOB_TYPE, Quota, effective_quota
from api.quotas.schemas import QuotaOut, QuotaUse
from api.rows import NOUNS
from api.security import Principal
from common.errors import FieldError, Forbidden
from common.models import (
    ApiKey,
    Automation,
    AutomationRun,
    AutomationStatus,
    Connection,
    Destination,
    Plan,
    RecordingTemplate,
    RunStatus,
    Tenant,
    UserAccount,
)
from common.scheduling import ScheduleError, TooFrequent, parse_schedule, validate_min_interval

_SCHEDULE = "schedule_config"
_GOING_ON = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.RETRYING)


class QuotaExceeded(Forbidden):
    """The team's or the person's limits do not allow it; the detail says which, and what would fit."""

    title: ClassVar[str] = "Quota exceeded"


@dataclass(frozen=True, slots=True)
class Limits:
    """A person's quota and the plan it comes from."""

    plan: str
    quota: Quota


async def limits_of(
    session: AsyncSession, tenant_id: UUID, user_id: UUID | None, *, lock: bool = False
) -> Limits:
    """The limits of a team and one of its people.

    `lock` makes those who want to add something to the team one after the other, until the end of the
    transaction: only then does counting what there is mean anything.
    """
    query = (
        select(
            col(Plan.name),
            *(col(getattr(Plan, name)) for name in Quota.model_fields),
            col(Tenant.quota).label("of_tenant"),
            col(UserAccount.quota).label("of_user"),
        )
        .select_from(Tenant)
        .join(Plan, col(Plan.name) == col(Tenant.plan))
        .outerjoin(
            UserAccount,
            (col(UserAccount.tenant_id) == col(Tenant.id)) & (col(UserAccount.id) == user_id),
        )
        .where(col(Tenant.id) == tenant_id)
    )
    if lock:
        query = query.with_for_update(of=Tenant, key_share=True)
    row = (await session.execute(query)).one()
    return Limits(row.name, effective_quota(dict(row._mapping), row.of_tenant, row.of_user or {}))


async def require_room(
    session: AsyncSession, automation: Automation, *, now: datetime, lock: bool = True
) -> None:
    """Check an automation that is about to be stored, resumed, or made another type. Raises QuotaExceeded.

    Its present fields are what is checked. Without `lock`, the answer may be out of date at once.
    """
    with session.no_autoflush:
        quota = (await limits_of(session, automation.tenant_id, automation.user_id, lock=lock)).quota
        await _require_number(session, automation, quota)
    _require_interval(automation, quota, now)


async def require_interval(session: AsyncSession, automation: Automation, *, now: datetime) -> None:
    """Check the schedule an automation is about to get. Raises QuotaExceeded."""
    with session.no_autoflush:
        limits = await limits_of(session, automation.tenant_id, automation.user_id)
    _require_interval(automation, limits.quota, now)


async def _require_number(session: AsyncSession, automation: Automation, quota: Quota) -> None:
    mine = col(Automation.tenant_id) == automation.tenant_id
    await _compare(session, automation, "automation", quota.max_automations, mine)
    if automation.type == JOB_TYPE and automation.user_id is not None:
        jobs = (col(Automation.user_id) == automation.user_id) & (col(Automation.type) == JOB_TYPE)
        await _compare(session, automation, "recording job", quota.max_automation_jobs, jobs)


_OWN: Mapping[type[SQLModel], str] = {
    ApiKey: "max_api_keys",
    Connection: "max_connections",
    Destination: "max_destinations",
    RecordingTemplate: "max_templates",
}
"""What else a team has a limited number of, and the field of its quota."""


async def require_room_for(session: AsyncSession, tenant_id: UUID, model: type[SQLModel]) -> None:
    """Check that a team may have one more. Raises QuotaExceeded."""
    quota = (await limits_of(session, tenant_id, None, lock=True)).quota
    limit = getattr(quota, _OWN[model])
    if limit is not None:
        query = select(func.count()).where(*_counted(model, tenant_id))
        _require_fewer(NOUNS[model], limit, (await session.execute(query)).scalar_one())


def _counted(model: Any, tenant_id: UUID) -> list[ColumnElement[bool]]:
    mine = [col(model.tenant_id) == tenant_id]
    if model is ApiKey:
        mine.append(col(ApiKey.expires_at).is_(None) | (col(ApiKey.expires_at) > func.now()))
    return mine


async def _compare(
    session: AsyncSession,
    automation: Automation,
    noun: str,
    limit: int | None,
    which: ColumnElement[bool],
) -> None:
    if limit is None:
        return
    _require_fewer(noun, limit, await _count(session, which & (col(Automation.id) != automation.id)))


def _require_fewer(noun: str, limit: int, used: int) -> None:
    if used >= limit:
        what = f"{noun}{'' if limit == 1 else 's'}"
        detail = (
            f"Your plan allows {limit} {what}, and {used} {'is' if used == 1 else 'are'} in use already. "
            "Delete one you no longer need, or ask for a larger plan."
        )
        raise QuotaExceeded(detail, errors=[FieldError("", f"{used} of {limit} {what} are in use")])


async def _count(session: AsyncSession, which: ColumnElement[bool]) -> int:
    query = select(func.count()).where(which, col(Automation.status) != AutomationStatus.STOPPED)
    return (await session.execute(query)).scalar_one()


def _require_interval(automation: Automation, quota: Quota, now: datetime) -> None:
    try:
        schedule = parse_schedule(automation.schedule_config)
        validate_min_interval(
            schedule,
            quota.shortest_interval(automation.type),
            now,
            default_anchor=automation.created_at,
        )
    except TooFrequent as refused:
        faults = [
            FieldError(pointer((_SCHEDULE, *filter(None, fault.path.split(".")))), fault.message)
            for fault in refused.errors
        ]
        raise QuotaExceeded(f"Your plan does not allow it: {faults[0].detail}.", errors=faults) from refused
    except ScheduleError:
        return  # one that cannot be read never runs, and the next read reports why


async def quota_of(session: AsyncSession, principal: Principal) -> QuotaOut:
    """What the caller may have, and has."""
    limits = await limits_of(session, principal.tenant_id, principal.user_id)
    counted = col(Automation.status) != AutomationStatus.STOPPED
    own_jobs = (col(Automation.user_id) == principal.user_id) & (col(Automation.type) == JOB_TYPE)
    automations = (
        await session.execute(
            select(func.count(), func.count().filter(own_jobs)).where(
                col(Automation.tenant_id) == principal.tenant_id, counted
            )
        )
    ).one()
    runs = await session.execute(
        select(func.count()).where(
            col(AutomationRun.tenant_id) == principal.tenant_id, col(AutomationRun.status).in_(_GOING_ON)
        )
    )
    others = await session.execute(
        select(
            *(
                select(func.count()).where(*_counted(model, principal.tenant_id)).scalar_subquery()
                for model in _OWN
            )
        )
    )
    used = QuotaUse(
        automations=automations[0],
        automation_jobs=automations[1],
        concurrent_runs=runs.scalar_one(),
        **{name.removeprefix("max_"): count for name, count in zip(_OWN.values(), others.one(), strict=True)},
    )
    return QuotaOut(plan=limits.plan, limits=limits.quota, used=used)
