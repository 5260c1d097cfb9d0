"""Recording jobs: a person's automations of one type, under names of their own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.secrets.crypto import hash_api_key, new_api_key
from tests.factories import Team, World
from tests.support import recordings

PATH = "/api/v1/automation/jobs"
DAILY = {"type": "daily", "hour": 6, "timezone": "Europe/Moscow"}


def wanted(**changes: Any) -> dict[str, Any]:
    return {"name": "Lectures", "template_ids": [12, 14], "schedule": DAILY, **changes}


@pytest.fixture(autouse=True)
async def _templates(world: World, acme: Team, globex: Team) -> None:
    for team in (acme, globex):
        for number in (1, 12, 14):
            await recordings.template(world, team, {}, number=number)


async def create(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    response = await api.post(PATH, json=wanted(**changes))
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def colleague(world: World, team: Team) -> Team:
    """Another person of a team."""
    other = Team(team.tenant_id, new_id(), new_api_key())
    await world.sql.execute(
        "INSERT INTO user_account (id, tenant_id, email) VALUES ($1, $2, 'colleague@acme.example')",
        other.user_id,
        team.tenant_id,
    )
    await world.sql.execute(
        "INSERT INTO api_key (id, tenant_id, user_id, hint, key_hash) VALUES ($1, $2, $3, '', $4)",
        new_id(),
        team.tenant_id,
        other.user_id,
        hash_api_key(other.api_key),
    )
    return other


async def test_a_job_is_an_automation_with_defaults(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    response = await api.post(PATH, json=wanted())

    job = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"{PATH}/{job['id']}"
    assert (job["is_active"], job["run_count"], job["last_run_at"]) == (True, 0, None)
    assert job["sync_config"] == {"sync_days": 2}
    assert job["filters"] == {"status": ["INITIALIZED"], "exclude_blank": True}
    assert (job["description"], job["processing_config"]) == ("", {})
    assert datetime.fromisoformat(job["next_run_at"]) > datetime.now(UTC)
    assert (await api.get(f"{PATH}/{job['id']}")).json() == job
    automation = (await api.get(f"/api/automations/{job['id']}")).json()
    assert (automation["type"], automation["platforms"]) == ("recording_sync", ["zoom"])
    assert UUID(automation["user_id"]) == acme.user_id
    assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"template_ids": []}, "/template_ids"),
        ({"template_ids": None}, "/template_ids"),
        ({"template_ids": [12, 12]}, "/template_ids"),
        ({"schedule": {"type": "daily", "hour": 24}}, "/schedule/hour"),
        ({"schedule": {"type": "once", "at": "2020-01-01T00:00:00Z"}}, "/schedule"),
        ({"sync_config": {"sync_days": 0}}, "/sync_config/sync_days"),
        ({"sync_config": {"sync_days": 31}}, "/sync_config/sync_days"),
        ({"filters": {"status": []}}, "/filters/status"),
        ({"filters": {"exclude_blank": "perhaps"}}, "/filters/exclude_blank"),
        ({"filters": {"status": ["INITIALIZED", "NEW"]}}, "/filters/status/1"),
        ({"processing_config": {"auto_proces": True}}, "/processing_config/auto_proces"),
        ({"processing_config": {"file_types": []}}, "/processing_config/file_types"),
        ({"name": ""}, "/name"),
        ({"color": "red"}, "/color"),
    ],
)
async def test_bad_fields_are_named(
    api: httpx.AsyncClient, world: World, change: dict[str, Any], pointer: str
) -> None:
    job = await create(api, name="good")

    refused = [
        await api.post(PATH, json=wanted(**change)),
        await api.patch(f"{PATH}/{job['id']}", json=change),
    ]

    for response in refused:
        assert response.status_code == 422, response.text
        assert {fault["pointer"] for fault in response.json()["errors"]} == {pointer}
    assert (await api.get(f"{PATH}/{job['id']}")).json() == job


async def test_template_ids_are_required(api: httpx.AsyncClient) -> None:
    body = wanted()
    del body["template_ids"]

    refused = await api.post(PATH, json=body)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/template_ids"


async def test_a_name_twice_at_once_is_refused_once(api: httpx.AsyncClient, world: World) -> None:
    responses = await asyncio.gather(*(api.post(PATH, json=wanted()) for _ in range(4)))

    assert sorted(response.status_code for response in responses) == [201, 409, 409, 409]
    refused = next(response for response in responses if response.status_code == 409)
    assert refused.json()["errors"][0]["pointer"] == "/name"
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 1
    assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_name_cannot_be_taken_by_renaming_either(api: httpx.AsyncClient) -> None:
    await create(api, name="first")
    second = await create(api, name="second")

    for path in (f"{PATH}/{second['id']}", f"/api/automations/{second['id']}"):
        assert (await api.patch(path, json={"name": "first"})).status_code == 409
    assert (await api.patch(f"{PATH}/{second['id']}", json={"name": "second"})).status_code == 200
    assert (await api.delete(f"{PATH}/{second['id']}")).status_code == 204
    assert (await api.post(PATH, json=wanted(name="second"))).status_code == 201


async def test_jobs_and_their_names_are_a_persons_own(
    api: httpx.AsyncClient, world: World, acme: Team, client_of: Any
) -> None:
    job = await create(api)
    other = client_of(await colleague(world, acme))

    assert (await other.post(PATH, json=wanted())).status_code == 201
    assert (await other.get(f"{PATH}/{job['id']}")).status_code == 404
    assert [item["id"] for item in (await api.get(PATH)).json()] == [job["id"]]
    assert (await api.get(f"/api/automations/{job['id']}")).status_code == 200


async def test_what_is_patched_changes_and_the_rest_stays(api: httpx.AsyncClient) -> None:
    job = await create(api, description="d", filters={"status": ["FAILED"]})

    changed = (
        await api.patch(
            f"{PATH}/{job['id']}",
            json={"sync_config": {"sync_days": 7}, "schedule": {**DAILY, "hour": 7}, "template_ids": ["14"]},
        )
    ).json()

    assert changed["sync_config"] == {"sync_days": 7}
    assert changed["template_ids"] == ["14"]
    assert (changed["description"], changed["filters"]) == ("d", job["filters"])
    assert changed["schedule_text"] == "Every day at 07:00 (Europe/Moscow)"
    assert changed["next_run_at"] != job["next_run_at"]


async def test_is_active_pauses_and_resumes(api: httpx.AsyncClient) -> None:
    asleep = await create(api, name="asleep", is_active=False)
    awake = await create(api, name="awake")
    assert (asleep["is_active"], asleep["next_run_at"]) == (False, None)
    listed = (await api.get(PATH, params={"active_only": True})).json()
    assert [item["id"] for item in listed] == [awake["id"]]

    woken = (await api.patch(f"{PATH}/{asleep['id']}", json={"is_active": True})).json()
    paused = (await api.patch(f"{PATH}/{awake['id']}", json={"is_active": False})).json()

    assert (woken["is_active"], paused["is_active"]) == (True, False)
    assert woken["next_run_at"] == awake["next_run_at"]
    assert len((await api.get(PATH)).json()) == 2


async def test_the_limits_of_jobs_hold_at_once(api: httpx.AsyncClient, world: World) -> None:
    responses = await asyncio.gather(*(api.post(PATH, json=wanted(name=f"j{n}")) for n in range(8)))
    assert sorted(response.status_code for response in responses) == [201] * 5 + [403] * 3
    refused = next(response for response in responses if response.status_code == 403)
    assert "5 recording jobs" in refused.json()["detail"]

    await world.sql.execute("UPDATE user_account SET quota = '{\"max_automation_jobs\": null}'")
    often = {"type": "interval", "interval_minutes": 30}
    too_often = await api.post(PATH, json=wanted(name="often", schedule=often))

    assert too_often.status_code == 403
    assert too_often.json()["errors"][0]["pointer"] == "/schedule/interval_minutes"
    assert "60" in too_often.json()["errors"][0]["detail"]
    assert (await api.post(PATH, json=wanted(name="sixth"))).status_code == 201


async def test_a_job_runs_by_hand_and_dry(api: httpx.AsyncClient) -> None:
    job = await create(api)

    run = await api.post(f"{PATH}/{job['id']}/run")
    dry = await api.post(f"{PATH}/{job['id']}/run?dry_run=true", headers={"Prefer": "wait=0"})

    assert (run.status_code, dry.status_code) == (202, 202)
    assert (run.json()["trigger"], dry.json()["trigger"]) == ("manual", "dry_run")
    after = (await api.get(f"{PATH}/{job['id']}")).json()
    assert datetime.now(UTC) - datetime.fromisoformat(after["last_run_at"]) < timedelta(minutes=1)


async def test_other_automations_are_no_jobs(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    (report,) = await world.automations(acme, None)
    await world.sql.execute("UPDATE automation SET user_id = $1", acme.user_id)

    for answer in (
        await api.get(f"{PATH}/{report}"),
        await api.patch(f"{PATH}/{report}", json={"name": "x"}),
        await api.delete(f"{PATH}/{report}"),
        await api.post(f"{PATH}/{report}/run"),
    ):
        assert answer.status_code == 404
    assert (await api.get(PATH)).json() == []


async def test_a_job_of_an_earlier_release_hides_no_other(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    await create(api)
    config = {
        "template_ids": [12, 14],
        "processing_config": {"quality": "best"},
        "filters": {"status": ["SOMETHING"]},
        "sync_config": {"sync_days": 3},
    }
    await world.sql.execute("UPDATE automation SET automation_config = $1", config)
    [shown] = (await api.get(PATH)).json()
    assert shown["sync_config"] == {"sync_days": 3}
    assert shown["filters"] == {"status": ["INITIALIZED"], "exclude_blank": True}
    assert shown["template_ids"] == [12, 14]


async def test_a_list_of_jobs_is_an_array_whose_pages_are_linked(api: httpx.AsyncClient) -> None:
    """As clients of the system that Carillon replaces parse it."""
    made = [(await create(api, name=f"Job {number}"))["id"] for number in range(3)]

    first = await api.get(PATH, params={"limit": 2, "active_only": True})
    following = first.links["next"]["url"]
    last = await api.get(following)

    assert [job["id"] for job in (*first.json(), *last.json())] == made[::-1]
    assert "active_only=true" in following
    assert last.links == {}
