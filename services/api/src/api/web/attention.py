"""What a person should look at, and the one thing to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.web.times import relative

SHOWN = 12
_RECENTLY = timedelta(hours=24)

_NEEDED = text(
    """
    (SELECT 1 AS rank, 'automation' AS kind, id, name, status, status_reason AS reason, updated_at AS at,
            paused_until, 1::bigint AS times
       FROM automation WHERE tenant_id = :tenant AND status = 'error' ORDER BY updated_at DESC LIMIT :shown)
    UNION ALL
    (SELECT 2, 'connection', id, name, status, status_reason, updated_at, NULL, 1
       FROM connection WHERE tenant_id = :tenant AND status = 'reauth_required' LIMIT :shown)
    UNION ALL
    (SELECT 3, 'destination', id, name, status, status_reason, updated_at, NULL, 1
       FROM destination WHERE tenant_id = :tenant AND status = 'disabled' LIMIT :shown)
    UNION ALL
    (SELECT 4, 'delivery', (array_agg(d.id ORDER BY d.created_at DESC))[1], t.name, 'failed',
            (array_agg(d.error_message ORDER BY d.created_at DESC))[1], max(d.created_at), NULL, count(*)
       FROM delivery d JOIN destination t ON t.id = d.destination_id
      WHERE d.tenant_id = :tenant AND d.created_at > :since AND d.status = 'failed'
        AND t.status = 'active'
      GROUP BY t.id, t.name LIMIT :shown)
    UNION ALL
    (SELECT 5, 'automation', id, name, status, status_reason, coalesce(paused_at, updated_at), paused_until, 1
       FROM automation WHERE tenant_id = :tenant AND status = 'paused' ORDER BY paused_at DESC LIMIT :shown)
    ORDER BY rank, at DESC LIMIT :shown
    """
)


@dataclass(frozen=True, slots=True)
class Matter:
    """Something to look at. `path` shows it; `action` is what to press, with a POST where `posts`."""

    tone: str
    name: str
    what: str
    reason: str
    path: str
    action: str
    action_path: str
    posts: bool
    at: datetime


async def matters(session: AsyncSession, tenant_id: UUID, now: datetime) -> list[Matter]:
    """What needs attention, most serious first."""
    rows = await session.execute(_NEEDED, {"tenant": tenant_id, "since": now - _RECENTLY, "shown": SHOWN})
    return [_matter(row, now) for row in rows]


def _matter(row: Any, now: datetime) -> Matter:
    path = f"/{row.kind if row.kind != 'delivery' else 'deliverie'}s/{row.id}"
    match row.kind, row.status:
        case "automation", "error":
            reason = row.reason or "It was stopped without a reason on record."
            return Matter(
                "bad", row.name, "was stopped", reason, path, "Resume", f"{path}/resume", True, row.at
            )
        case "automation", _:
            until = f"It resumes by itself {relative(row.paused_until, now)}." if row.paused_until else ""
            reason = row.reason or until or "It runs again once you resume it."
            return Matter(
                "still", row.name, "is paused", reason, path, "Resume", f"{path}/resume", True, row.at
            )
        case "connection", _:
            reason = row.reason or "Its token is no longer accepted."
            return Matter("bad", row.name, "needs a new token", reason, path, "Renew", path, False, row.at)
        case "destination", _:
            reason = row.reason or "Nothing is delivered there."
            action = f"{path}/enable"
            return Matter("bad", row.name, "is disabled", reason, path, "Enable", action, True, row.at)
        case _:
            what = "missed a delivery" if row.times == 1 else f"missed {row.times} deliveries"
            reason = row.reason or "The receiver did not take it."
            return Matter("warn", row.name, what, reason, path, "Look", path, False, row.at)
