"""The event that puts a queued run before the executors."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from common.events import AutomationDue, EventRecord, to_record
from common.models import Lane, Trigger


def due_event(row: asyncpg.Record, now: datetime) -> EventRecord:
    """For a row with the columns of a run."""
    event = AutomationDue(
        run_id=row["id"],
        automation_id=row["automation_id"],
        tenant_id=row["tenant_id"],
        lane=Lane(row["lane"]),
        trigger=Trigger(row["trigger"]),
        scheduled_for=row["scheduled_for"],
    )
    return to_record(event, source="scheduler", time=now, traceparent=row["traceparent"])
