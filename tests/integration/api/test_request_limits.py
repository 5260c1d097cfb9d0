"""Too many requests are answered with 429, and cost little; who keeps within the limits notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api import request_limits
from api.clients import MAX_WAITING, at_once
from api.live.feed import MAX_OF_KEY, MAX_OF_TEAM, LiveFeed
from api.problems import TooManyRequests
from api.quotas import routes as quota_routes
from api.quotas.schemas import QuotaOut
from api.request_limits import Counts, RequestLimits, network_of
from api.settings import ApiSettings
from common.database.pool import create_engine
from common.errors import Conflict
from common.ids import new_id
from tests.factories import Team
from tests.support.polling import eventually

Connect = Callable[[Team | None], httpx.AsyncClient]
WRONG = 20


@pytest.fixture
def small(app: FastAPI) -> None:
    """An installation with limits that a test can reach."""
    limits = RequestLimits(per_key=6, per_address=60, without_key=30, wrong_keys=WRONG)
    object.__setattr__(app.state.collaborators, "request_limits", limits)


async def test_wrong_keys_of_an_address_are_refused_and_known_ones_go_on(
    api: httpx.AsyncClient, client_of: Connect
) -> None:
    assert (await api.get("/api/quota")).status_code == 200
    guessing = client_of(None)
    answers = [
        await guessing.get("/api/quota", headers={"Authorization": f"Bearer car_{number:032}"})
        for number in range(60)
    ]

    assert Counter(answer.status_code for answer in answers) == {401: WRONG, 429: 60 - WRONG}
    last = answers[-1]
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    assert last.headers["Content-Type"] == "application/problem+json"
    assert last.json()["title"] == "Too many requests"
    assert (await api.get("/api/quota")).status_code == 200


async def test_the_sign_in_page_is_no_way_around_it(client_of: Connect) -> None:
    browser = client_of(None)
    keys = [f"car_{number:032}" for number in range(30)]
    statuses = [(await browser.post("/sign-in", data={"key": key})).status_code for key in keys]
    assert statuses == [422] * WRONG + [429] * 10
    page = await browser.post("/sign-in", data={"key": "car_x"}, headers={"Accept": "text/html"})
    assert page.status_code == 429
    assert "<h1" in page.text
    assert "Retry-After" in page.headers


@pytest.mark.usefixtures("small")
async def test_a_key_has_so_many_requests_and_another_has_its_own(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    statuses = [(await api.get("/api/quota")).status_code for _ in range(9)]
    assert statuses == [200] * 6 + [429] * 3
    assert (await stranger.get("/api/quota")).status_code == 200


@pytest.mark.usefixtures("small")
async def test_a_key_is_one_key_however_its_header_is_spelt(client_of: Connect, acme: Team) -> None:
    client = client_of(None)
    spelt = ["Bearer {}", "bearer {}", "BEARER  {}", "Bearer   {} "]
    statuses = [
        (
            await client.get(
                "/api/quota",
                headers={
                    "Authorization": spelt[number % 4].format(acme.api_key),
                    "Cookie": f"other={number}",
                },
            )
        ).status_code
        for number in range(12)
    ]
    assert statuses.count(429) == 6


@pytest.mark.usefixtures("small")
async def test_a_session_is_one_session_whatever_other_cookies_come_with_it(client_of: Connect) -> None:
    client = client_of(None)
    statuses = [
        (
            await client.get("/api/quota", headers={"Cookie": f"carillon_session=x; other={number}"})
        ).status_code
        for number in range(12)
    ]
    assert Counter(statuses) == {401: 6, 429: 6}


async def test_many_requests_of_a_key_at_once_are_all_answered_and_hold_up_no_other(
    app: FastAPI, api: httpx.AsyncClient, stranger: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, most, go_on = 0, 0, asyncio.Event()
    places = at_once(app.state.collaborators.settings.database_pool_size)

    async def quota_of(*_: object) -> QuotaOut:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await go_on.wait()
        at_work -= 1
        raise Conflict("as the test wants")

    monkeypatch.setattr(quota_routes, "quota_of", quota_of)
    flood = [asyncio.create_task(api.get("/api/quota")) for _ in range(places + MAX_WAITING + 5)]
    refused, _ = await asyncio.wait(flood, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result().status_code for task in refused} == {429}
    await eventually(lambda: at_work == places)
    assert (await stranger.get("/api/tenant")).status_code == 200
    go_on.set()
    statuses = Counter([answer.status_code for answer in await asyncio.gather(*flood)])
    assert statuses == {409: places + MAX_WAITING, 429: 5}
    assert most == places


@pytest.mark.usefixtures("small")
async def test_an_address_has_so_many_requests_and_probes_are_not_counted(client_of: Connect) -> None:
    client = client_of(None)
    anonymous = Counter([(await client.get("/api/quota")).status_code for _ in range(35)])
    assert anonymous == {401: 30, 429: 5}
    hooks = [(await client.post("/hooks/zoom/x")).status_code for _ in range(30)]
    assert Counter(hooks) == {401: 25, 429: 5}, "vendors have the limit of the address"
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/static/console.css")).status_code == 200


@pytest.mark.parametrize(
    ("path", "content_type", "key"),
    [
        ("/api/automations", b"application/json", None),
        ("/api/automations", b"application/json", "car_wrong"),
        ("/destinations/new", b"application/x-www-form-urlencoded", None),
    ],
)
async def test_a_body_is_not_read_before_the_key_is_known(
    app: FastAPI, path: str, content_type: bytes, key: str | None
) -> None:
    asked = 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"[" * 65_536, "more_body": asked < 4}

    statuses: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"host", b"carillon"), (b"content-type", content_type), (b"content-length", b"262144")]
    if key is not None:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("carillon", 80),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    call: Callable[..., Awaitable[None]] = app
    await call(scope, receive, send)
    assert (statuses, asked) == ([401], 0)


async def test_replicas_share_a_limit(settings: ApiSettings, app: FastAPI) -> None:
    """Within a second, without a request that waits for the database."""
    engine = create_engine(settings.database_url.get_secret_value(), application_name="test", size=2)
    one, other = (RequestLimits(per_key=10, per_address=100, without_key=50, wrong_keys=5) for _ in range(2))
    for limits in (one, other):
        for _ in range(6):
            await limits.admit("192.0.2.1", "Bearer car_x")
    await one.counts.share(engine)
    await other.counts.share(engine)
    with pytest.raises(TooManyRequests):
        await other.admit("192.0.2.1", "Bearer car_x")
    await one.admit("192.0.2.1", "Bearer car_x")
    await one.counts.share(engine)
    with pytest.raises(TooManyRequests):
        await one.admit("192.0.2.1", "Bearer car_x")
    await one.admit("192.0.2.2", "Bearer car_y")
    await engine.dispose()


async def test_a_window_ends_and_its_memory_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    counts = Counts()
    assert [await counts.incr("key", 60) for _ in range(3)] == [1, 2, 3]
    for number in range(10_000):
        await counts.incr(f"another {number}", 60)
    now += 60
    assert await counts.get("key") == 0
    assert await counts.incr("key", 60) == 1
    assert await counts.reset() == 1


async def test_what_could_not_be_shared_is_shared_later(
    settings: ApiSettings, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(settings.database_url.get_secret_value(), application_name="test", size=2)
    one, other = Counts(), Counts()
    for _ in range(3):
        await one.incr("key", 60)
    with monkeypatch.context() as broken:
        broken.setattr(request_limits, "_SHARE", text("SELECT nothing"))
        with pytest.raises(SQLAlchemyError):
            await one.share(engine)
    await one.incr("key", 60)
    await one.share(engine)
    await other.incr("key", 60)
    await other.share(engine)
    assert await other.get("key") == 5
    await engine.dispose()


async def test_replicas_share_one_window(
    settings: ApiSettings, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends for all of them with the first one's, not a minute after each began to count."""
    engine = create_engine(settings.database_url.get_secret_value(), application_name="test", size=2)
    one, other = Counts(), Counts()
    began = time.time()
    await one.incr("key", 1)
    await one.share(engine)
    await other.incr("key", 60)
    await other.share(engine)
    assert await other.get("key") == 2
    assert await other.get_expiry("key") <= began + 1.5
    monkeypatch.setattr(time, "time", lambda: began + 2)
    assert await other.get("key") == 0
    assert await other.incr("key", 60) == 1
    await engine.dispose()


def test_live_feeds_of_a_key_and_of_a_team_are_limited() -> None:
    feed, tenant, key = LiveFeed(8), new_id(), new_id()
    with contextlib.ExitStack() as others, contextlib.ExitStack() as own:
        for _ in range(MAX_OF_KEY):
            own.enter_context(feed.subscribe(tenant, key))
        with pytest.raises(TooManyRequests), feed.subscribe(tenant, key):
            pass
        for _ in range(MAX_OF_TEAM - MAX_OF_KEY):
            others.enter_context(feed.subscribe(tenant, new_id()))
        with pytest.raises(TooManyRequests), feed.subscribe(tenant, new_id()):
            pass
        with feed.subscribe(new_id(), new_id()), feed.subscribe(tenant):
            pass
        own.close()
        with feed.subscribe(tenant, key):
            pass


async def test_the_feed_beyond_the_limit_is_answered_with_429(
    app: FastAPI, api: httpx.AsyncClient, acme: Team
) -> None:
    [key] = (await api.get("/api/api-keys")).json()["items"]
    with contextlib.ExitStack() as watching:
        for _ in range(MAX_OF_KEY):
            watching.enter_context(app.state.collaborators.live.subscribe(acme.tenant_id, UUID(key["id"])))
        refused = await api.get("/api/events")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "30"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_addresses_of_one_client_count_together(address: str, network: str) -> None:
    assert network_of(address) == network
