"""Stopping automations that fail repeatedly, with one notice to their owner."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import structlog

from common import owner_notices
from common.database import outbox
from common.database.pool import ConnectionPool
from common.events import AutomationChanged, EventRecord, to_record
from common.messages import Message
from common.owner_notices import DESTINATION_OF_OWNER, OwnerNotice, owner_message
from scheduler.lease import Lease, Term
from scheduler.limits import whole_number

log = structlog.get_logger()

BATCH = 500

_STOP = f"""
UPDATE automation a
   SET status = 'error', updated_at = now(), paused_at = now(),
       status_reason = format('stopped after %s failures in a row', a.failure_streak)
 WHERE a.id = ANY (ARRAY(SELECT id FROM automation
                 WHERE status = 'active' AND failure_streak > 0
                   AND failure_streak >= {whole_number("policy", "pause_on_failure_after")}
                 LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING a.id, a.tenant_id, a.name, a.version, a.failure_streak, a.next_run, clock_timestamp() AS now,
          {DESTINATION_OF_OWNER} AS tell,
          (SELECT r.error_message FROM automation_run r
            WHERE r.automation_id = a.id AND r.status = 'failed'
            ORDER BY r.created_at DESC LIMIT 1) AS last_error
"""


def stopped_message(
    *, automation_id: UUID, name: str, failures: int, last_error: str | None, public_url: str
) -> Message:
    """The owner's notice. Its link leads to the page whose first button is Resume. Pure."""
    link = f"{public_url.rstrip('/')}/automations/{automation_id}"
    return owner_message(
        "automation.stopped",
        title=f"{name} has been stopped",
        what=f"It failed {failures} times in a row.",
        why=f"Last error: {last_error}" if last_error else "No error was recorded.",
        link=link,
        action="Look and resume",
        data={
            "automation_id": str(automation_id),
            "failures": failures,
            "last_error": last_error,
            "resume_url": link,
        },
    )


class RepeatedFailures:
    """The leader's duty to automations that fail repeatedly."""

    def __init__(self, pool: ConnectionPool, lease: Lease, *, public_url: str) -> None:
        self._pool = pool
        self._lease = lease
        self._public_url = public_url

    async def stop_batch(self, term: Term) -> int:
        """Stop those that reached their `pause_on_failure_after`; returns how many were stopped."""
        async with self._pool.acquire() as db, db.transaction():
            rows = await db.fetch(_STOP, BATCH)
            if not rows:
                return 0
            notices = [
                OwnerNotice(row["tenant_id"], row["tell"], self._message(row))
                for row in rows
                if row["tell"] is not None
            ]
            requested = await owner_notices.deliver(db, notices, source="scheduler", now=rows[0]["now"])
            await outbox.write(db, [*(_stopped(row) for row in rows), *requested])
            await self._lease.fence(db, term)
        for row in rows:
            log.warning(
                "automation stopped",
                automation_id=str(row["id"]),
                tenant_id=str(row["tenant_id"]),
                failures=row["failure_streak"],
                owner_told=row["tell"] is not None,
            )
        return len(rows)

    def _message(self, row: asyncpg.Record) -> Message:
        return stopped_message(
            automation_id=row["id"],
            name=row["name"],
            failures=row["failure_streak"],
            last_error=row["last_error"],
            public_url=self._public_url,
        )


def _stopped(row: asyncpg.Record) -> EventRecord:
    event = AutomationChanged(
        automation_id=row["id"],
        tenant_id=row["tenant_id"],
        change="error",
        status="error",
        version=row["version"],
        next_run=None,
    )
    return to_record(event, source="scheduler", time=row["now"])
