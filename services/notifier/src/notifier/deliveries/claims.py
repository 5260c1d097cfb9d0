"""Taking deliveries: one conditional update for a whole batch, before the batch is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from pydantic import ValidationError

from common.database.pool import ConnectionPool
from common.messages import TEST_MESSAGE, Message
from common.models import DestinationStatus
from common.scheduling.quiet_hours import QuietHours
from common.secrets.crypto import KeyRing, Undecryptable
from common.work.leases import DELIVERIES, Attempt, patience
from common.work.places import Flows, destination, team
from common.work.stopping import SET_ASIDE, is_set_aside
from common.work.waiting import Waiting
from notifier.channels.base import Parcel, Target

log = structlog.get_logger()

_WANTED = """
SELECT id FROM delivery
 WHERE id = ANY($1::uuid[])
   AND (status = 'queued' OR (status = 'retrying' AND next_attempt_at <= clock_timestamp()))
 ORDER BY id FOR UPDATE SKIP LOCKED
"""
# Retries whose time has come, and deliveries whose event was lost: PostgreSQL alone is enough.
_DUE = """
SELECT id, tenant_id, destination_id FROM delivery
 WHERE ((status = 'retrying' AND next_attempt_at <= clock_timestamp())
     OR (status = 'queued' AND next_attempt_at < clock_timestamp() - make_interval(secs => $1)))
   AND tenant_id <> ALL($2::uuid[]) AND destination_id <> ALL($2::uuid[])
 ORDER BY next_attempt_at LIMIT $3
"""
_NEW_ATTEMPTS = """,
attempts AS (
    INSERT INTO delivery_attempt (delivery_id, number, started_at) SELECT id, attempt, claimed_at FROM claimed
)"""
_CLAIMED = """
SELECT c.id, c.tenant_id, c.run_id, c.destination_id, c.attempt, c.uncounted, c.message, c.progress,
       c.trace_id, c.traceparent, c.created_at, c.stopped_workers,
       t.type, t.status AS destination_status, t.status_reason, t.config, t.secret_sealed, t.quiet_hours
  FROM claimed c JOIN destination t ON t.id = c.destination_id
"""
_CLAIM = f"WITH {DELIVERIES.claim(_WANTED)}{_NEW_ATTEMPTS}{_CLAIMED}"
_READ_BACK = f"WITH {DELIVERIES.read_back}{_CLAIMED}"
_NOTE = """
UPDATE delivery SET progress = $4 WHERE id = $1 AND attempt = $2 AND worker = $3 AND status = 'sending'
"""
# Something that has become due since the last look is still to be found by one.
_NEXT = """
SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())::float8
  FROM delivery
 WHERE status = 'retrying' AND next_attempt_at > clock_timestamp() - interval '0.2 s'
"""


def flows(tenant_id: UUID, destination_id: UUID) -> Flows:
    """What a delivery counts for: its team and its destination."""
    return team(tenant_id), destination(destination_id)


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is this worker's until its lease expires.

    `unsendable` says why there is no point in trying: the destination is disabled or its secret unreadable.
    """

    id: UUID
    tenant_id: UUID
    run_id: UUID | None
    destination_id: UUID
    channel: str
    attempt: int
    uncounted: int
    trace_id: str | None
    traceparent: str | None
    parcel: Parcel
    unsendable: str | None
    quiet_hours: QuietHours | None = None

    @property
    def flows(self) -> Flows:
        """Its team's and its destination's."""
        return flows(self.tenant_id, self.destination_id)

    @property
    def secrets(self) -> list[str]:
        """The secrets a receiver may echo, for redaction."""
        return self.parcel.target.secrets

    @property
    def is_test(self) -> bool:
        """Asked for by a person who tries the destination."""
        return self.parcel.message.type == TEST_MESSAGE


class Claims:
    """Claims deliveries for one worker."""

    def __init__(self, pool: ConnectionPool, ring: KeyRing, *, worker: str, lease_seconds: float) -> None:
        self._pool = pool
        self._ring = ring
        self._worker = worker
        self._lease_seconds = lease_seconds

    async def claim(self, traceparents: Mapping[UUID, str | None]) -> list[ClaimedDelivery]:
        """Claim those of the deliveries that still wait; maps ids to the trace context of their events."""
        rows = await self._pool.fetch(_CLAIM, list(traceparents), self._worker, self._lease_seconds)
        return [self._delivery(row, traceparents.get(row["id"])) for row in rows]

    async def waiting(self, *, waited_seconds: float, without: Sequence[UUID], limit: int) -> list[Waiting]:
        """Due retries, and deliveries that have waited so long for their event."""
        rows = await self._pool.fetch(_DUE, waited_seconds, without, limit)
        return [Waiting(row["id"], flows(row["tenant_id"], row["destination_id"])) for row in rows]

    async def note(self, delivery: ClaimedDelivery, progress: Mapping[str, Any]) -> None:
        """Keep how far an attempt has come, as long as the delivery is this worker's."""
        await self._pool.execute(_NOTE, delivery.id, delivery.attempt, self._worker, dict(progress))

    async def read_back(self, known: Sequence[Attempt]) -> list[ClaimedDelivery]:
        """Deliveries that are this worker's by a claim whose answer was lost: all it holds but `known`."""
        async with asyncio.timeout(patience(self._lease_seconds)):
            rows = await self._pool.fetch(
                _READ_BACK,
                [delivery_id for delivery_id, _ in known],
                self._worker,
                self._lease_seconds,
                [number for _, number in known],
            )
        return [self._delivery(row, None) for row in rows]

    async def seconds_to_next_retry(self) -> float | None:
        """Seconds until the next retry becomes due; None when none will. What is due waits for a place."""
        seconds: float | None = await self._pool.fetchval(_NEXT)
        return seconds

    def _delivery(self, row: asyncpg.Record, traceparent: str | None) -> ClaimedDelivery:
        secret: str | None = None
        message, unsendable = _read_message(row["message"])
        if row["destination_status"] == DestinationStatus.DISABLED:
            unsendable = f"the destination is disabled: {row['status_reason'] or 'no reason given'}"
        elif row["secret_sealed"] is not None:
            try:
                secret = self._ring.open(
                    row["secret_sealed"],
                    tenant_id=row["tenant_id"],
                    row_id=row["destination_id"],
                    column="secret",
                )
            except Undecryptable as error:
                unsendable = f"the destination's secret cannot be opened: {error.detail}"
        if is_set_aside(row["stopped_workers"]):
            unsendable = SET_ASIDE
        context = traceparent or row["traceparent"]
        return ClaimedDelivery(
            id=row["id"],
            tenant_id=row["tenant_id"],
            run_id=row["run_id"],
            destination_id=row["destination_id"],
            channel=row["type"],
            attempt=row["attempt"],
            uncounted=row["uncounted"],
            trace_id=row["trace_id"],
            traceparent=context,
            parcel=Parcel(
                id=row["id"],
                target=Target(row["destination_id"], row["config"], secret),
                message=message,
                progress=row["progress"],
                traceparent=context,
                created_at=row["created_at"],
                run_id=row["run_id"],
            ),
            unsendable=unsendable,
            quiet_hours=_read_quiet_hours(row["quiet_hours"]),
        )


def _read_message(raw: object) -> tuple[Message, str | None]:
    """The message, or an empty one and what is wrong: one unreadable message must not hold up the others."""
    try:
        return Message.model_validate(raw), None
    except ValidationError as error:
        field = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        return Message(
            type="unreadable", title="", text=""
        ), f"the message cannot be read: {field or 'value'}"


def _read_quiet_hours(raw: object) -> QuietHours | None:
    """The quiet hours; what cannot be read counts as none, because a message too many is better than none."""
    try:
        return None if raw is None else QuietHours.model_validate(raw)
    except ValidationError:
        return None
