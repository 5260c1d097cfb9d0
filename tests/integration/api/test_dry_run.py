"""Runs by hand: for a slot of the schedule, and dry ones that show what they would deliver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.manual_runs.dry_runs import parts
from api.manual_runs.service import seconds_to_wait
from common.events import AutomationDue, parse
from common.messages import Message
from notifier.channels.telegram_posts import posts_of
from tests.factories import Team, World
from tests.support.history import MESSAGE, add_run
from tests.support.polling import eventually
from tests.support.sample_deliveries import PNG, chart, message, table

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def first() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=35)


@pytest.fixture
async def destination(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


@pytest.fixture
async def automation(world: World, acme: Team, destination: UUID, first: datetime) -> UUID:
    """Every ten minutes; four slots have passed."""
    (made,) = await world.automations(
        acme,
        destination,
        schedule={"type": "interval", "interval_minutes": 10, "anchor": first.isoformat()},
        next_run=first + 4 * TEN_MINUTES,
    )
    return made


@pytest.fixture
def executor(world: World) -> Callable[..., Awaitable[UUID]]:
    """Ends the next queued run as an executor would."""

    async def work(status: str = "completed", **columns: Any) -> UUID:
        run: UUID = await eventually(
            lambda: world.sql.fetchval("SELECT id FROM automation_run WHERE status = 'queued'")
        )
        values = {"result": None, "logs": [], "error_code": None, "error_message": None} | columns
        await world.sql.execute(
            "UPDATE automation_run SET status = $2, result = $3, logs = $4, error_code = $5,"
            " error_message = $6, completed_at = now() WHERE id = $1",
            run,
            status,
            *values.values(),
        )
        return run

    return work


async def test_a_dry_run_answers_with_what_would_be_delivered(
    api: httpx.AsyncClient, world: World, automation: UUID, executor: Callable[..., Awaitable[UUID]]
) -> None:
    result = {
        "summary": "1 ad account",
        "ad_accounts": [{"id": "act_1"}],
        "pages": [{"id": "2"}, {"id": "3"}],
        "would_deliver": [MESSAGE],
    }
    logs = [
        {"at": "2026-03-01T09:00:00Z", "level": "info", "event": "figures collected"},
        {"at": "2026-03-01T09:00:00Z", "level": "warning", "event": "part left out", "subject": "page"},
    ]

    response, run = await asyncio.gather(
        api.post(f"/api/automations/{automation}/run?dry_run=true"), executor(result=result, logs=logs)
    )

    assert response.status_code == 200
    assert response.headers["location"] == f"/api/runs/{run}"
    body = response.json()
    assert body["would_deliver"] == [MESSAGE | {"chart": None, "files": []}]
    assert body["counts"] == {"accounts": 3, "messages": 1, "parts": 1}
    assert body["warnings"] == ["part left out: subject page"]
    assert (body["run"]["status"], body["run"]["trigger"], body["run"]["lane"]) == (
        "completed",
        "dry_run",
        "high",
    )
    assert body["run"]["max_attempts"] == 1
    assert await world.sql.fetchval("SELECT last_run FROM automation") is None


async def test_what_would_be_sent_along_is_named_and_not_sent_to_the_client(
    api: httpx.AsyncClient, automation: UUID, executor: Callable[..., Awaitable[UUID]]
) -> None:
    enclosed = message("x" * 2_000, None, chart=chart(), files=(table(),))
    result = {"summary": "1 ad account", "would_deliver": [enclosed.model_dump(mode="json")]}

    response, run = await asyncio.gather(
        api.post(f"/api/automations/{automation}/run?dry_run=true"), executor(result=result)
    )
    body = response.json()
    shown = (await api.get(f"/api/runs/{run}")).json()["result"]["would_deliver"]

    assert body["counts"]["parts"] == 3
    assert shown == body["would_deliver"]
    assert body["would_deliver"][0]["chart"] == {
        "filename": "chart-2026-11-05.png",
        "media_type": "image/png",
        "size": len(PNG),
    }
    assert [file["filename"] for file in body["would_deliver"][0]["files"]] == ["report-2026-11-05.csv"]
    assert "content" not in body["would_deliver"][0]["files"][0]


async def test_a_failed_dry_run_says_why(
    api: httpx.AsyncClient, automation: UUID, executor: Callable[..., Awaitable[UUID]]
) -> None:
    response, _run = await asyncio.gather(
        api.post(f"/api/automations/{automation}/run?dry_run=true"),
        executor("failed", error_code="reauth:190", error_message="connect the account again"),
    )

    assert response.status_code == 200
    body = response.json()
    assert body["would_deliver"] == []
    assert (body["run"]["status"], body["run"]["error_code"]) == ("failed", "reauth:190")


async def test_warnings_name_what_would_keep_a_message_from_arriving(
    api: httpx.AsyncClient, world: World, automation: UUID, executor: Callable[..., Awaitable[UUID]]
) -> None:
    said = []
    quiet = {"from": "00:00", "to": "23:59", "timezone": "UTC", "then": "drop"}
    if datetime.now(UTC).strftime("%H:%M") == "23:59":
        quiet |= {"from": "12:00", "to": "11:59"}
    for change in (
        "UPDATE automation SET status = 'paused'",
        "UPDATE destination SET quiet_hours = $1",
        "UPDATE destination SET status = 'disabled', status_reason = 'the chat is gone'",
        "UPDATE automation SET destination_id = NULL",
    ):
        await world.sql.execute(change, *([quiet] if "$1" in change else []))
        response, _run = await asyncio.gather(
            api.post(f"/api/automations/{automation}/run?dry_run=true"),
            executor(result={"would_deliver": [MESSAGE]}),
        )
        said.append(response.json()["warnings"][-1])

    assert "paused" in said[0]
    assert "quiet hours" in said[1]
    assert "dropped" in said[1]
    assert "the chat is gone" in said[2]
    assert "no destination" in said[3]


@pytest.mark.slow
async def test_many_who_wait_hold_no_connections(
    api: httpx.AsyncClient, world: World, automation: UUID
) -> None:
    """The pool of these tests has five."""
    path = f"/api/automations/{automation}/run?dry_run=true"
    waiting = [asyncio.create_task(api.post(path, headers={"Prefer": "wait=5"})) for _ in range(12)]

    async def all_wait() -> bool:
        count: int = await world.sql.fetchval("SELECT count(*) FROM automation_run")
        return count == 12

    await eventually(all_wait)
    async with asyncio.timeout(4):
        others = await asyncio.gather(*(api.get("/api/automations") for _ in range(5)))
    assert not any(task.done() for task in waiting)
    answers = await asyncio.gather(*waiting)

    assert {response.status_code for response in others} == {200}
    assert {response.status_code for response in answers} == {202}
    assert {response.json()["status"] for response in answers} == {"queued"}


async def test_dry_runs_are_listed_only_when_asked_for(api: httpx.AsyncClient, automation: UUID) -> None:
    path = f"/api/automations/{automation}/run"
    dry = (await api.post(path + "?dry_run=true", headers={"Prefer": "wait=0"})).json()["id"]
    real = (await api.post(path)).json()["id"]

    for runs in ("/api/runs", f"/api/automations/{automation}/runs"):
        listed = [
            [item["id"] for item in (await api.get(runs, params=params)).json()["items"]]
            for params in ({}, {"trigger": "dry_run"}, {"trigger": "manual"}, {"trigger": "schedule"})
        ]
        assert listed == [[real], [dry], [real], []]


async def test_the_first_run_for_a_slot_is_the_slots_run(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    await add_run(world, acme, automation, slot=first)
    await world.sql.execute("DELETE FROM outbox")
    path = f"/api/automations/{automation}/run"
    runs = [
        (await api.post(path, json={"slot": slot.astimezone().isoformat()})).json()
        for slot in (first, first + TEN_MINUTES, first + TEN_MINUTES)
    ]

    seen = [
        tuple(run[name] and datetime.fromisoformat(run[name]) for name in ("scheduled_for", "as_of"))
        for run in runs
    ]
    assert seen == [(None, first), (first + TEN_MINUTES, None), (None, first + TEN_MINUTES)]
    rows = await world.sql.fetch("SELECT headers, value FROM outbox ORDER BY id")
    due = [parse(row["headers"], row["value"], AutomationDue) for row in rows]
    assert [event.scheduled_for for event in due] == [None, first + TEN_MINUTES, None]


async def test_many_runs_for_one_slot_take_it_once(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    body = {"slot": first.isoformat()}

    responses = await asyncio.gather(
        *(api.post(f"/api/automations/{automation}/run", json=body) for _ in range(5))
    )

    assert {response.status_code for response in responses} == {202}
    taken = await world.sql.fetch("SELECT scheduled_for, as_of FROM automation_run")
    assert sorted((row["scheduled_for"], row["as_of"]) != (None, first) for row in taken) == [False] * 4 + [
        True
    ]


async def test_a_dry_run_for_a_slot_does_not_take_it(
    api: httpx.AsyncClient, automation: UUID, first: datetime
) -> None:
    response = await api.post(
        f"/api/automations/{automation}/run?dry_run=true",
        json={"slot": first.isoformat()},
        headers={"Prefer": "wait=0"},
    )

    run = response.json()
    assert run["scheduled_for"] is None
    assert datetime.fromisoformat(run["as_of"]) == first


async def test_an_instant_that_is_no_slot_is_refused_with_the_nearest(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    path = f"/api/automations/{automation}/run"

    between = await api.post(path, json={"slot": (first + timedelta(minutes=1)).isoformat()})
    future = await api.post(path, json={"slot": (first + 5 * TEN_MINUTES).isoformat()})
    both = await api.post(path, json={"slot": first.isoformat(), "as_of": first.isoformat()})

    assert (between.status_code, future.status_code, both.status_code) == (422, 422, 422)
    (fault,) = between.json()["errors"]
    assert fault["pointer"] == "/slot"
    for near in (first, first + TEN_MINUTES):
        assert near.isoformat().replace("+00:00", "Z") in fault["detail"]
    assert "still to come" in future.json()["errors"][0]["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM automation_run") == 0


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 30),
        ("wait=5", 5),
        ("respond-async, wait=0", 0),
        ("wait=999999", 30),
        ("wait=-1", 30),
        ("await=3", 30),
        ("wait=1e9", 30),
    ],
)
def test_the_time_to_wait_is_bounded(prefer: str | None, seconds: float) -> None:
    assert seconds_to_wait(prefer) == seconds


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("short", "telegram", 1),
        ("x" * 4096, "telegram", 1),
        ("x" * 4097, "telegram", 2),
        ("😀" * 2049, "telegram", 2),
        ("x" * 9000, "webhook", 1),
        ("x", None, 0),
    ],
)
def test_long_messages_take_several_parts_on_telegram(text: str, kind: str | None, expected: int) -> None:
    assert parts(Message(type="t", title="t", text=text), kind) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("x" * 1024, 2), ("x" * 1025, 3), ("😀" * 513, 3), ("x" * 4097, 4)]
)
def test_a_picture_takes_a_part_unless_the_text_fits_below_it_and_so_does_a_file(
    text: str, expected: int
) -> None:
    enclosed = message(text, None, chart=chart(), files=(table(),))
    assert parts(enclosed, "telegram") == expected == len(posts_of(enclosed))
    assert parts(enclosed, "webhook") == 1
