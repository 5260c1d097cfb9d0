"""What happens now and what happened in the last day, for the overview and the strips of the list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.web.outcomes import STRIP_RUNS, HourOfRuns

DAY = timedelta(hours=24)
SHOWN = 6
RECENT = 12

# A dry run is an experiment and counts nowhere. A run that a window or jitter holds back on purpose
# is not late: those schedules are left out of the lag.
_DAY_OF_RUNS = text(
    """
    SELECT CASE WHEN grouping(hour) = 0 THEN hour END AS hour, count(*) AS runs,
           count(*) FILTER (WHERE status = 'completed') AS completed,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY lag) AS median_lag,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY lag) AS p95_lag, count(lag) AS measured
      FROM (SELECT date_trunc('hour', r.created_at) AS hour, r.status,
                   CASE WHEN r.trigger = 'schedule'
                         AND coalesce(a.schedule_config ->> 'window', '') = ''
                         AND coalesce(a.schedule_config ->> 'jitter_seconds', '0') = '0'
                        THEN extract(epoch FROM r.started_at - r.scheduled_for)::float8 END AS lag
              FROM automation_run r JOIN automation a ON a.id = r.automation_id
             WHERE r.tenant_id = :tenant AND r.created_at > :since AND r.trigger <> 'dry_run') AS run
     GROUP BY GROUPING SETS ((), (hour))
    """
)
_DAY_OF_DELIVERIES = text(
    """
    SELECT count(*) FILTER (WHERE status = 'delivered') AS delivered,
           count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status IN ('queued', 'sending', 'retrying')) AS on_their_way
      FROM delivery WHERE tenant_id = :tenant AND created_at > :since
    """
)
_NEXT_DUE = text(
    """
    SELECT id, name, next_run, coalesce(schedule_config ->> 'timezone', 'UTC') AS zone
      FROM automation
     WHERE tenant_id = :tenant AND status = 'active' AND next_run IS NOT NULL
     ORDER BY next_run, id LIMIT :shown
    """
)
_UNFINISHED = text(
    """
    SELECT r.id, r.automation_id, a.name AS automation_name, r.status, r.attempt,
           r.max_attempts + r.uncounted AS max_attempts,
           r.started_at, r.created_at, r.available_at, count(*) OVER () AS total
      FROM automation_run r JOIN automation a ON a.id = r.automation_id
     WHERE r.tenant_id = :tenant AND r.status IN ('waiting', 'queued', 'running', 'retrying')
     ORDER BY r.status <> 'running', r.created_at LIMIT :shown
    """
)
_RECENT = text(
    """
    (SELECT r.completed_at AS at, 'run' AS kind, r.status, r.id AS run_id, a.name AS name,
            r.error_message AS detail
       FROM automation_run r JOIN automation a ON a.id = r.automation_id
      WHERE r.tenant_id = :tenant AND r.completed_at IS NOT NULL
      ORDER BY r.created_at DESC LIMIT :shown)
    UNION ALL
    (SELECT coalesce(d.delivered_at, d.created_at), 'delivery', d.status, d.run_id, t.name, d.error_message
       FROM delivery d JOIN destination t ON t.id = d.destination_id
      WHERE d.tenant_id = :tenant AND d.status IN ('delivered', 'failed')
      ORDER BY d.created_at DESC LIMIT :shown)
    ORDER BY at DESC LIMIT :shown
    """
)
_LAST_RUNS = text(
    """
    SELECT run.* FROM unnest(CAST(:ids AS uuid[])) AS wanted (id)
     CROSS JOIN LATERAL (
        SELECT id, automation_id, status, scheduled_for, started_at, completed_at, created_at
          FROM automation_run WHERE automation_id = wanted.id AND trigger <> 'dry_run'
         ORDER BY created_at DESC LIMIT :shown
     ) AS run
     ORDER BY run.automation_id, run.created_at
    """
)


@dataclass(frozen=True, slots=True)
class DayOfRuns:
    """The runs dispatched in the last 24 hours. Lags are in seconds, from the slot to the first start."""

    runs: int
    completed: int
    failed: int
    median_lag: float | None
    p95_lag: float | None
    measured: int
    hours: Sequence[HourOfRuns]

    @property
    def success_rate(self) -> float | None:
        """Completed among those that completed or failed."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


async def day_of_runs(session: AsyncSession, tenant_id: UUID, now: datetime) -> DayOfRuns:
    """What the last 24 hours came to, and each hour of them, in one pass over the rows."""
    rows = (await session.execute(_DAY_OF_RUNS, {"tenant": tenant_id, "since": now - DAY})).all()
    total = next(row for row in rows if row.hour is None)
    return DayOfRuns(
        total.runs,
        total.completed,
        total.failed,
        total.median_lag,
        total.p95_lag,
        total.measured,
        [HourOfRuns(row.hour, row.runs, row.failed, row.median_lag) for row in rows if row.hour is not None],
    )


async def day_of_deliveries(session: AsyncSession, tenant_id: UUID, now: datetime) -> Any:
    """How many deliveries of the last 24 hours arrived, failed, or are on their way."""
    return (await session.execute(_DAY_OF_DELIVERIES, {"tenant": tenant_id, "since": now - DAY})).one()


async def next_due(session: AsyncSession, tenant_id: UUID) -> Sequence[Any]:
    """The automations that fire next."""
    return (await session.execute(_NEXT_DUE, {"tenant": tenant_id, "shown": SHOWN})).all()


async def unfinished(session: AsyncSession, tenant_id: UUID) -> Sequence[Any]:
    """Runs that wait or are worked on, running ones first; each row says how many there are in all."""
    return (await session.execute(_UNFINISHED, {"tenant": tenant_id, "shown": SHOWN})).all()


async def recent(session: AsyncSession, tenant_id: UUID) -> Sequence[Any]:
    """The runs and deliveries that ended last, newest first."""
    return (await session.execute(_RECENT, {"tenant": tenant_id, "shown": RECENT})).all()


async def last_runs(session: AsyncSession, automation_ids: Sequence[UUID]) -> dict[UUID, list[Any]]:
    """The last runs of each automation, oldest first, in one query."""
    runs: dict[UUID, list[Any]] = defaultdict(list)
    if automation_ids:
        values = {"ids": list(automation_ids), "shown": STRIP_RUNS}
        for row in await session.execute(_LAST_RUNS, values):
            runs[row.automation_id].append(row)
    return runs
