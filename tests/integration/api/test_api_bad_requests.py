"""Bad input is answered with a problem document that names the field, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.factories import BOT_TOKEN, Team, World

DESTINATION = "00000000-0000-7000-8000-000000000001"
GOOD: dict[str, Any] = {
    "name": "Morning numbers",
    "destination_id": DESTINATION,
    "type": "scheduled_report",
    "schedule_config": {"type": "daily", "hour": 9},
    "automation_config": {"period": "daily"},
    "platforms": ["facebook"],
}


def deep(levels: int) -> Any:
    """An object within an object within…"""
    return {"a": deep(levels - 1)} if levels else {}


@pytest.fixture
async def ready(world: World, acme: Team) -> None:
    """The destination the good request names."""
    made = await world.telegram(acme)
    await world.sql.execute("UPDATE destination SET id = $1 WHERE id = $2", UUID(DESTINATION), made)


async def nothing_was_written(world: World) -> bool:
    written = await world.sql.fetchval(
        "SELECT (SELECT count(*) FROM automation) + (SELECT count(*) FROM outbox)"
        " + (SELECT count(*) FROM automation_run) + (SELECT count(*) FROM connection)"
        " + (SELECT count(*) FROM destination) - 1"
    )
    return bool(written == 0)


def is_problem(response: httpx.Response) -> bool:
    return (
        response.headers["content-type"] == "application/problem+json"
        and response.json()["status"] == response.status_code
        and bool(response.json()["title"])
        and bool(response.json()["detail"])
    )


async def test_good_request_is_good(api: httpx.AsyncClient, ready: None) -> None:
    """Everything below changes one thing about this request."""
    assert (await api.post("/api/automations", json=GOOD)).status_code == 201


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"type": "no_such_type"}, {"/type"}),
        ({"type": None}, {"/type"}),
        ({"type": ""}, {"/type"}),
        ({"type": {"a": 1}}, {"/type"}),
        ({"name": ""}, {"/name"}),
        ({"name": "   "}, {"/name"}),
        ({"name": "x" * 201}, {"/name"}),
        ({"name": None}, {"/name"}),
        ({"name": 5}, {"/name"}),
        ({"name": "a\0b"}, {"/name"}),
        ({"destination_id": None}, {"/destination_id"}),
        ({"destination_id": "not-a-uuid"}, {"/destination_id"}),
        ({"destination_id": "00000000-0000-7000-8000-000000000002"}, {"/destination_id"}),
        ({"destination_id": 10**30}, {"/destination_id"}),
        ({"tenant_id": "x"}, {"/tenant_id"}),
        ({"schedule_config": None}, {"/schedule_config"}),
        ({"schedule_config": []}, {"/schedule_config"}),
        ({"schedule_config": {}}, {"/schedule_config/type"}),
        ({"schedule_config": {"type": "hourly"}}, {"/schedule_config/type"}),
        ({"schedule_config": {"type": "daily"}}, {"/schedule_config/hour"}),
        ({"schedule_config": {"type": "daily", "hour": 24}}, {"/schedule_config/hour"}),
        ({"schedule_config": {"type": "daily", "hour": -1}}, {"/schedule_config/hour"}),
        ({"schedule_config": {"type": "daily", "hour": "9"}}, {"/schedule_config/hour"}),
        ({"schedule_config": {"type": "daily", "hour": True}}, {"/schedule_config/hour"}),
        ({"schedule_config": {"type": "daily", "hour": 10**40}}, {"/schedule_config/hour"}),
        (
            {"schedule_config": {"type": "daily", "hour": 9, "timezone": "Europe/Atlantis"}},
            {"/schedule_config/timezone"},
        ),
        ({"schedule_config": {"type": "daily", "hour": 9, "extra": 1}}, {"/schedule_config/extra"}),
        (
            {"schedule_config": {"type": "cron", "expression": "99 * * * *"}},
            {"/schedule_config/expression"},
        ),
        (
            {"schedule_config": {"type": "interval", "interval_minutes": 0}},
            {"/schedule_config/interval_minutes"},
        ),
        ({"schedule_config": {"type": "once", "at": "2001-01-01T00:00:00Z"}}, {"/schedule_config"}),
        ({"automation_config": {"period": "hourly"}}, {"/automation_config/period"}),
        ({"automation_config": {"unknown": 1}}, {"/automation_config/unknown"}),
        ({"automation_config": {"days": 10**30}}, {"/automation_config/days"}),
        ({"automation_config": "text"}, {"/automation_config"}),
        ({"automation_config": {"accounts": ["act_1", "a\0"]}}, {"/automation_config/accounts/1"}),
        ({"platforms": ["facebook", "myspace"]}, {"/platforms/1"}),
        ({"platforms": "facebook"}, {"/platforms"}),
        ({"platforms": ["facebook"] * 21}, {"/platforms"}),
        ({"priority": "urgent"}, {"/priority"}),
        ({"unknown": 1}, {"/unknown"}),
        ({"id": DESTINATION}, {"/id"}),
        ({"status": "active"}, {"/status"}),
        ({"~tilde/slash": 1}, {"/~0tilde~1slash"}),
        ({"automation_config": deep(40)}, {"/automation_config/a/a"}),
        (
            {"type": "nope", "schedule_config": {"type": "daily", "hour": 99}, "destination_id": "x"},
            {"/destination_id"},
        ),
        (
            {"type": "nope", "schedule_config": {"type": "daily", "hour": 99}},
            {"/type", "/schedule_config/hour"},
        ),
    ],
)
async def test_each_field_at_fault_is_named(
    api: httpx.AsyncClient, world: World, ready: None, change: dict[str, Any], pointers: set[str]
) -> None:
    response = await api.post("/api/automations", json=GOOD | change)

    assert response.status_code == 422, response.text
    assert is_problem(response)
    assert {fault["pointer"] for fault in response.json()["errors"]} == pointers
    assert all(fault["detail"] and fault["in"] == "body" for fault in response.json()["errors"])
    assert await nothing_was_written(world)


@pytest.mark.parametrize("missing", ["name", "destination_id", "type", "schedule_config"])
async def test_missing_field_is_named(api: httpx.AsyncClient, ready: None, missing: str) -> None:
    response = await api.post("/api/automations", json={n: v for n, v in GOOD.items() if n != missing})

    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == [f"/{missing}"]


async def test_unknown_type_lists_the_known_ones(api: httpx.AsyncClient, ready: None) -> None:
    response = await api.post("/api/automations", json=GOOD | {"type": "nope"})

    assert "scheduled_report" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, ""),
        (b"{", 400, "line 1, column 2"),
        (b'{"name": "x",\n "type": }', 400, "line 2, column 10"),
        (b"\xff\xfe", 400, "byte 0"),
        (b'{"name": NaN}', 400, "NaN"),
        (b'{"automation_config": {"a": -Infinity}}', 400, "Infinity"),
        (b'{"automation_config": {"a": 1e999}}', 422, ""),
        (b'{"name": "\\ud800"}', 422, ""),
        (b'{"na\\u0000me": 1}', 422, ""),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "digits"),
        (b"[" * 100_000, 400, ""),
        (b"[1, 2]", 422, ""),
        (b"null", 422, ""),
        (b'"text"', 422, ""),
        (b"\xef\xbb\xbf{}", 422, ""),
        (b'{"a": "' + b"x" * 300_000 + b'"}', 413, "262144"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
async def test_body_that_is_no_good_json(
    api: httpx.AsyncClient, world: World, ready: None, body: bytes, status: int, said: str
) -> None:
    response = await api.post("/api/automations", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == status, response.text
    assert is_problem(response)
    assert said in response.json()["detail"]
    assert await nothing_was_written(world)


async def test_endless_body_is_cut_off(api: httpx.AsyncClient) -> None:
    """Without Content-Length nobody knows the size beforehand: reading stops at the limit."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    # httpx's ASGI transport hands over one part at a time, as a server does.
    response = await api.post(
        "/api/automations", content=endless(), headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 413
    assert sent < 1_000_000


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "nonsense"],
)
async def test_anything_but_json_is_refused(
    api: httpx.AsyncClient, world: World, ready: None, content_type: str
) -> None:
    response = await api.post(
        "/api/automations", content=json.dumps(GOOD), headers={"Content-Type": content_type}
    )

    assert response.status_code == 415
    assert is_problem(response)
    assert await nothing_was_written(world)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/merge-patch+json"])
async def test_json_by_any_name_is_accepted(api: httpx.AsyncClient, ready: None, content_type: str) -> None:
    response = await api.post(
        "/api/automations", content=json.dumps(GOOD), headers={"Content-Type": content_type}
    )

    assert response.status_code == 201


@pytest.mark.parametrize(
    ("path", "pointer", "place"),
    [
        ("/api/automations/nope", "/automation_id", "path"),
        ("/api/runs/%00", "/run_id", "path"),
        ("/api/runs/00000000-0000-7000-8000-00000000000g", "/run_id", "path"),
        ("/api/deliveries/1", "/delivery_id", "path"),
        ("/api/runs?limit=0", "/limit", "query"),
        ("/api/runs?limit=101", "/limit", "query"),
        ("/api/runs?limit=99999999999999999999999", "/limit", "query"),
        ("/api/runs?limit=x", "/limit", "query"),
        ("/api/runs?status=sleeping", "/status", "query"),
        ("/api/runs?automation_id=x", "/automation_id", "query"),
        ("/api/runs?cursor=x", "/cursor", "query"),
        ("/api/runs?cursor=%00", "/cursor", "query"),
        ("/api/runs?cursor=%C3%A9", "/cursor", "query"),
        ("/api/runs?cursor=" + "A" * 201, "/cursor", "query"),
        ("/api/runs?cursor=__________________________________________8=", "/cursor", "query"),
        ("/api/automations?type=" + "x" * 101, "/type", "query"),
        ("/api/automations?status=active&status=x", "/status", "query"),
        ("/api/connections?platform=myspace", "/platform", "query"),
    ],
)
async def test_bad_parameters_are_named(api: httpx.AsyncClient, path: str, pointer: str, place: str) -> None:
    response = await api.get(path)

    assert response.status_code == 422, response.text
    assert is_problem(response)
    assert [(fault["pointer"], fault["in"]) for fault in response.json()["errors"]] == [(pointer, place)]


@pytest.mark.parametrize("cursor", ["f" * 32, "7" * 32, "A" * 32, "-" * 32])
async def test_made_up_cursor_is_refused_or_harmless(api: httpx.AsyncClient, cursor: str) -> None:
    response = await api.get("/api/runs", params={"cursor": cursor})

    assert response.status_code in (200, 422)
    assert response.status_code == 200 or is_problem(response)


async def test_nul_in_a_query_parameter_is_refused(api: httpx.AsyncClient) -> None:
    response = await api.get("/api/automations?type=a%00b")

    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["/type"]


@pytest.mark.parametrize(
    ("kind", "body", "pointers"),
    [
        ("destinations", {}, {"/type"}),
        ("destinations", {"type": "fax", "name": "n"}, {"/type"}),
        ("destinations", {"type": "telegram"}, {"/name", "/config", "/bot_token"}),
        (
            "destinations",
            {"type": "telegram", "name": "n", "config": {"chat_id": 2**60}, "bot_token": BOT_TOKEN},
            {"/config/chat_id"},
        ),
        (
            "destinations",
            {"type": "telegram", "name": "n", "config": {"chat_id": 1.5}, "bot_token": BOT_TOKEN},
            {"/config/chat_id"},
        ),
        (
            "destinations",
            {"type": "telegram", "name": "n", "config": {"chat_id": 1}, "bot_token": "1:x"},
            {"/bot_token"},
        ),
        (
            "destinations",
            {"type": "webhook", "name": "n", "config": {"url": "https://e.com"}, "bot_token": BOT_TOKEN},
            {"/bot_token"},
        ),
        (
            "destinations",
            {"type": "webhook", "name": "n", "config": {"url": "https://e.com"}, "signing_secret": "x"},
            {"/signing_secret"},
        ),
        ("connections", {}, {"/platform", "/name"}),
        ("connections", {"platform": "facebook", "name": "n"}, {"/token"}),
        ("connections", {"platform": "facebook", "name": "n", "token": ""}, {"/token"}),
        ("connections", {"platform": "facebook", "name": "n", "token": "t" * 5000}, {"/token"}),
        (
            "connections",
            {"platform": "facebook", "name": "n", "token": "t", "expires_at": "2026-01-01T00:00:00"},
            {"/expires_at"},
        ),
        ("api-keys", {"name": "n", "expires_at": "2001-01-01T00:00:00Z"}, {"/expires_at"}),
        ("users", {"email": "nobody"}, {"/email"}),
        ("users", {"email": "a@b.example", "role": "admin"}, {"/role"}),
        ("schedules/preview", {"schedule": {"type": "daily", "hour": 24}}, {"/schedule/hour"}),
        ("schedules/preview", {"schedule": {"type": "daily", "hour": 1}, "count": 51}, {"/count"}),
    ],
)
async def test_other_bodies(
    api: httpx.AsyncClient, world: World, ready: None, kind: str, body: dict[str, Any], pointers: set[str]
) -> None:
    response = await api.post(f"/api/{kind}", json=body)

    assert response.status_code == 422, response.text
    assert is_problem(response)
    assert {fault["pointer"] for fault in response.json()["errors"]} == pointers
    assert await nothing_was_written(world)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("destinations", {"type": "hunter2-canary", "name": "n"}),
        ("connections", {"platform": "hunter2-canary", "name": "n"}),
        ("connections", {"platform": "facebook", "name": "n", "expires_at": "hunter2-canary"}),
        ("connections/authorize", {"kind": "hunter2-canary"}),
        ("schedules/preview", {"schedule": {"type": "hunter2-canary"}}),
    ],
)
async def test_a_value_that_is_refused_is_not_repeated(
    api: httpx.AsyncClient, ready: None, kind: str, body: dict[str, Any]
) -> None:
    response = await api.post(f"/api/{kind}", json=body)

    assert response.status_code == 422, response.text
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/automations", {"GET", "POST"}),
        ("DELETE", "/api/runs", {"GET"}),
        ("OPTIONS", f"/api/automations/{DESTINATION}", {"GET", "PATCH", "DELETE"}),
        ("GET", "/api/automations/from-template", {"POST"}),
        ("DELETE", "/api/connections/kinds", {"GET"}),
        ("PUT", "/api/connections/kinds", {"GET"}),
        ("POST", "/healthz", {"GET"}),
        ("POST", "/static/console.css", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_a_path_has_not_is_answered_with_those_it_has(
    api: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    response = await api.request(method, path)

    assert response.status_code == 405
    assert is_problem(response)
    assert set(response.headers["allow"].split(", ")) == allowed


async def test_unknown_paths_are_problems_too(api: httpx.AsyncClient) -> None:
    response = await api.get("/api/nothing")

    assert response.status_code == 404
    assert is_problem(response)
