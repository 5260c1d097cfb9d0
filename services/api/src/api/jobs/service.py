"""Recording jobs: a person's automations of one type, under names of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations import lifecycle
from api.automations import service as automations
from api.automations.references import check_references
from api.automations.schemas import AutomationPatch
from api.automations.slots import first_slot
from api.context import announce
from api.faults import field_errors
from api.jobs.schemas import CONFIG_FIELDS, JobCreate, JobOut, JobPatch, config_of
from api.pagination import PageRequest
from api.problems import unacceptable
from api.quotas.limits import JOB_TYPE
from api.quotas.service import require_room
from api.rows import Lock, owned, owned_page
from api.security import Principal
from common.automation_config.recording_sync import RecordingSyncConfig
from common.errors import FieldError, RequestError
from common.models import Automation, AutomationStatus
from platforms.zoom import PLATFORM as ZOOM

_RENAMED = (("/schedule_config", "/schedule"), ("/automation_config", ""))


async def create(
    session: AsyncSession, principal: Principal, wanted: JobCreate, *, now: datetime
) -> Automation:
    """Store a new job. Raises QuotaExceeded or Unprocessable; the database refuses a name twice."""
    job = Automation(
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        name=wanted.name,
        type=JOB_TYPE,
        status=AutomationStatus.ACTIVE if wanted.is_active else AutomationStatus.PAUSED,
        paused_at=None if wanted.is_active else now,
        schedule_config=wanted.schedule,
        automation_config=_checked(wanted.model_dump()),
        platforms=[ZOOM],
        created_at=now,
        updated_at=now,
    )
    with _in_words_of_a_job():
        slot, faults = first_slot(job, wanted.schedule, now)
        config = RecordingSyncConfig.model_validate(job.automation_config)
        faults += await check_references(session, job.tenant_id, config)
        if faults:
            raise unacceptable(faults)
        await require_room(session, job, now=now)
    await automations.start(session, job, slot, now=now)
    await announce(session, automations.changed_event(job, "created"), at=now)
    return job


async def page(
    session: AsyncSession, principal: Principal, wanted: PageRequest, *, active_only: bool
) -> Sequence[Automation]:
    """The caller's jobs, newest first, and one more than the page shows."""
    status = AutomationStatus.ACTIVE if active_only else None
    return await owned_page(
        session,
        Automation,
        principal.tenant_id,
        wanted,
        user_id=principal.user_id,
        type=JOB_TYPE,
        status=status,
    )


async def find(
    session: AsyncSession, principal: Principal, job_id: UUID, *, lock: Lock | None = None
) -> Automation:
    """One of the caller's jobs; raises NotFound."""
    mine = (col(Automation.user_id) == principal.user_id, col(Automation.type) == JOB_TYPE)
    return await owned(
        session, Automation, principal.tenant_id, job_id, *mine, noun="recording job", lock=lock
    )


async def change(
    session: AsyncSession, principal: Principal, job_id: UUID, patch: JobPatch, *, now: datetime
) -> Automation:
    """Replace the fields given. Raises NotFound, Conflict, QuotaExceeded or Unprocessable."""
    job = await find(session, principal, job_id, lock=Lock.EDIT)
    given = patch.model_dump(include=patch.model_fields_set)
    changes: dict[str, Any] = {}
    if "name" in given:
        changes["name"] = given["name"]
    if "schedule" in given:
        changes["schedule_config"] = given["schedule"]
    if given.keys() & CONFIG_FIELDS:
        changes["automation_config"] = _checked({**job.automation_config, **given})
    with _in_words_of_a_job():
        if changes:
            asked = AutomationPatch(**changes)
            job = await automations.change(session, principal, job_id, asked, if_version=None, now=now)
        if given.get("is_active") is True:
            job = await lifecycle.resume(session, principal, job_id, catch_up=None, now=now)
        elif given.get("is_active") is False and job.status == AutomationStatus.ACTIVE:
            job = await lifecycle.pause(session, principal, job_id, until=None, now=now)
    return job


async def remove(session: AsyncSession, principal: Principal, job_id: UUID, *, now: datetime) -> None:
    """Delete it with its history. Raises NotFound."""
    await find(session, principal, job_id)
    await automations.remove(session, principal, job_id, now=now)


def shown(job: Automation, *, next_after: datetime | None = None) -> JobOut:
    """A job as clients see it."""
    values = automations.shown(job, next_after=next_after)
    own = JobOut.model_fields.keys() - CONFIG_FIELDS
    return JobOut(
        **{name: values[name] for name in own & values.keys()},
        **_config_shown(job.automation_config),
        is_active=job.status == AutomationStatus.ACTIVE,
        schedule=job.schedule_config,
        last_run_at=values["last_run"],
        next_run_at=values["next_run"],
    )


def _config_shown(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration. What this release cannot read of it shows its default: one old job must not
    hide all others, and its next run says what is wrong."""
    try:
        return RecordingSyncConfig.model_validate(stored).model_dump()
    except ValidationError as error:
        unreadable = {fault["loc"][0] for fault in error.errors(include_url=False)}
    readable = {name: stored[name] for name in CONFIG_FIELDS & stored.keys() - unreadable}
    return RecordingSyncConfig.model_construct(**{"template_ids": (), **readable}).model_dump(warnings=False)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    try:
        return config_of(values)
    except ValidationError as error:
        raise unacceptable(field_errors(error, values)) from error


@contextmanager
def _in_words_of_a_job() -> Iterator[None]:
    """Refusals name the fields of a job instead of those of the automation behind it."""
    try:
        yield
    except RequestError as error:
        error.errors = tuple(FieldError(_renamed(fault.pointer), fault.detail) for fault in error.errors)
        raise


def _renamed(path: str) -> str:
    for name, job_name in _RENAMED:
        if path.startswith(name):
            return job_name + path.removeprefix(name)
    return path
