"""Letting runs go that waited: for an earlier run of their automation, their team's limit, or a retry.

Also the end of runs that waited too long (`expires_at`), and of backfills that have nothing left to do.
"""

from __future__ import annotations

import structlog

from common.clock import utc_now
from common.database import outbox
from common.database.pool import ConnectionPool
from common.events import RunSkipped, to_record
from scheduler.due_events import due_event
from scheduler.lease import Lease, Term
from scheduler.limits import TENANT_LIMIT, whole_number

log = structlog.get_logger()

BATCH = 500

# Of each automation as many as its policy allows beside those that go on, and one backfill at a time; of each
# team as many as its limit leaves, the higher lanes first; the teams take turns. Only the leader does this,
# so no other transaction counts the same room; a run cancelled meanwhile is not 'waiting' any more.
_ADMIT = f"""
WITH waiting AS (
    SELECT r.id, r.tenant_id, r.automation_id, r.trigger = 'backfill' AS backfill,
           array_position(ARRAY['high', 'normal', 'low'], r.lane) AS rank, r.available_at,
           row_number() OVER (PARTITION BY r.automation_id, r.trigger = 'backfill'
                              ORDER BY r.scheduled_for NULLS FIRST, r.id) AS nth
      FROM automation_run r WHERE r.status = 'waiting'
),
going AS (
    SELECT r.automation_id, r.trigger = 'backfill' AS backfill, count(*) AS n FROM automation_run r
     WHERE r.automation_id IN (SELECT automation_id FROM waiting)
       AND r.status IN ('queued', 'running', 'retrying') AND r.trigger <> 'dry_run'
     GROUP BY 1, 2
),
allowed AS (
    SELECT w.id, w.tenant_id,
           row_number() OVER (PARTITION BY w.tenant_id ORDER BY w.rank, w.available_at, w.id) AS nth
      FROM waiting w
      JOIN automation a ON a.id = w.automation_id
      LEFT JOIN going g ON g.automation_id = w.automation_id AND g.backfill = w.backfill
     WHERE w.nth + coalesce(g.n, 0) <= CASE
               WHEN w.backfill OR coalesce(a.policy ->> 'overlap', 'skip') <> 'allow' THEN 1
               ELSE coalesce({whole_number("a.policy", "max_concurrent_runs")}, 2147483647) END
),
busy AS (
    SELECT tenant_id, count(*) AS n FROM automation_run
     WHERE tenant_id IN (SELECT tenant_id FROM allowed) AND status IN ('queued', 'running', 'retrying')
     GROUP BY tenant_id
),
admitted AS (
    SELECT w.id, w.nth
      FROM allowed w
      JOIN tenant t ON t.id = w.tenant_id
      JOIN plan p ON p.name = t.plan
      LEFT JOIN busy b ON b.tenant_id = w.tenant_id
     WHERE w.nth + coalesce(b.n, 0) <= least($2, {TENANT_LIMIT})
     ORDER BY w.nth LIMIT $1
)
UPDATE automation_run r SET status = 'queued', available_at = clock_timestamp()
  FROM admitted WHERE r.id = admitted.id AND r.status = 'waiting'
RETURNING r.id, r.tenant_id, r.automation_id, r.lane, r.trigger, r.scheduled_for, r.traceparent, admitted.nth
"""
# An executor that claims the run at this moment wins: the row is locked, and then no longer waiting.
_EXPIRE = """
UPDATE automation_run
   SET status = 'skipped', completed_at = clock_timestamp(), error_code = 'expired',
       error_message = 'it could not start before it expired'
 WHERE id IN (SELECT id FROM automation_run
               WHERE status IN ('waiting', 'queued') AND expires_at <= clock_timestamp()
               ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, tenant_id, automation_id, scheduled_for, traceparent
"""
_END_BACKFILLS = """
UPDATE backfill b SET status = 'completed', ended_at = clock_timestamp()
 WHERE b.status = 'active'
   AND NOT EXISTS (SELECT FROM automation_run r WHERE r.backfill_id = b.id
                    AND r.status IN ('waiting', 'queued', 'running', 'retrying'))
"""


_RETRY = """
WITH due AS (
    SELECT id FROM automation_run
     WHERE status = 'retrying' AND available_at <= clock_timestamp()
     ORDER BY available_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE automation_run r SET status = 'queued' FROM due WHERE r.id = due.id
RETURNING r.id, r.tenant_id, r.automation_id, r.lane, r.trigger, r.scheduled_for, r.traceparent
"""


class Admission:
    """The leader's duty to runs that wait."""

    def __init__(self, pool: ConnectionPool, lease: Lease, *, tenant_window: int) -> None:
        self._pool = pool
        self._lease = lease
        self._tenant_window = tenant_window

    async def admit_batch(self, term: Term) -> int:
        """Let waiting runs and due retries go and end those that expired; returns how many changed."""
        async with self._pool.acquire() as db, db.transaction():
            now = utc_now()
            expired = await db.fetch(_EXPIRE, BATCH)
            admitted = sorted(await db.fetch(_ADMIT, BATCH, self._tenant_window), key=lambda row: row["nth"])
            retried = await db.fetch(_RETRY, BATCH)
            await db.execute(_END_BACKFILLS)
            events = [due_event(row, now) for row in (*admitted, *retried)]
            events += [
                to_record(
                    RunSkipped(
                        automation_id=row["automation_id"],
                        tenant_id=row["tenant_id"],
                        first_slot=row["scheduled_for"],
                        last_slot=row["scheduled_for"],
                        slots=1,
                        reason="expired",
                    ),
                    source="scheduler",
                    time=now,
                    traceparent=row["traceparent"],
                )
                for row in expired
            ]
            await outbox.write(db, events)
            if events:
                await self._lease.fence(db, term)
        return len(events)
