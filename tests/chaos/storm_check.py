"""The judge of a storm: what the tables, the receiver and the handlers' ledger say, compared with arithmetic.

It imports nothing of Carillon's: a rule that the product gets wrong must not be wrong here too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from standardwebhooks.webhooks import Webhook

EVERY = timedelta(minutes=1)

_SLOTS = """
SELECT automation_id, scheduled_for FROM automation_run
 WHERE automation_id = ANY($1::uuid[]) AND trigger = 'schedule' AND scheduled_for <= $2
"""
_SKIPS = (
    "SELECT automation_id, first_slot, last_slot, reason FROM slot_skip WHERE automation_id = ANY($1::uuid[])"
)
_OPEN = """
SELECT (SELECT count(*) FROM automation_run WHERE created_at <= $1
           AND status NOT IN ('completed', 'failed', 'cancelled', 'skipped'))
     + (SELECT count(*) FROM delivery
         WHERE created_at <= $1 AND delivered_at IS NULL AND status <> 'failed')
"""
_WAITING = """
SELECT id, status, attempt, uncounted, next_attempt_at, lease_expires_at, worker, error_message
  FROM delivery WHERE created_at <= $1 AND delivered_at IS NULL ORDER BY id LIMIT 20
"""
_ENDED = """
SELECT r.id, r.status, r.attempt, r.error_code, r.error_message,
       count(d.id) AS deliveries, count(d.delivered_at) AS delivered
  FROM automation_run r LEFT JOIN delivery d ON d.run_id = r.id WHERE r.created_at <= $1 GROUP BY r.id
"""


@dataclass(frozen=True)
class Expected:
    """Which slots there must be: one a minute from `first` on, for each automation."""

    first: Mapping[UUID, datetime]
    until: datetime

    def slots(self) -> Counter[tuple[UUID, datetime]]:
        """Each once."""
        found: Counter[tuple[UUID, datetime]] = Counter()
        for automation, first in self.first.items():
            at = first
            while at <= self.until:
                found[automation, at] += 1
                at += EVERY
        return found


@dataclass
class Judgement:
    """The table of one storm. `faults` must all be zero; the rest says how hard it was."""

    faults: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int | float] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Both, a line each."""
        return "\n".join(f"{count:>10g}  {what}" for what, count in (self.faults | self.seen).items())


def verified(headers: Mapping[str, str], body: bytes, secret: str) -> tuple[str, str]:
    """The run and the id of a request, which must be signed and of the last five minutes."""
    Webhook(secret).verify(body, dict(headers))
    return json.loads(body)["data"]["run_id"], headers["webhook-id"]


async def unfinished(db: asyncpg.Connection[asyncpg.Record], until: datetime) -> int:
    """Runs and deliveries of up to `until` that have not come to their end."""
    count: int = await db.fetchval(_OPEN, until)
    return count


async def judge(
    db: asyncpg.Connection[asyncpg.Record],
    expected: Expected,
    manual: Sequence[UUID],
    received: Sequence[tuple[str, str]],
    ledger: Sequence[str],
) -> Judgement:
    """Compare. `manual`: the runs the API has acknowledged, as it named them; `received`: see `verified`;
    `ledger`: its lines."""
    found = Judgement()
    slots = expected.slots()
    had: Counter[tuple[UUID, datetime]] = Counter()
    for row in await db.fetch(_SLOTS, list(expected.first), expected.until):
        had[row["automation_id"], row["scheduled_for"]] += 1
    skips: Counter[str] = Counter()
    told: set[tuple[UUID, datetime]] = set()
    for row in await db.fetch(_SKIPS, list(expected.first)):
        for slot in slots:
            if slot[0] == row["automation_id"] and row["first_slot"] <= slot[1] <= row["last_slot"]:
                told.add(slot)
                skips[row["reason"]] += 1
    begun: dict[str, dict[int, float]] = {}
    ended: dict[str, dict[int, float]] = {}
    twice = 0
    for line in map(json.loads, ledger):
        attempts = (begun if line["what"] == "begin" else ended).setdefault(line["run"], {})
        twice += line["attempt"] in attempts
        attempts[line["attempt"]] = line["at"]
    overlapping = sum(
        any(number < later and at < end for later, at in begun.get(run, {}).items())
        for run, attempts in ended.items()
        for number, end in attempts.items()
    )
    rows = await db.fetch(_ENDED, expected.until)
    ids: dict[str, set[str]] = {}
    for run_id, webhook_id in received:
        ids.setdefault(run_id, set()).add(webhook_id)
    states = Counter(row["status"] for row in rows)
    completed = [row for row in rows if row["status"] == "completed"]
    failed = [row for row in rows if row["status"] == "failed"]
    known = {row["id"] for row in await db.fetch("SELECT id FROM automation_run")}
    found.faults = {
        "slots missed, without a run or a reason": sum(s not in had and s not in told for s in slots),
        "slots with more than one run": sum(count > 1 for count in had.values()),
        "runs for no slot there is": sum(slot not in slots for slot in had),
        "runs or deliveries stuck": await unfinished(db, expected.until),
        "runs failed that never began": sum(str(row["id"]) not in begun for row in failed),
        "runs failed": len(failed),
        "attempts begun twice": twice,
        "attempts that went on into the next one": overlapping,
        "completed without a line in the ledger": sum(str(row["id"]) not in ended for row in completed),
        "completed without exactly one delivery, delivered": sum(
            (row["deliveries"], row["delivered"]) != (1, 1) for row in completed
        ),
        "delivered by the record, unknown to the receiver": sum(
            bool(row["delivered"]) and str(row["id"]) not in ids for row in rows
        ),
        "received under more than one id": sum(len(each) > 1 for each in ids.values()),
        "manual runs acknowledged and lost": sum(run not in known for run in manual),
    }
    found.seen = {
        "slots": len(slots),
        **{f"slots told as skipped: {reason}": count for reason, count in skips.items()},
        **{f"runs {state}": count for state, count in states.items()},
        "manual runs acknowledged": len(manual),
        "runs that needed another attempt": sum(row["attempt"] > 1 for row in rows),
        "requests received more than once, under the same id": len(received) - sum(map(len, ids.values())),
    }
    found.words = [f"{row['id']} {row['error_code']}: {row['error_message']}" for row in failed]
    found.words += [f"not delivered: {dict(row)}" for row in await db.fetch(_WAITING, expected.until)]
    return found
