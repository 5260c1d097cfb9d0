"""From the events services exchange to what a person wants to read: named, and with the names of things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlmodel import col

from api.live.feed import LiveEvent
from common.events import (
    NotificationDelivered,
    NotificationFailed,
    NotificationOutcome,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunSkipped,
    RunStarted,
)
from common.models import Automation, AutomationRun, Destination

ShownEvent: TypeAlias = RunEvent | RunSkipped | NotificationOutcome

NAMES: Mapping[type[ShownEvent], str] = {
    RunStarted: "run.started",
    RunCompleted: "run.completed",
    RunFailed: "run.failed",
    RunSkipped: "run.skipped",
    RunCancelled: "run.cancelled",
    NotificationDelivered: "delivery.delivered",
    NotificationFailed: "delivery.failed",
}
"""The events of the live feed, and what it calls them."""


@dataclass(slots=True)
class Names:
    """What the things in a batch of events are called."""

    automations: dict[UUID, str] = field(default_factory=dict)
    automation_of_run: dict[UUID, UUID] = field(default_factory=dict)
    destinations: dict[UUID, str] = field(default_factory=dict)


async def look_up(sessions: async_sessionmaker[AsyncSession], events: Sequence[ShownEvent]) -> Names:
    """The names for a batch, in at most three queries."""
    names = Names()
    automations = {event.automation_id for event in events if isinstance(event, RunEvent | RunSkipped)}
    outcomes = [event for event in events if isinstance(event, NotificationOutcome)]
    async with sessions() as session:
        runs = {event.run_id for event in outcomes if event.run_id is not None}
        if runs:
            found = await session.execute(
                select(col(AutomationRun.id), col(AutomationRun.automation_id)).where(
                    col(AutomationRun.id).in_(runs)
                )
            )
            names.automation_of_run = {row.id: row.automation_id for row in found}
            automations |= set(names.automation_of_run.values())
        if automations:
            named = await session.execute(
                select(col(Automation.id), col(Automation.name)).where(col(Automation.id).in_(automations))
            )
            names.automations = {row.id: row.name for row in named}
        if outcomes:
            named = await session.execute(
                select(col(Destination.id), col(Destination.name)).where(
                    col(Destination.id).in_({event.destination_id for event in outcomes})
                )
            )
            names.destinations = {row.id: row.name for row in named}
    return names


def live_event(event: ShownEvent, names: Names) -> LiveEvent:
    """An event as the feed shows it."""
    data = event.model_dump(mode="json")
    if isinstance(event, NotificationOutcome):
        data["destination_name"] = names.destinations.get(event.destination_id)
        automation_id = names.automation_of_run.get(event.run_id) if event.run_id else None
        data["automation_id"] = str(automation_id) if automation_id else None
    else:
        automation_id = event.automation_id
    data["automation_name"] = names.automations.get(automation_id) if automation_id else None
    return LiveEvent(event.tenant_id, NAMES[type(event)], data)
