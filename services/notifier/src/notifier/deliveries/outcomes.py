"""Recording what became of deliveries: many at a time, state and events in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from common.clock import utc_now
from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import EventRecord, NotificationDelivered, NotificationFailed, to_record
from common.models import DeliveryStatus
from notifier.deliveries.claims import ClaimedDelivery

log = structlog.get_logger()

ERROR_LENGTH = 1_000

_SETTLE = """
UPDATE delivery d
   SET status = o.status, progress = o.progress, error_message = o.error_message, worker = NULL,
       lease_expires_at = NULL, uncounted = d.uncounted + o.uncounted,
       delivered_at = CASE WHEN o.status = 'delivered' THEN clock_timestamp() END,
       next_attempt_at = CASE WHEN o.status = 'retrying'
                              THEN clock_timestamp() + make_interval(secs => o.delay) END
  FROM unnest($2::uuid[], $3::int[], $4::text[], $5::jsonb[], $6::text[], $7::float8[], $8::int[])
       AS o (id, attempt, status, progress, error_message, delay, uncounted)
 WHERE d.id = o.id AND d.worker = $1 AND d.attempt = o.attempt AND d.status = 'sending'
RETURNING d.id, d.attempt, d.delivered_at, d.next_attempt_at
"""
_END_ATTEMPTS = """
UPDATE delivery_attempt t
   SET ended_at = clock_timestamp(), outcome = o.outcome, status_code = o.status_code,
       error_message = o.error_message
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[])
       AS o (id, number, outcome, status_code, error_message)
 WHERE t.delivery_id = o.id AND t.number = o.number
"""
# The leader ends an attempt as well, once its worker has fallen silent: then with words of its own.
_CONFIRM = """
SELECT t.delivery_id, t.number
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[]) AS o (id, number, outcome, error_message)
  JOIN delivery_attempt t ON t.delivery_id = o.id AND t.number = o.number
 WHERE t.outcome = o.outcome AND t.error_message IS NOT DISTINCT FROM o.error_message
"""
_DISABLE = """
UPDATE destination t SET status = 'disabled', status_reason = o.reason, updated_at = now()
  FROM unnest($1::uuid[], $2::text[]) AS o (id, reason)
 WHERE t.id = o.id AND t.status = 'active'
"""
_MOVE = """
UPDATE destination t SET config = o.config, updated_at = now()
  FROM unnest($1::uuid[], $2::jsonb[]) AS o (id, config) WHERE t.id = o.id
"""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What became of one attempt.

    `outcome` is what the attempt's record says: delivered, retry, failed or unknown. `disable` is the reason
    to stop using the destination; `config` its new place when the receiver moved.
    """

    delivery: ClaimedDelivery
    status: DeliveryStatus
    outcome: str
    progress: Mapping[str, Any]
    status_code: int | None = None
    error_message: str | None = None
    retry_after: timedelta = timedelta()
    counted: bool = True
    disable: str | None = None
    config: Mapping[str, Any] | None = None

    @property
    def attempt(self) -> tuple[UUID, int]:
        """The attempt it is about; a group may hold two of one delivery."""
        return self.delivery.id, self.delivery.attempt


def without_answer(outcome: DeliveryOutcome) -> DeliveryOutcome:
    """What is recorded of an attempt when the receiver's words cannot be stored. Pure."""
    message = "the receiver's answer cannot be stored"
    return replace(
        outcome,
        progress=outcome.delivery.parcel.progress,
        error_message=outcome.error_message and message,
        disable=outcome.disable and message,
        config=None,
    )


class Outcomes:
    """Writes groups of outcomes for one worker."""

    def __init__(self, pool: ConnectionPool, *, worker: str) -> None:
        self._pool = pool
        self._worker = worker

    async def write(self, group: Sequence[DeliveryOutcome]) -> list[bool]:
        """Commit a group; False for those whose lease had expired."""
        async with self._pool.acquire() as db, db.transaction():
            settled = await self._write(db, group)
        return [outcome.attempt in settled for outcome in group]

    async def confirm(self, group: Sequence[DeliveryOutcome]) -> list[bool]:
        """Which attempts have ended with just these outcomes and words."""
        rows = await self._pool.fetch(
            _CONFIRM,
            [o.delivery.id for o in group],
            [o.delivery.attempt for o in group],
            [o.outcome for o in group],
            [o.error_message and o.error_message[:ERROR_LENGTH] for o in group],
        )
        ended = {(row["delivery_id"], row["number"]) for row in rows}
        return [outcome.attempt in ended for outcome in group]

    async def _write(
        self, db: DbSession, group: Sequence[DeliveryOutcome]
    ) -> Mapping[tuple[UUID, int], asyncpg.Record]:
        # Sorted by id so that two transactions over the same deliveries lock them in the same order.
        group = sorted(group, key=lambda outcome: outcome.delivery.id)
        settled = {
            (row["id"], row["attempt"]): row
            for row in await db.fetch(
                _SETTLE,
                self._worker,
                [o.delivery.id for o in group],
                [o.delivery.attempt for o in group],
                [o.status.value for o in group],
                [dict(o.progress) for o in group],
                [o.error_message and o.error_message[:ERROR_LENGTH] for o in group],
                [o.retry_after.total_seconds() for o in group],
                [int(not o.counted) for o in group],
            )
        }
        accepted = [o for o in group if o.attempt in settled]
        if not accepted:
            return settled
        await db.execute(
            _END_ATTEMPTS,
            [o.delivery.id for o in accepted],
            [o.delivery.attempt for o in accepted],
            [o.outcome for o in accepted],
            [o.status_code for o in accepted],
            [o.error_message and o.error_message[:ERROR_LENGTH] for o in accepted],
        )
        # One row each, in one order: several outcomes may be about the same destination.
        disabled = {o.delivery.destination_id: o.disable for o in accepted if o.disable}
        if disabled:
            await db.execute(_DISABLE, sorted(disabled), [disabled[key] for key in sorted(disabled)])
        moved = {o.delivery.destination_id: dict(o.config) for o in accepted if o.config is not None}
        if moved:
            await db.execute(_MOVE, sorted(moved), [moved[key] for key in sorted(moved)])
        now = utc_now()
        await outbox.write(db, [_event(o, settled[o.attempt], now) for o in accepted])
        return settled


def _event(outcome: DeliveryOutcome, row: asyncpg.Record, now: datetime) -> EventRecord:
    delivery = outcome.delivery
    common: dict[str, Any] = {
        "delivery_id": delivery.id,
        "destination_id": delivery.destination_id,
        "tenant_id": delivery.tenant_id,
        "run_id": delivery.run_id,
        "attempt": delivery.attempt,
        "trace_id": delivery.trace_id,
    }
    event: NotificationDelivered | NotificationFailed
    if outcome.status is DeliveryStatus.DELIVERED:
        event = NotificationDelivered(**common, delivered_at=row["delivered_at"])
    else:
        event = NotificationFailed(
            **common,
            error_message=(outcome.error_message or "")[:ERROR_LENGTH],
            retry_at=row["next_attempt_at"],
        )
    return to_record(event, source="notifier", time=now, traceparent=delivery.traceparent)
