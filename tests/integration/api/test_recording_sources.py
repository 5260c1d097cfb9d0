"""Recording sources over HTTP: whose recordings are taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.models import ConnectionKind
from platforms.facebook import FACEBOOK_USER
from platforms.zoom import ZOOM_SERVER, ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings

PATH = "/api/recording-sources"


@pytest.fixture
async def zoom(world: World, acme: Team) -> UUID:
    return await world.connection(acme, ZOOM_USER, "sandbox-zoom-acme")


def body(connection_id: UUID, **changes: Any) -> dict[str, Any]:
    return {"connection_id": str(connection_id), "name": "Dana", **changes}


async def test_a_source_is_made_read_renamed_and_disabled(api: httpx.AsyncClient, zoom: UUID) -> None:
    made = await api.post(PATH, json=body(zoom))

    assert made.status_code == 201
    source = made.json()
    assert made.headers["location"] == f"{PATH}/{source['id']}"
    assert (source["number"], source["external_user"], source["status"]) == (1, "me", "active")
    assert (await api.get(f"{PATH}/{source['id']}")).json() == source

    disabled = (await api.patch(f"{PATH}/{source['id']}", json={"name": "D", "status": "disabled"})).json()
    assert (disabled["name"], disabled["status_reason"]) == ("D", "disabled by a member of the team")
    enabled = (await api.patch(f"{PATH}/{source['id']}", json={"status": "active"})).json()
    assert (enabled["status"], enabled["status_reason"]) == ("active", None)
    assert (await api.get(PATH, params={"status": "disabled"})).json()["items"] == []


async def test_numbers_are_counted_within_the_team_whoever_asks_at_once(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, world: World, globex: Team, zoom: UUID
) -> None:
    theirs = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex")
    calls = [api.post(PATH, json=body(zoom, external_user=f"user{n}@acme.example")) for n in range(8)]
    calls += [stranger.post(PATH, json=body(theirs, external_user=f"u{n}@globex.example")) for n in range(3)]

    answers = [answer.json() for answer in await asyncio.gather(*calls)]

    assert sorted(each["number"] for each in answers[:8]) == list(range(1, 9))
    assert sorted(each["number"] for each in answers[8:]) == [1, 2, 3]


async def test_a_person_is_taken_once_by_each_connection(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    server = await world.connection(acme, ZOOM_SERVER, external_id="an account")
    first = await api.post(PATH, json=body(server, external_user="dana@acme.example"))
    other = await api.post(PATH, json=body(server, external_user="lee@acme.example"))

    calls = [api.post(PATH, json=body(server, external_user="Dana@Acme.example")) for _ in range(2)]
    again = await asyncio.gather(*calls)
    moved = await api.patch(f"{PATH}/{other.json()['id']}", json={"external_user": "DANA@acme.example"})

    assert first.status_code == 201
    for refused in (*again, moved):
        assert refused.status_code == 409
        assert refused.json()["errors"] == [
            {
                "pointer": "/external_user",
                "detail": "source 1 (Dana) takes this person's recordings already",
                "in": "body",
            }
        ]


@pytest.mark.parametrize(
    ("kind", "changes", "pointer"),
    [
        (FACEBOOK_USER, {}, "/connection_id"),
        (ZOOM_SERVER, {}, "/external_user"),
        (ZOOM_USER, {"external_user": "two words"}, "/external_user"),
        (ZOOM_USER, {"external_user": ""}, "/external_user"),
        (ZOOM_USER, {"name": " "}, "/name"),
        (ZOOM_USER, {"number": 7}, "/number"),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx.AsyncClient,
    world: World,
    acme: Team,
    kind: ConnectionKind,
    changes: dict[str, Any],
    pointer: str,
) -> None:
    connection = await world.connection(acme, kind, "a token")

    answer = await api.post(PATH, json=body(connection, **changes))

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert await world.sql.fetchval("SELECT count(*) FROM recording_source") == 0


async def test_another_teams_connection_is_like_none(
    api: httpx.AsyncClient, world: World, globex: Team
) -> None:
    theirs = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex")

    foreign, missing = [await api.post(PATH, json=body(each)) for each in (theirs, new_id())]

    assert (foreign.status_code, missing.status_code) == (422, 422)
    assert foreign.json()["errors"] == missing.json()["errors"]


async def test_another_person_begins_anew(
    api: httpx.AsyncClient, world: World, acme: Team, zoom: UUID
) -> None:
    source = await recordings.source(
        world, acme, zoom, last_synced_at=datetime.now(UTC), last_error="the user is gone"
    )

    changed = (await api.patch(f"{PATH}/{source}", json={"external_user": "lee@acme.example"})).json()

    assert (changed["external_user"], changed["last_synced_at"], changed["last_error"]) == (
        "lee@acme.example",
        None,
        None,
    )


async def test_a_source_is_deleted_with_its_recordings(
    api: httpx.AsyncClient, world: World, acme: Team, zoom: UUID
) -> None:
    source = await recordings.source(world, acme, zoom)
    await recordings.recording(world, acme, source, status="UPLOADED")

    assert (await api.delete(f"{PATH}/{source}")).status_code == 204

    assert (await api.get(f"{PATH}/{source}")).status_code == 404
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 0


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "DOWNLOADING", "worker": "executor-1", "lease_expires_at": datetime.now(UTC)},
        {"status": "INITIALIZED", "available_at": datetime.now(UTC)},
    ],
)
async def test_a_source_stays_while_something_of_it_is_processed(
    api: httpx.AsyncClient, world: World, acme: Team, zoom: UUID, columns: dict[str, Any]
) -> None:
    source = await recordings.source(world, acme, zoom)
    await recordings.recording(world, acme, source, **columns)

    refused = await api.delete(f"{PATH}/{source}")

    assert refused.status_code == 409
    assert "1 recording is being processed" in refused.json()["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 1


@pytest.mark.parametrize("by_id", [False, True])
async def test_a_source_that_rules_name_stays(
    api: httpx.AsyncClient, world: World, acme: Team, zoom: UUID, by_id: bool
) -> None:
    """Its number would be given to the next one, and rules would mean another person."""
    source = await recordings.source(world, acme, zoom)
    await recordings.template(
        world, acme, {"source_ids": [str(source) if by_id else 1]}, name="Lectures", number=12
    )
    await recordings.template(world, acme, {"source_ids": [11, 12]}, number=13)

    refused = await api.delete(f"{PATH}/{source}")

    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("Templates name it: “Lectures” (number 12).")


async def test_sources_come_in_pages(api: httpx.AsyncClient, zoom: UUID) -> None:
    for n in range(3):
        await api.post(PATH, json=body(zoom, external_user=f"user{n}@acme.example"))

    first = (await api.get(PATH, params={"limit": 2})).json()
    rest = (await api.get(first["next"])).json()

    assert [each["number"] for each in first["items"] + rest["items"]] == [3, 2, 1]
    assert "next" not in rest or rest["next"] is None
