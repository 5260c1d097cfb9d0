"""Storing listed recordings and starting some of them: set-based, and never back to an earlier state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from common.database.pool import ConnectionPool, create_engine, driver_connection
from common.events import RecordingProcessingRequested
from common.models import RecordingStatus
from common.recordings import catalog, intake
from common.recordings.intake import Change, Taking
from common.recordings.selection import UNMATCHED
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.outbox import Announcements
from tests.support.recordings import found
from tests.support.statements import counted_pool

NOW = datetime(2026, 11, 4, 6, 0, tzinfo=UTC)


@pytest.fixture
async def source_id(world: World, team: Team) -> UUID:
    connection_id = await world.connection(team, ZOOM_USER, "sandbox-zoom-1")
    return await recordings.source(world, team, connection_id)


@pytest.fixture
async def template_id(world: World, team: Team) -> UUID:
    return await recordings.template(world, team, {"keywords": ["weekly"]})


async def record(pool: ConnectionPool, team: Team, source_id: UUID, *given: Any) -> dict[str, intake.Entry]:
    async with pool.acquire() as db, db.transaction():
        return await intake.record(db, team.tenant_id, source_id, given)


async def start(
    pool: ConnectionPool, team: Team, template_id: UUID, *recording_ids: UUID, **more: Any
) -> list[UUID]:
    async with pool.acquire() as db, db.transaction():
        return await intake.start(
            db,
            team.tenant_id,
            [Taking(each, template_id, {"auto_upload": False}) for each in recording_ids],
            **{"automation_id": None, "service": "executor", "now": NOW, **more},
        )


async def test_new_recordings_are_inserted_and_unchanged_ones_not_updated(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID
) -> None:
    first = await record(pool, team, source_id, found("a"), found("b"))
    before = {row["id"]: row["xmin"] for row in await world.sql.fetch("SELECT id, xmin FROM recording")}

    again = await record(pool, team, source_id, found("a"), found("b", topic="Renamed"), found("c"))

    assert {name: entry.change for name, entry in first.items()} == {"a": Change.NEW, "b": Change.NEW}
    assert {name: entry.change for name, entry in again.items()} == {
        "a": Change.SAME,
        "b": Change.UPDATED,
        "c": Change.NEW,
    }
    after = {row["id"]: row["xmin"] for row in await world.sql.fetch("SELECT id, xmin FROM recording")}
    assert after[first["a"].id] == before[first["a"].id], "an unchanged row was written again"
    assert after[first["b"].id] != before[first["b"].id]
    row = await world.row("recording", first["b"].id)
    assert (row["topic"], row["status"], row["host"]) == ("Renamed", "INITIALIZED", "dana@brightpath.example")
    assert row["files"][0]["kind"] == "video"


async def test_later_files_are_added_without_changing_the_status(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID
) -> None:
    entry = (await record(pool, team, source_id, found("a", is_processing=True)))["a"]
    await world.sql.execute("UPDATE recording SET status = 'UPLOADED', artifacts = '{\"x\": 1}'")

    again = (await record(pool, team, source_id, found("a")))["a"]

    row = await world.row("recording", entry.id)
    assert (again.change, again.standing.status) == (Change.UPDATED, RecordingStatus.UPLOADED)
    assert (row["status"], row["artifacts"], row["total_bytes"]) == ("UPLOADED", {"x": 1}, 98_000_000)
    assert row["files"][0]["status"] == "completed"


async def test_the_same_recording_of_two_sources_is_two(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID
) -> None:
    other = await recordings.source(
        world, team, (await world.row("recording_source", source_id))["connection_id"], number=2
    )

    one = await record(pool, team, source_id, found("a"), found("a"))
    two = await record(pool, team, other, found("a"))

    assert one["a"].id != two["a"].id
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 2


async def test_recordings_of_a_deleted_or_foreign_source_are_not_stored(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID
) -> None:
    other = await world.team("Globex")

    assert await record(pool, other, source_id, found("a")) == {}
    await world.sql.execute("DELETE FROM recording_source")
    assert await record(pool, team, source_id, found("a")) == {}


async def test_two_jobs_that_find_the_same_recordings_do_not_deadlock(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID, template_id: UUID
) -> None:
    names = [f"r{n}" for n in range(40)]
    await record(pool, team, source_id, *(found(name) for name in names))

    async def take(number: int) -> int:
        async with pool.acquire() as db, db.transaction():
            given = [found(name, topic=f"{number}") for name in names[number::2] + names[:number]]
            entries = await intake.record(db, team.tenant_id, source_id, given)
            takings = [Taking(entry.id, template_id, {}) for entry in entries.values()]
            started = await intake.start(
                db, team.tenant_id, takings, automation_id=None, service="executor", now=NOW
            )
            return len(started)

    assert sum(await asyncio.gather(*(take(number) for number in range(8)))) == 40


async def test_starting_announces_in_the_same_transaction(
    pool: ConnectionPool,
    world: World,
    team: Team,
    source_id: UUID,
    template_id: UUID,
    announced: Announcements,
) -> None:
    entry = (await record(pool, team, source_id, found("a")))["a"]
    [job] = await world.automations(team, None, kind="recording_sync", config={"template_ids": [1]})

    started = await start(
        pool, team, template_id, entry.id, automation_id=job, trace_id="ab" * 16, traceparent="00-x"
    )

    row = await world.row("recording", entry.id)
    assert started == [entry.id]
    assert (row["status"], row["processing"]) == ("INITIALIZED", {"auto_upload": False})
    assert abs(row["available_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert (row["template_id"], row["automation_id"], row["traceparent"]) == (template_id, job, "00-x")
    [event] = await announced.of(RecordingProcessingRequested)
    assert (event.recording_id, event.source_id, event.template_id) == (entry.id, source_id, template_id)
    assert (event.automation_id, event.trace_id) == (job, "ab" * 16)
    assert [record.headers["ce_source"] for record in await announced.records()] == ["/executor"]


async def test_concurrent_starts_of_a_recording_start_it_once(
    pool: ConnectionPool,
    world: World,
    team: Team,
    source_id: UUID,
    template_id: UUID,
    announced: Announcements,
) -> None:
    entries = await record(pool, team, source_id, *(found(f"r{n}") for n in range(50)))
    ids = [entry.id for entry in entries.values()]

    results = await asyncio.gather(
        *(start(pool, team, template_id, *(ids if n % 2 else reversed(ids))) for n in range(6))
    )

    assert sorted(each for result in results for each in result) == sorted(ids)
    assert len(await announced.of(RecordingProcessingRequested)) == 50


@pytest.mark.parametrize("status", RecordingStatus)
async def test_only_new_skipped_or_failed_recordings_start(
    pool: ConnectionPool,
    world: World,
    team: Team,
    source_id: UUID,
    template_id: UUID,
    status: RecordingStatus,
) -> None:
    entry = (await record(pool, team, source_id, found("a")))["a"]
    await world.sql.execute(
        "UPDATE recording SET status = $1, attempt = 3, error_code = 'x', error_message = 'x'", status.value
    )

    started = await start(pool, team, template_id, entry.id)

    row = await world.row("recording", entry.id)
    if status in {"INITIALIZED", "SKIPPED", "FAILED"}:
        assert started == [entry.id]
        assert (row["status"], row["attempt"], row["error_code"]) == ("INITIALIZED", 0, None)
    else:
        assert started == []
        assert (row["status"], row["attempt"], row["available_at"]) == (status, 3, None)


async def test_recordings_of_another_team_or_in_progress_do_not_start(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID, template_id: UUID
) -> None:
    entries = await record(pool, team, source_id, found("a"), found("b"))
    await world.sql.execute("UPDATE recording SET worker = 'w' WHERE id = $1", entries["b"].id)
    other = await world.team("Globex")

    assert await start(pool, other, template_id, entries["a"].id) == []
    assert await start(pool, team, template_id, entries["b"].id) == []
    async with pool.acquire() as db:
        assert await intake.skip(db, other.tenant_id, [entries["a"].id], automation_id=None) == []
        assert await intake.skip(db, team.tenant_id, [entries["b"].id], automation_id=None) == []


async def test_skipping_records_the_reason_and_leaves_started_recordings(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID, template_id: UUID
) -> None:
    entries = await record(pool, team, source_id, found("a"), found("b"))
    a, b = entries["a"].id, entries["b"].id
    await start(pool, team, template_id, b)

    async with pool.acquire() as db:
        skipped = await intake.skip(db, team.tenant_id, [a, b], automation_id=None)
        again = await intake.skip(db, team.tenant_id, [a, b], automation_id=None)

    assert (skipped, again) == ([a], [])
    row = await world.row("recording", a)
    assert (row["status"], row["status_reason"]) == ("SKIPPED", UNMATCHED)
    assert (await world.row("recording", b))["status"] == "INITIALIZED"


async def test_holding_records_the_template_once(
    pool: ConnectionPool, world: World, team: Team, source_id: UUID, template_id: UUID
) -> None:
    entry = (await record(pool, team, source_id, found("a")))["a"]
    held = Taking(entry.id, template_id, {"auto_process": False})

    async with pool.acquire() as db:
        first = await intake.hold(db, team.tenant_id, [held], automation_id=None)
        again = await intake.hold(db, team.tenant_id, [held], automation_id=None)

    row = await world.row("recording", entry.id)
    assert (first, again) == ([entry.id], [])
    assert (row["template_id"], row["available_at"], row["status"]) == (template_id, None, "INITIALIZED")


async def test_a_hundred_recordings_take_as_many_statements_as_one(
    database_url: str, team: Team, source_id: UUID, template_id: UUID
) -> None:
    costs = []
    async with counted_pool(database_url) as (counted, statements):
        for prefix, count in (("warm up", 1), ("x", 1), ("y", 100)):
            statements.clear()
            entries = await record(counted, team, source_id, *(found(f"{prefix}{n}") for n in range(count)))
            await start(counted, team, template_id, *(entry.id for entry in entries.values()))
            costs.append(len(statements))

    assert costs[1] == costs[2] <= 13


class TestWithinASession:
    """The API shares these statements: its sessions lend their connection."""

    @pytest.fixture
    async def session(self, database_url: str) -> AsyncIterator[AsyncSession]:
        engine = create_engine(database_url, application_name="api-test")
        async with AsyncSession(engine) as opened:
            yield opened
        await engine.dispose()

    async def test_intake_runs_in_the_callers_transaction(
        self,
        session: AsyncSession,
        world: World,
        team: Team,
        source_id: UUID,
        template_id: UUID,
        announced: Announcements,
    ) -> None:
        async def take() -> UUID:
            lent = await driver_connection(session)
            entry = (await intake.record(lent, team.tenant_id, source_id, [found("a")]))["a"]
            taking = Taking(entry.id, template_id, {"auto_upload": False})
            await intake.start(lent, team.tenant_id, [taking], automation_id=None, service="api", now=NOW)
            return entry.id

        await take()
        await session.rollback()
        assert await world.sql.fetchval("SELECT count(*) FROM recording") == 0
        assert await announced.all() == []

        recording_id = await take()
        await session.commit()
        row = await world.row("recording", recording_id)
        assert (row["processing"], row["files"][0]["kind"]) == ({"auto_upload": False}, "video")
        [event] = await announced.of(RecordingProcessingRequested)
        assert event.recording_id == recording_id


class TestCatalog:
    async def test_templates_are_returned_in_order_and_missing_ones_named(
        self, pool: ConnectionPool, world: World, team: Team
    ) -> None:
        first = await recordings.template(world, team, {"keywords": ["a"]}, number=1)
        second = await recordings.template(world, team, {"keywords": ["b"]}, {"auto_upload": False}, number=2)
        await recordings.template(world, team, {}, number=3, is_active=False)
        await recordings.template(world, team, {"keyword": []}, number=4)
        other = await world.team("Globex")
        theirs = await recordings.template(world, other, {}, number=5)

        async with pool.acquire() as db:
            asked: list[catalog.Reference] = [2, str(first), "1", 3, 4, str(theirs), "x", 99, str(uuid4())]
            found_ = await catalog.templates(db, team.tenant_id, asked)

        assert [each.id for each in found_.usable] == [second, first]
        assert found_.usable[0].processing.auto_upload is False
        assert list(found_.unusable) == [str(each) for each in asked[3:]]
        assert found_.unusable["3"] == "it is not active"
        assert "matching_rules.keyword" in found_.unusable["4"]
        assert found_.unusable["x"] == "there is no such template"

    async def test_sources_belong_to_their_team(
        self, pool: ConnectionPool, world: World, team: Team, source_id: UUID
    ) -> None:
        connection_id = (await world.row("recording_source", source_id))["connection_id"]
        await recordings.source(world, team, connection_id, number=2, status="disabled")
        stranger = await world.team("Globex")

        async with pool.acquire() as db:
            active = await catalog.active_sources(db, team.tenant_id)
            named, missing = await catalog.sources(db, team.tenant_id, [2, source_id, 7])
            theirs, unknown = await catalog.sources(db, stranger.tenant_id, [source_id])

        assert [each.id for each in active] == [source_id]
        assert [(each.number, each.is_active) for each in named] == [(1, True), (2, False)]
        assert (missing, theirs, unknown) == (["7"], [], [str(source_id)])
