"""The demo's data is planted once, and follows the sandbox to another port."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import TypeAdapter

from carillon.client import Api
from carillon.seed import plant
from common.scheduling.kinds import Schedule

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Store:
    """As much of the public API as planting needs."""

    def __init__(self) -> None:
        self.items: dict[str, list[dict[str, Any]]] = {}
        self.writes: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        collection, _, identifier = request.url.path.removeprefix("/api/").partition("/")
        items = self.items.setdefault(collection, [])
        if request.method == "GET":
            return httpx.Response(200, json={"items": items})
        self.writes.append(f"{request.method} {collection}")
        if request.method == "PATCH":
            [item] = [item for item in items if item["id"] == identifier]
            item |= json.loads(request.content)
            return httpx.Response(200, json=item)
        item = {"id": f"{collection}-{len(items)}"} | json.loads(request.content)
        items.append(item)
        return httpx.Response(201, json=item)


def _api(store: Store) -> Api:
    return Api(httpx.AsyncClient(transport=httpx.MockTransport(store), base_url="http://api.test"))


async def test_planting_twice_changes_nothing() -> None:
    store = Store()
    first = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    made = len(store.writes)
    second = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    assert second == first
    assert len(store.writes) == made
    assert {name: len(items) for name, items in store.items.items()} == {
        "connections": 1,
        "destinations": 2,
        "automations": 4,
    }


async def test_the_webhook_follows_the_sandbox() -> None:
    store = Store()
    await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    store.writes.clear()
    await plant(_api(store), sandbox_origin="http://s:2", webhook_secret="whsec_x", now=NOW)
    assert store.writes == ["PATCH destinations"]
    urls = [item["config"].get("url") for item in store.items["destinations"]]
    assert urls == [None, "http://s:2/hooks/northwind"]


async def test_every_schedule_is_one_and_the_first_report_comes_within_seconds() -> None:
    store = Store()
    seeds = await plant(_api(store), sandbox_origin="http://s:1", webhook_secret="whsec_x", now=NOW)
    schedules = {
        item["id"]: TypeAdapter[Any](Schedule).validate_python(item["schedule_config"])
        for item in store.items["automations"]
    }
    for identifier in (seeds.to_chat, seeds.to_hook):
        assert (schedules[identifier].anchor - NOW).total_seconds() == 5
