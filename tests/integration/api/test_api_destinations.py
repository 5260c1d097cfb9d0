"""Destinations and connections over HTTP, and that their secrets stay in."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.settings import ApiSettings
from common.events import NotificationRequested, parse
from common.messages import Message
from common.secrets.crypto import KeyRing
from tests.factories import BOT_TOKEN, Team, World

TELEGRAM = {"type": "telegram", "name": "Chat", "config": {"chat_id": -100123}, "bot_token": BOT_TOKEN}
WEBHOOK = {"type": "webhook", "name": "Hook", "config": {"url": "https://example.com/hook"}}
OWN_SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def ring(settings: ApiSettings) -> KeyRing:
    return KeyRing.parse(settings.encryption_keys.get_secret_value())


async def opened(world: World, ring: KeyRing, table: str, column: str) -> str:
    """The secret of the table's only row, as the other services open it."""
    row = await world.sql.fetchrow(f"SELECT id, tenant_id, {column}_sealed AS sealed FROM {table}")
    assert row is not None
    return ring.open(row["sealed"], tenant_id=row["tenant_id"], row_id=row["id"], column=column)


async def test_telegram_destination_keeps_its_token_sealed(
    api: httpx.AsyncClient, world: World, ring: KeyRing
) -> None:
    response = await api.post("/api/destinations", json=TELEGRAM)

    assert response.status_code == 201
    body = response.json()
    assert response.headers["location"] == f"/api/destinations/{body['id']}"
    assert (body["config"], body["has_secret"], body["signing_secret"]) == ({"chat_id": -100123}, True, None)
    assert await opened(world, ring, "destination", "secret") == BOT_TOKEN


@pytest.mark.parametrize("chat", [4711, -1001234567890, "@carillon_news"])
async def test_chats_telegram_knows(api: httpx.AsyncClient, chat: int | str) -> None:
    config = {"chat_id": chat, "message_thread_id": 7}

    response = await api.post("/api/destinations", json=TELEGRAM | {"config": config})

    assert response.json()["config"] == config


async def test_webhook_secret_is_made_and_shown_once(
    api: httpx.AsyncClient, world: World, ring: KeyRing
) -> None:
    body = (await api.post("/api/destinations", json=WEBHOOK)).json()

    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", body["signing_secret"])
    assert await opened(world, ring, "destination", "secret") == body["signing_secret"]
    assert "signing_secret" not in (await api.get(f"/api/destinations/{body['id']}")).json()


async def test_own_webhook_secret_is_kept_and_not_repeated(
    api: httpx.AsyncClient, world: World, ring: KeyRing
) -> None:
    response = await api.post("/api/destinations", json=WEBHOOK | {"signing_secret": OWN_SECRET})

    assert response.json()["signing_secret"] is None
    assert OWN_SECRET not in response.text
    assert await opened(world, ring, "destination", "secret") == OWN_SECRET


async def test_rotated_secret_replaces_the_old_one(
    api: httpx.AsyncClient, world: World, ring: KeyRing, acme: Team
) -> None:
    old = (await api.post("/api/destinations", json=WEBHOOK)).json()

    new = (await api.post(f"/api/destinations/{old['id']}/rotate-secret")).json()

    assert new["signing_secret"] != old["signing_secret"]
    assert await opened(world, ring, "destination", "secret") == new["signing_secret"]
    chat = await world.telegram(acme)
    assert (await api.post(f"/api/destinations/{chat}/rotate-secret")).status_code == 409


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/hook",
        "http://127.0.0.1/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://2130706433/",
        "https://user:password@example.com/",
        "ftp://example.com/",
        "https:///nowhere",
        "not a url",
    ],
)
async def test_webhook_into_private_networks_is_refused(
    api: httpx.AsyncClient, world: World, url: str
) -> None:
    created = await api.post("/api/destinations", json=WEBHOOK | {"config": {"url": url}})

    assert created.status_code == 422
    assert [fault["pointer"] for fault in created.json()["errors"]] == ["/config/url"]
    assert await world.sql.fetchval("SELECT count(*) FROM destination") == 0


async def test_allowed_private_host_is_accepted(api: httpx.AsyncClient) -> None:
    response = await api.post(
        "/api/destinations", json=WEBHOOK | {"config": {"url": "http://127.0.0.1:9/in"}}
    )

    assert response.status_code == 201


async def test_patch_changes_what_is_given(api: httpx.AsyncClient, world: World, ring: KeyRing) -> None:
    made = (await api.post("/api/destinations", json=TELEGRAM)).json()
    path = f"/api/destinations/{made['id']}"
    await world.sql.execute("UPDATE destination SET status = 'disabled', status_reason = 'bot was blocked'")

    renamed = (await api.patch(path, json={"name": "Other"})).json()
    moved = (await api.patch(path, json={"config": {"chat_id": 5}})).json()
    enabled = (await api.patch(path, json={"status": "active"})).json()

    assert (renamed["name"], renamed["config"], renamed["status"]) == (
        "Other",
        {"chat_id": -100123},
        "disabled",
    )
    assert moved["config"] == {"chat_id": 5}
    assert (enabled["status"], enabled["status_reason"]) == ("active", None)
    assert await opened(world, ring, "destination", "secret") == BOT_TOKEN


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"signing_secret": OWN_SECRET}, "/signing_secret"),
        ({"config": {"url": "https://example.com/"}}, "/config"),
        ({"bot_token": "nonsense"}, "/bot_token"),
        ({"bot_token": None}, "/bot_token"),
        ({"type": "webhook"}, "/type"),
        ({"config": {"chat_id": "@x"}}, "/config/chat_id"),
    ],
)
async def test_patch_that_does_not_fit_is_refused(
    api: httpx.AsyncClient, world: World, change: dict[str, Any], pointer: str
) -> None:
    made = (await api.post("/api/destinations", json=TELEGRAM)).json()

    response = await api.patch(f"/api/destinations/{made['id']}", json=change)

    assert response.status_code == 422
    assert pointer in [fault["pointer"] for fault in response.json()["errors"]]
    before = {name: value for name, value in made.items() if name != "signing_secret"}
    assert (await api.get(f"/api/destinations/{made['id']}")).json() == before


async def test_destination_in_use_cannot_be_deleted(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    destination = await world.telegram(acme)
    (automation,) = await world.automations(acme, destination)

    refused = await api.delete(f"/api/destinations/{destination}")
    await api.delete(f"/api/automations/{automation}")
    deleted = await api.delete(f"/api/destinations/{destination}")

    assert refused.status_code == 409
    assert str(automation) in refused.json()["detail"]
    assert deleted.status_code == 204


async def test_test_message_is_queued_with_its_event(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    destination = await world.telegram(acme)

    response = await api.post(f"/api/destinations/{destination}/test")

    assert response.status_code == 202
    body = response.json()
    assert (body["status"], body["run_id"], body["attempts"]) == ("queued", None, [])
    assert (await api.get(response.headers["location"])).json() == body
    row = await world.sql.fetchrow("SELECT * FROM delivery")
    assert row is not None
    assert Message.model_validate(row["message"]).type == "destination.test"
    (event,) = await world.sql.fetch("SELECT * FROM outbox")
    assert parse(event["headers"], event["value"], NotificationRequested) == NotificationRequested(
        delivery_id=UUID(body["id"]), destination_id=destination, tenant_id=acme.tenant_id, run_id=None
    )


async def test_disabled_destination_is_not_tested(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    destination = await world.telegram(acme)
    await world.sql.execute("UPDATE destination SET status = 'disabled', status_reason = 'bot was blocked'")

    response = await api.post(f"/api/destinations/{destination}/test")

    assert response.status_code == 409
    assert "bot was blocked" in response.json()["detail"]
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 0


async def test_connection_keeps_its_token_sealed_and_a_new_one_revives_it(
    api: httpx.AsyncClient, world: World, ring: KeyRing
) -> None:
    made = await api.post(
        "/api/connections",
        json={"platform": "facebook", "name": "Main", "token": "EAA-first", "scopes": ["ads_read"]},
    )
    assert made.status_code == 201
    path = f"/api/connections/{made.json()['id']}"
    assert await opened(world, ring, "connection", "token") == "EAA-first"
    await world.sql.execute("UPDATE connection SET status = 'reauth_required', status_reason = 'expired'")

    renamed = (await api.patch(path, json={"name": "Renamed"})).json()
    revived = (await api.patch(path, json={"token": "EAA-second"})).json()

    assert (renamed["name"], renamed["status"]) == ("Renamed", "reauth_required")
    assert (revived["status"], revived["status_reason"], revived["has_token"]) == ("active", None, True)
    assert await opened(world, ring, "connection", "token") == "EAA-second"
    listed = (await api.get("/api/connections", params={"platform": "facebook"})).json()["items"]
    assert listed == [revived]
    assert (await api.get("/api/connections", params={"platform": "zoom"})).json()["items"] == []
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_no_answer_holds_a_secret(api: httpx.AsyncClient, world: World) -> None:
    """Whatever is asked, the only secret an answer ever holds is one that was made in this request."""
    secrets = [BOT_TOKEN, OWN_SECRET, "EAA-very-secret", "EAA-newer-secret"]
    answers = [
        await api.post("/api/destinations", json=TELEGRAM),
        await api.post("/api/destinations", json=WEBHOOK | {"signing_secret": OWN_SECRET}),
        await api.post("/api/destinations", json=TELEGRAM | {"config": {}}),
        await api.post("/api/destinations", json=TELEGRAM | {"bot_token": BOT_TOKEN + "!"}),
        await api.post(
            "/api/connections", json={"platform": "zoom", "name": "z", "token": "EAA-very-secret"}
        ),
        await api.post("/api/connections", json={"platform": "?", "token": "EAA-very-secret", "name": 5}),
    ]
    for kind in ("destinations", "connections"):
        for item in (await api.get(f"/api/{kind}")).json()["items"]:
            answers.append(await api.get(f"/api/{kind}/{item['id']}"))
            answers.append(await api.patch(f"/api/{kind}/{item['id']}", json={"name": "n"}))
            answers.append(await api.patch(f"/api/{kind}/{item['id']}", json={"token": "EAA-newer-secret"}))
            answers.append(await api.patch(f"/api/{kind}/{item['id']}", json={"bot_token": BOT_TOKEN}))
            if kind == "destinations":
                answers.append(await api.post(f"/api/destinations/{item['id']}/test"))
        answers.append(await api.get(f"/api/{kind}"))
    answers.append(await api.get("/api/deliveries"))

    for answer in answers:
        for secret in secrets:
            assert secret not in answer.text, f"{answer.request.method} {answer.request.url}"
    rows = await world.sql.fetch("SELECT headers::text, convert_from(value, 'UTF8') AS value FROM outbox")
    for secret in secrets:
        assert secret not in json.dumps([dict(row) for row in rows])
