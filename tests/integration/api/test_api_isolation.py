"""A team never sees, changes or guesses another team's data: every operation of the OpenAPI document is tried
with the ids of another team, and with ids of nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from common.ids import new_id
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.history import add_delivery, add_run, add_skip

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
BACKFILL = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}


def body_for(method: str, path: str) -> dict[str, Any] | None:
    """A body that is well-formed, so that it is the id that is at fault."""
    if method == "PATCH":
        return {"name": "mine now"}
    return BACKFILL if method == "POST" and path.endswith("/backfill") else None


def operations(*, with_ids: bool) -> Iterator[tuple[str, str]]:
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            if path.startswith("/api/") and ("{" in path) is with_ids:
                yield method.upper(), path


WITH_IDS = sorted(operations(with_ids=True))
WITHOUT_IDS = sorted(operations(with_ids=False))
NOBODYS = "/api/automation-templates/{template_id}"
"""The gallery is the same for everybody, and its templates have names instead of ids."""
NOT_THERE_YET = "/api/recordings/{recording_id}/transcript"
"""A recording that nobody has processed has none, for its owner either."""
LISTS = [path for method, path in WITHOUT_IDS if method == "GET" and path != "/api/events"]


@pytest.fixture
async def theirs(world: World, globex: Team) -> dict[str, UUID]:
    """One of everything of Globex's, by the name of its path parameter."""
    destination = await world.webhook(globex, "https://globex.example/hook")
    (automation,) = await world.automations(globex, destination)
    run = await add_run(world, globex, automation)
    delivery = await add_delivery(world, globex, destination, run)
    connection = await world.facebook(globex)
    backfill = new_id()
    await world.sql.execute(
        "INSERT INTO backfill (id, tenant_id, automation_id, first_slot, last_slot)"
        " VALUES ($1, $2, $3, now(), now())",
        backfill,
        globex.tenant_id,
        automation,
    )
    (job,) = await world.automations(
        globex, None, kind="recording_sync", config={"template_ids": [1]}, platforms=["zoom"]
    )
    await world.sql.execute("UPDATE automation SET user_id = $1 WHERE id = $2", globex.user_id, job)
    zoom = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex")
    source = await recordings.source(world, globex, zoom)
    template = await recordings.template(world, globex, {"keywords": ["weekly"]})
    recording = await recordings.recording(world, globex, source, template_id=template)
    key = await world.sql.fetchval("SELECT id FROM api_key WHERE tenant_id = $1", globex.tenant_id)
    return {
        "automation_id": automation,
        "job_id": job,
        "destination_id": destination,
        "run_id": run,
        "delivery_id": delivery,
        "connection_id": connection,
        "backfill_id": backfill,
        "source_id": source,
        "template_id": template,
        "recording_id": recording,
        "user_id": globex.user_id,
        "key_id": key,
    }


async def everything(world: World) -> dict[str, list[str]]:
    """All rows of all tables, but for when keys were used and how often."""
    tables = await world.sql.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE relname <> 'request_count' ORDER BY relname"
    )
    return {
        table: [
            row["content"]
            for row in await world.sql.fetch(
                f"SELECT (to_jsonb(t) - 'last_used_at')::text AS content FROM {table} t ORDER BY 1"
            )
        ]
        for (table,) in tables
    }


@pytest.mark.parametrize(("method", "path"), WITH_IDS)
async def test_foreign_ids_are_like_missing_ones(
    api: httpx.AsyncClient, world: World, theirs: dict[str, UUID], method: str, path: str
) -> None:
    before = await everything(world)
    body = body_for(method, path)

    foreign = await api.request(method, path.format(**theirs), json=body)
    missing = await api.request(method, path.format(**dict.fromkeys(theirs, new_id())), json=body)

    assert (foreign.status_code, missing.status_code) == (404, 404)
    same = ("type", "title", "status", "detail", "errors")
    assert {name: foreign.json().get(name) for name in same} == {
        name: missing.json().get(name) for name in same
    }
    assert await everything(world) == before


@pytest.mark.parametrize("path", LISTS)
async def test_lists_hold_nothing_of_others(
    api: httpx.AsyncClient, globex: Team, theirs: dict[str, UUID], path: str
) -> None:
    response = await api.get(path, params={"automation_id": str(theirs["automation_id"])})

    assert response.status_code == 200
    assert str(globex.tenant_id) not in response.text
    for found in theirs.values():
        assert str(found) not in response.text


@pytest.mark.parametrize(("method", "path"), WITH_IDS + WITHOUT_IDS)
async def test_every_operation_wants_a_key(
    app: FastAPI, theirs: dict[str, UUID], method: str, path: str
) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://carillon"
    ) as anonymous:
        response = await anonymous.request(method, path.format(**theirs), json=body_for(method, path))

    assert response.status_code == 401


async def test_another_tenants_id_in_a_body_is_refused(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team, theirs: dict[str, UUID]
) -> None:
    own = await world.telegram(acme)
    (automation,) = await world.automations(acme, own)
    body = {
        "name": "n",
        "type": "scheduled_report",
        "schedule_config": {"type": "daily", "hour": 9},
    }
    before = await everything(world)

    tenant = await api.post(
        "/api/automations", json={**body, "destination_id": str(own), "tenant_id": str(globex.tenant_id)}
    )
    foreign, missing = [
        await api.post("/api/automations", json={**body, "destination_id": str(destination)})
        for destination in (theirs["destination_id"], new_id())
    ]
    moved = await api.patch(
        f"/api/automations/{automation}", json={"destination_id": str(theirs["destination_id"])}
    )

    assert tenant.status_code == 403
    assert (foreign.status_code, missing.status_code, moved.status_code) == (422, 422, 422)
    assert foreign.json()["errors"] == missing.json()["errors"] == moved.json()["errors"]
    assert foreign.json()["errors"][0]["pointer"] == "/destination_id"
    assert await everything(world) == before


async def test_owner_sees_their_own(
    stranger: httpx.AsyncClient, world: World, theirs: dict[str, UUID]
) -> None:
    """The 404s above are about whose the data is, not about the paths."""
    await add_skip(world, theirs["automation_id"], first=(await world.sql.fetchval("SELECT now()")))
    for method, path in WITH_IDS:
        if method == "GET" and path not in (NOBODYS, NOT_THERE_YET):
            response = await stranger.get(path.format(**theirs))
            assert response.status_code == 200, path
