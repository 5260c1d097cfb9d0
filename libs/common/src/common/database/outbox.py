"""Events written with the state they announce.

A transaction that changes state inserts its events here; the scheduler's relay publishes them after the
commit. Nothing is announced that did not happen, and nothing happens unannounced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from common.database.pool import DbSession
from common.events import AutomationChanged, EventRecord
from common.models import Outbox

WAKE_CHANNEL = "carillon_wake"
"""NOTIFY channel that wakes the leader's relay."""
SCHEDULE_CHANGED = "schedule"
"""Payload that wakes the leader's dispatcher too, for events that change what is due when.

An operator who moves a `next_run` by SQL sends it: `SELECT pg_notify('carillon_wake', 'schedule')`.
"""

# Headers travel as text: a connection that a session of SQLAlchemy's has lent encodes jsonb otherwise.
_INSERT = """
INSERT INTO outbox (topic, key, headers, value)
SELECT topic, key, headers::jsonb, value
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) AS event (topic, key, headers, value)
"""


async def write(db: DbSession, records: Sequence[EventRecord]) -> None:
    """Insert events within the caller's transaction and wake the relay at its commit.

    Call it once a transaction: NOTIFY takes a database-wide lock at commit.
    """
    if not records:
        return
    await db.execute(
        _INSERT,
        [record.topic for record in records],
        [record.key for record in records],
        [json.dumps(record.headers) for record in records],
        [record.value for record in records],
    )
    await db.execute(wake_statement([record.topic for record in records]))


def row(record: EventRecord) -> Outbox:
    """The same as a SQLModel row, for the API's sessions; pair it with `wake_statement`."""
    return Outbox(topic=record.topic, key=record.key, headers=record.headers, value=record.value)


def wake_statement(topics: Iterable[str]) -> str:
    """SQL that wakes the leader when the transaction commits, for events of these topics."""
    changes_schedule = any(topic in AutomationChanged.topics for topic in topics)
    return f"SELECT pg_notify('{WAKE_CHANNEL}', '{SCHEDULE_CHANGED if changes_schedule else ''}')"
