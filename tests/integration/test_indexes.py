"""What runs all day reads what it needs and nothing else, whatever else the tables hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from common.database.pool import connect
from common.recordings import intake, retention
from common.runs import COUNT
from common.work.leases import DELIVERIES, RECORDINGS, RUNS
from executor.recordings.processing import claims as recording_claims
from executor.recordings.processing import outcomes as recording_outcomes
from executor.runs import claims as run_claims
from executor.runs import completions
from notifier.deliveries import claims as delivery_claims
from notifier.deliveries import outcomes
from scheduler import admission, dispatch, duties, relay, repeated_failures, rescue
from tests.support.databases import fresh_database

ROWS = 100_000
BIG = {
    "automation",
    "automation_run",
    "run_attempt",
    "delivery",
    "delivery_attempt",
    "slot_skip",
    "outbox",
    "recording",
}
ID = UUID(int=1)
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)

# Everything has ended, is paused, or is due in a year: no statement should find any of it today.
_HISTORY = f"""
CREATE FUNCTION pg_temp.key(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
INSERT INTO tenant (id, name) VALUES ('{ID}', 'Northwind');
INSERT INTO destination (id, tenant_id, name, type) VALUES ('{ID}', '{ID}', 'chat', 'telegram');
INSERT INTO automation (id, tenant_id, name, type, status, schedule_config, next_run)
SELECT pg_temp.key(n), '{ID}', 'automation ' || n, 'scheduled_report',
       CASE WHEN n % 10 = 0 THEN 'active' ELSE 'paused' END, '{{"type": "daily", "hour": 9}}',
       now() + interval '1 year'
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO automation_run (id, tenant_id, automation_id, scheduled_for, status, completed_at)
SELECT pg_temp.key(n), '{ID}', pg_temp.key(n), now() - interval '1 day', 'completed', now()
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO run_attempt (run_id, number, worker)
SELECT pg_temp.key(n), 1, 'executor-1' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO delivery (id, tenant_id, run_id, destination_id, status, next_attempt_at)
SELECT pg_temp.key(n), '{ID}', pg_temp.key(n), '{ID}', 'delivered', NULL
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO delivery_attempt (delivery_id, number)
SELECT pg_temp.key(n), 1 FROM generate_series(1, {ROWS}) AS n;
INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason)
SELECT pg_temp.key(n), pg_temp.key(n), now(), now(), 1, 'overlap' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO connection (id, tenant_id, platform, kind, name)
VALUES ('{ID}', '{ID}', 'zoom', 'zoom_user', 'Zoom');
INSERT INTO recording_source (id, tenant_id, number, connection_id, name)
VALUES ('{ID}', '{ID}', 1, '{ID}', 'me');
INSERT INTO recording (id, tenant_id, source_id, external_id, started_at, status)
SELECT pg_temp.key(n), '{ID}', '{ID}', 'r' || n, now() - interval '1 day', 'UPLOADED'
  FROM generate_series(1, {ROWS}) AS n;
INSERT INTO outbox (topic, key, headers, value)
SELECT 'automation.run', n::text, '{{}}', '' FROM generate_series(1, {ROWS}) AS n;
"""


@pytest.fixture
def history(postgres_server: Callable[[str], str], database_template: str) -> Iterator[str]:
    """A database with a long past, analysed as autovacuum would."""
    with fresh_database(postgres_server, database_template) as url:
        asyncio.run(fill(url))
        yield url


async def fill(url: str) -> None:
    db = await asyncpg.connect(url)
    try:
        # References hold by construction, and checking them takes most of the time.
        await db.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        await db.execute(_HISTORY)
        await db.execute("ANALYZE")
    finally:
        await db.close()


HOT: dict[str, tuple[str, list[Any]]] = {
    "dispatch: what is due": (dispatch._DUE, [500, dispatch.HORIZON]),
    "dispatch: when to wake": (dispatch._NEXT, []),
    "dispatch: pauses that end": (dispatch._RESUME, [500]),
    "dispatch: how busy teams are": (dispatch._TENANTS_BUSY, [[ID]]),
    "dispatch: move on": (dispatch._ADVANCE, [[ID], [None], [None], ["active"], [None], [0]]),
    "rescue: lost runs": (rescue._LOST_RUNS, [500]),
    "rescue: lost recordings": (rescue._LOST_RECORDINGS, [500, "silent"]),
    "rescue: lost deliveries": (rescue._LOST_DELIVERIES, [500, "silent"]),
    "rescue: the end of attempts": (rescue._END_RUN_ATTEMPTS, [[ID], [1], "silent"]),
    "admission: due retries": (admission._RETRY, [500]),
    "admission: who may go": (admission._ADMIT, [500, 2_000]),
    "admission: who waited too long": (admission._EXPIRE, [500]),
    "repeated failures: what to stop": (repeated_failures._STOP, [500]),
    "observe: runs that wait": (duties._QUEUED, []),
    "observe: the oldest event": (duties._OUTBOX_AGE, []),
    "relay: the next events": (relay._TAKE, [500]),
    "claim by event": (run_claims._CLAIM, [[ID], "executor-1", 15.0]),
    "runs that wait": (run_claims._WAITING, ["normal", 15.0, [ID], 200]),
    "read claimed runs back": (run_claims._READ_BACK, [[ID], "executor-1", 15.0, [1]]),
    "keep run leases": (RUNS.extend, ["executor-1", 15.0, [ID], [1]]),
    "settle runs": (
        completions._SETTLE,
        ["executor-1", [ID], [1], ["completed"], [{}], [None], [None], ["[]"], [0.0], [0]],
    ),
    "read results back": (completions._CONFIRM, ["executor-1", [ID], [1], ["completed"]]),
    "count runs": (COUNT, [[ID], ["failed"]]),
    "claim deliveries by event": (delivery_claims._CLAIM, [[ID], "notifier-1", 60.0]),
    "due deliveries": (delivery_claims._DUE, [15.0, [ID], 200]),
    "when the next retry is due": (delivery_claims._NEXT, []),
    "read claimed deliveries back": (delivery_claims._READ_BACK, [[ID], "notifier-1", 60.0, [1]]),
    "keep delivery leases": (DELIVERIES.extend, ["notifier-1", 60.0, [ID], [1]]),
    "read delivery outcomes back": (outcomes._CONFIRM, [[ID], [1], ["delivered"], [None]]),
    "note progress": (delivery_claims._NOTE, [ID, 1, "notifier-1", {}]),
    "take recordings in": (
        intake._WRITE,
        [ID, ID, [ID], ["r1"], ["1"], ["topic"], ["host"], [NOW], ["UTC"], [1], [1], [False], ["[]"]],
    ),
    "how far recordings have come": (intake._READ, [ID, ["r1"]]),
    "start recordings": (intake._START, [ID, [ID], [None], ["{}"], ["INITIALIZED"], ID, None, None]),
    "hold recordings": (intake._HOLD, [ID, [ID], [None], ["{}"], ["INITIALIZED"], ID]),
    "skip recordings": (intake._SKIP, [ID, [ID], "unmatched", ID]),
    "claim recordings by event": (recording_claims._CLAIM, [[ID], "executor-1", 15.0]),
    "recordings that wait": (recording_claims._WAITING, [15.0, [ID], 200]),
    "read claimed recordings back": (recording_claims._READ_BACK, [[ID], "executor-1", 15.0, [1]]),
    "keep recording leases": (RECORDINGS.extend, ["executor-1", 15.0, [ID], [1]]),
    "note how far a recording is": (recording_outcomes._NOTE, [ID, "executor-1", 1, "DOWNLOADED", {}, 0]),
    "old recordings": (retention._OLD, [_LONG_AGO, _LONG_AGO, ID, 100]),
    "settle deliveries": (
        outcomes._SETTLE,
        ["notifier-1", [ID], [1], ["delivered"], [{}], [None], [0.0], [0]],
    ),
}


async def test_no_hot_statement_scans_a_big_table(history: str) -> None:
    db = await connect(history, application_name="tests")
    try:
        async with db.transaction():
            plans = {
                name: await explained(db, statement, arguments)
                for name, (statement, arguments) in HOT.items()
            }
    finally:
        await db.close()
    assert {name: found for name, plan in plans.items() if (found := list(scans(plan)))} == {}


async def explained(
    db: asyncpg.Connection[asyncpg.Record], statement: str, arguments: list[Any]
) -> dict[str, Any]:
    """The generic plan: what a statement that is prepared once and run all day gets."""
    await db.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    [row] = await db.fetch(f"EXPLAIN (FORMAT JSON) {statement}", *arguments)
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def scans(node: dict[str, Any]) -> Iterator[str]:
    """The big tables that are read from beginning to end."""
    relation = node.get("Relation Name")
    if relation in BIG and node["Node Type"] == "Seq Scan":
        yield relation
    for child in node.get("Plans", ()):
        yield from scans(child)


_UNINDEXED = """
SELECT c.conrelid::regclass || ' (' || a.attname || ')' AS reference
  FROM pg_constraint c
  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_index i
                    WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
 ORDER BY 1
"""
# Plans are never deleted, and a team has few backfills, all reached through its automations.
_WITHOUT_NEED = ["backfill (tenant_id)", "tenant (plan)"]


async def test_every_reference_has_an_index_so_that_deleting_does_not_scan(database_url: str) -> None:
    db = await asyncpg.connect(database_url)
    try:
        rows = await db.fetch(_UNINDEXED)
    finally:
        await db.close()
    assert [row["reference"] for row in rows] == _WITHOUT_NEED
