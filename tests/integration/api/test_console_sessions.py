"""Who may look at the console, and what a browser is kept from doing there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.clients import SESSION
from api.main import build_app
from api.sessions import SessionCookie, seal_cookie
from api.settings import ApiSettings
from common.secrets.crypto import KeyRing
from tests.factories import Team, World
from tests.support.console_browser import HTML, Page, Person

Client = Callable[[Team | None], httpx.AsyncClient]


@pytest.fixture
def person(client_of: Client) -> Person:
    """Somebody not signed in yet."""
    return Person(client_of(None))


@pytest.fixture
def keys(encryption_keys: str) -> KeyRing:
    return KeyRing.parse(encryption_keys)


async def test_a_key_opens_the_console_and_is_not_kept_in_the_browser(person: Person, acme: Team) -> None:
    response = await person.client.post("/sign-in", data={"key": f" {acme.api_key}\n"}, headers=HTML)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    (cookie,) = response.headers.get_list("set-cookie")
    assert acme.api_key not in cookie
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=43200"} <= attributes
    assert "secure" not in attributes
    page = await person.open("/")
    assert page.status == 200
    assert "Acme" in page.text


async def test_behind_a_proxy_that_ends_tls_cookies_are_secure_all_the_same(
    app: FastAPI, acme: Team, settings: ApiSettings
) -> None:
    """By PUBLIC_URL: the request itself comes by plain HTTP, and says nothing of https."""
    behind = settings.model_copy(update={"public_url": "https://console.example/"})
    app.state.collaborators = replace(app.state.collaborators, settings=behind)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console.example") as client:
        origin = {"Origin": "https://console.example"}
        response = await client.post("/sign-in", data={"key": acme.api_key}, headers=HTML | origin)

        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "; Secure" in cookie
        assert "max-age" in response.headers["strict-transport-security"]
        sent = {
            "Cookie": cookie.partition(";")[0]
        }  # httpx keeps a secure cookie from plain HTTP, as a browser
        assert (await client.get("/", headers=HTML | sent)).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("carillon", 200),
        ("CARILLON:8443", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("api.internal", 200),
        ("evil.example", 421),
        ("carillon.evil.example", 421),
        ("carillon@evil.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
async def test_a_request_for_another_host_is_refused(
    app: FastAPI, settings: ApiSettings, person: Person, host: str, status: int
) -> None:
    known = settings.model_copy(update={"allowed_hosts": frozenset({"api.internal"})})
    app.state.collaborators = replace(app.state.collaborators, settings=known)

    response = await person.client.get("/sign-in", headers={"Host": host})
    probe = await person.client.get("/healthz", headers={"Host": host})

    assert (response.status_code, probe.status_code) == (status, 200)
    if status == 421:
        assert response.headers["content-type"] == "application/problem+json"


async def test_on_https_the_cookie_is_secure_and_this_hosts_alone(app: FastAPI, acme: Team) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://carillon") as client:
        response = await client.post("/sign-in", data={"key": acme.api_key}, headers=HTML)
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "; Secure" in cookie
        assert "max-age" in response.headers["strict-transport-security"]
        assert (await client.get("/", headers=HTML)).status_code == 200


@pytest.mark.parametrize("key", ["", "car_nobody", "\0", "é"])
async def test_a_wrong_key_is_refused_in_words_beside_the_field(person: Person, key: str) -> None:
    response = await person.client.post("/sign-in", data={"key": key}, headers=HTML)
    assert response.status_code == 422
    assert "set-cookie" not in response.headers
    page = Page(response)
    assert "key" in page.text
    assert any(given.get("aria-invalid") == "true" for tag, given in page.tags if tag == "input")


async def test_a_page_leads_to_signing_in_and_back(person: Person, acme: Team) -> None:
    response = await person.client.get("/runs?status=failed", headers=HTML)
    assert response.headers["location"] == "/sign-in?next=%2Fruns%3Fstatus%3Dfailed"
    page = await person.open("/runs?status=failed")
    form = page.forms[0]
    assert form.fields["next"] == ["/runs?status=failed"]
    await person.submit(form, key=acme.api_key)
    assert person.path == "/runs"


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/\n/evil", ""]
)
async def test_signing_in_leads_nowhere_else(person: Person, acme: Team, target: str) -> None:
    response = await person.client.post("/sign-in", data={"key": acme.api_key, "next": target}, headers=HTML)
    assert response.headers["location"] == "/"


async def test_programs_are_told_in_a_problem_document(person: Person) -> None:
    response = await person.client.get("/", headers={"Accept": "application/json"})
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"


async def test_the_demo_has_a_button_of_its_own(settings: ApiSettings, acme: Team, world: World) -> None:
    demo = settings.model_copy(update={"demo_api_key": SecretStr(acme.api_key)})
    app = build_app(demo, "api-demo")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://carillon") as client,
    ):
        person = Person(client)
        page = await person.open("/sign-in")
        assert acme.api_key not in page.source
        page = await person.submit(page.forms[0], demo="1")
        assert person.path == "/"
        assert "Acme" in page.text


async def test_without_a_demo_there_is_no_button_and_no_way_in(person: Person) -> None:
    page = await person.open("/sign-in")
    assert "demo" not in page.text
    page = await person.send("/sign-in", {"demo": "1"})
    assert page.status == 422


async def test_a_revoked_key_ends_its_sessions(person: Person, world: World, acme: Team) -> None:
    await person.sign_in(acme)
    await world.sql.execute("DELETE FROM api_key WHERE tenant_id = $1", acme.tenant_id)
    await person.open("/automations")
    assert person.path == "/sign-in"


async def test_an_expired_key_ends_its_sessions(person: Person, world: World, acme: Team) -> None:
    await person.sign_in(acme)
    await world.sql.execute("UPDATE api_key SET expires_at = now() WHERE tenant_id = $1", acme.tenant_id)
    await person.open("/automations")
    assert person.path == "/sign-in"


async def test_a_session_ends_by_itself_and_is_forgotten(person: Person, world: World, acme: Team) -> None:
    await person.sign_in(acme)
    await world.sql.execute("UPDATE console_session SET expires_at = now()")

    await person.open("/")

    assert person.path == "/sign-in"
    await person.sign_in(acme)
    assert await world.sql.fetchval("SELECT count(*) FROM console_session") == 1


async def test_only_what_was_sealed_as_a_session_is_one(
    person: Person, world: World, acme: Team, keys: KeyRing
) -> None:
    await person.sign_in(acme)
    session_id = await world.sql.fetchval("SELECT id FROM console_session")
    content = {"session": str(session_id), "token": "t"}
    good = SessionCookie(session_id, "t").seal(keys)
    person.client.cookies.set(SESSION, good)
    await person.open("/")
    assert person.path == "/"
    altered = good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:]
    for value in (seal_cookie(keys, "carillon_flash", content), altered, "x", "=" * 90, good * 99):
        person.client.cookies.set(SESSION, value)
        await person.open("/")
        assert person.path == "/sign-in", value


async def test_signing_out_ends_the_session_and_copies_of_its_cookie(
    person: Person, client_of: Client, acme: Team
) -> None:
    page = await person.sign_in(acme)
    thief = Person(client_of(None))
    thief.client.cookies.set(SESSION, person.client.cookies[SESSION])
    await thief.open("/")
    assert thief.path == "/"
    elsewhere = Person(client_of(None))
    await elsewhere.sign_in(acme)

    page = await person.submit(page.form("/sign-out"))

    assert person.path == "/sign-in"
    assert "signed out" in page.text
    await thief.open("/")
    assert thief.path == "/sign-in"
    await elsewhere.open("/runs")
    assert elsewhere.path == "/runs"


async def test_a_form_without_the_sessions_token_changes_nothing(
    person: Person, world: World, acme: Team
) -> None:
    (automation,) = await world.automations(acme, None)
    await person.sign_in(acme)
    for token in ("", "another"):
        page = await person.send(f"/automations/{automation}/pause", {"form_token": token})
        assert page.status == 403
        assert "earlier session" in page.text
    assert (await world.row("automation", automation))["status"] == "active"


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil"}]
)
async def test_a_form_of_another_site_is_refused_even_with_the_token(
    person: Person, world: World, acme: Team, headers: dict[str, str]
) -> None:
    (automation,) = await world.automations(acme, None)
    await person.sign_in(acme)
    form = (await person.open(f"/automations/{automation}")).form(f"/automations/{automation}/pause")
    response = await person.client.post(form.action, data=form.fields, headers=HTML | headers)
    assert response.status_code == 403
    signing_in = await person.client.post("/sign-in", data={"key": acme.api_key}, headers=HTML | headers)
    assert signing_in.status_code == 403
    assert (await world.row("automation", automation))["status"] == "active"


async def test_the_cookie_opens_no_json_route(person: Person, acme: Team) -> None:
    await person.sign_in(acme)
    assert (await person.client.get("/api/automations")).status_code == 401
    assert (await person.client.post("/api/destinations", json={})).status_code == 401


async def test_browsers_are_told_to_do_no_more_than_the_console_asks(person: Person, acme: Team) -> None:
    for path in ("/sign-in", "/static/console.js", "/nowhere", "/api/automations"):
        headers = (await person.client.get(path, headers=HTML)).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; "), path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    await person.sign_in(acme)
    assert (await person.client.get("/", headers=HTML)).headers["cache-control"] == "no-store"
