"""The demo's data is created once, and follows the sandbox to another port."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import TypeAdapter

from carillon.client import Api
from carillon.seed import FIRST_REPORT_AFTER, plant
from common.scheduling.kinds import Schedule

LATER = datetime(2026, 11, 22, 9, 30, 17, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Store:
    """As much of the public API as planting needs."""

    def __init__(self) -> None:
        self.items: dict[str, list[dict[str, Any]]] = {}
        self.writes: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/")
        identifier = path.rpartition("/")[2] if request.method == "PATCH" else ""
        collection = path.removesuffix(f"/{identifier}")
        items = [] if path.endswith("/check") else self.items.setdefault(collection, [])
        if request.method == "GET":
            return httpx.Response(200, json=items if collection == "v1/automation/jobs" else {"items": items})
        if request.method == "POST" and path.endswith("/check"):
            [item] = [item for item in self.items["connections"] if f"/{item['id']}/" in path]
            item["checked_at"] = NOW.isoformat()
            return httpx.Response(200, json=item)
        self.writes.append(f"{request.method} {collection}")
        if request.method == "PATCH":
            [item] = [item for item in items if item["id"] == identifier]
            item |= json.loads(request.content)
            return httpx.Response(200, json=item)
        item = {"id": f"{collection}-{len(items)}", "number": len(items) + 1} | json.loads(request.content)
        items.append(item)
        return httpx.Response(201, json=item)


def _automation(store: Store, identifier: str) -> dict[str, Any]:
    [item] = [item for item in store.items["automations"] if item["id"] == identifier]
    return item


def _anchor(store: Store, identifier: str) -> datetime:
    return datetime.fromisoformat(_automation(store, identifier)["schedule_config"]["anchor"])


def _api(store: Store) -> Api:
    return Api(httpx.AsyncClient(transport=httpx.MockTransport(store), base_url="http://api.test"))


async def test_seeding_twice_adds_nothing_and_restarts_the_minutes() -> None:
    store = Store()
    first = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    store.writes.clear()
    second = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=LATER)
    assert second == first
    assert store.writes == ["PATCH automations", "PATCH automations"]
    assert _anchor(store, second.to_chat) == _anchor(store, second.to_hook) == LATER + FIRST_REPORT_AFTER
    assert {name: len(items) for name, items in store.items.items()} == {
        "connections": 3,
        "destinations": 2,
        "automations": 5,
        "recording-sources": 1,
        "recording-templates": 1,
        "v1/automation/jobs": 1,
    }


async def test_a_schedule_changed_by_the_user_is_kept() -> None:
    store = Store()
    seeds = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    theirs = {"type": "daily", "hour": 7, "minute": 0, "timezone": "UTC"}
    _automation(store, seeds.to_chat)["schedule_config"] = theirs
    await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=LATER)
    assert _automation(store, seeds.to_chat)["schedule_config"] == theirs


async def test_the_webhook_follows_the_sandbox() -> None:
    store = Store()
    await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    store.writes.clear()
    await plant(_api(store), sandbox_origin="http://s:2", webhook_secret="whsec_x", now=NOW)
    assert "PATCH destinations" in store.writes
    urls = [item["config"].get("url") for item in store.items["destinations"]]
    assert urls == [None, "http://s:2/hooks/northwind"]


async def test_every_schedule_is_valid_and_the_first_report_is_due_within_seconds() -> None:
    store = Store()
    seeds = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    schedules = {
        item["id"]: TypeAdapter[Any](Schedule).validate_python(item["schedule_config"])
        for item in store.items["automations"]
    }
    for identifier in (seeds.to_chat, seeds.to_hook):
        assert schedules[identifier].anchor == NOW + FIRST_REPORT_AFTER
