"""Pasting the secrets of connections, looking at accounts, and letting them go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from api.connection_kinds import ALL_KINDS
from api.settings import ApiSettings
from common.events import TokenRefreshDue
from common.models import ConnectionKind
from common.secrets.crypto import KeyRing
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support.console_browser import Person
from tests.support.outbox import Announcements
from tests.support.polling import eventually
from tests.support.stack import Service

Client = Callable[[Team | None], httpx.AsyncClient]
SERVER = {
    "account_id": "wTJw8LgeT8GlOSjLjOU9Hw",
    "client_id": "AcademyServer",
    "client_secret": "server-secret-canary",
}


@pytest.fixture
def settings(settings: ApiSettings, sandbox_server: Service) -> ApiSettings:
    """An API whose vendors are the sandbox; no app is registered with TikTok for creators."""
    origin = sandbox_server.url
    return settings.model_copy(
        update={
            "facebook_base_url": origin,
            "tiktok_base_url": origin,
            "tiktok_open_base_url": origin,
            "zoom_base_url": f"{origin}/zoom/v2",
            "zoom_oauth_url": f"{origin}/zoom/oauth",
            "outbound_allowed_hosts": frozenset({urlsplit(origin).netloc}),
            "facebook_app_id": "1000200030004000",
            "facebook_app_secret": SecretStr("fb-secret-canary"),
            "tiktok_app_id": "7000000000000000001",
            "tiktok_app_secret": SecretStr("tt-secret-canary"),
            "zoom_client_id": "zoomclient",
            "zoom_client_secret": SecretStr("zoom-secret-canary"),
        }
    )


async def make(api: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    answer = await api.post("/api/connections", json={"name": "mine", **given})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def look(api: httpx.AsyncClient, connection_id: object) -> dict[str, Any]:
    answer = await api.post(f"/api/connections/{connection_id}/check")
    assert answer.status_code == 200, answer.text
    checked: dict[str, Any] = answer.json()
    return checked


async def test_what_can_be_connected_is_told_with_what_is_missing(api: httpx.AsyncClient) -> None:
    kinds = {each["kind"]: each for each in (await api.get("/api/connections/kinds")).json()}
    assert set(kinds) == set(ALL_KINDS)
    assert kinds["facebook_user"]["is_configured"]
    assert kinds["facebook_user"]["has_dialog"]
    assert "read_insights" in kinds["facebook_user"]["needs"]
    assert kinds["tiktok_organic"]["missing_settings"] == ["TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"]
    assert not kinds["tiktok_organic"]["is_configured"]
    assert [field["name"] for field in kinds["zoom_server"]["paste"]] == [
        "credentials.account_id",
        "credentials.client_id",
        "credentials.client_secret",
        "webhook_secret",
    ]
    refused = await api.post("/api/connections/authorize", json={"kind": "tiktok_organic"})
    assert refused.status_code == 409
    assert "TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET must be set" in refused.json()["detail"]


async def test_every_secret_is_sealed_under_its_own_name_and_never_shown(
    api: httpx.AsyncClient, world: World, encryption_keys: str
) -> None:
    pasted = {"token": "token-canary", "refresh_token": "refresh-canary", "webhook_secret": "hook-canary"}
    zoom = await make(api, platform="zoom", **pasted)
    server = await make(api, platform="zoom", kind="zoom_server", credentials=SERVER)
    dsn = "postgresql://writer:dsn-canary@db.example:5432/figures"
    store = await make(api, platform="postgresql", token=dsn)
    ring = KeyRing.parse(encryption_keys)

    async def opened(made: dict[str, Any], column: str) -> str:
        row = await world.row("connection", UUID(made["id"]))
        sealed = row[f"{column}_sealed"]
        return ring.open(sealed, tenant_id=row["tenant_id"], row_id=row["id"], column=column)

    for column, secret in pasted.items():
        assert await opened(zoom, column) == secret
    assert json.loads(await opened(server, "credentials")) == SERVER
    assert await opened(store, "token") == dsn
    flags = ("has_token", "has_refresh_token", "has_credentials", "has_webhook_secret")
    assert [zoom[flag] for flag in flags] == [True, True, False, True]
    assert [server[flag] for flag in flags] == [False, False, True, False]
    shown = (await api.get("/api/connections")).text + json.dumps([zoom, server, store])
    assert "canary" not in shown


async def test_when_a_pasted_token_is_renewed(api: httpx.AsyncClient) -> None:
    now = datetime.now(UTC)
    soon = (now + timedelta(minutes=50)).isoformat()

    def due(made: dict[str, Any]) -> datetime | None:
        return datetime.fromisoformat(made["refresh_at"]) if made["refresh_at"] else None

    lasting = due(await make(api, platform="facebook", token="t"))
    assert lasting is not None
    assert timedelta(hours=23) < lasting - now < timedelta(hours=25)
    rotating = await make(api, platform="zoom", token="t", refresh_token="r", expires_at=soon)
    assert due(rotating) == datetime.fromisoformat(soon) - timedelta(minutes=5)
    unknown = due(await make(api, platform="zoom", token="t", refresh_token="r"))
    assert unknown is not None
    assert unknown - now < timedelta(seconds=30)
    # Without a refresh token, or without an app to renew with, there is nothing to do ahead of the end.
    assert due(await make(api, platform="zoom", token="t", expires_at=soon)) == datetime.fromisoformat(soon)
    assert due(await make(api, platform="zoom", token="t")) is None
    creator = await make(api, platform="tiktok", kind="tiktok_organic", token="t", refresh_token="r")
    assert due(creator) is None
    assert due(await make(api, platform="postgresql", token="postgresql://u:p@db.example/d")) is None


async def test_a_kind_of_another_platform_is_refused(api: httpx.AsyncClient, world: World) -> None:
    body = {"platform": "facebook", "kind": "zoom_user", "name": "n", "token": "t"}
    answer = await api.post("/api/connections", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/kind"]
    assert await world.sql.fetchval("SELECT count(*) FROM connection") == 0


async def test_a_new_token_replaces_the_grant_as_a_whole_and_resumes_what_waited(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    row_id = await world.connection(
        acme,
        ZOOM_USER,
        "old",
        refresh_token="old-refresh",
        webhook_secret="hook",
        status="reauth_required",
        status_reason="dead",
        reauth_required_at=datetime.now(UTC),
        external_id="u1",
        accounts=[{"id": "u1", "name": "Ada", "type": "user"}],
    )
    (waiting,) = await world.automations(acme, None, platforms=["zoom"])
    await world.sql.execute(
        "UPDATE automation SET status = 'paused', paused_for_connection_id = $1 WHERE id = $2",
        row_id,
        waiting,
    )
    renamed = await api.patch(f"/api/connections/{row_id}", json={"name": "Academy"})
    assert renamed.json()["status"] == "reauth_required"
    answer = await api.patch(f"/api/connections/{row_id}", json={"token": "new-canary"})
    assert answer.status_code == 200
    assert "canary" not in answer.text
    row = await world.row("connection", row_id)
    assert (row["status"], row["status_reason"], row["reauth_required_at"]) == ("active", None, None)
    assert row["token_version"] == 2
    assert row["refresh_token_sealed"] is None
    assert row["webhook_secret_sealed"] is not None
    assert (row["external_id"], row["accounts"]) == (None, [])
    assert (await world.row("automation", waiting))["status"] == "active"
    cleared = await api.patch(f"/api/connections/{row_id}", json={"webhook_secret": None})
    assert not cleared.json()["has_webhook_secret"]
    assert cleared.json()["has_token"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"credentials": SERVER}, "/credentials"),
        ({"token": None}, "/token"),
        ({"token": "a b"}, "/token"),
        ({"refresh_token": ""}, "/refresh_token"),
        ({"credentials": {"client_secret": 7}}, "/credentials/client_secret"),
        ({"kind": "zoom_server"}, "/kind"),
    ],
)
async def test_a_change_that_is_refused_changes_nothing(
    api: httpx.AsyncClient, world: World, acme: Team, body: dict[str, Any], pointer: str
) -> None:
    row_id = await world.connection(acme, ZOOM_USER, "old")
    before = await world.row("connection", row_id)
    answer = await api.patch(f"/api/connections/{row_id}", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert await world.row("connection", row_id) == before


async def test_a_look_records_whose_it_is_and_what_it_reaches(api: httpx.AsyncClient, world: World) -> None:
    made = await make(api, platform="facebook", token="sandbox-fb-look")
    assert (made["external_id"], made["accounts"], made["scopes"]) == (None, [], [])
    checked = await look(api, made["id"])
    assert (checked["outcome"], checked["detail"]) == ("alive", None)
    shown = checked["connection"]
    assert shown["external_id"]
    assert {account["type"] for account in shown["accounts"]} == {"ad_account", "page"}
    assert all(account.get("currency") for account in shown["accounts"] if account["type"] == "ad_account")
    assert "ads_read" in shown["scopes"]
    assert shown["checked_at"] is not None
    assert datetime.fromisoformat(shown["expires_at"]) > datetime.now(UTC) + timedelta(days=30)
    # The same account pasted twice: the first stays the one that is found by it.
    twin = await make(api, platform="facebook", token="sandbox-fb-look")
    assert (await look(api, twin["id"]))["connection"]["external_id"] is None
    assert (await look(api, made["id"]))["connection"]["external_id"] == shown["external_id"]


async def test_a_server_is_looked_at_with_a_token_of_its_own(api: httpx.AsyncClient, world: World) -> None:
    made = await make(api, platform="zoom", kind="zoom_server", credentials=SERVER)
    shown = (await look(api, made["id"]))["connection"]
    assert shown["has_token"]
    assert shown["external_id"] == SERVER["account_id"]
    assert {account["type"] for account in shown["accounts"]} == {"user"}
    assert shown["missing_scopes"] == []
    assert (await world.row("connection", UUID(made["id"])))["token_version"] == 2
    wrong = await make(
        api, platform="zoom", kind="zoom_server", credentials={**SERVER, "account_id": "another"}
    )
    checked = await look(api, wrong["id"])
    assert checked["outcome"] == "refused"
    assert checked["connection"]["health"]["state"] == "needs_attention"
    assert "canary" not in json.dumps(checked)


async def test_a_dead_token_is_told_and_handed_to_those_who_renew(
    api: httpx.AsyncClient, world: World
) -> None:
    made = await make(api, platform="facebook", token="password-changed-look")
    checked = await look(api, made["id"])
    assert checked["outcome"] == "renewal_requested"
    assert "changed their password" in checked["detail"]
    assert checked["connection"]["health"]["state"] == "needs_attention"
    assert "no longer accepted" in checked["connection"]["problem"]
    row = await world.row("connection", UUID(made["id"]))
    assert row["status"] == "active"  # an executor says so, who also tells the owner and pauses what needs it
    (due,) = await Announcements(world.sql).all()
    assert isinstance(due, TokenRefreshDue)
    assert (due.connection_id, due.version) == (row["id"], 1)


async def test_an_ended_access_token_is_no_problem_where_it_can_be_renewed(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    row_id = await world.connection(acme, ZOOM_USER, "expired-look", refresh_token="r")
    checked = await look(api, row_id)
    assert checked["outcome"] == "renewal_requested"
    assert checked["connection"]["problem"] is None
    assert await world.sql.fetchval("SELECT count(*) FROM outbox") == 1
    lonely = await world.connection(acme, ZOOM_USER, "expired-look")
    assert "no longer accepted" in (await look(api, lonely))["connection"]["problem"]


async def test_a_missing_permission_is_a_problem_of_the_connection(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    row_id = await world.connection(acme, TIKTOK_BUSINESS, "unscoped-look")
    checked = await look(api, row_id)
    assert checked["outcome"] == "refused"
    assert checked["connection"]["status"] == "active"
    assert checked["connection"]["health"]["state"] == "needs_attention"


async def test_a_token_that_works_after_all_ends_the_need_to_connect_again(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    row_id = await world.facebook(acme, "sandbox-fb-after-all")
    await world.sql.execute(
        "UPDATE connection SET status = 'reauth_required', status_reason = 'checkpointed'"
    )
    (waiting,) = await world.automations(acme, None)
    await world.sql.execute(
        "UPDATE automation SET status = 'paused', paused_for_connection_id = $1 WHERE id = $2",
        row_id,
        waiting,
    )
    checked = await look(api, row_id)
    assert checked["connection"]["status"] == "active"
    assert (await world.row("automation", waiting))["status"] == "active"


async def test_a_platform_that_does_not_answer_changes_nothing(
    api: httpx.AsyncClient, world: World, acme: Team, sandbox_server: Service
) -> None:
    row_id = await world.facebook(acme, "sandbox-fb-silent")
    async with httpx.AsyncClient(base_url=sandbox_server.url, trust_env=False) as control:
        fault = {"kind": "server_error", "token": "sandbox-fb-silent", "times": 1}
        await control.post("/_sandbox/faults", json=fault)
    before = await world.row("connection", row_id)
    checked = await look(api, row_id)
    assert checked["outcome"] == "unanswered"
    assert await world.row("connection", row_id) == before


async def asked_slowly(
    control: httpx.AsyncClient, api: httpx.AsyncClient, row_id: UUID, token: str
) -> asyncio.Task[dict[str, Any]]:
    """A look at the account, of which the platform has the first question and lets us wait."""
    slow = {"kind": "slow", "seconds": 2.0, "token": token, "times": 1}
    fault = (await control.post("/_sandbox/faults", json=slow)).json()
    asked = asyncio.create_task(look(api, row_id))

    async def has_struck() -> bool:
        switched_on = (await control.get("/_sandbox/faults")).json()["faults"]
        return all(each["id"] != fault["id"] for each in switched_on)

    await eventually(has_struck)
    return asked


async def test_no_transaction_is_open_while_a_platform_is_asked(
    app: FastAPI, api: httpx.AsyncClient, world: World, acme: Team, sandbox_server: Service
) -> None:
    row_id = await world.facebook(acme, "sandbox-fb-slow")
    async with httpx.AsyncClient(base_url=sandbox_server.url, trust_env=False) as control:
        asked = await asked_slowly(control, api, row_id, "sandbox-fb-slow")
        idle = await world.sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        )
        assert idle == 0
        assert not asked.done()
        await asked


async def test_a_token_that_was_replaced_meanwhile_is_not_overwritten(
    app: FastAPI, api: httpx.AsyncClient, world: World, acme: Team, sandbox_server: Service
) -> None:
    row_id = await world.facebook(acme, "sandbox-fb-replaced")
    async with httpx.AsyncClient(base_url=sandbox_server.url, trust_env=False) as control:
        asked = await asked_slowly(control, api, row_id, "sandbox-fb-replaced")
        await world.sql.execute("UPDATE connection SET token_version = 2 WHERE id = $1", row_id)
        checked = await asked
    assert checked["outcome"] == "unanswered"
    assert checked["connection"]["accounts"] == []


async def test_a_store_has_nothing_to_look_at(api: httpx.AsyncClient) -> None:
    made = await make(api, platform="postgresql", token="postgresql://u:p@db.example/d")
    assert (await api.post(f"/api/connections/{made['id']}/check")).status_code == 409


async def test_renewals_are_told_latest_first(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    row_id = await world.facebook(acme)
    now = datetime.now(UTC)
    for hours, outcome in enumerate(("refreshed", "failed", "unknown", None)):
        await world.token_refresh(
            row_id,
            started_at=now - timedelta(hours=hours),
            outcome=outcome,
            error_message=None if outcome == "refreshed" else "Facebook: no answer",
        )
    first = (await api.get(f"/api/connections/{row_id}/refreshes", params={"limit": 3})).json()
    assert [each["outcome"] for each in first["items"]] == ["refreshed", "failed", "unknown"]
    rest = (
        await api.get(
            f"/api/connections/{row_id}/refreshes", params={"limit": 3, "cursor": first["next_cursor"]}
        )
    ).json()
    assert [each["outcome"] for each in rest["items"]] == [None]


async def granted(world: World, team: Team, kind: ConnectionKind, token: str, **columns: Any) -> UUID:
    """A connection whose token its own dialog granted."""
    return await world.connection(team, kind, token, settings={"granted_by_dialog": True}, **columns)


async def test_what_a_dialog_granted_is_given_back_after_the_deletion(
    api: httpx.AsyncClient, world: World, acme: Team, sandbox_server: Service
) -> None:
    async with httpx.AsyncClient(base_url=sandbox_server.url, trust_env=False) as vendor:
        path = "/open_api/v1.3/oauth2/advertiser/get/"
        app = {"app_id": "7000000000000000001", "secret": "tt-secret-canary"}

        async def lives(token: str) -> bool:
            answer = await vendor.get(path, params=app, headers={"access-token": token})
            return bool(answer.json()["code"] == 0)

        pasted = await world.connection(acme, TIKTOK_BUSINESS, "sandbox-tt-pasted")
        ours = await granted(world, acme, TIKTOK_BUSINESS, "sandbox-tt-granted")
        for row_id in (pasted, ours):
            assert (await api.delete(f"/api/connections/{row_id}")).status_code == 204
        assert await lives("sandbox-tt-pasted")
        assert not await lives("sandbox-tt-granted")
        # A platform that refuses, or is not there, keeps nobody from disconnecting.
        for token in ("sandbox-tt-granted", "revoked-x"):
            row_id = await granted(world, acme, TIKTOK_BUSINESS, token)
            assert (await api.delete(f"/api/connections/{row_id}")).status_code == 204
        await vendor.post("/_sandbox/faults", json={"kind": "reset", "path": "*/revoke_token/", "times": 1})
        row_id = await granted(world, acme, TIKTOK_BUSINESS, "sandbox-tt-reset")
        assert (await api.delete(f"/api/connections/{row_id}")).status_code == 204
    assert await world.sql.fetchval("SELECT count(*) FROM connection") == 0


async def test_secrets_are_in_no_log_line_and_no_event(
    app: FastAPI,
    api: httpx.AsyncClient,
    world: World,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = await make(api, platform="facebook", token="revoked-token-canary")
    await look(api, made["id"])
    server = await make(api, platform="zoom", kind="zoom_server", credentials={**SERVER, "account_id": "x"})
    await look(api, server["id"])
    await api.post("/api/connections", json={"name": "n", "platform": "facebook", "token": "to canary"})
    await api.delete(f"/api/connections/{made['id']}")
    written = capsys.readouterr()
    assert "canary" not in written.out + written.err + caplog.text
    async with app.state.collaborators.sessions() as session:
        rows = (await session.execute(text("SELECT row_to_json(outbox)::text FROM outbox"))).scalars().all()
    assert rows
    assert not any("canary" in row for row in rows)


async def test_the_console_shows_health_and_takes_pasted_credentials(
    client_of: Client, acme: Team, world: World
) -> None:
    person = Person(client_of(None))
    await person.sign_in(acme)
    page = await person.open("/connections")
    assert "this server needs TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET" in page.text
    assert page.form("/connections/connect").buttons == ["Connect Facebook"]
    page = await person.open("/connections/new?kind=zoom_server")
    page = await person.submit(page.form("/connections/new"), name="Academy", credentials__account_id="a")
    assert page.status == 422
    assert page.form("/connections/new").fields["credentials.account_id"] == ["a"]
    form = page.form("/connections/new")
    filled = {f"credentials__{name}": value for name, value in SERVER.items()}
    page = await person.submit(form, **filled)
    assert "Academy is connected. It works. It reaches" in page.text
    assert "canary" not in page.source
    row = await world.sql.fetchrow("SELECT * FROM connection")
    assert row is not None
    await world.sql.execute(
        "UPDATE connection SET status = 'reauth_required', status_reason = 'invalid client'"
    )
    page = await person.open(f"/connections/{row['id']}")
    assert "It must be connected again. Invalid client." in page.text
    page = await person.submit(page.form(f"/connections/{row['id']}/check"))
    assert "It works" in page.text
    assert "Healthy" in page.text
    page = await person.submit(page.form(f"/connections/{row['id']}/delete"))
    assert "disconnected and its secrets forgotten" in page.text


async def test_a_zoom_accounts_page_says_where_zoom_may_announce_recordings(
    client_of: Callable[[Team | None], httpx.AsyncClient], world: World, acme: Team
) -> None:
    person = Person(client_of(None))
    await person.sign_in(acme)
    zoom = await world.connection(acme, ZOOM_USER, "token")
    page = await person.open(f"/connections/{zoom}")
    assert f"/hooks/zoom/{zoom}" in page.text
    assert "its events are not believed" in page.text
    facebook = await world.facebook(acme)
    assert "/hooks/zoom/" not in (await person.open(f"/connections/{facebook}")).source


async def test_an_account_that_recordings_are_taken_from_stays_until_its_sources_are_deleted(
    api: httpx.AsyncClient,
    client_of: Callable[[Team | None], httpx.AsyncClient],
    world: World,
    acme: Team,
) -> None:
    zoom = await world.connection(acme, ZOOM_USER, "token")
    made = await api.post("/api/recording-sources", json={"connection_id": str(zoom), "name": "The lecturer"})
    assert made.status_code == 201, made.text
    refused = await api.delete(f"/api/connections/{zoom}")
    assert refused.status_code == 409
    assert "“The lecturer”" in refused.json()["detail"]
    person = Person(client_of(None))
    await person.sign_in(acme)
    page = await person.open(f"/connections/{zoom}")
    shown = await person.submit(page.form(f"/connections/{zoom}/delete"))
    assert person.path == f"/connections/{zoom}"
    assert "delete the sources" in shown.text
    assert (await api.delete(f"/api/recording-sources/{made.json()['id']}")).status_code == 204
    assert (await api.delete(f"/api/connections/{zoom}")).status_code == 204
