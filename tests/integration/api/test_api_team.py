"""A team, its people and their keys; who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from common.ids import new_id
from common.secrets.crypto import hash_api_key, new_api_key
from tests.factories import Team, World


@pytest.fixture
async def member(
    world: World, acme: Team, client_of: Callable[[Team | None], httpx.AsyncClient]
) -> httpx.AsyncClient:
    """A client of an Acme member who is no owner."""
    person = Team(acme.tenant_id, new_id(), new_api_key())
    await world.sql.execute(
        "INSERT INTO user_account (id, tenant_id, email) VALUES ($1, $2, 'bo@acme.example')",
        person.user_id,
        acme.tenant_id,
    )
    await world.sql.execute(
        "INSERT INTO api_key (id, tenant_id, user_id, hint, key_hash) VALUES ($1, $2, $3, $4, $5)",
        new_id(),
        acme.tenant_id,
        person.user_id,
        person.api_key[:8],
        hash_api_key(person.api_key),
    )
    return client_of(person)


@pytest.fixture
def anonymous(client_of: Callable[[Team | None], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of(None)


async def made_key(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post("/api/api-keys", json={"name": "CI", **body})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_tenant_is_the_keys_own(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, acme: Team
) -> None:
    assert (await api.get("/api/tenant")).json()["id"] == str(acme.tenant_id)
    assert (await stranger.get("/api/tenant")).json()["name"] == "Globex"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer car_unknown", "Basic dXNlcjpwYXNz", "car_x", "Bearer \xe9"],
)
async def test_without_a_valid_key_nothing_is_told(anonymous: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}

    response = await anonymous.get("/api/tenant", headers=headers)  # type: ignore[arg-type]

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "Not authenticated"


async def test_key_is_shown_once_and_stored_as_a_hash(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    made = await made_key(api)

    row = await world.sql.fetchrow("SELECT * FROM api_key WHERE id = $1", UUID(made["id"]))
    assert row is not None
    assert row["key_hash"] == hash_api_key(made["key"])
    assert made["key"].startswith(made["hint"])
    assert made["key"] not in (await api.get("/api/api-keys")).text
    assert made["key"] not in (await api.get(f"/api/api-keys/{made['id']}")).text
    used = await anonymous.get("/api/tenant", headers={"Authorization": f"Bearer {made['key']}"})
    assert used.status_code == 200


async def test_revoked_and_expired_keys_stop_at_once(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    revoked, expired = await made_key(api), await made_key(api, expires_at=tomorrow)
    headers = [{"Authorization": f"Bearer {key['key']}"} for key in (revoked, expired)]
    before = [(await anonymous.get("/api/tenant", headers=header)).status_code for header in headers]

    await api.delete(f"/api/api-keys/{revoked['id']}")
    await world.sql.execute("UPDATE api_key SET expires_at = now() WHERE id = $1", UUID(expired["id"]))
    after = [(await anonymous.get("/api/tenant", headers=header)).status_code for header in headers]

    assert (before, after) == ([200, 200], [401, 401])


async def test_last_use_is_written_in_the_background_once_a_minute(
    app: FastAPI, api: httpx.AsyncClient, world: World
) -> None:
    wired = app.state.collaborators
    await asyncio.gather(*(api.get("/api/tenant") for _ in range(10)))
    assert await world.sql.fetchval("SELECT max(last_used_at) FROM api_key") is None, "no request waits"

    await wired.key_usage.flush(wired.engine)
    first = await world.sql.fetchval("SELECT max(last_used_at) FROM api_key")
    await api.get("/api/tenant")
    await wired.key_usage.flush(wired.engine)
    second = await world.sql.fetchval("SELECT max(last_used_at) FROM api_key")
    await world.sql.execute("UPDATE api_key SET last_used_at = last_used_at - interval '61 seconds'")
    await api.get("/api/tenant")
    await wired.key_usage.flush(wired.engine)
    third = await world.sql.fetchval("SELECT max(last_used_at) FROM api_key")

    assert first is not None
    assert second == first, "within the minute nothing is written"
    assert third > first


async def test_owner_manages_people(api: httpx.AsyncClient, acme: Team) -> None:
    created = await api.post("/api/users", json={"email": "Cleo@Acme.example", "name": "Cleo"})
    cleo = created.json()
    again = await api.post("/api/users", json={"email": "cleo@acme.example"})
    promoted = await api.patch(f"/api/users/{cleo['id']}", json={"role": "owner"})
    stepped_down = await api.patch(f"/api/users/{acme.user_id}", json={"role": "member"})

    assert created.status_code == 201
    assert (cleo["email"], cleo["role"]) == ("cleo@acme.example", "member")
    assert again.status_code == 409
    assert again.json()["errors"][0]["pointer"] == "/email"
    assert promoted.json()["role"] == "owner"
    assert stepped_down.json()["role"] == "member"
    assert (await api.get("/api/users")).json()["items"][0]["id"] == cleo["id"]


async def test_last_owner_stays(api: httpx.AsyncClient, acme: Team) -> None:
    demoted = await api.patch(f"/api/users/{acme.user_id}", json={"role": "member"})
    removed = await api.delete(f"/api/users/{acme.user_id}")

    assert (demoted.status_code, removed.status_code) == (409, 409)
    assert (await api.get(f"/api/users/{acme.user_id}")).json()["role"] == "owner"


async def test_two_owners_leaving_at_once_leave_one(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    other = (await api.post("/api/users", json={"email": "o@acme.example", "role": "owner"})).json()
    key = await made_key(api, user_id=other["id"])
    headers = {"Authorization": f"Bearer {key['key']}"}

    responses = await asyncio.gather(
        api.patch(f"/api/users/{acme.user_id}", json={"role": "member"}),
        api.patch(f"/api/users/{other['id']}", json={"role": "member"}, headers=headers),
    )

    assert sorted(response.status_code for response in responses) in ([200, 403], [200, 409])
    owners = "SELECT count(*) FROM user_account WHERE tenant_id = $1 AND role = 'owner'"
    assert await world.sql.fetchval(owners, acme.tenant_id) == 1


async def test_removed_person_loses_their_keys(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    person = (await api.post("/api/users", json={"email": "d@acme.example"})).json()
    key = await made_key(api, user_id=person["id"])

    assert (await api.delete(f"/api/users/{person['id']}")).status_code == 204

    headers = {"Authorization": f"Bearer {key['key']}"}
    assert (await anonymous.get("/api/tenant", headers=headers)).status_code == 401


async def test_member_works_with_automations_and_not_with_the_team(
    member: httpx.AsyncClient, acme: Team, world: World
) -> None:
    destination = await world.telegram(acme)
    allowed = [
        await member.post(f"/api/destinations/{destination}/test"),
        await member.post("/api/api-keys", json={"name": "mine"}),
    ]
    forbidden = [
        await member.post("/api/users", json={"email": "x@acme.example"}),
        await member.patch(f"/api/users/{acme.user_id}", json={"name": "x"}),
        await member.delete(f"/api/users/{acme.user_id}"),
        await member.post("/api/api-keys", json={"name": "theirs", "user_id": str(acme.user_id)}),
    ]

    assert [response.status_code for response in allowed] == [202, 201]
    assert {response.status_code for response in forbidden} == {403}
    assert len((await member.get("/api/api-keys")).json()["items"]) == 2, "only their own"
    others = await world.sql.fetchval("SELECT id FROM api_key WHERE user_id = $1", acme.user_id)
    assert (await member.delete(f"/api/api-keys/{others}")).status_code == 404


async def test_key_for_somebody_unknown_is_refused(api: httpx.AsyncClient, globex: Team) -> None:
    answers = [
        await api.post("/api/api-keys", json={"name": "x", "user_id": str(user)})
        for user in (globex.user_id, new_id())
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].json()["errors"] == answers[1].json()["errors"]
    assert answers[0].json()["errors"][0]["pointer"] == "/user_id"
