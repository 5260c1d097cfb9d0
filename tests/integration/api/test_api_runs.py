"""Runs and deliveries over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from common.events import RunCancelled, parse
from common.models import RunStatus
from tests.factories import Team, World
from tests.support.history import TRACE_ID, add_delivery, add_run
from tests.support.polling import eventually
from tests.support.sample_deliveries import PNG, chart, message, table


@pytest.fixture
async def destination(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


@pytest.fixture
async def automation(world: World, acme: Team, destination: UUID) -> UUID:
    (made,) = await world.automations(acme, destination)
    return made


async def test_run_tells_everything_that_happened(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, destination: UUID
) -> None:
    log = [{"at": "2026-01-01T00:00:00Z", "level": "info", "event": "asked", "account": "act_1"}]
    run = await add_run(world, acme, automation, attempts=2, logs=log, result={"spend": 12.5})
    await add_delivery(world, acme, destination, run, attempts=3)

    body = (await api.get(f"/api/runs/{run}")).json()

    assert body["automation_name"] == "scheduled_report 1"
    assert (body["status"], body["attempt"], body["trace_id"]) == ("completed", 2, TRACE_ID)
    assert body["logs"] == log
    assert body["result"] == {"spend": 12.5}
    assert [(attempt["number"], attempt["outcome"]) for attempt in body["attempts"]] == [
        (1, "retrying"),
        (2, "completed"),
    ]
    (delivery,) = body["deliveries"]
    assert delivery["destination_type"] == "telegram"
    assert delivery["message"]["title"] == "Daily report"
    assert [(attempt["outcome"], attempt["status_code"]) for attempt in delivery["attempts"]] == [
        ("retry", 503),
        ("retry", 503),
        ("delivered", 200),
    ]
    assert (await api.get(f"/api/deliveries/{delivery['id']}")).json() == delivery


async def test_lists_filter_and_leave_the_logs_out(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID
) -> None:
    (other,) = await world.automations(acme, None)
    start = datetime.now(UTC) - timedelta(hours=2)
    for minute in range(5):
        status = "failed" if minute == 2 else "completed"
        await add_run(world, acme, automation, slot=start + timedelta(minutes=minute), status=status)
    await add_run(world, acme, other, slot=start)

    everything = (await api.get("/api/runs")).json()["items"]
    failed = (await api.get("/api/runs", params={"status": "failed"})).json()["items"]
    of_one = (await api.get("/api/runs", params={"automation_id": str(other)})).json()["items"]
    of_path = (await api.get(f"/api/automations/{automation}/runs", params={"limit": 2})).json()

    assert len(everything) == 6
    assert {"logs", "result"}.isdisjoint(everything[0])
    assert [item["created_at"] for item in everything] == sorted(
        (item["created_at"] for item in everything), reverse=True
    )
    assert [item["status"] for item in failed] == ["failed"]
    assert [item["automation_id"] for item in of_one] == [str(other)]
    assert len(of_path["items"]) == 2
    rest = (await api.get(of_path["next"])).json()
    assert len(rest["items"]) == 2
    assert {item["id"] for item in rest["items"]}.isdisjoint(item["id"] for item in of_path["items"])


async def test_run_says_what_it_waits_for(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team, automation: UUID
) -> None:
    async def reason(**columns: object) -> str | None:
        run = await world.run(acme, automation, **columns)
        told: str | None = (await api.get(f"/api/runs/{run}")).json()["waits_because"]
        await world.sql.execute("DELETE FROM automation_run WHERE id = $1", run)
        return told

    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    assert await reason(status="queued") is None, "it is on its way"
    assert await reason(status="running") is None
    assert await reason(status="completed") is None
    (foreign,) = await world.automations(globex, None)
    await world.running(globex, foreign)
    assert await reason(status="queued", available_at=long_ago) == (
        "no executor has taken it yet: all their places are in use, or none is running"
    )
    assert await reason(status="waiting") == "the team may have no more runs at once: 0 runs under way"
    (other,) = await world.automations(acme, None)
    for _ in range(2):
        await world.running(acme, other)
    await world.running(acme, other, lane="low")
    assert await reason(status="queued", available_at=long_ago) == (
        "no place is free for the team: 2 runs with normal priority being worked on"
    )
    assert await reason(status="waiting") == "the team may have no more runs at once: 3 runs under way"
    await world.running(acme, automation)
    assert await reason(status="waiting") == "1 run of this automation must end first"
    assert await reason(status="waiting", trigger="backfill") == (
        "the team may have no more runs at once: 4 runs under way"
    )
    assert await reason(status="retrying") == "the next attempt is not due yet"


@pytest.mark.parametrize("status", ["queued", "retrying"])
async def test_waiting_run_is_cancelled_at_once(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, status: str
) -> None:
    run = await add_run(world, acme, automation, status=status)

    first, again = [await api.post(f"/api/runs/{run}/cancel") for _ in range(2)]

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == "cancelled"
    assert first.json()["completed_at"] is not None
    assert again.json() == first.json()
    (row,) = await world.sql.fetch("SELECT * FROM outbox")
    assert parse(row["headers"], row["value"], RunCancelled).run_id == run


async def test_running_run_is_asked_to_stop(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID
) -> None:
    run = await add_run(world, acme, automation, status="running")

    body = (await api.post(f"/api/runs/{run}/cancel")).json()

    assert (body["status"], body["cancel_requested"]) == ("running", True)
    assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 0, "its executor will announce it"


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_ended_run_cannot_be_cancelled(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, status: str
) -> None:
    run = await add_run(world, acme, automation, status=status)

    response = await api.post(f"/api/runs/{run}/cancel")

    assert response.status_code == 409
    assert status in response.json()["detail"]
    assert await world.sql.fetchval("SELECT cancel_requested FROM automation_run") is False


async def test_cancelling_while_an_executor_claims(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID
) -> None:
    """Whoever comes first, the run is never both cancelled and held by a worker."""
    run = await add_run(world, acme, automation, status="queued")
    claim = world.sql.transaction()
    await claim.start()
    await world.sql.execute(
        "UPDATE automation_run SET status = 'running', attempt = 1, worker = 'w' WHERE id = $1", run
    )
    cancelling = asyncio.create_task(api.post(f"/api/runs/{run}/cancel"))
    await eventually(lambda: world.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    await claim.commit()

    body = (await cancelling).json()

    assert (body["status"], body["cancel_requested"]) == (RunStatus.RUNNING, True)


async def test_deliveries_are_listed_by_destination_and_state(
    api: httpx.AsyncClient, world: World, acme: Team, destination: UUID
) -> None:
    other = await world.webhook(acme, "https://example.com/")
    failed = await add_delivery(world, acme, destination, None, status="failed", error="gone")
    await add_delivery(world, acme, destination, None)
    await add_delivery(world, acme, other, None)

    of_one = (await api.get("/api/deliveries", params={"destination_id": str(destination)})).json()["items"]
    bad = (await api.get("/api/deliveries", params={"status": "failed"})).json()["items"]

    assert len(of_one) == 2
    assert "message" not in of_one[0]
    assert [item["id"] for item in bad] == [str(failed)]


async def test_what_came_with_a_message_is_named_and_its_contents_stay(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, destination: UUID
) -> None:
    large = table("large.csv", b"spend\r\n" * 200_000)
    enclosed = message(chart=chart(), files=(table("small.csv"), large)).model_dump(mode="json")
    run = await add_run(world, acme, automation)
    delivery = await add_delivery(world, acme, destination, run, message=enclosed)
    plain = await add_delivery(world, acme, destination, run, message=message().model_dump(mode="json"))

    shown = await api.get(f"/api/deliveries/{delivery}")
    detail = (await api.get(f"/api/runs/{run}")).json()

    assert shown.json()["message"] == {
        **enclosed,
        "chart": {"filename": "chart-2026-11-05.png", "media_type": "image/png", "size": len(PNG)},
        "files": [
            {"filename": "small.csv", "media_type": "text/csv", "size": table().size},
            {"filename": "large.csv", "media_type": "text/csv", "size": large.size},
        ],
    }
    assert len(shown.content) < 5_000
    assert detail["deliveries"][0]["message"] == shown.json()["message"]
    unaccompanied = (await api.get(f"/api/deliveries/{plain}")).json()["message"]
    assert (unaccompanied["chart"], unaccompanied["files"]) == (None, [])
