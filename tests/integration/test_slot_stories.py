"""Automations whose slots are missed, delayed, edited and moved, held against a ledger kept by hand.

The real dispatcher, admission, zone rules and API functions work on a real database whose clock is ours.
Outages, a clock that jumps, pauses, edits, runs by hand, limits and new tz databases happen in any order.
After every few steps `slots` must tell of every slot what the ledger says: its fate, and its reason.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col, select

from api.automations import lifecycle, service
from api.automations.schemas import AutomationCreate, AutomationPatch, RunRequest
from api.manual_runs.queueing import run_now
from api.security import Principal
from api.slots.service import read_slots
from common.database.pool import ConnectionPool, create_engine, create_pool
from common.errors import Conflict, Unprocessable
from common.ids import new_id
from common.models import Automation
from common.scheduling import grids, zones
from common.secrets.crypto import new_encryption_key
from scheduler.admission import Admission
from scheduler.dispatch import Dispatcher
from scheduler.lease import Lease, Term
from scheduler.zone_rules import ZoneRules
from tests.factories import REPORT, World
from tests.support.databases import fresh_database
from tests.support.figures import Figures
from tests.support.slot_ledger import Calendar, Ledger, Rule, Told, cron

START = datetime(2026, 3, 15, tzinfo=UTC)  # Europe changes its clocks on the 29th
LENGTH = timedelta(days=31)
AHEAD = timedelta(days=2)
A_LONG_TIME = 10.0**9
NO_LIMIT = 10**6
RENAMED = {"Europe/Berlin": "Europe/Athens", "Europe/London": "Europe/Berlin"}
"""What the second tz database does to these zones."""
CALENDAR = Calendar(START - timedelta(days=2), START + timedelta(days=110), RENAMED)


def _any_day(_: date) -> bool:
    return True


SHAPES = [
    Rule({"type": "interval", "interval_minutes": 45}, every=timedelta(minutes=45), anchor=START),
    Rule(
        {"type": "interval", "interval_minutes": 1440, "anchor": "2026-03-01T07:11:00+00:00"},
        every=timedelta(days=1),
        anchor=datetime(2026, 3, 1, 7, 11, tzinfo=UTC),
    ),
    cron("30 2 * * *", "Europe/Berlin", _any_day),
    cron("0 9 * * *", "Europe/Berlin", _any_day),
    cron("0 1 * * 0", "America/New_York", lambda day: day.weekday() == 6),
    cron("*/20 1-3 * * *", "Europe/Berlin", _any_day),
    cron("0 9 1 * 1", "Europe/London", lambda day: day.day == 1 or day.weekday() == 0),
    cron("0 */5 * * *", "Australia/Lord_Howe", _any_day),
    cron("15 9,10,17 * * *", "Europe/London", _any_day),
    cron("0 */2 * * *", "UTC", _any_day, exclude={"dates": ["2026-03-18", "2026-03-29"], "weekdays": [5]}),
    Rule(
        {"type": "once", "at": "2026-03-20T10:30:00", "timezone": "Europe/Berlin"},
        once="2026-03-20T10:30:00",
    ),
    Rule({"type": "once", "at": "2026-04-02T10:30:00", "timezone": "UTC"}, once="2026-04-02T10:30:00"),
]


def _variants(rule: Rule) -> list[Rule]:
    more: list[dict[str, Any]] = [{}, {}, {"max_runs": 3}, {"max_runs": 9}, {"jitter_seconds": 900}]
    return [Rule({**rule.raw, **extra}, rule.every, rule.anchor, rule.pattern, rule.once) for extra in more]


RULES = [_variants(rule) for rule in SHAPES]
OVERLAPS = ["skip", "skip", "queue_one", "queue_all", "cancel_running", "allow"]
MOVED = ("skipped", "moved")
"""Told beside what the new rules name at the same instant, where that is told together with others."""
ACTS = ["edit", "edit", "limit", "pause", "pause a while", "resume", "resume", "run", "skip"]
CATCH_UPS = ["latest", "all", "none"]

# The clock as the database sees it: our function stands before PostgreSQL's own on the search path.
_OUR_CLOCK = """
CREATE SCHEMA sim;
CREATE TABLE sim.clock (at timestamptz NOT NULL);
INSERT INTO sim.clock VALUES ('2026-03-15T00:00:00Z');
CREATE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT at FROM sim.clock';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = sim, pg_catalog, public', current_database());
END $$;
"""


class TzDatabases:
    """The true tz database, and one in which some zones follow other clocks."""

    def __init__(self, directory: Path) -> None:
        self._true = zoneinfo.TZPATH
        self._changed = str(directory)
        for name, follows in RENAMED.items():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._file(follows), target)

    def _file(self, name: str) -> Path:
        for directory in self._true:
            if (Path(directory) / name).is_file():
                return Path(directory) / name
        import tzdata  # type: ignore[import-untyped]  # it has no stubs

        return Path(tzdata.__file__).parent / "zoneinfo" / name

    def use(self, *, second: bool) -> None:
        """Install one of them."""
        zoneinfo.reset_tzpath(to=(self._changed, *self._true) if second else self._true)
        zoneinfo.ZoneInfo.clear_cache()
        zones.zone.cache_clear()
        grids.wall_clock_grid.cache_clear()


@dataclass
class Difference:
    """A slot of which `slots` tells something else than the ledger."""

    story: str
    slot: datetime
    told: Told | None
    expected: Told | None

    def __str__(self) -> str:
        return f"{self.story}: {self.slot:%m-%d %H:%M} told {self.told}, expected {self.expected}"


class Stories:
    """The system under a clock of ours, and a ledger for each automation."""

    def __init__(
        self,
        pool: ConnectionPool,
        engine: AsyncEngine,
        who: Principal,
        destination: UUID,
        databases: TzDatabases,
    ) -> None:
        self._pool = pool
        self._engine = engine
        self._who = who
        self._destination = destination
        self._databases = databases
        self._lease = Lease(pool, holder="simulated", seconds=A_LONG_TIME)
        self._dispatcher = Dispatcher(pool, self._lease, batch_size=500, tenant_window=NO_LIMIT)
        self._admission = Admission(pool, self._lease, tenant_window=NO_LIMIT)
        self._term: Term | None = None
        self._chance = random.Random()
        self.now = START
        self.ledgers: dict[UUID, Ledger] = {}
        self.log: dict[UUID, list[str]] = {}
        self.compared = 0
        self.second = False
        self.release = 0

    async def tell(self, seed: int, automations: int) -> list[Difference]:
        """Live through one month with so many automations; what was told wrongly."""
        self._chance = random.Random(seed)
        await self._begin()
        for _ in range(automations):
            await self._create()
        differences: list[Difference] = []
        step = 0
        while self.now - START < LENGTH and not differences:
            step += 1
            await self._world_turns()
            for automation_id in self.ledgers:
                if self._chance.random() < 0.25:
                    await self._act(automation_id)
            if step % 4 == 0:
                differences += await self._compare(seed)
        return differences + await self._compare(seed)

    async def close(self) -> None:
        """Give back what it holds."""
        self._databases.use(second=False)
        await self._engine.dispose()
        await self._pool.close()

    async def _begin(self) -> None:
        for table in ("automation", "outbox", "leadership", "reign", "fact"):
            await self._pool.execute(f"DELETE FROM {table}")
        self.ledgers.clear()
        self.log.clear()
        await self._set_clock(START)
        self.second = False
        self._databases.use(second=False)
        self._term = await self._lease.acquire()
        await self._apply_zone_rules()

    async def _apply_zone_rules(self) -> None:
        assert self._term is not None
        self.release += 1
        await ZoneRules(self._pool, self._lease, version=f"release {self.release}").apply(self._term)

    async def _set_clock(self, instant: datetime) -> None:
        self.now = instant
        await self._pool.execute("UPDATE sim.clock SET at = $1", instant)

    def _session(self) -> AsyncSession:
        return AsyncSession(self._engine, expire_on_commit=False)

    async def _create(self) -> None:
        rule = self._rule()
        policy: dict[str, Any] = {
            "overlap": self._chance.choice(OVERLAPS),
            "catch_up": self._chance.choice(CATCH_UPS),
        }
        if self._chance.random() < 0.2:
            policy["catch_up_window"] = self._chance.randrange(1_800, 86_400)
        if self._chance.random() < 0.2:
            policy["expires_after"] = self._chance.randrange(1_800, 86_400)
        wanted = AutomationCreate.model_validate(
            {
                "destination_id": self._destination,
                "name": f"automation {len(self.ledgers)}",
                "type": "scheduled_report",
                "schedule_config": rule.raw,
                "automation_config": REPORT,
                "platforms": ["facebook"],
                "policy": policy,
            }
        )
        async with self._session() as session, session.begin():
            automation = await service.create(session, self._who, wanted, now=self.now)
        self.ledgers[automation.id] = Ledger(automation.id, CALENDAR, self.now, rule, policy)
        self.log[automation.id] = [f"create {rule.raw} {policy}"]

    def _rule(self) -> Rule:
        return self._chance.choice(self._chance.choice(RULES))

    def _note(self, what: str, automation_id: UUID | None = None) -> None:
        for one in self.log if automation_id is None else [automation_id]:
            self.log[one].append(f"{self.now:%m-%d %H:%M:%S} {what}")

    async def _world_turns(self) -> None:
        """Something that happens to everything at once."""
        match self._chance.choice(["minutes", "minutes", "hours", "outage", "back", "rules", "finish"]):
            case "minutes":
                await self._set_clock(self.now + timedelta(seconds=self._chance.randrange(1, 5_400)))
                await self._lead()
            case "hours":
                await self._set_clock(self.now + timedelta(minutes=self._chance.randrange(60, 36 * 60)))
                await self._lead()
            case "outage":
                await self._set_clock(self.now + timedelta(minutes=self._chance.randrange(60, 48 * 60)))
                self._note("no leader until now")
            case "back":
                await self._set_clock(max(START, self.now - timedelta(minutes=self._chance.randrange(1, 60))))
                await self._lead()
            case "rules":
                self.second = not self.second
                self._databases.use(second=self.second)
                await self._apply_zone_rules()
                for ledger in self.ledgers.values():
                    ledger.new_tz_database(self.now)
                self._note(f"tz database {'second' if self.second else 'true'}")
            case "finish":
                await self._pool.execute(
                    "UPDATE automation_run SET status = 'completed' WHERE status = 'queued'"
                )
                for ledger in self.ledgers.values():
                    ledger.finish_runs()
                self._note("runs finish")
                await self._lead()

    async def _lead(self) -> None:
        """Do what a leader does until there is nothing left to do."""
        assert self._term is not None
        self._note("lead")
        for _ in range(2_000):
            resumed = await self._dispatcher.resume_due(self._term)
            dispatched = await self._dispatcher.dispatch_batch(self._term)
            admitted = await self._admission.admit_batch(self._term)
            if not (resumed or dispatched or admitted):
                break
        else:
            raise AssertionError("the leader does not come to rest")
        for ledger in self.ledgers.values():
            while any([ledger.wake(self.now), ledger.dispatch(self.now), ledger.admit(self.now)]):
                pass

    async def _act(self, automation_id: UUID) -> None:
        """Something a person does to one automation."""
        ledger = self.ledgers[automation_id]
        what = self._chance.choice(
            ["edit", "edit", "limit", "pause", "pause a while", "resume", "resume", "run"]
        )
        match what:
            case "edit":
                await self._edit(automation_id, self._rule())
            case "limit":
                same = next(rules for rules in RULES if any(one.shape == ledger.rule.shape for one in rules))
                await self._edit(automation_id, self._chance.choice(same))
            case "pause":
                await self._pause(automation_id, None)
            case "pause a while":
                await self._pause(
                    automation_id, self.now + timedelta(minutes=self._chance.randrange(1, 2_000))
                )
            case "resume":
                await self._resume(automation_id, self._chance.choice(CATCH_UPS))
            case "run":
                await self._run(automation_id)
            case "skip":
                self._note("skip the next run", automation_id)
                allowed = ledger.skip_next(self.now)
                await self._attempt(
                    allowed,
                    lambda session: lifecycle.skip_next_run(session, self._who, automation_id, now=self.now),
                )

    async def _edit(self, automation_id: UUID, rule: Rule) -> None:
        self._note(f"edit {rule.raw}", automation_id)
        allowed = self.ledgers[automation_id].edit(rule, self.now)
        patch = AutomationPatch.model_validate({"schedule_config": rule.raw})
        await self._attempt(
            allowed,
            lambda session: service.change(
                session, self._who, automation_id, patch, if_version=None, now=self.now
            ),
        )

    async def _pause(self, automation_id: UUID, until: datetime | None) -> None:
        self._note(f"pause until {until}", automation_id)
        allowed = self.ledgers[automation_id].pause(until)
        await self._attempt(
            allowed,
            lambda session: lifecycle.pause(session, self._who, automation_id, until=until, now=self.now),
        )

    async def _resume(self, automation_id: UUID, choice: Any) -> None:
        self._note(f"resume {choice}", automation_id)
        allowed = self.ledgers[automation_id].resume(choice, self.now)
        await self._attempt(
            allowed,
            lambda session: lifecycle.resume(
                session, self._who, automation_id, catch_up=choice, now=self.now
            ),
        )

    async def _run(self, automation_id: UUID) -> None:
        ledger = self.ledgers[automation_id]
        slot = ledger.latest_named(self.now) if self._chance.random() < 0.5 else None
        self._note(f"run by hand {slot}", automation_id)
        ledger.run_by_hand(slot)
        wanted = RunRequest(slot=slot)
        await self._attempt(
            True,
            lambda session: run_now(session, self._who, automation_id, wanted, now=self.now),
        )

    async def _attempt(self, allowed: bool, act: Callable[[AsyncSession], Any]) -> None:
        refusal: Exception | None = None
        try:
            async with self._session() as session, session.begin():
                await act(session)
        except (Conflict, Unprocessable) as refused:
            refusal = refused
        assert (refusal is None) is allowed, f"the ledger says {allowed}: {refusal}"

    async def _compare(self, seed: int) -> list[Difference]:
        differences: list[Difference] = []
        first, last = START - timedelta(days=1), self.now + AHEAD
        recorded = {
            row["automation_id"]: row["slots"]
            for row in await self._pool.fetch(
                "SELECT automation_id, sum(slots) AS slots FROM slot_skip GROUP BY automation_id"
            )
        }
        for automation_id, ledger in self.ledgers.items():
            story = f"seed {seed}, automation {list(self.ledgers).index(automation_id)}"
            expected = ledger.told(first, last, self.now)
            told = await self._told(ledger, first, last, expected)
            self.compared += len(expected)
            wrong = [
                Difference(story, slot, told.get(slot), expected.get(slot))
                for slot in sorted(told.keys() | expected.keys())
                if told.get(slot) != expected.get(slot)
            ]
            if recorded.get(automation_id, 0) != len(ledger.skips) + len(ledger.moved):
                counted = str(recorded.get(automation_id, 0)), None
                wrong.append(Difference(story, self.now, counted, (str(len(ledger.skips)), None)))
            if wrong:
                print("\n".join([story, *self.log[automation_id], *map(str, wrong[:5])]))  # noqa: T201 - the story
            differences += wrong
        return differences

    async def _told(
        self, ledger: Ledger, first: datetime, last: datetime, expected: dict[datetime, Told]
    ) -> dict[datetime, Told]:
        """What `slots` tells, page by page. Several slots told together are those the ledger has there."""
        told: dict[datetime, Told] = {}
        begin: datetime | None = first
        async with self._session() as session:
            automation = (
                await session.execute(select(Automation).where(col(Automation.id) == ledger.id))
            ).scalar_one()
            while begin is not None:
                page = await read_slots(session, automation, begin, last, limit=500, now=self.now)
                for fate in page.fates:
                    reason = None if fate.state == "overdue" else fate.reason
                    fates = (str(fate.state), None if reason is None else str(reason))
                    if fate.slots == 1:
                        if fates != MOVED or fate.slot not in told:
                            told[fate.slot] = fates
                        continue
                    assert fate.last_slot is not None
                    covered = [
                        slot
                        for slot, said in ledger.skips.items()
                        if fate.slot <= slot <= fate.last_slot and said == fate.reason
                    ]
                    told |= dict.fromkeys(covered if len(covered) == fate.slots else [fate.slot], fates)
                    told |= {slot: expected[slot] for slot in covered if ledger.has_run(slot)}
                begin = page.next_slot
        return told


@pytest.fixture(scope="module")
def stories(
    postgres_server: Callable[[str], str], database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int, int], list[Difference]]]:
    with fresh_database(postgres_server, database_template) as url, asyncio.Runner() as runner:

        async def prepare() -> Stories:
            world = await World.open(url, new_encryption_key("sim"))
            await world.sql.execute(_OUR_CLOCK)
            team = await world.team()
            destination = await world.telegram(team)
            await world.sql.close()
            who = Principal(team.tenant_id, team.user_id, new_id(), "owner@example.com", "owner")
            pool = await create_pool(url, application_name="simulation")
            engine = create_engine(url, application_name="simulation")
            databases = TzDatabases(tmp_path_factory.mktemp("tz"))
            return Stories(pool, engine, who, destination, databases)

        told = runner.run(prepare())

        def tell(seed: int, automations: int) -> list[Difference]:
            return runner.run(told.tell(seed, automations))

        tell.stories = told  # type: ignore[attr-defined]  # the figures read its counts
        yield tell
        runner.run(told.close())


@pytest.mark.timeout(300)
def test_slots_tells_what_a_ledger_kept_by_hand_says(
    stories: Callable[[int, int], list[Difference]],
) -> None:
    """A few; the slow suite tells hundreds."""
    assert not stories(0, 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_stories_without_a_difference(
    stories: Callable[[int, int], list[Difference]], figures: Figures
) -> None:
    automations, months = 40, max(1, int(os.environ.get("SLOT_STORIES", "400")) // 40)
    for seed in range(1_000, 1_000 + months):
        assert not stories(seed, automations)
    figures.record(
        "stories of automations held against a ledger, none different", automations * months, "stories"
    )
    figures.record("slots compared in these, differences 0", stories.stories.compared, "slots")  # type: ignore[attr-defined]  # as above
