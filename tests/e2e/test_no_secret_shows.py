"""Secrets are planted everywhere, and then everything Carillon writes, sends, stores and shows is searched.

Real processes work with every kind of account and destination: once without errors, and once with every
error in which vendors and libraries repeat a secret they were given.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from carillon.child import NotReady
from carillon.ports import free_port
from common.secrets.crypto import new_encryption_key
from common.settings import KafkaSettings
from tests.support import exposed_text, refused_requests, secret_echoes, secret_faults, team_actions
from tests.support.databases import fresh_database
from tests.support.exposed_text import Places
from tests.support.planted_secrets import PlantedSecrets, random_text
from tests.support.stack import Service, Stack
from tests.support.team_client import TeamClient, settled
from tests.support.watched_services import SERVICES, WatchedServices, watched_services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CONSOLE = "http://carillon.example"
SHOWN_ON_PURPOSE = re.compile(
    # A person is led to the platform with it; a secret that was made is shown this once.
    r"state in POST /api/connections/authorize"
    r"|destination\.secret_sealed of (?P<id>[0-9a-f-]+) in POST /api/destinations/(?P=id)/rotate-secret"
    r"|a made API key in POST /api/api-keys"
)
LEAST = {"logs": 20_000, "spans": 20_000, "answers": 100_000, "live feed": 500}
"""Bytes below which a place was not searched but missed."""
SEEN = frozenset({"Team refused", "Team broken", "Consenting", "Unlucky academy"})
"""Whose pages are looked at when much goes wrong: they have all of it."""
LEAST_PAGES = 50
"""Pages of the console that links lead to."""


@pytest.fixture
def planted() -> PlantedSecrets:
    return PlantedSecrets()


@pytest.fixture
def encryption_keys(planted: PlantedSecrets) -> str:
    return planted.plant("ENCRYPTION_KEYS", new_encryption_key("canary"), public="canary:")


@pytest.fixture
def database_url(
    postgres_server: Callable[[str], str], database_template: str, planted: PlantedSecrets
) -> Iterator[str]:
    """The services' own database, reached with a password of this test's."""
    with fresh_database(postgres_server, database_template) as url, _user(url, random_text()) as own:
        yield planted.plant_dsn("DATABASE_URL", own)


@pytest.fixture
def customers_database(postgres_server: Callable[[str], str], planted: PlantedSecrets) -> Iterator[str]:
    """A customer's, whose password is spelt differently in its address."""
    with (
        fresh_database(postgres_server, "template0") as url,
        _user(url, f"{random_text(16)}/+%{random_text(16)}") as own,
    ):
        yield planted.plant_dsn("a customer's database", own)


@contextmanager
def _user(url: str, password: str) -> Iterator[str]:
    """The same database for a user who lives as long as the block; the database may go before."""
    name = f"user_{random_text(8).lower()}"
    asyncio.run(_execute(url, f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'"))
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{address}"))
    finally:
        asyncio.run(_execute(url, f"REASSIGN OWNED BY {name} TO CURRENT_USER"))
        asyncio.run(_execute(url, f"DROP OWNED BY {name}; DROP ROLE {name}"))


async def _execute(url: str, statement: str) -> None:
    db = await asyncpg.connect(url)
    try:
        await db.execute(statement)
    finally:
        await db.close()


@pytest.fixture
def closed_port() -> int:
    """An address without a listener."""
    return free_port()


@pytest.fixture
def apps(planted: PlantedSecrets) -> Mapping[str, str]:
    """The apps registered at the vendors: the sandbox takes no other."""
    return {
        "FACEBOOK_APP_ID": "1000200030004000",
        "FACEBOOK_APP_SECRET": planted.new("FACEBOOK_APP_SECRET"),
        "TIKTOK_APP_ID": "7300000000000000001",
        "TIKTOK_APP_SECRET": planted.new("TIKTOK_APP_SECRET"),
        "TIKTOK_CLIENT_KEY": "awclientkey",
        "TIKTOK_CLIENT_SECRET": planted.new("TIKTOK_CLIENT_SECRET"),
        "ZOOM_CLIENT_ID": "ZoomClientId",
        "ZOOM_CLIENT_SECRET": planted.new("ZOOM_CLIENT_SECRET"),
    }


@pytest.fixture
def sandbox_server(tmp_path: Path, apps: Mapping[str, str]) -> Iterator[Service]:
    """A sandbox of this test's own, because its faults apply to all its clients."""
    service = Service("sandbox", "sandbox", {**apps, "ZOOM_ACCESS_SECONDS": "900"}, tmp_path)
    asyncio.run(service.start())
    yield service
    service.kill()


@pytest.fixture
async def watched(
    stack: Stack,
    kafka: KafkaSettings,
    planted: PlantedSecrets,
    sandbox_server: Service,
    apps: Mapping[str, str],
    customers_database: str,
    closed_port: int,
    tmp_path: Path,
) -> AsyncIterator[WatchedServices]:
    allowed = (sandbox_server.url, customers_database, f"tcp://127.0.0.1:{closed_port}")
    environment = {
        **apps,
        "LOG_LEVEL": "DEBUG",
        "PUBLIC_URL": CONSOLE,
        **dict.fromkeys(
            ("OUTBOUND_ALLOWED_HOSTS", "RECEIVER_ALLOWED_HOSTS"),
            ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in allowed),
        ),
        "RECORDING_STORE_URL": f"file://{tmp_path}/store",
        "TRANSCRIPTION_BASE_URL": f"{sandbox_server.url}/transcription",
        "TRANSCRIPTION_API_KEY": planted.new("TRANSCRIPTION_API_KEY"),
        "AWS_ACCESS_KEY_ID": "AKIACANARY",
        "AWS_SECRET_ACCESS_KEY": planted.new("AWS_SECRET_ACCESS_KEY"),
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={planted.new('OTEL_EXPORTER_OTLP_HEADERS')}",
        "SWEEP_AFTER": "2",
    }
    async with watched_services(stack, kafka, planted, sandbox_server, environment) as opened:
        yield opened


async def test_no_secret_is_shown_on_success(watched: WatchedServices, customers_database: str) -> None:
    team_client = await watched.team_client("Northwind Media")
    await watched.follow(team_client)
    hook = await team_client.hook(f"{watched.vendor}/hooks/well", team_actions.signing_secret(watched))
    chat = await team_client.chat(team_actions.bot_token(watched))
    for destination in (hook, chat):
        await team_client.post(f"/api/destinations/{destination}/test")
    await team_client.post(f"/api/destinations/{hook}/rotate-secret")
    made = await team_client.post("/api/api-keys", {"name": "Another"})
    watched.planted.plant("a made API key", made["key"], public=made["hint"])
    person = await watched.visitor()
    await person.sign_in(team_client.team)
    for kind in team_actions.CONSENTS:
        assert (await team_actions.complete_consent(watched, team_client, person, kind)).status == 200
    accounts = await team_actions.connect_every_kind(watched, team_client)
    database = await team_client.connect("postgresql", token=customers_database)
    automations = await team_actions.create_every_automation(
        team_client, chat=chat, hook=hook, database=database
    )
    await team_client.post(
        f"/api/automations/{automations[0]}/backfill",
        {"from": "2024-12-31T00:00:00Z", "to": "2025-01-02T00:00:00Z"},
    )
    await team_client.run_all(automations)
    for connection in (accounts.facebook, accounts.tiktok, accounts.creator, accounts.zoom, accounts.server):
        await team_client.post(f"/api/connections/{connection}/check")
    await _process_recordings(watched, team_client, accounts, hook)
    await settled(watched.world.sql)

    states = {
        table: {row["status"] for row in await watched.world.sql.fetch(f"SELECT status FROM {table}")}
        for table in ("automation_run", "delivery", "recording", "connection")
    }
    assert states == {
        "automation_run": {"completed"},
        "delivery": {"delivered"},
        "recording": {"UPLOADED", "SKIPPED"},
        "connection": {"active"},
    }
    searched = await _searched(watched, team_client)
    assert not [path for path, counts in searched.outcomes.items() if 200 not in counts]
    assert len(searched.pages) >= LEAST_PAGES


async def _process_recordings(
    watched: WatchedServices, team_client: TeamClient, accounts: team_actions.Accounts, hook: str
) -> None:
    """One that a job finds, and one that Zoom tells of at once."""
    targets = [
        {"type": "store"},
        {"type": "s3", "connection_id": accounts.bucket},
        {"type": "webhook", "destination_id": hook},
    ]
    await team_actions.add_recording(watched, "A lecture on planted")
    job = await team_actions.create_recording_job(team_client, accounts.zoom, "lecture", *targets)
    await team_client.run(job)
    secret = watched.planted.of("a Zoom webhook secret")
    validation = await team_actions.send_zoom_event(
        watched, accounts.zoom, secret, event="endpoint.url_validation"
    )
    assert validation == 200
    announced = {"topic": "Another lecture", "files": [{"file_type": "M4A"}]}
    assert await team_actions.send_zoom_event(watched, accounts.zoom, secret, recording=announced) == 204


async def test_no_secret_is_shown_on_failure(
    watched: WatchedServices, customers_database: str, closed_port: int
) -> None:
    first = await watched.team_client("Northwind Media")
    await watched.follow(first)
    await secret_faults.malformed_record(watched)
    at_once = [trouble for trouble in secret_echoes.TROUBLES if trouble is not secret_echoes.busy]
    await asyncio.gather(*(secret_faults.troubled_team(watched, trouble) for trouble in at_once))
    await secret_faults.unusable_databases(watched, customers_database, closed_port)
    await secret_faults.malformed_rows(watched)
    await settled(watched.world.sql)
    # By itself: who reaches a limit of the app holds all others back.
    await secret_faults.troubled_team(watched, secret_echoes.busy)
    await settled(watched.world.sql)
    await watched.no_faults()
    await secret_faults.refused_server(watched)
    await secret_faults.refused_consents(watched)
    await refused_requests.send_to_api(watched)
    await refused_requests.send_to_console(watched)
    await refused_requests.send_zoom_events(watched)
    await secret_faults.failing_recordings(watched)
    chat = await first.chat(team_actions.bot_token(watched))
    await first.run(await first.automate("scheduled_report", team_actions.REPORT, chat, "facebook"))
    await settled(watched.world.sql)

    seen = [team_client for team_client in watched.team_clients if team_client.name in SEEN]
    assert len(seen) == len(SEEN)
    searched = await _searched(watched, *seen)
    assert searched.found[f"topic {secret_faults.POISONED}.dlq"]
    assert len(searched.pages) >= LEAST_PAGES


async def test_no_secret_is_shown_by_services_that_cannot_start(
    stack: Stack, planted: PlantedSecrets, closed_port: int, customers_database: str
) -> None:
    wrong = urlsplit(customers_database)
    host = f"127.0.0.1:{wrong.port}"
    new = planted.new
    environments: list[dict[str, str]] = [
        {"DATABASE_URL": f"postgresql://ada:{new('half a password')}/{new('its rest')}@{host}/x"},
        {"DATABASE_URL": f"postgresql://ada:{new('a password')}@127.0.0.1:{closed_port}/x"},
        {"DATABASE_URL": f"postgresql://{wrong.username}:{new('a wrong password')}@{host}{wrong.path}"},
        {"DATABASE_URL": f"postgresql://ada:{new('a password')}@{host}/x?options={new('an option')}"},
        {"DATABASE_URL": new("no address of a database")},
        {"ENCRYPTION_KEYS": f"{new('a name without a key')},{new('another')}:{new('no base64')}"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port}",
            "OTEL_EXPORTER_OTLP_HEADERS": new("a header's value without its name"),
            "DATABASE_URL": f"postgresql://ada@127.0.0.1:{closed_port}/x",
        },
    ]
    services = [
        stack.add(kind, **environment) for kind in ("api", "executor") for environment in environments
    ]
    outcomes = await asyncio.gather(*(service.start() for service in services), return_exceptions=True)

    assert all(isinstance(outcome, NotReady) for outcome in outcomes), outcomes
    assert not planted.look(exposed_text.logs(services))
    assert all(service.log for service in services)


@dataclass(frozen=True)
class Searched:
    """What was looked through: everything found, the API's answers by operation and status, and pages."""

    found: Mapping[str, Places]
    outcomes: Mapping[str, Mapping[int, int]]
    pages: frozenset[str]


async def _searched(watched: WatchedServices, *seen: TeamClient) -> Searched:
    """Ask for everything there is, as every team, and open the console's pages as those `seen`; then look for
    every secret in all of it.

    Each secret that is found names itself, its spelling, its place and the text around it.
    """
    outcomes = await exposed_text.answers(
        [team_client.api for team_client in watched.team_clients], watched.world.sql
    )
    pages: set[str] = set()
    for team_client in seen:
        person = await watched.visitor()
        await person.sign_in(team_client.team)
        pages |= await exposed_text.pages(person)
    for name in SERVICES:
        metrics = f"http://127.0.0.1:{watched.stack[name].metrics_port}"
        async with watched.responses.client(metrics) as client:
            (await client.get("/metrics")).raise_for_status()
    runs = await watched.world.sql.fetch("SELECT id FROM automation_run")
    found = await watched.gather()

    leaks = [
        sighting
        for places in found.values()
        for sighting in watched.planted.look(places)
        if not SHOWN_ON_PURPOSE.fullmatch(f"{sighting.name} in {sighting.place}")
    ]
    assert not leaks, "\n".join(map(str, leaks))
    _assert_the_search_found_what_it_may(found, [str(row["id"]) for row in runs])
    return Searched(found, outcomes, frozenset(pages))


def _assert_the_search_found_what_it_may(found: Mapping[str, Places], runs: Sequence[str]) -> None:
    """The control: ids of runs are everywhere, and the same search finds them there."""
    control = PlantedSecrets()
    for run_id in runs:
        control.plant(run_id, run_id)
    for what in ("logs", "spans", "answers", "live feed", "table automation_run", "topic automation.run"):
        assert control.look(found[what]), what
    for what, least in LEAST.items():
        assert sum(len(content) for _, content in found[what]) >= least, what
