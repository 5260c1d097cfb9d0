"""`/api/automations` and `/api/automation-types`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from api.automations import lifecycle, service
from api.automations.moved_slots import Owner, moved_slots
from api.automations.schemas import (
    AutomationCreate,
    AutomationOut,
    AutomationPatch,
    AutomationTypeOut,
    ChangedAutomationOut,
    PauseRequest,
    ResumeRequest,
    SkipOut,
)
from api.automations.types import known_types
from api.context import Now, Transaction
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import PreconditionFailed, problem_responses
from api.rows import Lock, owned
from api.runs.schemas import ONLY_TRIGGER, RunSummary
from api.runs.service import run_page
from api.security import Caller
from common.models import Automation, AutomationStatus, RunStatus, Trigger

router = APIRouter(
    prefix="/api", tags=["automations"], route_class=JsonRoute, responses=problem_responses(401, 422)
)
_ETAG = re.compile(r'"(\d{1,9})"')


def out(
    automation: Automation, response: Response | None = None, *, next_after: datetime | None = None
) -> AutomationOut:
    """An automation as clients see it, its version as the response's ETag."""
    if response is not None:
        response.headers["ETag"] = f'"{automation.version}"'
    return AutomationOut.model_validate(service.shown(automation, next_after=next_after))


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise PreconditionFailed("If-Match names no version of this automation; send its ETag.")
    return int(match[1])


@router.get("/automation-types", tags=["automation types"])
async def list_automation_types(caller: Caller, session: Transaction) -> list[AutomationTypeOut]:
    """The kinds of automation there are, each with the JSON Schema of its configuration."""
    return list((await known_types(session)).values())


@router.post("/automations", status_code=201, responses=problem_responses(400, 403, 409, 413, 415))
async def create_automation(
    body: AutomationCreate, caller: Caller, session: Transaction, now: Now, response: Response
) -> AutomationOut:
    """Create an automation. It is active at once, and `next_run` is its first slot."""
    automation = await service.create(session, caller, body, now=now)
    response.headers["Location"] = f"/api/automations/{automation.id}"
    return out(automation, response)


@router.get("/automations")
async def list_automations(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[AutomationStatus | None, Query(description="Only those in this state")] = None,
    type: Annotated[str | None, Query(max_length=100, description="Only those of this type")] = None,  # noqa: A002
    destination_id: Annotated[UUID | None, Query(description="Only those that deliver there")] = None,
) -> Page[AutomationOut]:
    """The team's automations, newest first."""
    rows = await service.page(
        session, caller.tenant_id, wanted, status=status, type_name=type, destination_id=destination_id
    )
    return page(request, wanted, rows, [out(row) for row in rows])


@router.get("/automations/{automation_id}", responses=problem_responses(404))
async def read_automation(
    automation_id: UUID, caller: Caller, session: Transaction, response: Response
) -> AutomationOut:
    """One automation. Its `ETag` can be sent back as `If-Match` with a change."""
    return out(await owned(session, Automation, caller.tenant_id, automation_id), response)


@router.patch(
    "/automations/{automation_id}",
    responses=problem_responses(400, 403, 404, 409, 412, 413, 415),
    response_model_exclude_unset=True,
)
async def change_automation(
    automation_id: UUID,
    body: AutomationPatch,
    caller: Caller,
    session: Transaction,
    now: Now,
    response: Response,
    if_match: Annotated[
        str | None, Header(description="The ETag you read; the change is refused if there is a newer one")
    ] = None,
) -> ChangedAutomationOut:
    """Change an automation. Fields left out stay as they are; a field given replaces the old one whole.

    Another schedule answers with `moved_slots`: which of the slots to come it takes away, and which it adds.
    """
    stored = await owned(session, Automation, caller.tenant_id, automation_id, lock=Lock.EDIT)
    before, undecided = stored.schedule_config, stored.next_slot or stored.next_run
    automation = await service.change(
        session, caller, automation_id, body, if_version=_version(if_match), now=now
    )
    values = dict(out(automation, response))
    if automation.schedule_config != before:
        owner = Owner(automation.id, automation.created_at, automation.fired_count, automation.next_slot)
        values["moved_slots"] = moved_slots(
            before, automation.schedule_config, owner, now=now, undecided=undecided
        )
    return ChangedAutomationOut(**values)


@router.delete("/automations/{automation_id}", status_code=204, responses=problem_responses(404))
async def delete_automation(automation_id: UUID, caller: Caller, session: Transaction, now: Now) -> None:
    """Delete an automation and its history."""
    await service.remove(session, caller, automation_id, now=now)


@router.post("/automations/{automation_id}/pause", responses=problem_responses(400, 404, 409, 413, 415))
async def pause_automation(
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    now: Now,
    response: Response,
    body: PauseRequest | None = None,
) -> AutomationOut:
    """Stop running it until it is resumed. Runs already queued still run. Pausing twice changes nothing."""
    wanted = body or PauseRequest()
    automation = await lifecycle.pause(
        session, caller, automation_id, until=wanted.until, catch_up=wanted.catch_up, now=now
    )
    return out(automation, response)


@router.post("/automations/{automation_id}/resume", responses=problem_responses(400, 403, 404, 409, 413, 415))
async def resume_automation(
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    now: Now,
    response: Response,
    body: ResumeRequest | None = None,
) -> AutomationOut:
    """Run it again, after a pause or an error. Resuming twice changes nothing.

    Slots that passed meanwhile are recorded as skipped, unless `catch_up` says to run them. `next_run` is
    the first one to come.
    """
    catch_up = body.catch_up if body else None
    automation = await lifecycle.resume(session, caller, automation_id, catch_up=catch_up, now=now)
    return out(automation, response, next_after=now)


@router.post("/automations/{automation_id}/skip-next", responses=problem_responses(404, 409))
async def skip_next_run(
    automation_id: UUID, caller: Caller, session: Transaction, now: Now, response: Response
) -> AutomationOut:
    """Leave out the next run. Its slot is recorded as skipped by request, and `next_run` is the one after."""
    automation = await lifecycle.skip_next_run(session, caller, automation_id, now=now)
    return out(automation, response)


@router.get("/automations/{automation_id}/skips", tags=["runs"], responses=problem_responses(404))
async def list_skipped_slots(
    request: Request, automation_id: UUID, caller: Caller, session: Transaction, wanted: WantedPage
) -> Page[SkipOut]:
    """Why didn't it run? The slots that did not become runs, latest first, each with the reason."""
    await owned(session, Automation, caller.tenant_id, automation_id)
    rows = await service.skip_page(session, automation_id, wanted)
    return page(request, wanted, rows, [SkipOut.model_validate(row) for row in rows], by="last_slot")


@router.get("/automations/{automation_id}/runs", tags=["runs"], responses=problem_responses(404))
async def list_runs_of_automation(
    request: Request,
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[RunStatus | None, Query(description="Only those in this state")] = None,
    trigger: Annotated[Trigger | None, Query(description=ONLY_TRIGGER)] = None,
) -> Page[RunSummary]:
    """An automation's runs, newest first."""
    await owned(session, Automation, caller.tenant_id, automation_id)
    runs = await run_page(
        session, caller.tenant_id, wanted, status=status, automation_id=automation_id, trigger=trigger
    )
    return page(request, wanted, runs, runs)
