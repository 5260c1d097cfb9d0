"""A month of simulated time: outages, a clock that jumps, pauses, resumptions, edits and slow runs.

The real dispatcher, admission and API functions work on a real database whose clock is ours. Afterwards every
slot that the schedules named has exactly one run or exactly one recorded reason, and nothing has two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.automations import lifecycle, service
from api.automations.schemas import AutomationCreate, AutomationPatch
from api.security import Principal
from common.database.pool import ConnectionPool, create_engine, create_pool
from common.ids import new_id
from common.scheduling import iter_slots, parse_schedule
from common.secrets.crypto import new_encryption_key
from scheduler.admission import Admission
from scheduler.dispatch import Dispatcher
from scheduler.lease import Lease, Term
from tests.factories import REPORT, World
from tests.support.databases import fresh_database

START = datetime(2026, 3, 15, tzinfo=UTC)  # Europe changes its clocks on the 29th
LENGTH = timedelta(days=31)
A_LONG_TIME = 10.0**9
CATCH_UP = ("none", "latest", "all")

SCHEDULES = [
    {"type": "interval", "interval_minutes": 45},
    {"type": "interval", "interval_minutes": 1440, "anchor": "2026-03-01T07:11:00+00:00"},
    {"type": "daily", "hour": 2, "minute": 30, "timezone": "Europe/Berlin"},
    {"type": "weekly", "weekday": 6, "hour": 1, "timezone": "America/New_York"},
    {"type": "cron", "expression": "*/20 1-3 * * *", "timezone": "Europe/Berlin"},
    {"type": "cron", "expression": "0 9 1 * 1", "timezone": "Europe/London"},
    {"type": "hours", "hours": 5, "timezone": "Australia/Lord_Howe"},
]
POLICIES: list[dict[str, Any]] = [
    {},
    {"catch_up": "all"},
    {"catch_up": "none"},
    {"catch_up": "all", "catch_up_window": 6 * 3600},
    {"expires_after": 1800},
    {"overlap": "allow"},
    {"overlap": "queue_one"},
    {"overlap": "queue_all", "catch_up": "all", "catch_up_window": 12 * 3600},
    {"overlap": "cancel_running"},
]

# The clock as the database sees it: our function stands before PostgreSQL's own on the search path.
_OUR_CLOCK = """
CREATE SCHEMA sim;
CREATE TABLE sim.clock (at timestamptz NOT NULL);
INSERT INTO sim.clock VALUES ('2026-03-15T00:00:00Z');
CREATE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT at FROM sim.clock';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = sim, pg_catalog, public', current_database());
END $$;
"""


@dataclass
class Period:
    """A schedule and the time it held for: its slots lie in (begin, end]."""

    schedule: dict[str, Any]
    begin: datetime
    end: datetime | None = None


@dataclass
class History:
    """What a model of one automation knows."""

    created_at: datetime
    periods: list[Period] = field(default_factory=list)

    def slots(self, until: datetime) -> list[datetime]:
        """Every slot its schedules named up to `until`."""
        return [
            slot
            for period in self.periods
            for slot in iter_slots(
                parse_schedule(period.schedule),
                period.begin,
                period.end or until,
                default_anchor=self.created_at,
            )
        ]


class Simulation:
    """The system under a clock of ours."""

    def __init__(self, pool: ConnectionPool, engine: AsyncEngine, who: Principal, destination: UUID) -> None:
        self.pool = pool
        self.engine = engine
        self.who = who
        self.destination = destination
        self.now = START
        self.front = START
        self.histories: dict[UUID, History] = {}
        self.term: Term | None = None
        lease = Lease(pool, holder="simulated", seconds=A_LONG_TIME)
        self.lease = lease
        self.dispatcher = Dispatcher(pool, lease, batch_size=50)
        self.admission = Admission(pool, lease, tenant_window=1_000)

    async def begin(self) -> None:
        """A new month, with nothing in it."""
        await self.pool.execute("DELETE FROM automation")
        await self.pool.execute("DELETE FROM outbox")
        await self.pool.execute("DELETE FROM leadership")
        await self.pool.execute("DELETE FROM reign")
        self.histories.clear()
        self.front = START
        await self.set_clock(START)
        self.term = await self.lease.acquire()

    async def set_clock(self, instant: datetime) -> None:
        """Move the clock, forwards or back."""
        self.now = instant
        self.front = max(self.front, instant)
        await self.pool.execute("UPDATE sim.clock SET at = $1", instant)

    async def create(self, schedule: dict[str, Any], policy: dict[str, Any]) -> UUID:
        """A new automation."""
        wanted = AutomationCreate.model_validate(
            {
                "destination_id": self.destination,
                "name": f"automation {len(self.histories)}",
                "type": "scheduled_report",
                "schedule_config": schedule,
                "automation_config": REPORT,
                "platforms": ["facebook"],
                "policy": policy,
            }
        )
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            automation = await service.create(session, self.who, wanted, now=self.now)
        self.histories[automation.id] = History(self.now, [Period(schedule, self.now)])
        return automation.id

    async def edit(self, automation_id: UUID, schedule: dict[str, Any]) -> None:
        """Give it another schedule."""
        history = self.histories[automation_id]
        if history.periods[-1].schedule == schedule:
            return
        patch = AutomationPatch.model_validate({"schedule_config": schedule})
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            await service.change(session, self.who, automation_id, patch, if_version=None, now=self.now)
        history.periods[-1].end = self.now
        history.periods.append(Period(schedule, self.now))

    async def pause(self, automation_id: UUID, minutes: int | None) -> None:
        """Pause it, for some time or until it is resumed."""
        until = None if minutes is None else self.now + timedelta(minutes=minutes)
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            await lifecycle.pause(session, self.who, automation_id, until=until, now=self.now)

    async def resume(self, automation_id: UUID, catch_up: Any) -> None:
        """Resume it."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            await lifecycle.resume(session, self.who, automation_id, catch_up=catch_up, now=self.now)

    async def lead(self) -> None:
        """Do what a leader does until there is nothing left to do."""
        assert self.term is not None
        for _ in range(2_000):
            resumed = await self.dispatcher.resume_due(self.term)
            dispatched = await self.dispatcher.dispatch_batch(self.term)
            admitted = await self.admission.admit_batch(self.term)
            if not (resumed or dispatched or admitted):
                return
        raise AssertionError("the leader does not come to rest")

    async def finish_runs(self) -> None:
        """The executors catch up."""
        await self.pool.execute(
            "UPDATE automation_run SET status = 'completed' WHERE status IN ('queued', 'running')"
        )

    async def verify(self) -> None:
        """Every slot once: as a run, or in one recorded range."""
        for automation_id, history in self.histories.items():
            expected = history.slots(self.front)
            runs = [
                row["scheduled_for"]
                for row in await self.pool.fetch(
                    "SELECT scheduled_for FROM automation_run WHERE automation_id = $1", automation_id
                )
            ]
            skips = await self.pool.fetch(
                "SELECT first_slot, last_slot, slots, reason FROM slot_skip WHERE automation_id = $1",
                automation_id,
            )
            assert len(runs) == len(set(runs)), "a slot ran twice"
            assert set(runs) <= set(expected), f"runs for no slot: {sorted(set(runs) - set(expected))}"
            ran = set(runs)
            for slot in expected:
                covering = [row for row in skips if row["first_slot"] <= slot <= row["last_slot"]]
                if slot in ran:
                    assert not covering, f"{slot} ran and is recorded as {covering[0]['reason']}"
                else:
                    assert len(covering) == 1, f"{slot} has {len(covering)} reasons instead of one"
            assert sum(row["slots"] for row in skips) == len(expected) - len(ran)


@pytest.fixture(scope="module")
def simulation(
    postgres_server: Callable[[str], str], database_template: str
) -> Iterator[tuple[asyncio.Runner, Simulation]]:
    with fresh_database(postgres_server, database_template) as url, asyncio.Runner() as runner:

        async def prepare() -> Simulation:
            world = await World.open(url, new_encryption_key("sim"))
            await world.sql.execute(_OUR_CLOCK)
            team = await world.team()
            destination = await world.telegram(team)
            await world.sql.close()
            who = Principal(team.tenant_id, team.user_id, new_id(), "owner@example.com", "owner")
            pool = await create_pool(url, application_name="simulation")
            return Simulation(pool, create_engine(url, application_name="simulation"), who, destination)

        simulated = runner.run(prepare())
        yield runner, simulated

        async def close() -> None:
            await simulated.engine.dispose()
            await simulated.pool.close()

        runner.run(close())


index = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("advance"), st.integers(1, 36 * 60)),
    st.tuples(st.just("advance"), st.integers(1, 90)),
    st.tuples(st.just("outage"), st.integers(12 * 60, 48 * 60)),
    st.tuples(st.just("set the clock back"), st.integers(1, 60)),
    st.tuples(st.just("pause"), index),
    st.tuples(st.just("pause for a while"), index, st.integers(1, 2_000)),
    st.tuples(st.just("resume"), index, st.sampled_from(CATCH_UP)),
    st.tuples(st.just("edit"), index, st.sampled_from(SCHEDULES)),
    st.tuples(st.just("finish runs")),
)


async def live_through(sim: Simulation, automations: list[Any], story: list[Any]) -> None:
    """Tell one story, then check it."""
    await sim.begin()
    ids = [await sim.create(schedule, policy) for schedule, policy in automations]
    for what, *details in story:
        match what:
            case "advance":
                await sim.set_clock(sim.now + timedelta(minutes=details[0]))
                await sim.lead()
            case "outage":
                await sim.set_clock(sim.now + timedelta(minutes=details[0]))
            case "set the clock back":
                await sim.set_clock(max(START, sim.now - timedelta(minutes=details[0])))
                await sim.lead()
            case "pause":
                await sim.pause(ids[details[0] % len(ids)], None)
            case "pause for a while":
                await sim.pause(ids[details[0] % len(ids)], details[1])
            case "resume":
                await sim.resume(ids[details[0] % len(ids)], details[1])
            case "edit":
                # A schedule given while the clock is wrong names its slots from that wrong time on.
                await sim.set_clock(sim.front)
                await sim.edit(ids[details[0] % len(ids)], details[1])
            case "finish runs":
                await sim.finish_runs()
        if sim.now - START > LENGTH:
            break
    await sim.set_clock(sim.front)
    for automation_id in ids:
        await sim.resume(automation_id, "none")
    await sim.lead()
    await sim.verify()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(
    automations=st.lists(
        st.tuples(st.sampled_from(SCHEDULES), st.sampled_from(POLICIES)), min_size=1, max_size=3
    ),
    story=st.lists(steps, min_size=5, max_size=30),
)
def test_every_slot_of_a_month_has_one_run_or_one_reason(
    simulation: tuple[asyncio.Runner, Simulation], automations: list[Any], story: list[Any]
) -> None:
    runner, simulated = simulation
    runner.run(live_through(simulated, automations, story))
