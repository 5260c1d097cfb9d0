"""Automations over HTTP: what is stored, what is announced, and what happens to the schedule."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.events import AutomationChanged, AutomationDue, Event, RunSkipped, parse
from tests.factories import Team, World

DAILY = {"type": "daily", "hour": 9, "timezone": "Europe/Berlin"}


def wanted(destination_id: UUID, **changes: Any) -> dict[str, Any]:
    """A good request, changed."""
    return {
        "name": "Morning numbers",
        "destination_id": str(destination_id),
        "type": "scheduled_report",
        "schedule_config": DAILY,
        "automation_config": {"period": "daily"},
        "platforms": ["facebook"],
        **changes,
    }


async def create(api: httpx.AsyncClient, destination_id: UUID, **changes: Any) -> dict[str, Any]:
    response = await api.post("/api/automations", json=wanted(destination_id, **changes))
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def announced(world: World, *types: type[Event]) -> list[Any]:
    """The events of these types that wait in the outbox, oldest first."""
    names = [event.type for event in types]
    rows = await world.sql.fetch("SELECT headers, value FROM outbox ORDER BY id")
    return [parse(row["headers"], row["value"], *types) for row in rows if row["headers"]["ce_type"] in names]


@pytest.fixture
async def destination(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


async def test_created_automation_is_stored_and_announced_once(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    response = await api.post("/api/automations", json=wanted(destination, tenant_id=str(acme.tenant_id)))

    assert response.status_code == 201
    body = response.json()
    assert response.headers["location"] == f"/api/automations/{body['id']}"
    assert response.headers["etag"] == '"1"'
    assert body["schedule_text"] == "Every day at 09:00 (Europe/Berlin)"
    assert body["status"] == "active"
    next_run = datetime.fromisoformat(body["next_run"])
    assert datetime.now(UTC) < next_run <= datetime.now(UTC) + timedelta(days=1)
    row = await world.sql.fetchrow("SELECT * FROM automation WHERE id = $1", UUID(body["id"]))
    assert row is not None
    assert (row["tenant_id"], row["user_id"]) == (acme.tenant_id, acme.user_id)
    assert row["schedule_config"] == DAILY
    assert row["next_run"] == next_run
    assert await announced(world, AutomationChanged) == [
        AutomationChanged(
            automation_id=UUID(body["id"]),
            tenant_id=acme.tenant_id,
            change="created",
            status="active",
            version=1,
            next_run=next_run,
        )
    ]


async def test_creation_wakes_the_leader_when_it_is_committed(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    woken = asyncio.Event()
    await world.sql.add_listener("carillon_wake", lambda *_: woken.set())

    await create(api, destination)

    async with asyncio.timeout(5):
        await woken.wait()


async def test_interval_starts_from_its_creation(api: httpx.AsyncClient, destination: UUID) -> None:
    body = await create(
        api, destination, schedule_config={"type": "interval", "interval_minutes": 90}, priority="high"
    )

    assert datetime.fromisoformat(body["next_run"]) - datetime.fromisoformat(body["created_at"]) == timedelta(
        minutes=90
    )
    assert body["priority"] == "high"


async def test_list_filters_and_pages_through_everything_once(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    made = await world.automations(acme, destination, 7)
    other = await world.webhook(acme, "https://example.com/")
    await world.automations(acme, other, 2)
    await world.sql.execute("UPDATE automation SET status = 'paused' WHERE id = $1", made[0])

    seen: list[str] = []
    path: str | None = f"/api/automations?limit=3&destination_id={destination}"
    while path is not None:
        page = (await api.get(path)).json()
        assert len(page["items"]) <= 3
        seen += [item["id"] for item in page["items"]]
        path = page["next"]

    assert sorted(seen) == sorted(map(str, made))
    assert seen == sorted(seen, reverse=True), "newest first: ids are ordered by time"
    paused = (await api.get("/api/automations", params={"status": "paused"})).json()["items"]
    assert [item["id"] for item in paused] == [str(made[0])]
    assert (await api.get("/api/automations", params={"type": "nothing"})).json() == {
        "items": [],
        "next_cursor": None,
        "next": None,
    }


async def test_patch_replaces_whole_fields_and_leaves_the_rest(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    before = await create(api, destination, automation_config={"period": "weekly", "format": "text"})

    response = await api.patch(
        f"/api/automations/{before['id']}", json={"automation_config": {"period": "monthly"}}
    )

    after = response.json()
    assert response.headers["etag"] == '"2"'
    assert after["automation_config"] == {"period": "monthly"}
    changed = {"automation_config", "version", "updated_at"}
    assert {name: after[name] for name in after if name not in changed} == {
        name: before[name] for name in before if name not in changed
    }
    created, updated = await announced(world, AutomationChanged)
    assert (created.change, updated.change, updated.version) == ("created", "updated", 2)


async def test_patch_that_changes_nothing_writes_nothing(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    before = await create(api, destination)

    after = (await api.patch(f"/api/automations/{before['id']}", json={"name": before["name"]})).json()

    assert after == before
    assert len(await announced(world, AutomationChanged)) == 1


async def test_schedule_change_moves_the_next_run(api: httpx.AsyncClient, destination: UUID) -> None:
    before = await create(api, destination)
    soon = datetime.now(UTC) + timedelta(minutes=30)

    after = (
        await api.patch(
            f"/api/automations/{before['id']}",
            json={"schedule_config": {"type": "once", "at": soon.isoformat()}},
        )
    ).json()

    assert datetime.fromisoformat(after["next_run"]) == soon.replace(microsecond=soon.microsecond)


async def test_edit_records_the_slot_it_passes_over(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    """The slot came due an instant ago, and the scheduler has not got to it yet."""
    due = datetime.now(UTC) - timedelta(seconds=1)
    (automation,) = await world.automations(acme, destination, next_run=due)

    response = await api.patch(f"/api/automations/{automation}", json={"schedule_config": DAILY})

    assert response.status_code == 200
    skip = await world.sql.fetchrow("SELECT * FROM slot_skip WHERE automation_id = $1", automation)
    assert skip is not None
    assert (skip["first_slot"], skip["last_slot"], skip["slots"]) == (due, due, 1)
    assert skip["reason"] == "schedule_edited"
    (event,) = await announced(world, RunSkipped)
    assert (event.first_slot, event.reason) == (due, "schedule_edited")


async def test_two_editors_and_one_version(api: httpx.AsyncClient, destination: UUID) -> None:
    automation = await create(api, destination)
    path = f"/api/automations/{automation['id']}"
    first, second = await asyncio.gather(
        *(api.patch(path, json={"name": name}, headers={"If-Match": '"1"'}) for name in ("first", "second"))
    )

    assert sorted((first.status_code, second.status_code)) == [200, 412]
    winner = first if first.status_code == 200 else second
    assert (await api.get(path)).json()["name"] == winner.json()["name"]


async def test_another_schedule_tells_which_slots_move(api: httpx.AsyncClient, destination: UUID) -> None:
    automation = await create(api, destination, schedule_config={"type": "daily", "hour": 9})
    path = f"/api/automations/{automation['id']}"

    renamed = (await api.patch(path, json={"name": "same schedule"})).json()
    moved = (await api.patch(path, json={"schedule_config": {"type": "daily", "hour": 21}})).json()

    assert "moved_slots" not in renamed
    hours = {
        kind: {datetime.fromisoformat(slot).hour for slot in slots}
        for kind, slots in moved["moved_slots"].items()
    }
    assert hours == {"removed": {9}, "added": {21}}
    assert len(moved["moved_slots"]["added"]) == 5
    assert moved["moved_slots"]["added"][0] == moved["next_run"]


@pytest.mark.parametrize(
    ("tag", "status"), [("*", 200), ('"1"', 200), ('"2"', 412), ("W/x", 412), ("1", 412)]
)
async def test_if_match(api: httpx.AsyncClient, destination: UUID, tag: str, status: int) -> None:
    automation = await create(api, destination)

    response = await api.patch(
        f"/api/automations/{automation['id']}", json={"name": "new"}, headers={"If-Match": tag}
    )

    assert response.status_code == status


async def test_pause_and_resume_are_idempotent(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    path = f"/api/automations/{(await create(api, destination))['id']}"

    paused = [await api.post(path + "/pause") for _ in range(2)]
    resumed = [await api.post(path + "/resume") for _ in range(2)]

    assert [response.status_code for response in (*paused, *resumed)] == [200] * 4
    assert [response.json()["version"] for response in (*paused, *resumed)] == [2, 2, 3, 3]
    assert [response.json()["status"] for response in (*paused, *resumed)] == [
        "paused",
        "paused",
        "active",
        "active",
    ]
    assert paused[0].json()["next_run"] is None
    changes = [event.change for event in await announced(world, AutomationChanged)]
    assert changes == ["created", "paused", "resumed"]


async def test_many_pauses_at_once_pause_once(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    path = f"/api/automations/{(await create(api, destination))['id']}"

    responses = await asyncio.gather(*(api.post(path + "/pause") for _ in range(8)))

    assert {response.status_code for response in responses} == {200}
    changes = [event.change for event in await announced(world, AutomationChanged)]
    assert changes == ["created", "paused"]


async def test_resume_of_a_schedule_without_a_future_is_refused(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    (automation,) = await world.automations(
        acme, destination, schedule={"type": "once", "at": past.isoformat()}, next_run=past
    )
    await world.sql.execute("UPDATE automation SET status = 'stopped', next_run = NULL")

    response = await api.post(f"/api/automations/{automation}/resume")

    assert response.status_code == 409
    assert "names no time in the future" in response.json()["detail"]
    assert await world.sql.fetchval("SELECT status FROM automation") == "stopped"


async def test_error_is_cleared_by_resume_and_cannot_be_paused(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    (automation,) = await world.automations(acme, destination)
    await world.sql.execute("UPDATE automation SET status = 'error', status_reason = 'five failures'")

    refused = await api.post(f"/api/automations/{automation}/pause")
    resumed = await api.post(f"/api/automations/{automation}/resume")

    assert refused.status_code == 409
    assert resumed.json()["status"] == "active"
    assert resumed.json()["status_reason"] is None


async def test_run_now_queues_a_run_and_its_event_in_the_requests_trace(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    (automation,) = await world.automations(acme, destination)
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    response = await api.post(
        f"/api/automations/{automation}/run",
        headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"},
    )

    assert response.status_code == 202
    run = response.json()
    assert response.headers["location"] == f"/api/runs/{run['id']}"
    assert (run["trigger"], run["status"], run["lane"]) == ("manual", "queued", "high")
    assert (run["scheduled_for"], run["trace_id"]) == (None, trace_id)
    row = await world.sql.fetchrow("SELECT * FROM automation_run")
    assert row is not None
    assert row["traceparent"].startswith(f"00-{trace_id}-")
    outbox = await world.sql.fetchrow("SELECT * FROM outbox")
    assert outbox is not None
    assert (outbox["topic"], outbox["key"]) == ("automation.due.high", run["id"])
    assert outbox["headers"]["traceparent"] == row["traceparent"]
    assert parse(outbox["headers"], outbox["value"], AutomationDue).run_id == UUID(run["id"])


async def test_paused_automation_can_be_run_by_hand(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    (automation,) = await world.automations(acme, destination)
    await world.sql.execute("UPDATE automation SET status = 'paused'")

    assert (await api.post(f"/api/automations/{automation}/run")).status_code == 202


async def test_deleted_automation_is_gone_and_announced(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    automation = await create(api, destination)
    path = f"/api/automations/{automation['id']}"

    deleted, again, read = await api.delete(path), await api.delete(path), await api.get(path)

    assert [deleted.status_code, again.status_code, read.status_code] == [204, 404, 404]
    assert deleted.content == b""
    *_, last = await announced(world, AutomationChanged)
    assert (last.change, last.status, last.version) == ("deleted", "deleted", 2)


async def test_announced_types_are_checked_by_their_schema(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
        "additionalProperties": False,
    }
    await world.sql.execute(
        "INSERT INTO automation_type (type, title, config_schema) VALUES ('weather', 'Weather', $1)", schema
    )

    types = {item["type"]: item for item in (await api.get("/api/automation-types")).json()}
    refused = await api.post(
        "/api/automations",
        json=wanted(destination, type="weather", automation_config={"days": 0, "wind": True}),
    )
    accepted = await api.post(
        "/api/automations", json=wanted(destination, type="weather", automation_config={"city": "Oslo"})
    )

    assert types["weather"]["config_schema"] == schema
    assert "scheduled_report" in types
    assert {fault["pointer"] for fault in refused.json()["errors"]} == {
        "/automation_config/city",
        "/automation_config/days",
        "/automation_config/wind",
    }
    assert accepted.status_code == 201


async def test_schema_reference_is_not_fetched(
    api: httpx.AsyncClient, world: World, destination: UUID
) -> None:
    await world.sql.execute(
        "INSERT INTO automation_type (type, config_schema) VALUES ('remote', $1)",
        {"$ref": "http://127.0.0.1:9/schema.json"},
    )

    response = await api.post("/api/automations", json=wanted(destination, type="remote"))

    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["/type"]


async def test_unreadable_schedule_in_the_database_does_not_hide_the_automation(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    (automation,) = await world.automations(acme, destination, schedule={"type": "lunar"})

    body = (await api.get(f"/api/automations/{automation}")).json()

    assert body["schedule_text"].startswith("Unreadable: ")
    assert json.loads(json.dumps(body["schedule_config"])) == {"type": "lunar"}
