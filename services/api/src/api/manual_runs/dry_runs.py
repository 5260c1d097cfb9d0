"""Waiting for a dry run, and showing what it would have delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import Collaborators
from api.live.feed import Ended, Subscription
from api.manual_runs.schemas import DryRunCounts, DryRunOut, MessageOut
from api.runs.schemas import RunSummary
from api.runs.service import UNFINISHED
from common.messages import Message
from common.models import (
    Automation,
    AutomationRun,
    AutomationStatus,
    Destination,
    DestinationStatus,
    DestinationType,
)
from common.scheduling.quiet_hours import QuietHours

LONGEST_WAIT = 30.0
_FIRST_LOOK = 0.1
_LONGEST_PAUSE = 1.0
_TELEGRAM_UNITS = 4_096
"""UTF-16 units in one Telegram message."""
_CAPTION_UNITS = 1_024
"""UTF-16 units below a picture."""
_READ = ("ad_accounts", "pages", "profiles")
"""Where a report's figures list what it read."""


async def ended(wired: Collaborators, tenant_id: UUID, run_id: UUID, *, within: float) -> bool:
    """Wait until the run has ended; False when it has not in time, or when this service stops.

    No connection is held meanwhile. The live feed says at once when there is something to look at; without
    a broker, looking again and again is enough.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    pause = _FIRST_LOOK
    with wired.live.subscribe(tenant_id) as events:
        while not await _has_ended(wired, run_id):
            left = deadline - loop.time()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(min(pause, left)):
                    await _news_of(events, run_id)
            except TimeoutError:
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Ended:
                return False
    return True


async def _news_of(events: Subscription, run_id: UUID) -> None:
    while (await events.next()).data.get("run_id") != str(run_id):
        pass


async def _has_ended(wired: Collaborators, run_id: UUID) -> bool:
    async with wired.sessions() as session:
        status = await session.scalar(
            select(col(AutomationRun.status)).where(col(AutomationRun.id) == run_id)
        )
    return status not in UNFINISHED


async def outcome(session: AsyncSession, run: RunSummary, *, now: datetime) -> DryRunOut:
    """What an ended dry run would have delivered."""
    row = (
        await session.execute(
            select(
                col(AutomationRun.result),
                col(AutomationRun.logs),
                col(Automation.status).label("automation_status"),
                col(Destination.type).label("destination_type"),
                col(Destination.status).label("destination_status"),
                col(Destination.status_reason),
                col(Destination.quiet_hours),
            )
            .join(Automation, col(Automation.id) == col(AutomationRun.automation_id))
            .outerjoin(Destination, col(Destination.id) == col(Automation.destination_id))
            .where(col(AutomationRun.id) == run.id)
        )
    ).one()
    result: Mapping[str, Any] = row.result or {}
    messages = [Message.model_validate(message) for message in result.get("would_deliver", [])]
    read = [result[name] for name in _READ if isinstance(result.get(name), list)]
    return DryRunOut(
        run=run,
        summary=result.get("summary"),
        would_deliver=[MessageOut.model_validate(message) for message in messages],
        counts=DryRunCounts(
            accounts=sum(map(len, read)) if read else None,
            messages=len(messages),
            parts=sum(parts(message, row.destination_type) for message in messages),
        ),
        warnings=[
            *_about_automation(row.automation_status),
            *_about_destination(
                row.destination_status, row.status_reason, _quiet_until(row.quiet_hours, now)
            ),
            *_from_log(row.logs),
        ],
    )


def parts(message: Message, destination_type: str | None) -> int:
    """How many messages the destination would get for one; 0 without a destination. An estimate."""
    if destination_type is None:
        return 0
    if destination_type != DestinationType.TELEGRAM:
        return 1
    units = len(message.text.encode("utf-16-le")) // 2
    is_caption = message.chart is not None and units <= _CAPTION_UNITS
    pictures = 0 if message.chart is None or is_caption else 1
    return max(1, -(-units // _TELEGRAM_UNITS)) + pictures + len(message.files)


def _about_automation(status: str) -> Iterator[str]:
    if status != AutomationStatus.ACTIVE:
        how = "stopped" if status == AutomationStatus.ERROR else status
        yield f"The automation is {how}: it runs by itself only when it is resumed."


def _about_destination(
    status: str | None, reason: str | None, quiet: tuple[QuietHours, datetime] | None
) -> Iterator[str]:
    if status is None:
        yield "The automation has no destination: nothing would be delivered."
    elif status != DestinationStatus.ACTIVE:
        yield f"The destination is disabled ({reason}): nothing would be delivered."
    elif quiet is not None:
        hours, until = quiet
        outcome = "be dropped" if hours.then == "drop" else f"wait until {until:%Y-%m-%d %H:%M} UTC"
        yield f"The destination is in its quiet hours: what comes now would {outcome}."


def _quiet_until(stored: Mapping[str, Any] | None, now: datetime) -> tuple[QuietHours, datetime] | None:
    if stored is None:
        return None
    try:
        hours = QuietHours.model_validate(stored)
    except ValidationError:
        return None  # a later release's; the notifier is who has to understand it
    until = hours.until(now)
    return None if until is None else (hours, until)


def _from_log(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        if entry.get("level") == "warning":
            known = [f"{name} {value}" for name, value in entry.items() if name not in _FRAME and value]
            yield str(entry.get("event", "")) + (f": {', '.join(known)}" if known else "")


_FRAME = frozenset({"at", "level", "event"})
