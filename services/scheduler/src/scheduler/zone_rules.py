"""Computing `next_run` again when the tz database changes: governments move clocks at short notice.

Only slots still to come move. A slot whose instant has passed was named by the rules that held then: one that
waits for its jitter or its window, or that a pause has left undecided, keeps its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import AutomationChanged, to_record
from common.history import ZONE_RULES, read_zone_rules, zone_rules
from common.ids import new_id
from common.scheduling import ScheduleError, SkipReason, Slot, parse_schedule, tzdata_version
from common.scheduling.timetable import Timetable
from common.scheduling.zones import UnknownZone, zone
from scheduler.lease import Lease, Term

log = structlog.get_logger()

FACT = "tzdata_version"
BATCH = 500

_PAGE = """
SELECT id, tenant_id, schedule_config, coalesce(next_slot, next_run) AS slot, created_at, fired_count,
       status, version, clock_timestamp() AS now,
       greatest((SELECT max(scheduled_for) FROM automation_run r
                  WHERE r.automation_id = a.id AND r.scheduled_for < coalesce(a.next_slot, a.next_run)),
                (SELECT max(last_slot) FROM slot_skip s
                  WHERE s.automation_id = a.id AND s.reason <> 'moved'),
                (SELECT begins_after FROM schedule_period p
                  WHERE p.automation_id = a.id AND p.ends_at IS NULL),
                a.created_at) AS decided
  FROM automation a
 WHERE id > $1 AND status IN ('active', 'paused') AND coalesce(next_slot, next_run) > clock_timestamp()
   AND schedule_config ->> 'timezone' IS NOT NULL
 ORDER BY id LIMIT $2 FOR UPDATE
"""
_MOVE = """
UPDATE automation a SET next_slot = m.next_slot, next_run = m.next_run
  FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS m (id, next_slot, next_run)
 WHERE a.id = m.id
"""
_RECORD = """
INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason, detail)
SELECT id, automation_id, slot, slot, 1, $4, detail
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $5::text[]) AS s (id, automation_id, slot, detail)
"""
# The schedule is the same, but it names its slots by other rules from here on.
_END_PERIODS = """
UPDATE schedule_period p SET ends_at = m.boundary
  FROM unnest($1::uuid[], $2::timestamptz[]) AS m (automation_id, boundary)
 WHERE p.automation_id = m.automation_id AND p.ends_at IS NULL
"""
_BEGIN_PERIODS = """
INSERT INTO schedule_period (id, automation_id, schedule_config, change, begins_after, changed_at)
SELECT m.id, a.id, a.schedule_config, 'moved', m.boundary, clock_timestamp()
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS m (id, automation_id, boundary)
  JOIN automation a ON a.id = m.automation_id
"""
_ZONES_IN_USE = """
SELECT coalesce(schedule_config ->> 'timezone', 'UTC') AS name FROM automation
 UNION
SELECT coalesce(schedule_config ->> 'timezone', 'UTC') FROM schedule_period
"""
_KNOWN_ZONES = "SELECT name, value FROM fact WHERE starts_with(name, $1)"
_REMEMBER = """
INSERT INTO fact (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


@dataclass(frozen=True, slots=True)
class Move:
    """A next slot that the new rules put elsewhere."""

    row: asyncpg.Record
    before: datetime
    after: Slot


class ZoneRules:
    """The leader's duty at the beginning of its reign."""

    def __init__(self, pool: ConnectionPool, lease: Lease, *, version: str | None = None) -> None:
        self._pool = pool
        self._lease = lease
        self._version = version or tzdata_version()

    async def apply(self, term: Term) -> int:
        """Move what the tz database in use moves; returns how many automations. Nothing when it is known."""
        before = await self._pool.fetchval("SELECT value FROM fact WHERE name = $1", FACT)
        if before == self._version:
            return 0
        await self._note_changed_zones(term, is_first=before is None)
        moved = 0
        last = UUID(int=0)
        while True:
            async with self._pool.acquire() as db, db.transaction():
                rows = await db.fetch(_PAGE, last, BATCH)
                moves = [move for row in rows if (move := moved_slot(row)) is not None]
                await _write(db, moves, self._version)
                if len(rows) < BATCH:
                    await db.execute(_REMEMBER, FACT, self._version)
                await self._lease.fence(db, term)
            moved += len(moves)
            if len(rows) < BATCH:
                log.info("time zone rules applied", tzdata=self._version, moved=moved)
                return moved
            last = rows[-1]["id"]

    async def _note_changed_zones(self, term: Term, *, is_first: bool) -> None:
        """Remember since when each zone in use has the rules it has: slots recorded before had others.

        A zone that came into use since the last change may have had others too, unless this is the first.
        """
        async with self._pool.acquire() as db, db.transaction():
            known = {
                row["name"]: read_zone_rules(row["value"]) for row in await db.fetch(_KNOWN_ZONES, ZONE_RULES)
            }
            now: datetime = await db.fetchval("SELECT now()")
            values = {}
            for row in await db.fetch(_ZONES_IN_USE):
                try:
                    fingerprint = zone(row["name"]).fingerprint()
                except UnknownZone:
                    continue  # a later release's; the dispatcher says so when it comes due
                before = known.get(ZONE_RULES + row["name"])
                if before is None or before[0] != fingerprint:
                    since = None if before is None and is_first else now
                    values[ZONE_RULES + row["name"]] = zone_rules(fingerprint, since)
            if values:
                await db.executemany(_REMEMBER, list(values.items()))
                await self._lease.fence(db, term)


def moved_slot(row: asyncpg.Record) -> Move | None:
    """Where the rules in use put the awaited slot, when that is not where it is."""
    before: datetime = row["slot"]
    try:
        schedule = parse_schedule(row["schedule_config"])
    except ScheduleError:
        return None  # the dispatcher stops it with the reason when it comes due
    if schedule.runs_left(row["fired_count"]) == 0:
        return None
    timetable = Timetable(schedule, automation_id=row["id"], default_anchor=row["created_at"])
    now: datetime = row["now"]
    decided: datetime = row["decided"]
    slot = timetable.next_after(max(now, decided))  # the later one where the clock has been set back
    passed = timetable.latest_at_or_before(now)
    if passed is not None and passed > decided and (slot is None or before - passed < abs(slot - before)):
        slot = passed  # the new rules put the awaited slot itself into the past: it is due at once, not lost
    return None if slot is None or slot == before else Move(row, before, timetable.slot(slot))


async def _write(db: DbSession, moves: list[Move], version: str) -> None:
    if not moves:
        return
    await db.execute(
        _MOVE,
        [move.row["id"] for move in moves],
        [move.after.nominal for move in moves],
        [move.after.fire_at for move in moves],
    )
    ids = [move.row["id"] for move in moves]
    boundaries = [min(move.row["now"], move.after.nominal - datetime.resolution) for move in moves]
    await db.execute(_END_PERIODS, ids, boundaries)
    await db.execute(_BEGIN_PERIODS, [new_id() for _ in moves], ids, boundaries)
    await db.execute(
        _RECORD,
        [new_id() for _ in moves],
        [move.row["id"] for move in moves],
        [move.before for move in moves],
        SkipReason.MOVED,
        [f"tz database {version}: now at {move.after.nominal:%Y-%m-%d %H:%M} UTC" for move in moves],
    )
    await outbox.write(
        db,
        [
            to_record(
                AutomationChanged(
                    automation_id=move.row["id"],
                    tenant_id=move.row["tenant_id"],
                    change="moved",
                    status=move.row["status"],
                    version=move.row["version"],
                    next_run=move.after.fire_at,
                ),
                source="scheduler",
                time=move.row["now"],
            )
            for move in moves
        ],
    )
    for move in moves:
        log.info(
            "automation moved by new time zone rules",
            automation_id=str(move.row["id"]),
            tenant_id=str(move.row["tenant_id"]),
            before=move.before.isoformat(),
            after=move.after.nominal.isoformat(),
        )
