"""Reminding the executors of tokens that are due: they expire soon, or have not been checked for a while.

The leader decrypts no secrets. It announces which tokens are due; an executor refreshes them and sets the
next time. Reminders without a result are repeated.
"""

from __future__ import annotations

import asyncpg
import structlog

from common.database import outbox
from common.database.pool import ConnectionPool
from common.events import EventRecord, TokenRefreshDue, to_record
from scheduler.lease import Lease, Term

log = structlog.get_logger()

BATCH = 200
ASK_AGAIN_SECONDS = 300.0
"""After which a reminder without a result is repeated."""

_PATIENCE = f"make_interval(secs => {ASK_AGAIN_SECONDS})"
# Skip locked rows, because they are being refreshed or replaced now.
# An array, because a subquery of IN may be evaluated again for each row, together with its limit.
_DUE = f"""
UPDATE connection c SET refresh_requested_at = clock_timestamp()
 WHERE c.id = ANY (ARRAY(SELECT id FROM connection
                 WHERE status = 'active' AND refresh_at <= clock_timestamp()
                   AND (refresh_requested_at IS NULL
                        OR refresh_requested_at + {_PATIENCE} <= clock_timestamp())
                 ORDER BY refresh_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED))
RETURNING c.id, c.tenant_id, c.platform, c.kind, c.token_version, c.expires_at, clock_timestamp() AS now
"""
# The next token to become due, or the first reminder to repeat.
_NEXT = f"""
SELECT extract(epoch FROM least(
    (SELECT refresh_at FROM connection
      WHERE status = 'active' AND refresh_at > clock_timestamp() ORDER BY refresh_at LIMIT 1),
    (SELECT min(coalesce(refresh_requested_at + {_PATIENCE}, refresh_at))
       FROM connection WHERE status = 'active' AND refresh_at <= clock_timestamp())
) - clock_timestamp())::float8
"""


class TokenRefresh:
    """The leader's duty to tokens. `interval`: seconds between polls when none is known to be due."""

    def __init__(self, pool: ConnectionPool, lease: Lease, *, interval: float) -> None:
        self._pool = pool
        self._lease = lease
        self._interval = interval

    async def remind_batch(self, term: Term) -> int:
        """Send a reminder for each due token; returns how many."""
        async with self._pool.acquire() as db, db.transaction():
            rows = await db.fetch(_DUE, BATCH)
            if not rows:
                return 0
            await outbox.write(db, [_due(row) for row in rows])
            await self._lease.fence(db, term)
        log.info("tokens are due", count=len(rows))
        return len(rows)

    async def seconds_to_next(self) -> float:
        """Seconds until the next reminder or poll."""
        seconds: float | None = await self._pool.fetchval(_NEXT)
        return self._interval if seconds is None else min(self._interval, max(0.0, seconds))


def _due(row: asyncpg.Record) -> EventRecord:
    event = TokenRefreshDue(
        connection_id=row["id"],
        tenant_id=row["tenant_id"],
        platform=row["platform"],
        kind=row["kind"],
        version=row["token_version"],
        expires_at=row["expires_at"],
    )
    return to_record(event, source="scheduler", time=row["now"])
