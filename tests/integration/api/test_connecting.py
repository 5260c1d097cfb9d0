"""Connecting accounts by their platforms' dialogs: there, back, and nobody else's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.main import build_app
from api.settings import ApiSettings
from common.secrets.crypto import KeyRing
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support.console_browser import HTML, Page, Person
from tests.support.stack import Service

Client = Callable[[Team | None], httpx.AsyncClient]
SECRETS = {
    "facebook_app_secret": "fb-secret-canary",
    "tiktok_app_secret": "tt-secret-canary",
    "tiktok_client_secret": "ttc-secret-canary",
    "zoom_client_secret": "zoom-secret-canary",
}


class Clock:
    """The API's clock, which a test can move."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(settings: ApiSettings, sandbox_server: Service) -> ApiSettings:
    """An API whose vendors are the sandbox, with an app at each of them."""
    origin = sandbox_server.url
    apps = {
        "facebook_app_id": "1000200030004000",
        "tiktok_app_id": "7000000000000000001",
        "tiktok_client_key": "awkey",
        "zoom_client_id": "zoomclient",
        **{name: SecretStr(secret) for name, secret in SECRETS.items()},
    }
    vendors = {
        "facebook_base_url": origin,
        "facebook_dialog_url": origin,
        "tiktok_base_url": origin,
        "tiktok_portal_url": origin,
        "tiktok_open_base_url": origin,
        "tiktok_dialog_url": origin,
        "zoom_base_url": f"{origin}/zoom/v2",
        "zoom_oauth_url": f"{origin}/zoom/oauth",
        "zoom_dialog_url": f"{origin}/zoom/oauth",
        "outbound_allowed_hosts": frozenset({urlsplit(origin).netloc}),
        "public_url": "http://carillon/",
    }
    return settings.model_copy(update={**vendors, **apps})


@pytest.fixture
async def app(settings: ApiSettings, clock: Clock) -> AsyncIterator[FastAPI]:
    application = build_app(settings, "api-test", clock=clock)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def vendor(sandbox_server: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The person's browser at the platforms."""
    async with httpx.AsyncClient(base_url=sandbox_server.url, trust_env=False) as client:
        yield client


@dataclass
class Flow:
    """A person of a team, at the console and at the platforms."""

    person: Person
    vendor: httpx.AsyncClient
    world: World

    async def set_out(self, kind: str, connection_id: UUID | None = None) -> str:
        """Press the button; the address of the platform's page."""
        front = await self.person.open("/connections")
        token = front.form("/sign-out").fields["form_token"]
        fields: dict[str, str | list[str]] = {"form_token": token, "kind": kind}
        if connection_id is not None:
            fields["connection_id"] = str(connection_id)
        page = await self.person.send("/connections/connect", fields)
        return next(link for link in page.links if link.startswith(str(self.vendor.base_url)))

    async def agree(self, address: str, **choices: str) -> str:
        """Decide on the platform's page; where it sends the person back to."""
        decided = httpx.URL(address).copy_merge_params({"sandbox_decision": "allow", **choices})
        answer = await self.vendor.get(decided)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        assert (back.netloc, back.path) == ("carillon", "/oauth/callback")
        return f"{back.path}?{back.query}"

    async def connect(self, kind: str, connection_id: UUID | None = None, **choices: str) -> Page:
        """All of it."""
        return await self.person.open(await self.agree(await self.set_out(kind, connection_id), **choices))

    async def only_connection(self) -> Any:
        rows = await self.world.sql.fetch("SELECT * FROM connection")
        assert len(rows) == 1
        return rows[0]


@pytest.fixture
async def ours(client_of: Client, acme: Team, vendor: httpx.AsyncClient, world: World) -> Flow:
    person = Person(client_of(None))
    await person.sign_in(acme)
    return Flow(person, vendor, world)


@pytest.fixture
async def theirs(client_of: Client, globex: Team, vendor: httpx.AsyncClient, world: World) -> Flow:
    person = Person(client_of(None))
    await person.sign_in(globex)
    return Flow(person, vendor, world)


def opened(row: Any, encryption_keys: str, column: str) -> str:
    """A secret of a connection, in clear."""
    ring = KeyRing.parse(encryption_keys)
    return ring.open(row[f"{column}_sealed"], tenant_id=row["tenant_id"], row_id=row["id"], column=column)


@pytest.mark.parametrize(
    ("kind", "accounts", "rotates"),
    [
        ("facebook_user", {"ad_account", "page"}, False),
        ("tiktok_business", {"advertiser"}, False),
        ("tiktok_organic", {"profile"}, True),
        ("zoom_user", {"user"}, True),
    ],
)
async def test_an_account_is_connected_by_its_dialog(
    ours: Flow, api: httpx.AsyncClient, encryption_keys: str, kind: str, accounts: set[str], rotates: bool
) -> None:
    page = await ours.connect(kind)
    assert "is connected." in page.text
    assert "It reaches" in page.text
    row = await ours.only_connection()
    assert ours.person.path == f"/connections/{row['id']}"
    assert (row["kind"], row["status"], row["problem"]) == (kind, "active", None)
    assert row["external_id"]
    assert {account["type"] for account in row["accounts"]} == accounts
    assert row["refresh_at"] > datetime.now(UTC)
    assert row["checked_at"] is not None
    assert (row["refresh_token_sealed"] is not None) is rotates
    assert await ours.world.sql.fetchval("SELECT count(*) FROM oauth_attempt") == 0
    token = opened(row, encryption_keys, "token")
    shown = (await api.get(f"/api/connections/{row['id']}")).text
    for text in (page.source, shown):
        assert token not in text
        assert not any(secret in text for secret in SECRETS.values())
    document = json.loads(shown)
    assert document["health"] == {"state": "healthy", "reason": None}
    assert document["missing_scopes"] == []
    assert "granted_by_dialog" not in document["settings"]


async def test_connecting_the_same_account_again_renews_its_row(ours: Flow, encryption_keys: str) -> None:
    await ours.connect("zoom_user")
    first = await ours.only_connection()
    await ours.world.sql.execute(
        "UPDATE connection SET status = 'reauth_required', status_reason = 'x', problem = 'y'"
    )
    page = await ours.connect("zoom_user")
    assert "is connected again." in page.text
    second = await ours.only_connection()
    assert second["id"] == first["id"]
    assert second["token_version"] == first["token_version"] + 1
    assert (second["status"], second["status_reason"], second["problem"]) == ("active", None, None)
    assert opened(second, encryption_keys, "refresh_token") != opened(first, encryption_keys, "refresh_token")


async def test_two_tabs_that_connect_one_new_account_make_one_connection(ours: Flow) -> None:
    ways = [await ours.agree(await ours.set_out("facebook_user")) for _ in range(2)]
    answers = await asyncio.gather(*(ours.person.client.get(way, headers=HTML) for way in ways))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert (await ours.only_connection())["token_version"] == 2


async def test_an_answer_works_once(ours: Flow) -> None:
    back = await ours.agree(await ours.set_out("facebook_user"))
    await ours.person.open(back)
    page = await ours.person.open(back)
    assert "was used already" in page.text
    assert (await ours.only_connection())["token_version"] == 1


async def test_an_answer_made_up_connects_nothing(ours: Flow) -> None:
    page = await ours.person.open("/oauth/callback?code=made-up&state=made-up")
    assert "was used already, or belongs to another person" in page.text
    page = await ours.person.open("/oauth/callback")
    assert "was used already, or belongs to another person" in page.text
    assert await ours.world.sql.fetchval("SELECT count(*) FROM connection") == 0


async def test_an_answer_brought_by_somebody_else_connects_nothing_and_is_spent(
    ours: Flow, theirs: Flow
) -> None:
    # The link is sent to a stranger, who agrees: their account must not end up in the sender's team.
    back = await theirs.agree(await ours.set_out("facebook_user"))
    page = await theirs.person.open(back)
    assert "belongs to another person" in page.text
    page = await ours.person.open(back)
    assert "belongs to another person" in page.text
    assert await ours.world.sql.fetchval("SELECT count(*) FROM connection") == 0


async def test_an_answer_without_a_session_waits_for_the_sign_in(
    ours: Flow, client_of: Client, acme: Team
) -> None:
    back = await ours.agree(await ours.set_out("facebook_user"))
    person = Person(client_of(None))
    response = await person.client.get(back, headers=HTML)
    assert response.headers["location"] == "/sign-in?next=/oauth/callback"
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert code not in response.headers["set-cookie"]
    page = await person.open(back)
    assert person.path == "/sign-in"
    assert code not in page.source
    assert await ours.world.sql.fetchval("SELECT count(*) FROM oauth_attempt") == 1
    page = await person.submit(page.form("/sign-in"), key=acme.api_key)
    assert "is connected." in page.text


async def test_who_takes_longer_than_ten_minutes_starts_again(ours: Flow, clock: Clock) -> None:
    back = await ours.agree(await ours.set_out("facebook_user"))
    clock.ahead = timedelta(minutes=10, seconds=1)
    page = await ours.person.open(back)
    assert "longer than ten minutes" in page.text
    assert await ours.world.sql.fetchval("SELECT count(*) FROM connection") == 0
    await ours.set_out("facebook_user")
    assert await ours.world.sql.fetchval("SELECT count(*) FROM oauth_attempt") == 1


@pytest.mark.parametrize("kind", ["facebook_user", "tiktok_business", "tiktok_organic", "zoom_user"])
async def test_who_declines_is_told_that_nothing_was_connected(ours: Flow, kind: str) -> None:
    back = await ours.agree(await ours.set_out(kind), sandbox_decision="deny")
    page = await ours.person.open(back)
    assert ours.person.path == "/connections"
    assert "You did not agree on" in page.text
    assert await ours.world.sql.fetchval("SELECT count(*) FROM connection") == 0


async def test_a_platforms_own_words_are_not_repeated(ours: Flow) -> None:
    state = parse_qs(urlsplit(await ours.set_out("zoom_user")).query)["state"][0]
    page = await ours.person.open(f"/oauth/callback?state={state}&error=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "Zoom sent you back without an answer" in page.text
    assert "alert(1)" not in page.source


async def test_a_code_of_another_sign_in_is_not_accepted(ours: Flow) -> None:
    back = await ours.agree(await ours.set_out("zoom_user"))
    mine = parse_qs(urlsplit(await ours.set_out("zoom_user")).query)["state"][0]
    code = parse_qs(urlsplit(back).query)["code"][0]
    page = await ours.person.open(f"/oauth/callback?state={mine}&code={code}")
    assert "The sign-in was not accepted" in page.text  # PKCE: the verifier is another one
    assert code not in page.source
    assert await ours.world.sql.fetchval("SELECT count(*) FROM connection") == 0


async def test_what_was_declined_is_named(ours: Flow, api: httpx.AsyncClient) -> None:
    page = await ours.connect("facebook_user", declined="read_insights")
    assert "You did not allow read_insights" in page.text
    row = await ours.only_connection()
    shown = (await api.get(f"/api/connections/{row['id']}")).json()
    assert shown["missing_scopes"] == ["read_insights"]
    assert shown["health"]["state"] == "needs_attention"


async def test_what_was_granted_is_kept_although_the_platform_stumbles_afterwards(
    ours: Flow, encryption_keys: str
) -> None:
    back = await ours.agree(await ours.set_out("zoom_user"))
    fault = {"kind": "server_error", "platform": "zoom", "path": "/zoom/v2/users/me", "times": 2}
    answer = await ours.vendor.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 201, answer.text
    page = await ours.person.open(back)
    assert "What it reaches could not be read yet" in page.text
    row = await ours.only_connection()
    assert (row["status"], row["external_id"], row["accounts"]) == ("active", None, [])
    assert opened(row, encryption_keys, "refresh_token")
    page = await ours.person.submit(page.form(f"/connections/{row['id']}/check"))
    assert "It works. It reaches 1 user." in page.text
    row = await ours.only_connection()
    assert row["external_id"]
    assert row["problem"] is None


async def test_connecting_again_resumes_what_waited_by_its_own_policy(ours: Flow, acme: Team) -> None:
    await ours.connect("facebook_user")
    row = await ours.only_connection()
    due = datetime.now(UTC) - timedelta(hours=3)
    made = await ours.world.automations(acme, None, 4, next_run=due)
    all_of_them, none_of_them, by_hand, other = made
    policies = {all_of_them: {"catch_up": "all"}, none_of_them: {"catch_up": "none"}}
    for automation, policy in policies.items():
        await ours.world.sql.execute("UPDATE automation SET policy = $2 WHERE id = $1", automation, policy)
    await ours.world.sql.execute("UPDATE connection SET status = 'reauth_required'")
    await ours.world.sql.execute(
        "UPDATE automation SET status = 'paused', paused_at = now(), paused_for_connection_id = $1,"
        " status_reason = 'must be connected again' WHERE id = ANY($2)",
        row["id"],
        [all_of_them, none_of_them, by_hand],
    )
    await ours.world.sql.execute("UPDATE automation SET status = 'paused' WHERE id = $1", other)
    paused = await ours.person.client.post(
        f"/api/automations/{by_hand}/pause", json={}, headers={"Authorization": f"Bearer {acme.api_key}"}
    )
    assert paused.status_code == 200
    page = await ours.connect("facebook_user", row["id"])
    assert "2 automations that waited for it will run again" in page.text
    after = {each: await ours.world.row("automation", each) for each in made}
    assert [after[each]["status"] for each in made] == ["active", "active", "paused", "paused"]
    assert after[all_of_them]["catch_up_on_resume"] == "all"
    assert after[none_of_them]["catch_up_on_resume"] == "none"
    assert after[all_of_them]["next_run"] == due
    assert {after[each]["paused_for_connection_id"] for each in made} == {None}
    assert after[all_of_them]["status_reason"] is None


async def test_what_a_full_plan_keeps_from_running_says_so_and_costs_no_token(ours: Flow, acme: Team) -> None:
    await ours.connect("facebook_user")
    row = await ours.only_connection()
    (waiting, _) = await ours.world.automations(acme, None, 2)
    await ours.world.sql.execute(
        "UPDATE automation SET status = 'paused', paused_for_connection_id = $1 WHERE id = $2",
        row["id"],
        waiting,
    )
    await ours.world.sql.execute(
        "UPDATE tenant SET quota = $2 WHERE id = $1", acme.tenant_id, {"max_automations": 1}
    )
    await ours.connect("facebook_user", row["id"])
    after = await ours.world.row("automation", waiting)
    assert after["status"] == "paused"
    assert after["status_reason"].startswith("the account is connected again, but: Your plan allows")
    assert (await ours.only_connection())["token_version"] == 2


async def test_another_account_is_not_put_in_the_place_of_the_one_to_connect_again(ours: Flow) -> None:
    await ours.connect("zoom_user")
    row = await ours.only_connection()
    users = await ours.vendor.get(
        "/zoom/v2/users", headers={"authorization": "Bearer sandbox-zoom-account-test"}
    )
    other = users.json()["users"][1]["email"]
    page = await ours.connect("zoom_user", row["id"], sandbox_user=other)
    assert "You agreed as" in page.text
    assert "Nothing was changed" in page.text
    assert (await ours.only_connection())["token_version"] == row["token_version"]
    # Once the team has that account as well, agreeing as it renews it, and says which is still to be done.
    await ours.connect("zoom_user", sandbox_user=other)
    page = await ours.connect("zoom_user", row["id"], sandbox_user=other)
    assert "is another account and still as it was" in page.text
    versions = await ours.world.sql.fetch("SELECT token_version FROM connection ORDER BY created_at")
    assert [each["token_version"] for each in versions] == [1, 2]


async def test_a_pasted_connection_is_adopted_when_it_is_connected_again(ours: Flow, acme: Team) -> None:
    pasted = await ours.world.facebook(acme, "expired-test")
    await ours.connect("facebook_user", pasted)
    row = await ours.only_connection()
    assert row["id"] == pasted
    assert row["external_id"]
    assert row["name"] == "Facebook"


async def test_teams_may_connect_the_same_account_and_see_only_their_own(
    ours: Flow, theirs: Flow, api: httpx.AsyncClient
) -> None:
    await ours.connect("facebook_user")
    await theirs.connect("facebook_user")
    rows = await ours.world.sql.fetch("SELECT tenant_id, external_id FROM connection")
    assert len({row["tenant_id"] for row in rows}) == 2
    assert len({row["external_id"] for row in rows}) == 1
    assert len((await api.get("/api/connections")).json()["items"]) == 1


async def test_the_api_says_where_to_agree_and_the_console_takes_the_answer(
    ours: Flow, api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    asked = await api.post("/api/connections/authorize", json={"kind": "tiktok_organic", "name": "Creator"})
    assert asked.status_code == 200
    assert datetime.fromisoformat(asked.json()["expires_at"]) > datetime.now(UTC) + timedelta(minutes=9)
    await ours.person.open(await ours.agree(asked.json()["authorize_url"]))
    row = await ours.only_connection()
    assert row["name"] == "Creator"
    foreign = await stranger.post(
        "/api/connections/authorize", json={"kind": "tiktok_organic", "connection_id": str(row["id"])}
    )
    assert foreign.status_code == 422
    assert foreign.json()["errors"][0]["pointer"] == "/connection_id"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kind": "zoom_server"}, "/kind"),
        ({"kind": "s3"}, "/kind"),
        ({"kind": "myspace"}, "/kind"),
        ({}, "/kind"),
        ({"kind": "zoom_user", "name": ""}, "/name"),
        ({"kind": "zoom_user", "connection_id": "00000000-0000-0000-0000-000000000000"}, "/connection_id"),
    ],
)
async def test_what_cannot_be_agreed_to_names_the_field(
    api: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    answer = await api.post("/api/connections/authorize", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_a_connection_of_another_kind_is_not_connected_again(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    zoom = await world.connection(acme, ZOOM_USER, "t")
    answer = await api.post(
        "/api/connections/authorize", json={"kind": "facebook_user", "connection_id": str(zoom)}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/connection_id", "detail": "is a zoom_user connection", "in": "body"}
    ]
