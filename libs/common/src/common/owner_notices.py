"""Notices to owners about their automations and accounts: one message format, one way to send it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from common.database.pool import DbSession
from common.events import EventRecord, NotificationRequested, to_record
from common.ids import new_id
from common.messages import Message

DESTINATION_OF_OWNER = """
(SELECT d.id FROM destination d JOIN tenant t ON t.id = a.tenant_id
  WHERE d.tenant_id = a.tenant_id AND d.status = 'active'
    AND d.id IN (t.alerts_destination_id, a.destination_id)
  ORDER BY (d.id = t.alerts_destination_id) DESC NULLS LAST LIMIT 1)
"""
"""SQL: the destination for notices about automation `a`; NULL when there is none."""

ALERTS_DESTINATION = """
(SELECT d.id FROM destination d JOIN tenant t ON t.id = d.tenant_id
  WHERE d.id = t.alerts_destination_id AND d.status = 'active' AND t.id = c.tenant_id)
"""
"""SQL: the destination for notices about connection `c`; NULL when the team has set none."""

# Skip a destination deleted meanwhile, because the event itself must be recorded.
_DELIVER = """
WITH kept AS (SELECT id FROM destination WHERE id = ANY($3::uuid[]) ORDER BY id FOR KEY SHARE)
INSERT INTO delivery (id, tenant_id, destination_id, message)
SELECT n.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::jsonb[])
                AS n (id, tenant_id, destination_id, message)
  JOIN kept ON kept.id = n.destination_id
RETURNING id, tenant_id, destination_id
"""


@dataclass(frozen=True, slots=True)
class OwnerNotice:
    """A message for one team, at one of its destinations."""

    tenant_id: UUID
    destination_id: UUID
    message: Message


def owner_message(
    type: str,  # noqa: A002 - the name of the message's own field
    *,
    title: str,
    what: str,
    why: str,
    link: str,
    action: str,
    data: Mapping[str, Any],
) -> Message:
    """What happened, why, and where the owner can do something about it: `action` at `link`. Pure."""
    return Message(
        type=type,
        title=title,
        text=f"{title}\n{what}\n{why}\n{action}: {link}",
        html=(
            f"<b>{escape(title)}</b>\n{escape(what)}\n<i>{escape(why)}</i>\n"
            f'<a href="{escape(link, quote=True)}">{escape(action)}</a>'
        ),
        data=dict(data),
    )


async def deliver(
    db: DbSession, notices: Sequence[OwnerNotice], *, source: str, now: datetime
) -> list[EventRecord]:
    """Queue the messages within the caller's transaction; returns the events that announce them."""
    if not notices:
        return []
    rows = await db.fetch(
        _DELIVER,
        [new_id() for _ in notices],
        [notice.tenant_id for notice in notices],
        [notice.destination_id for notice in notices],
        [notice.message.model_dump(mode="json") for notice in notices],
    )
    return [
        to_record(
            NotificationRequested(
                delivery_id=row["id"],
                destination_id=row["destination_id"],
                tenant_id=row["tenant_id"],
                run_id=None,
            ),
            source=source,
            time=now,
        )
        for row in rows
    ]
