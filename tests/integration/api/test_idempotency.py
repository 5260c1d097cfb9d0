"""A POST that is sent again does nothing twice: under an Idempotency-Key, or when a COMMIT is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api import commits
from api.main import wire
from api.settings import ApiSettings
from common.clock import utc_now
from tests.factories import Team, World
from tests.support.polling import eventually
from tests.support.tcp_proxy import TcpProxy, proxy_to

KEYS = "/api/api-keys"
KEY = {"Idempotency-Key": "9f0c6d9e"}
HOOK = {"type": "webhook", "name": "Hook", "config": {"url": "https://hooks.example.com/x"}}


async def count(world: World, table: str) -> int:
    number: int = await world.sql.fetchval(f"SELECT count(*) FROM {table}")
    return number


async def test_a_repeated_request_is_answered_as_the_first_time(api: httpx.AsyncClient, world: World) -> None:
    first = await api.post("/api/destinations", json=HOOK, headers=KEY)
    again = await api.post("/api/destinations", json=HOOK, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.json()["signing_secret"].startswith("whsec_")
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert await count(world, "destination") == 1


async def test_the_stored_answer_shows_no_secret(api: httpx.AsyncClient, world: World) -> None:
    made = (await api.post(KEYS, json={"name": "n"}, headers=KEY)).json()["key"]

    [row] = await world.sql.fetch("SELECT to_jsonb(k)::text AS content, body_sealed FROM idempotency_key k")

    assert made not in row["content"]
    assert made.encode() not in row["body_sealed"]


async def test_requests_at_the_same_time_do_it_once(api: httpx.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(*(api.post(KEYS, json={"name": "n"}, headers=KEY) for _ in range(4)))

    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.text for answer in answers}) == 1
    assert await world.sql.fetchval("SELECT count(*) FROM api_key WHERE name = 'n'") == 1


async def test_a_key_belongs_to_one_request_and_one_person(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    assert (await api.post(KEYS, json={"name": "n"}, headers=KEY)).status_code == 201

    other = await api.post(KEYS, json={"name": "other"}, headers=KEY)
    elsewhere = await api.post("/api/users", json={"name": "n"}, headers=KEY)
    theirs = await stranger.post(KEYS, json={"name": "other"}, headers=KEY)

    assert (other.status_code, elsewhere.status_code, theirs.status_code) == (422, 422, 201)
    assert other.json()["errors"] == [
        {
            "pointer": "/Idempotency-Key",
            "detail": "was used for another request; write a new one for this",
            "in": "header",
        }
    ]


async def test_a_refused_request_stores_nothing(api: httpx.AsyncClient, world: World) -> None:
    refused = await api.post(KEYS, json={"name": ""}, headers=KEY)
    corrected = await api.post(KEYS, json={"name": "n"}, headers=KEY)

    assert (refused.status_code, corrected.status_code) == (422, 201)
    assert await count(world, "idempotency_key") == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_is_none_is_refused(api: httpx.AsyncClient, key: str) -> None:
    response = await api.post(KEYS, json={"name": "n"}, headers={"Idempotency-Key": key})

    assert response.status_code == 422
    assert response.json()["errors"][0]["in"] == "header"


async def test_a_key_is_forgotten_after_a_day(api: httpx.AsyncClient, world: World) -> None:
    await api.post(KEYS, json={"name": "n"}, headers=KEY)
    await world.sql.execute(
        "UPDATE idempotency_key SET created_at = now() - $1::interval", timedelta(hours=25)
    )

    assert (await api.post(KEYS, json={"name": "other"}, headers=KEY)).status_code == 201
    assert await count(world, "idempotency_key") == 1


async def test_a_request_that_committed_before_its_answer_is_not_begun_twice(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    """A dry run: what it waits for is committed first. Nothing runs here, so that it is answered with 202."""
    (automation,) = await world.automations(acme, await world.telegram(acme))
    path, headers = f"/api/automations/{automation}/run?dry_run=true", {**KEY, "Prefer": "wait=1"}
    going = asyncio.create_task(api.post(path, headers=headers))
    await eventually(lambda: count(world, "idempotency_key"))

    meanwhile = await api.post(path, headers=headers)
    first = await going
    again = await api.post(path, headers=headers)

    assert (first.status_code, meanwhile.status_code, again.status_code) == (202, 409, 202)
    assert again.json() == first.json()
    assert await count(world, "automation_run") == 1


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[TcpProxy]:
    async with proxy_to(urlsplit(database_url).port or 5432) as opened:
        yield opened


@pytest.fixture
def behind(app: FastAPI, settings: ApiSettings, proxy: TcpProxy) -> None:
    """The API's database is reached through the proxy."""
    parts = urlsplit(settings.database_url.get_secret_value())
    address = f"{parts.netloc.rpartition(':')[0]}:{proxy.port}"
    url = SecretStr(urlunsplit(parts._replace(netloc=address)))
    app.state.collaborators = wire(settings.model_copy(update={"database_url": url}), "api-test", utc_now)


async def test_a_lost_answer_to_a_commit_is_read_back(
    api: httpx.AsyncClient, behind: None, proxy: TcpProxy, world: World
) -> None:
    proxy.lose_commit_answers()

    response = await api.post(KEYS, json={"name": "n"})

    assert response.status_code == 201
    assert await world.sql.fetchval("SELECT count(*) FROM api_key WHERE name = 'n'") == 1


async def test_a_commit_nobody_can_tell_of_is_done_once_under_its_key(
    api: httpx.AsyncClient, behind: None, proxy: TcpProxy, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "READING_BACK_SECONDS", 0.5)
    await api.get("/api/tenant")
    proxy.lose_commit_answers()
    proxy.cut()  # the connection that is open goes on, and none is made to ask afterwards

    response = await api.post(KEYS, json={"name": "n"}, headers=KEY)
    proxy.mend()
    again = await api.post(KEYS, json={"name": "n"}, headers=KEY)

    assert (response.status_code, again.status_code) == (503, 201)
    assert await world.sql.fetchval("SELECT count(*) FROM api_key WHERE name = 'n'") == 1


async def test_a_transaction_that_was_rolled_back_is_not_taken_for_done(
    api: httpx.AsyncClient, world: World
) -> None:
    """The deferred check fails in the COMMIT itself."""
    await world.sql.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM 1/0; RETURN NULL; END $$"
    )
    await world.sql.execute(
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON api_key DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )

    response = await api.post(KEYS, json={"name": "n"})

    assert response.status_code == 500
    assert await world.sql.fetchval("SELECT count(*) FROM api_key WHERE name = 'n'") == 0
