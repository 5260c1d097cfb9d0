"""The checker: which slots were hit, how often, and what reached the receiver.

The idea is Chronos's in Jepsen, with one thing added: extra runs count as much as missing ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import httpx

from tests.factories import World


@dataclass
class Verdict:
    """What is wrong; empty when every slot has exactly one completed run, delivered exactly once."""

    without_run: list[UUID] = field(default_factory=list)
    with_extra_runs: list[UUID] = field(default_factory=list)
    not_completed: list[tuple[UUID, str]] = field(default_factory=list)
    not_delivered: list[tuple[UUID, str]] = field(default_factory=list)
    without_delivery: list[UUID] = field(default_factory=list)
    received: int = 0
    received_twice: int = 0

    def faults(self) -> list[str]:
        """One line a fault."""
        lines = {
            "automations without a run": len(self.without_run),
            "automations with more than one run": len(self.with_extra_runs),
            "runs not completed": len(self.not_completed),
            "completed runs without exactly one delivery": len(self.without_delivery),
            "deliveries not delivered": len(self.not_delivered),
            "deliveries received more than once": self.received_twice,
        }
        return [f"{count} {what}" for what, count in lines.items() if count]


_RUNS = """
SELECT a.id, count(r.id) AS runs, min(r.status) AS status
  FROM unnest($1::uuid[]) AS a (id) LEFT JOIN automation_run r ON r.automation_id = a.id GROUP BY a.id
"""
_DELIVERIES = """
SELECT r.id, count(d.id) AS deliveries, min(d.status) AS status
  FROM automation_run r LEFT JOIN delivery d ON d.run_id = r.id
 WHERE r.automation_id = ANY($1::uuid[]) GROUP BY r.id
"""


async def check(world: World, automations: list[UUID], sandbox_url: str, hook: str) -> Verdict:
    """Compare what should have happened to `automations`, each due once, with what did."""
    verdict = Verdict()
    for row in await world.sql.fetch(_RUNS, automations):
        if row["runs"] == 0:
            verdict.without_run.append(row["id"])
        elif row["runs"] > 1:
            verdict.with_extra_runs.append(row["id"])
        elif row["status"] != "completed":
            verdict.not_completed.append((row["id"], row["status"]))
    for row in await world.sql.fetch(_DELIVERIES, automations):
        if row["deliveries"] != 1:
            verdict.without_delivery.append(row["id"])
        elif row["status"] != "delivered":
            verdict.not_delivered.append((row["id"], row["status"]))
    async with httpx.AsyncClient() as client:
        seen = (await client.get(f"{sandbox_url}/_sandbox/hooks/{hook}")).json()
    verdict.received = seen["accepted"]
    verdict.received_twice = seen["duplicates"]
    return verdict


async def unfinished(world: World, automations: list[UUID]) -> int:
    """How many of `automations`, each due once, have not been completed and delivered yet."""
    done: int = await world.sql.fetchval(
        "SELECT count(*) FROM delivery d JOIN automation_run r ON r.id = d.run_id"
        " WHERE d.status = 'delivered' AND r.automation_id = ANY($1::uuid[])",
        automations,
    )
    return len(automations) - done
