"""Stopping automations that fail again and again, and telling their owner once."""

from __future__ import annotations

from datetime import datetime
from html import escape
from uuid import UUID

import asyncpg
import structlog

from common import outbox
from common.database import ConnectionPool
from common.events import AutomationChanged, EventRecord, NotificationRequested, to_record
from common.ids import new_id
from common.messages import Message
from scheduler.lease import Lease, Term
from scheduler.limits import whole_number

log = structlog.get_logger()

BATCH = 500

_STOP = f"""
UPDATE automation a
   SET status = 'error', updated_at = now(), paused_at = now(),
       status_reason = format('stopped after %s failures in a row', a.failure_streak)
 WHERE a.id IN (SELECT id FROM automation
                 WHERE status = 'active' AND failure_streak > 0
                   AND failure_streak >= {whole_number("policy", "pause_on_failure_after")}
                 LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING a.id, a.tenant_id, a.name, a.version, a.failure_streak, a.next_run, clock_timestamp() AS now,
          (SELECT d.id FROM destination d JOIN tenant t ON t.id = a.tenant_id
            WHERE d.tenant_id = a.tenant_id AND d.status = 'active'
              AND d.id IN (t.alerts_destination_id, a.destination_id)
            ORDER BY (d.id = t.alerts_destination_id) DESC NULLS LAST LIMIT 1) AS tell,
          (SELECT r.error_message FROM automation_run r
            WHERE r.automation_id = a.id AND r.status = 'failed'
            ORDER BY r.created_at DESC LIMIT 1) AS last_error
"""
_TELL = """
INSERT INTO delivery (id, tenant_id, destination_id, message)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::jsonb[])
"""


def stopped_message(
    *, automation_id: UUID, name: str, failures: int, last_error: str | None, public_url: str
) -> Message:
    """What the owner is told. The link leads to the page whose first button is Resume. Pure."""
    link = f"{public_url.rstrip('/')}/automations/{automation_id}"
    title = f"{name} has been stopped"
    reason = f"It failed {failures} times in a row."
    error = f"Last error: {last_error}" if last_error else "No error was recorded."
    return Message(
        type="automation.stopped",
        title=title,
        text=f"{title}\n{reason}\n{error}\nLook and resume: {link}",
        html=(
            f"<b>{escape(title)}</b>\n{reason}\n<i>{escape(error)}</i>\n"
            f'<a href="{escape(link, quote=True)}">Look and resume</a>'
        ),
        data={
            "automation_id": str(automation_id),
            "failures": failures,
            "last_error": last_error,
            "resume_url": link,
        },
    )


class Failing:
    """The leader's duty to automations that fail again and again."""

    def __init__(self, pool: ConnectionPool, lease: Lease, *, public_url: str) -> None:
        self._pool = pool
        self._lease = lease
        self._public_url = public_url

    async def stop_batch(self, term: Term) -> int:
        """Stop those that reached their `pause_on_failure_after`; returns how many."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_STOP, BATCH)
            if not rows:
                return 0
            told = [(new_id(), row) for row in rows if row["tell"] is not None]
            if told:
                await connection.execute(
                    _TELL,
                    [delivery_id for delivery_id, _ in told],
                    [row["tenant_id"] for _, row in told],
                    [row["tell"] for _, row in told],
                    [self._message(row) for _, row in told],
                )
            events = [_stopped(row) for row in rows] + [_requested(key, row) for key, row in told]
            await outbox.write(connection, events)
            await self._lease.fence(connection, term)
        for row in rows:
            log.warning(
                "automation stopped",
                automation_id=str(row["id"]),
                tenant_id=str(row["tenant_id"]),
                failures=row["failure_streak"],
                owner_told=row["tell"] is not None,
            )
        return len(rows)

    def _message(self, row: asyncpg.Record) -> dict[str, object]:
        return stopped_message(
            automation_id=row["id"],
            name=row["name"],
            failures=row["failure_streak"],
            last_error=row["last_error"],
            public_url=self._public_url,
        ).model_dump(mode="json")


def _stopped(row: asyncpg.Record) -> EventRecord:
    now: datetime = row["now"]
    event = AutomationChanged(
        automation_id=row["id"],
        tenant_id=row["tenant_id"],
        change="error",
        status="error",
        version=row["version"],
        next_run=None,
    )
    return to_record(event, source="scheduler", time=now)


def _requested(delivery_id: UUID, row: asyncpg.Record) -> EventRecord:
    event = NotificationRequested(
        delivery_id=delivery_id, destination_id=row["tell"], tenant_id=row["tenant_id"], run_id=None
    )
    return to_record(event, source="scheduler", time=row["now"])
