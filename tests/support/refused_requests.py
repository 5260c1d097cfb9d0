"""Requests with misplaced or wrong secrets, which the API, the console and the Zoom webhook refuse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from api.connection_kinds import ALL_KINDS
from tests.support import team_actions
from tests.support.console_browser import Fields
from tests.support.watched_services import WatchedServices


def _refusable(watched: WatchedServices) -> Iterable[tuple[str, str, Any]]:
    """Requests that are refused, with a secret where it does not belong: method, path and body."""
    new = watched.planted.new
    connections, destinations = "/api/connections", "/api/destinations"
    for token in (
        [new("a token in a list")],
        {"token": new("a token in an object")},
        new("a token that is too long", length=5_000),
        f"{new('a token with a break')}\r\nX: {new('what follows it')}",
        f"{new('a token with a blank')} {new('the rest')}",
        None,
    ):
        yield "POST", connections, {"platform": "facebook", "name": "x", "token": token}
    yield "POST", connections, {"platform": new("a platform"), "name": "x", "token": new("a token")}
    yield "POST", connections, {"platform": "facebook", "name": "x", "tokken": new("a misspelt token")}
    yield "POST", connections, {"platform": "facebook", "kind": new("a kind"), "name": "x"}
    yield "POST", connections, {"platform": "facebook", "name": new("a name", length=300)}
    yield "POST", connections, {"platform": "facebook", "name": "x", "refresh_token": new("not for it")}
    yield "POST", connections, {"platform": "facebook", "name": "x", "expires_at": new("no moment")}
    yield "POST", connections, {"platform": "facebook", "name": "x", "settings": new("no settings")}
    yield "POST", connections, {"platform": "facebook", "name": "x", "scopes": new("no scopes")}
    for dsn in (
        f"mysql://ada:{new('a password of MySQL')}@db.example/x",
        f"postgresql://ada:{new('half a password')}/{new('its rest')}@db.example/x",
        f"host=db.example password={new('a password in words')}",
    ):
        yield "POST", connections, {"platform": "postgresql", "name": "x", "token": dsn}
    for credentials in (
        {"client_secret": new("an app's secret")},
        {"account_id": "a", "client_id": "b", "client_secret": "c", "more": new("one too many")},
        {"account_id": "a", "client_id": "b", "client_secret": new("too long", length=5_000)},
        {"account_id": "a", "client_id": "b", "client_secret": [new("in a list")]},
        new("no object"),
    ):
        yield (
            "POST",
            connections,
            {"platform": "zoom", "kind": "zoom_server", "name": "x", "credentials": credentials},
        )
    yield "POST", f"{connections}/authorize", {"kind": new("no kind")}
    yield "POST", f"{connections}/authorize", {"kind": "zoom_user", "connection_id": new("no id")}
    chat = {"type": "telegram", "name": "x", "config": {"chat_id": 1}}
    yield "POST", destinations, {**chat, "bot_token": new("no bot's token")}
    yield "POST", destinations, {**chat, "bot_token": f"{new('no number')}:{new('a bot', length=35)}"}
    yield "POST", destinations, {**chat, "config": {"chat_id": new("no chat")}, "bot_token": "1"}
    yield "POST", destinations, {"type": new("no type"), "name": "x"}
    hook = {"type": "webhook", "name": "x", "config": {"url": "https://hooks.example.com/x"}}
    yield "POST", destinations, {**hook, "signing_secret": new("no base64", "whsec_!")}
    yield "POST", destinations, {**hook, "signing_secret": new("no prefix")}
    yield "POST", destinations, {**hook, "bot_token": new("a bot's for a webhook")}
    for url in (
        f"https://ada:{new('a password in a URL')}@hooks.example.com/",
        f"ftp://hooks.example.com/{new('a path of FTP')}",
        f"https://hooks.example.com:{new('no port')}/",
        f"https://{new('a host', length=80).lower()}/",
        f"https://10.0.0.1/?token={new('a token in a query')}",
    ):
        yield "POST", destinations, {**hook, "config": {"url": url}}
        config = {"sync_type": "webhook", "webhook_url": url}
        yield "POST", "/api/automations", _automation("data_sync", config)
    yield "POST", "/api/automations", _automation("data_sync", {"token": new("a token in a config")})
    yield "POST", "/api/automations", _automation(new("no automation"), {})
    yield "POST", "/api/automations/from-template", {"template_id": new("no template")}
    yield "POST", "/api/recording-sources", {"connection_id": new("no connection"), "name": "x"}
    yield "POST", "/api/api-keys", {"name": "x", "key": new("a key of one's own")}
    yield "POST", connections, f'{{"platform": "facebook", "token": "{new("a token in broken JSON")}'
    yield "GET", f"{connections}?platform={new('no platform')}", None
    yield "GET", f"{connections}?cursor={new('no cursor')}", None


def _automation(kind: str, config: Any) -> dict[str, Any]:
    return {
        "name": "x",
        "type": kind,
        "destination_id": "0198c0de-0000-7000-8000-000000000001",
        "schedule_config": {"type": "daily", "hour": 1},
        "automation_config": config,
    }


async def send_to_api(watched: WatchedServices) -> None:
    """Send every refusable request and invalid API keys; all must be refused."""
    team_client = await watched.team_client("Clumsy")
    for method, path, body in _refusable(watched):
        content = body if isinstance(body, str) else json.dumps(body)
        answer = await team_client.api.request(
            method, path, content=content, headers={"content-type": "application/json"}
        )
        assert 400 <= answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
    for scheme in ("Bearer", "Basic", "Token"):
        key = f"{scheme} {watched.planted.new('no key', 'car_')}"
        answer = await team_client.api.get("/api/runs", headers={"Authorization": key})
        assert answer.status_code == 401, answer.text


async def send_to_console(watched: WatchedServices) -> None:
    """Submit console forms that are refused, with secrets in their fields."""
    team_client, person = await watched.team_client("Hasty"), await watched.visitor()
    new = watched.planted.new
    assert (await person.send("/sign-in", {"key": new("a wrong key", "car_")})).status == 422
    assert (await person.send("/sign-in", {"key": new("no key at all")})).status == 422
    front = await person.sign_in(team_client.team)
    token = front.form("/sign-out").fields["form_token"]
    for kind in ALL_KINDS:
        fields: dict[str, str | list[str]] = {
            "form_token": token,
            "kind": kind,
            "name": "",
            "token": new(f"a token for {kind}"),
            "refresh_token": new(f"a refresh token for {kind}"),
            "credentials.client_secret": new(f"a client secret for {kind}"),
            "credentials.secret_access_key": new(f"an access key for {kind}"),
            "webhook_secret": new(f"a webhook secret for {kind}"),
        }
        page = await person.send("/connections/new", fields)
        assert page.status == 422, (kind, page.text)
    made = await team_client.connect("facebook", token=new("a Facebook token", "sandbox-fb-"))
    edited: Fields = {"form_token": token, "name": "", "token": new("a newer token"), "scopes": "ads_read"}
    assert (await person.send(f"/connections/{made}/edit", edited)).status == 422
    chat: Fields = {"form_token": token, "type": "telegram", "name": "", "chat_id": "1"}
    assert (await person.send("/destinations/new", {**chat, "bot_token": new("no bot's")})).status == 422
    hook: Fields = {"form_token": token, "type": "webhook", "name": "", "url": "https://x.example/"}
    refused = await person.send("/destinations/new", {**hook, "signing_secret": new("no secret")})
    assert refused.status == 422
    await person.send("/connections/connect", {"form_token": token, "kind": new("no kind")})


async def send_zoom_events(watched: WatchedServices) -> None:
    """Send Zoom webhook events that are not signed by the account or are not about a recording."""
    team_client = await watched.team_client("Doors")
    accounts = await team_actions.connect_every_kind(watched, team_client)
    secret = watched.planted.of("a Zoom webhook secret")
    assert (
        await team_actions.send_zoom_event(watched, accounts.zoom, watched.planted.new("another secret"))
        == 401
    )
    assert await team_actions.send_zoom_event(watched, accounts.zoom, secret, timestamp=1) == 401
    assert await team_actions.send_zoom_event(watched, accounts.facebook, secret) == 401
