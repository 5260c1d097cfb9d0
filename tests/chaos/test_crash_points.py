"""Every await of PostgreSQL, the broker and HTTP on the way of a run and of its delivery, struck in turn.

The points are not written down here. A first automation runs undisturbed while the seam in each process lists
what it passes; then, for each point, another automation comes due, and when the point is passed the process
is killed, or the answer is lost although the work was done. What is required of all: one run, completed, one
delivery, delivered, one id at the receiver, and never two attempts at once.

The judge shares nothing with the product: SQL of its own, the receiver's requests checked with
`standardwebhooks`, and the handler's own ledger.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook

from common.secrets.crypto import new_webhook_secret
from tests.chaos.seam.environment import seam_environment
from tests.factories import Team, World
from tests.support.figures import Figures
from tests.support.file_receiver import FileReceiver, file_receiver
from tests.support.polling import eventually
from tests.support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KINDS = ("scheduler", "executor", "notifier")
MODES = ("killed", "answer lost")
DECIDING = ("postgresql COMMIT", "broker", "http POST")
"""After these something is done that cannot be undone. The short run kills only there, and loses
every answer; the long one does both everywhere."""
EVERYWHERE = "STORM_SEEDS" in os.environ
SETTLED_WITHIN = 45.0
STRUCK_WITHIN = 10.0

# A dead process's leases and the pauses before another try are not waited for: the tables say they are over.
_HURRY = (
    "UPDATE automation_run SET lease_expires_at = now() WHERE worker LIKE $1 AND lease_expires_at > now()",
    "UPDATE delivery SET lease_expires_at = now() WHERE worker LIKE $1 AND lease_expires_at > now()",
)
_DUE = (
    "UPDATE automation_run SET available_at = now() WHERE status = 'retrying' AND available_at > now()",
    "UPDATE delivery SET next_attempt_at = now() WHERE status <> 'delivered' AND next_attempt_at > now()",
)
_STATE = """
SELECT count(DISTINCT r.id) AS runs, count(d.id) AS deliveries,
       coalesce(bool_and(r.status = 'completed'), false) AS completed,
       coalesce(bool_and(d.status = 'delivered'), false) AS delivered,
       string_agg(concat_ws(' ', r.status, r.attempt, r.error_message, d.status, d.error_message), '; ')
         AS words
  FROM automation_run r LEFT JOIN delivery d ON d.run_id = r.id WHERE r.automation_id = $1
"""


@dataclass
class Rig:
    """The services with a seam in each, and where the effects show."""

    world: World
    stack: Stack
    folder: Path
    receiver: FileReceiver
    team: Team
    destination_id: UUID
    secret: str
    faults: list[str] = field(default_factory=list)
    """What was wrong after a strike, a line each."""

    async def due(self) -> UUID:
        """An automation that is due now."""
        [automation_id] = await self.world.automations(
            self.team,
            self.destination_id,
            kind="effect",
            config={"url": self.receiver.url},
            platforms=[],
            next_run=datetime.now(UTC),
        )
        await self.world.sql.execute("SELECT pg_notify('carillon_wake', 'schedule')")
        return automation_id

    async def settle(self, automation_id: UUID) -> list[str]:
        """Wait until the slot has had its effect; what is wrong with it, a line a fault."""

        async def is_delivered() -> bool:
            for statement in _DUE:
                await self.world.sql.execute(statement)
            row = await self.world.sql.fetchrow(_STATE, automation_id)
            assert row is not None
            return bool(row["completed"] and row["delivered"])

        try:
            await eventually(is_delivered, within=SETTLED_WITHIN, every=0.1)
        except AssertionError:
            row = await self.world.sql.fetchrow(_STATE, automation_id)
            return [f"stuck: {row and row['words']}"]
        return await self._judged(automation_id)

    async def _judged(self, automation_id: UUID) -> list[str]:
        wrong = []
        row = await self.world.sql.fetchrow(_STATE, automation_id)
        assert row is not None
        if (row["runs"], row["deliveries"]) != (1, 1):
            wrong.append(f"{row['runs']} runs, {row['deliveries']} deliveries")
        received: set[str] = set()
        for taken in self.receiver.taken:
            if "webhook-id" in taken.headers and str(automation_id).encode() in taken.body:
                Webhook(self.secret).verify(taken.body, dict(taken.headers))
                received.add(taken.headers["webhook-id"])
        if len(received) != 1:
            wrong.append(f"received under {len(received)} ids")
        run_id = await self.world.sql.fetchval(
            "SELECT id FROM automation_run WHERE automation_id = $1", automation_id
        )
        wrong += overlaps(self.ledger(str(run_id)))
        return wrong

    def ledger(self, run_id: str) -> list[dict[str, Any]]:
        """The handler's own lines about a run."""
        lines = (self.folder / "ledger").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["run"] == run_id]

    def points(self, kind: str) -> list[str]:
        """What a service passed while it was recorded, once each."""
        path = self.folder / f"points-{kind}"
        return list(dict.fromkeys(path.read_text().splitlines())) if path.exists() else []

    async def strike(self, kind: str, point: str, mode: str) -> bool:
        """Strike once; whether the point was passed at all."""
        service = self.stack[kind]
        arm = self.folder / f"arm-{kind}"
        arm.with_suffix(".new").write_text(json.dumps({"point": point, "mode": mode}))
        arm.with_suffix(".new").replace(arm)
        automation_id = await self.due()
        try:
            await eventually(lambda: not arm.exists(), within=STRUCK_WITHIN)
            passed = True
        except AssertionError:
            arm.unlink(missing_ok=True)
            passed = False
        if passed and mode == "killed":
            worker = f"%-{service.pid}-%"
            await service.exited(within=10)
            await service.start()
            for statement in _HURRY:
                await self.world.sql.execute(statement, worker)
        wrong = await self.settle(automation_id)
        self.faults += [f"{kind}, {point}, {mode}: {line}" for line in wrong]
        return passed


def overlaps(lines: list[dict[str, Any]]) -> list[str]:
    """Where the ledger shows an attempt that ended after a later one had begun."""
    begun: dict[int, float] = {}
    ended: dict[int, float] = {}
    again: dict[int, int] = defaultdict(int)
    for line in lines:
        if line["what"] == "begin":
            again[line["attempt"]] += 1
            begun[line["attempt"]] = line["at"]
        else:
            ended[line["attempt"]] = line["at"]
    found = [f"attempt {number} begun {count} times" for number, count in again.items() if count > 1]
    for number, at in ended.items():
        later = [other for other, began in begun.items() if number < other and began < at]
        found += [f"attempt {number} still at work in {other}" for other in later]
    return found


@pytest.fixture
async def rig(world: World, stack: Stack, tmp_path: Path) -> AsyncIterator[Rig]:
    folder = tmp_path / "seam"
    async with file_receiver() as receiver:
        allowed = re.sub(r"^http://([^/]+)/.*$", r"\1", receiver.url)
        common: dict[str, str] = {
            **seam_environment(folder),
            "OUTBOUND_ALLOWED_HOSTS": allowed,
            "RECEIVER_ALLOWED_HOSTS": allowed,
            "SWEEP_AFTER": "1",
            "LEASE_SECONDS": "3",
            "LEADER_LEASE_SECONDS": "2",
        }
        for kind in KINDS:
            await stack.start(kind, **common, SEAM_KIND=kind)
        team = await world.team()
        secret = new_webhook_secret()
        destination_id = await world.webhook(team, receiver.url, secret)
        yield Rig(world, stack, folder, receiver, team, destination_id, secret)
        stack.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_each_point_may_be_the_last_or_lose_its_answer(rig: Rig, figures: Figures, kind: str) -> None:
    (rig.folder / "record").touch()
    assert not await rig.settle(await rig.due())
    (rig.folder / "record").unlink()
    points = rig.points(kind)
    assert points, "the seam has seen nothing"
    strikes = [
        (point, mode)
        for point in points
        for mode in MODES
        if EVERYWHERE or mode == "answer lost" or point.startswith(DECIDING)
    ]
    missed = []
    for point, mode in strikes:
        if not await rig.strike(kind, point, mode):
            missed.append(f"{point}, {mode}")
        print(f"{kind}: {point}, {mode}", flush=True)
    struck = len(strikes) - len(missed)
    figures.record(f"points of the {kind} struck, of {len(strikes)}", struck, "")
    figures.record(f"points of the {kind}: slots not ended by exactly one effect", len(rig.faults), "")
    print("not passed again:", *missed, sep="\n  ")
    assert not rig.faults, "\n".join(rig.faults)
    assert struck >= len(strikes) * 0.8, f"points that were not passed again: {missed}"
