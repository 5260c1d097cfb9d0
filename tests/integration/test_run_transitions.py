"""Every statement that changes the state of a run makes the changes of the table, and no others."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.backfills import service as backfills
from api.runs import service as runs
from common.database.pool import create_engine
from common.errors import Conflict
from common.ids import new_id
from common.models import RunStatus
from common.runs import TRANSITIONS
from executor.runs import claims, completions
from scheduler import admission, dispatch, rescue
from tests.factories import Team, World

ROOT = Path(__file__).parents[2]
WRITES = re.compile(
    r"UPDATE automation_run|INSERT INTO automation_run"
    r"|(update|insert)\(AutomationRun\)|[^\w]AutomationRun\(\n"
)
_LOG = """
CREATE TABLE transition (before text, after text);
CREATE FUNCTION log_transition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO transition VALUES (CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER log_transition AFTER INSERT OR UPDATE OF status ON automation_run
    FOR EACH ROW EXECUTE FUNCTION log_transition();
"""


def declared(*by: str) -> set[tuple[str | None, str]]:
    return {(each.before and each.before.value, each.after.value) for each in TRANSITIONS if each.by in by}


class Rows:
    """One run in every state, each of an automation of its own."""

    def __init__(self, world: World, team: Team, url: str) -> None:
        self.world, self.team, self.url = world, team, url
        self.ids: dict[RunStatus, UUID] = {}
        self.automations: dict[RunStatus, UUID] = {}

    async def make(self, **columns: Any) -> None:
        past = datetime(2026, 1, 1, tzinfo=UTC)
        for status in RunStatus:
            [self.automations[status]] = await self.world.automations(self.team, None)
            held = {"worker": "w", "lease_expires_at": past} if status is RunStatus.RUNNING else {}
            self.ids[status] = await self.world.run(
                self.team,
                self.automations[status],
                **{"status": status.value, "attempt": 1, "available_at": past, **held, **columns},
            )

    @property
    def all(self) -> list[UUID]:
        return list(self.ids.values())


Act = Callable[[Rows, "asyncpg.Connection[asyncpg.Record]"], Awaitable[None]]


async def dispatches(rows: Rows, sql: Any) -> None:
    automations, slot = list(rows.automations.values()), datetime(2026, 2, 1, tzinfo=UTC)
    await sql.execute(
        dispatch._MAKE_ROOM, automations, [slot] * len(automations), ["replaced"] * len(automations)
    )
    for status in ("queued", "waiting"):
        [automation_id] = await rows.world.automations(rows.team, None)
        ids = [[new_id()], [rows.team.tenant_id], [automation_id]]
        await sql.execute(
            dispatch._INSERT_RUNS, *ids, [slot], [status], [None], [5], ["normal"], [None], [None]
        )


async def admits(rows: Rows, sql: Any) -> None:
    await sql.execute("UPDATE automation_run SET expires_at = NULL")
    await sql.execute(admission._ADMIT, 500, 1_000)
    await sql.execute(admission._RETRY, 500)
    await rows.make(expires_at=datetime(2026, 1, 2, tzinfo=UTC))
    await sql.execute("DELETE FROM transition WHERE before IS NULL")
    await sql.execute(admission._EXPIRE, 500)


async def claims_runs(rows: Rows, sql: Any) -> None:
    await sql.execute(claims._READ_BACK, [], "w", 15.0, [])
    await sql.execute(claims._CLAIM, rows.all, "v", 15.0)


async def settles(rows: Rows, sql: Any) -> None:
    for after in ("completed", "failed", "retrying", "cancelled"):
        count = len(rows.ids)
        texts: list[Any] = [[None] * count, [None] * count, [None] * count, ["[]"] * count]
        await sql.execute(
            completions._SETTLE,
            "w",
            rows.all,
            [1] * count,
            [after] * count,
            *texts,
            [0.0] * count,
            [0] * count,
        )
        await rows.make()
        await sql.execute("DELETE FROM transition WHERE before IS NULL")


async def rescues(rows: Rows, sql: Any) -> None:
    await sql.execute(rescue._LOST_RUNS, 500)
    for columns in ({"max_attempts": 1}, {"cancel_requested": True}):
        await rows.make(**columns)
        await sql.execute("DELETE FROM transition WHERE before IS NULL")
        await sql.execute(rescue._LOST_RUNS, 500)


async def cancels(rows: Rows, _sql: Any) -> None:
    engine = create_engine(rows.url, application_name="tests")
    try:
        for run_id in rows.all:
            async with AsyncSession(engine) as session:
                try:
                    await runs.cancel(session, rows.team.tenant_id, run_id, now=datetime.now(UTC))
                except Conflict:
                    continue
                await session.commit()
    finally:
        await engine.dispose()


async def cancels_a_backfill(rows: Rows, sql: Any) -> None:
    [automation_id] = await rows.world.automations(rows.team, None)
    backfill_id, slot = new_id(), datetime(2026, 1, 1, tzinfo=UTC)
    await sql.execute(
        "INSERT INTO backfill (id, tenant_id, automation_id, first_slot, last_slot)"
        " VALUES ($1, $2, $3, $4, $4)",
        backfill_id,
        rows.team.tenant_id,
        automation_id,
        slot,
    )
    await sql.execute(
        "UPDATE automation_run SET backfill_id = $1, automation_id = $2", backfill_id, automation_id
    )
    engine = create_engine(rows.url, application_name="tests")
    try:
        async with AsyncSession(engine) as session:
            await backfills.cancel(session, rows.team.tenant_id, backfill_id, now=datetime.now(UTC))
            await session.commit()
    finally:
        await engine.dispose()


@pytest.mark.parametrize(
    ("module", "act"),
    [
        ("scheduler.dispatch", dispatches),
        ("scheduler.admission", admits),
        ("scheduler.rescue", rescues),
        ("executor.runs.claims", claims_runs),
        ("executor.runs.completions", settles),
        ("api.runs.service", cancels),
        ("api.backfills.service", cancels_a_backfill),
    ],
)
async def test_a_module_makes_the_changes_of_the_table_and_no_others(
    world: World, team: Team, database_url: str, module: str, act: Act
) -> None:
    rows = Rows(world, team, database_url)
    await rows.make()
    await world.sql.execute(_LOG)
    await act(rows, world.sql)
    logged = await world.sql.fetch("SELECT DISTINCT before, after FROM transition")
    made = {(row["before"], row["after"]) for row in logged if row["before"] != row["after"]}
    expected = declared(module)
    if act is cancels_a_backfill:
        # Its new runs are inserted where a backfill begins.
        expected -= {(None, "waiting")}
    assert made == expected


def test_the_table_names_every_module_that_writes_runs() -> None:
    sources = [path for root in ("libs", "services") for path in (ROOT / root).glob("*/src/**/*.py")]
    writing = {
        ".".join(path.relative_to(next(p for p in path.parents if p.name == "src")).with_suffix("").parts)
        for path in sources
        if WRITES.search(path.read_text()) and "models" not in path.parts and "migrations" not in path.parts
    }
    # Claims are made of `common.work.leases`; the cleanup empties old logs and changes no state.
    writing -= {"scheduler.cleanup", "sandbox"}
    assert writing | {"executor.runs.claims"} == {each.by for each in TRANSITIONS}


def test_a_run_counts_once_and_at_its_end() -> None:
    ends = {RunStatus.COMPLETED, RunStatus.FAILED}
    assert all(each.counts for each in TRANSITIONS if each.after in ends)
    assert all(each.after in ends | {RunStatus.CANCELLED} for each in TRANSITIONS if each.counts)
