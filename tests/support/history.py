"""What a team's past looks like: runs, attempts, deliveries and skipped slots, as the services leave them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from common.ids import new_id
from tests.factories import Team, World

MESSAGE = {
    "type": "report.completed",
    "title": "Daily report",
    "text": "Spend 1,204.50 EUR",
    "html": "<b>Daily report</b>\nSpend <code>1,204.50 EUR</code>",
    "data": {"spend": 1204.5},
}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


async def add_run(
    world: World,
    team: Team,
    automation_id: UUID,
    *,
    status: str = "completed",
    slot: datetime | None = None,
    dispatch_lag: float = 0.05,
    start_lag: float = 0.2,
    seconds: float = 2.0,
    attempts: int = 1,
    error: str | None = None,
    logs: list[dict[str, Any]] | None = None,
    result: dict[str, Any] | None = None,
) -> UUID:
    """A run for `slot` (default: a minute ago), with its attempts."""
    run_id = new_id()
    slot = slot or datetime.now(UTC) - timedelta(minutes=1)
    created_at = slot + timedelta(seconds=dispatch_lag)
    started_at = slot + timedelta(seconds=start_lag) if status != "queued" else None
    completed_at = (
        started_at + timedelta(seconds=seconds)
        if started_at and status in ("completed", "failed", "cancelled")
        else None
    )
    await world.sql.execute(
        """
        INSERT INTO automation_run (id, tenant_id, automation_id, scheduled_for, status, attempt, worker,
                                    lease_expires_at, available_at, started_at, completed_at, error_code,
                                    error_message, logs, result, trace_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $9)
        """,
        run_id,
        team.tenant_id,
        automation_id,
        slot,
        status,
        attempts if started_at else 0,
        "executor-1" if status == "running" else None,
        datetime.now(UTC) + timedelta(seconds=15) if status == "running" else None,
        created_at,
        started_at,
        completed_at,
        "platform_error" if error else None,
        error,
        logs or [],
        result,
        TRACE_ID,
    )
    for number in range(1, attempts + 1 if started_at else 1):
        last = number == attempts
        await world.sql.execute(
            """
            INSERT INTO run_attempt (run_id, number, worker, started_at, ended_at, outcome, error_message)
            VALUES ($1, $2, 'executor-1', $3, $4, $5, $6)
            """,
            run_id,
            number,
            started_at,
            completed_at if last else started_at,
            (status if status != "running" else None) if last else "retrying",
            error,
        )
    return run_id


async def add_delivery(
    world: World,
    team: Team,
    destination_id: UUID,
    run_id: UUID | None,
    *,
    status: str = "delivered",
    message: dict[str, Any] | None = None,
    created_at: datetime | None = None,
    attempts: int = 1,
    error: str | None = None,
) -> UUID:
    """A delivery of a run, with its attempts."""
    delivery_id = new_id()
    created_at = created_at or datetime.now(UTC)
    await world.sql.execute(
        """
        INSERT INTO delivery (id, tenant_id, run_id, destination_id, status, message, attempt, delivered_at,
                              error_message, trace_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        delivery_id,
        team.tenant_id,
        run_id,
        destination_id,
        status,
        message or MESSAGE,
        attempts,
        created_at + timedelta(seconds=0.4) if status == "delivered" else None,
        error,
        TRACE_ID,
        created_at,
    )
    for number in range(1, attempts + 1):
        last = number == attempts
        await world.sql.execute(
            """
            INSERT INTO delivery_attempt (delivery_id, number, started_at, ended_at, outcome, status_code,
                                          error_message)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            delivery_id,
            number,
            created_at + timedelta(seconds=0.1 * number),
            created_at + timedelta(seconds=0.1 * number + 0.2),
            (status if status in ("delivered", "failed") else "retry") if last else "retry",
            200 if status == "delivered" and last else 503,
            None if status == "delivered" and last else error or "the receiver answered 503",
        )
    return delivery_id


async def add_skip(
    world: World, automation_id: UUID, *, first: datetime, slots: int = 1, reason: str = "overlap"
) -> None:
    """Slots that did not become runs."""
    await world.sql.execute(
        """
        INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        new_id(),
        automation_id,
        first,
        first + timedelta(minutes=slots - 1),
        slots,
        reason,
    )
