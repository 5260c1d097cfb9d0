"""Recording jobs against the sandbox's Zoom, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.automation_config.recording_sync import RecordingSyncConfig
from common.database.pool import ConnectionPool
from common.errors import Consequence, PlatformError
from common.events import RecordingProcessingRequested
from common.http import create_client
from common.recordings.selection import UNMATCHED
from executor.handlers.base import Account, Outcome, RunContext
from executor.handlers.recording_sync import RecordingSyncHandler
from executor.recordings.finding.plan import SourcesMissing, TemplatesMissing
from executor.settings import ExecutorSettings
from platforms.zoom import ZOOM_SERVER, ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.database_fingerprint import fingerprint
from tests.support.outbox import Announcements
from tests.support.run_contexts import account, run_context
from tests.support.stack import Service
from tests.support.statements import counted_pool
from tests.support.zoom_sandbox import SandboxZoom

ALL = {"patterns": ["."]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(
        timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


@pytest.fixture
async def zoom(zoom_server: Service, http: httpx.AsyncClient) -> SandboxZoom:
    sandbox = SandboxZoom(zoom_server, http)
    await sandbox.reset()
    return sandbox


@pytest.fixture
def handler(zoom: SandboxZoom, database_url: str, encryption_keys: str) -> RecordingSyncHandler:
    return RecordingSyncHandler(
        ExecutorSettings(
            database_url=database_url,
            kafka_bootstrap_servers="localhost:1",
            encryption_keys=encryption_keys,
            zoom_base_url=zoom.base_url,
        )
    )


class Office:
    """A team with a Zoom account, its sources and its job."""

    def __init__(self, world: World, team: Team, http: httpx.AsyncClient, pool: ConnectionPool) -> None:
        self.world, self.team = world, team
        self.accounts: list[Account] = []
        self._http, self._pool = http, pool

    async def connect(self, token: str = "sandbox-zoom-account-1") -> UUID:
        """Connect an account."""
        connection_id = await self.world.connection(self.team, ZOOM_SERVER, token)
        self.accounts.append(account(ZOOM_SERVER, token, connection_id=connection_id))
        return connection_id

    async def source(self, connection_id: UUID, user: str = "me", **columns: Any) -> UUID:
        """A source."""
        return await recordings.source(
            self.world, self.team, connection_id, external_user=user, name=f"source of {user}", **columns
        )

    async def template(
        self, rules: dict[str, Any], processing: dict[str, Any] | None = None, **columns: Any
    ) -> UUID:
        """A template."""
        return await recordings.template(self.world, self.team, rules, processing, **columns)

    async def job(self) -> UUID:
        """A job to run as."""
        [job] = await self.world.automations(
            self.team, None, kind="recording_sync", config={"template_ids": [1]}, platforms=["zoom"]
        )
        return job

    def context(self, **fields: Any) -> RunContext:
        """A run of it."""
        given = {"slot": datetime.now(UTC), "pool": self._pool, "tenant_id": self.team.tenant_id, **fields}
        return run_context(self._http, *self.accounts, **given)


@pytest.fixture
async def office(world: World, team: Team, http: httpx.AsyncClient, pool: ConnectionPool) -> Office:
    return Office(world, team, http, pool)


def config(*template_ids: int | str, **more: Any) -> RecordingSyncConfig:
    return RecordingSyncConfig.model_validate({"template_ids": list(template_ids or (1,)), **more})


Run = Callable[..., Any]


@pytest.fixture
async def run(handler: RecordingSyncHandler, office: Office) -> Run:
    job = await office.job()

    async def attempt(wanted: RecordingSyncConfig | None = None, **fields: Any) -> Outcome:
        given = {"automation_id": job, **fields}
        return await handler.run(office.context(**given), wanted or config())

    return attempt


async def rows(world: World) -> dict[str, dict[str, Any]]:
    """Every recording by its topic."""
    found = await world.sql.fetch("SELECT * FROM recording")
    return {row["topic"]: dict(row) for row in found}


async def test_matched_recordings_are_started_and_others_skipped(
    zoom: SandboxZoom, office: Office, run: Run, announced: Announcements
) -> None:
    source_id = await office.source(await office.connect())
    lectures = await office.template(
        {"keywords": ["lecture"]}, {"transcription": {"language": "de"}}, number=1
    )
    calls = await office.template({"exact_matches": ["weekly call"], "keywords": ["lecture"]}, number=2)
    for topic in ("Lecture 1", "Weekly  Call", "Interview"):
        await zoom.record(topic)

    outcome = await run(config(1, str(calls), processing_config={"skip_transcription": True}))

    found = await rows(office.world)
    assert {topic: (row["status"], row["template_id"]) for topic, row in found.items()} == {
        "Lecture 1": ("INITIALIZED", lectures),
        "Weekly  Call": ("INITIALIZED", calls),
        "Interview": ("SKIPPED", None),
    }
    assert found["Interview"]["status_reason"] == UNMATCHED
    taken = found["Lecture 1"]
    assert taken["available_at"] is not None
    assert taken["processing"]["skip_transcription"] is True
    assert taken["processing"]["transcription"]["language"] == "de"
    assert [file["kind"] for file in taken["files"]] == ["video", "audio", "transcript"]
    events = await announced.of(RecordingProcessingRequested)
    assert {event.recording_id for event in events} == {taken["id"], found["Weekly  Call"]["id"]}
    assert {event.automation_id for event in events} == {taken["automation_id"]}
    result = outcome.result
    assert (result["found"], result["new"], result["taken"], result["skipped"]) == (3, 3, 2, 1)
    assert [template["taken"] for template in result["templates"]] == [1, 1]
    assert [source["taken"] for source in result["sources"]] == [2]
    assert outcome.summary == "2 of 3 recordings taken from 1 source"
    [message] = outcome.messages
    assert message.title == "Morning numbers: 2 new recordings"
    source = await office.world.row("recording_source", source_id)
    assert source["last_error"] is None
    assert datetime.now(UTC) - source["last_synced_at"] < timedelta(minutes=1)


async def test_a_second_run_finds_nothing_to_do(
    zoom: SandboxZoom, office: Office, run: Run, announced: Announcements, world: World
) -> None:
    await office.source(await office.connect())
    await office.template({"keywords": ["lecture"]})
    await zoom.record("Lecture 1")
    await zoom.record("Interview")
    await run()
    await announced.clear()
    before = await fingerprint(world.sql, "recording")

    again = await run()

    assert await fingerprint(world.sql, "recording") == before, "an unchanged recording was written again"
    assert await announced.all() == []
    assert (again.result["found"], again.result["new"], again.result["taken"]) == (2, 0, 0)
    assert again.messages == ()


async def test_a_dry_run_reports_and_changes_nothing(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    await office.source(await office.connect())
    await office.template({"keywords": ["lecture"]}, number=1)
    await zoom.record("Lecture 1")
    await run()
    await zoom.record("Lecture 2")
    await zoom.record("Interview")
    before = await fingerprint(world.sql)

    outcome = await run(dry_run=True)

    assert await fingerprint(world.sql) == before
    assert outcome.summary == "would take 1 of 3 recordings from 1 source"
    assert (outcome.result["new"], outcome.result["taken"], outcome.result["skipped"]) == (2, 1, 1)
    [would] = outcome.result["would_take"]
    assert (would["topic"], would["template"], would["source_number"]) == ("Lecture 2", "template 1", 1)


async def test_only_the_sources_of_the_templates_are_listed(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    one, two, three = await zoom.people(3)
    connection_id = await office.connect()
    for number, person in enumerate((one, two, three), start=1):
        await office.source(connection_id, person, number=number)
        await zoom.record(f"of {number}", user=person)
    third = await world.sql.fetchval("SELECT id FROM recording_source WHERE number = 3")
    await office.template({"source_ids": [1]}, number=1)
    await office.template({"source_ids": [str(third)], "keywords": ["of"]}, number=2)
    await office.template({"keywords": ["of"]}, number=3)

    await run(config(1, 2))
    assert set(await rows(world)) == {"of 1", "of 3"}

    await run(config(1, 3))
    assert set(await rows(world)) == {"of 1", "of 2", "of 3"}


async def test_a_failing_source_is_reported_and_the_others_continue(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    connection_id, other = await office.connect(), await office.connect("unscoped-1")
    await world.connection(office.team, ZOOM_USER, "not given to the run")
    lost = await world.sql.fetchval("SELECT id FROM connection WHERE kind = 'zoom_user'")
    good = await office.source(connection_id, number=1)
    gone = await office.source(connection_id, "nobody@brightpath.example", number=2)
    foreign = await office.source(connection_id, "elsewhere-1", number=3)
    unscoped = await office.source(other, number=4)
    unconnected = await office.source(lost, number=5)
    await office.template(ALL)
    await zoom.record("Lecture 1")

    outcome = await run()

    assert (outcome.result["taken"], outcome.result["sources_failed"]) == (1, 4)
    sources = {row["id"]: row for row in await world.sql.fetch("SELECT * FROM recording_source")}
    assert sources[good]["last_error"] is None
    assert "User does not exist" in sources[gone]["last_error"]
    assert (sources[gone]["status"], sources[foreign]["status"]) == ("disabled", "active")
    assert sources[gone]["status_reason"] == sources[gone]["last_error"]
    assert "does not belong to this account" in sources[foreign]["last_error"]
    assert "does not contain scopes" in sources[unscoped]["last_error"]
    assert "connected again" in sources[unconnected]["last_error"]
    assert {row["last_synced_at"] is None for key, row in sources.items() if key != good} == {True}
    assert sorted(fault.code or "" for fault in outcome.faults) == ["1001", "1010", "4711"]
    assert {fault.connection_id for fault in outcome.faults} == {str(connection_id), str(other)}
    [message] = outcome.messages
    assert "Not looked at:" in message.text
    assert outcome.summary.endswith("4 sources failed")


@pytest.mark.parametrize(
    ("kind", "last_attempt", "consequence"),
    [
        ("server_error", False, Consequence.TRANSIENT),
        ("server_error", True, Consequence.GONE),
        (None, False, Consequence.GONE),
    ],
)
async def test_the_run_fails_with_the_most_specific_error_if_every_source_fails(
    zoom: SandboxZoom,
    office: Office,
    run: Run,
    kind: str | None,
    last_attempt: bool,
    consequence: Consequence,
) -> None:
    connection_id = await office.connect()
    [person] = await zoom.people(1)
    await office.source(connection_id, person, number=1)
    await office.source(connection_id, "nobody@brightpath.example", number=2)
    await office.template(ALL)
    if kind is None:
        await office.world.sql.execute("DELETE FROM recording_source WHERE number = 1")
    else:
        path = f"/zoom/v2/users/{person}/recordings"
        await zoom.fault(kind=kind, match={"platform": "zoom", "path": path}, times=5)

    with pytest.raises(PlatformError) as failed:
        await run(last_attempt=last_attempt)

    assert failed.value.consequence is consequence


async def test_a_limit_of_a_second_is_waited_out(zoom: SandboxZoom, office: Office, run: Run) -> None:
    await office.source(await office.connect())
    await office.template(ALL)
    await zoom.record("Lecture 1")
    await zoom.fault(kind="rate_limit", match={"platform": "zoom"}, retry_after=1)

    outcome = await run()

    assert outcome.result["taken"] == 1


async def test_the_window_is_in_days_of_the_jobs_zone_before_the_slot(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    await office.source(await office.connect())
    await office.template(ALL)
    # 20:30 in UTC is 05:30 of the next day in Tokyo; two days before that began at 15:00 in UTC.
    slot = datetime.now(UTC).replace(hour=20, minute=30, second=0, microsecond=0) - timedelta(days=3)
    began = (slot - timedelta(days=2)).replace(hour=15, minute=0)
    for topic, moment in {
        "before": began - timedelta(seconds=1),
        "first": began,
        "last": slot,
        "after": slot + timedelta(seconds=1),
    }.items():
        await zoom.record(topic, start_time=moment.isoformat(), duration=30)

    await run(config(sync_config={"sync_days": 2}), slot=slot, timezone="Asia/Tokyo")

    assert set(await rows(world)) == {"first", "last"}


async def test_recordings_still_in_progress_are_taken_later(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    await office.source(await office.connect())
    await office.template(ALL)
    just_now = (datetime.now(UTC) - timedelta(minutes=40)).isoformat()
    described = {"uuid": "aaaaaaaaaaaaaaaaaaaaaa==", "start_time": just_now, "duration": 30}
    await zoom.record("Live", **described, files=[{"file_type": "MP4", "status": "processing"}])

    first = await run()
    assert (first.result["waiting"], first.result["taken"]) == (1, 0)
    assert (await rows(world))["Live"]["status"] == "INITIALIZED"

    await zoom.record("Live", **described, files=[{"file_type": "MP4"}])
    second = await run()
    assert (second.result["updated"], second.result["taken"]) == (1, 1)


async def test_blank_recordings_are_ignored_unless_the_job_includes_them(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    await office.source(await office.connect())
    await office.template(ALL)
    await zoom.record("Blank", duration=0.5, files=[{"file_type": "MP4"}])

    first = await run()
    row = (await rows(world))["Blank"]
    assert (first.result["blank"], row["is_blank"], row["status"]) == (1, True, "INITIALIZED")

    second = await run(config(filters={"exclude_blank": False}))
    assert second.result["taken"] == 1


async def test_a_recording_unmatched_by_one_job_can_match_another(
    zoom: SandboxZoom, office: Office, run: Run, world: World
) -> None:
    await office.source(await office.connect())
    await office.template({"keywords": ["lecture"]}, number=1)
    await office.template({"keywords": ["interview"]}, number=2)
    await zoom.record("Interview")

    await run(config(1))
    assert (await rows(world))["Interview"]["status"] == "SKIPPED"
    again = await run(config(2))
    assert again.result["taken"] == 0, "the job itself skipped it, and was not told to look again"

    other = await run(config(2), automation_id=await office.job())
    assert other.result["taken"] == 1
    row = (await rows(world))["Interview"]
    assert (row["status"], row["status_reason"]) == ("INITIALIZED", None)


async def test_recordings_held_for_manual_start_are_not_started(
    zoom: SandboxZoom, office: Office, run: Run, world: World, announced: Announcements
) -> None:
    await office.source(await office.connect())
    template_id = await office.template(ALL)
    await zoom.record("Lecture 1")

    outcome = await run(config(processing_config={"auto_process": False}))

    row = (await rows(world))["Lecture 1"]
    assert (outcome.result["held"], outcome.result["taken"]) == (1, 0)
    assert (row["status"], row["available_at"], row["template_id"]) == ("INITIALIZED", None, template_id)
    assert await announced.all() == []


class TestWhatIsMissing:
    async def test_templates(self, office: Office, run: Run) -> None:
        await office.source(await office.connect())
        await office.template(ALL, number=1, is_active=False)
        nobody = str(uuid4())

        with pytest.raises(TemplatesMissing) as missing:
            await run(config(1, nobody, 7))

        assert missing.value.permanent
        for told in ("template 1: it is not active", f"template {nobody}: there is no such", "template 7"):
            assert told in missing.value.detail

    async def test_a_missing_template_is_named_and_the_others_are_used(
        self, zoom: SandboxZoom, office: Office, run: Run
    ) -> None:
        await office.source(await office.connect())
        await office.template(ALL, number=1)
        await zoom.record("Lecture 1")

        outcome = await run(config(7, 1))

        assert outcome.result["taken"] == 1
        assert outcome.result["unusable_templates"] == {"7": "there is no such template"}

    async def test_sources(self, office: Office, run: Run) -> None:
        connection_id = await office.connect()
        await office.template(ALL, number=1)
        await office.template({"source_ids": [1, 9]}, number=2)

        with pytest.raises(SourcesMissing, match="add one"):
            await run(config(1))
        await office.source(connection_id, status="disabled")
        with pytest.raises(SourcesMissing, match=r"source 9: there is no such.*source 1: it is disabled"):
            await run(config(2))

    async def test_an_account(self, office: Office, run: Run) -> None:
        connection_id = await office.connect()
        await office.source(connection_id)
        await office.template(ALL)
        office.accounts.clear()

        with pytest.raises(PlatformError, match="no Zoom account is connected") as refused:
            await run()

        assert (refused.value.consequence, refused.value.code) == (Consequence.REAUTH, "not_connected")


async def test_statements_per_page_do_not_grow_with_the_recordings(
    zoom: SandboxZoom, office: Office, handler: RecordingSyncHandler, database_url: str
) -> None:
    """300 recordings are one page, and cost what 30 cost."""
    people = await zoom.people(3)
    connection_id = await office.connect()
    for number, person in enumerate(people, start=1):
        await office.source(connection_id, person, number=number)
        await office.template({"source_ids": [number]}, number=number)
    job = await office.job()
    costs = []
    async with counted_pool(database_url) as (counted, statements):
        for number, (person, count) in enumerate(zip(people, (30, 30, 300), strict=True), start=1):
            await zoom.plan(person, count, days=9, blank=0)
            statements.clear()
            outcome = await handler.run(
                office.context(pool=counted, automation_id=job),
                config(number, sync_config={"sync_days": 10}),
            )
            assert outcome.result["found"] == count
            costs.append(len(statements))

    assert costs[1] == costs[2], "the cost grew with the recordings"
