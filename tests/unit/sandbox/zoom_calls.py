"""Talking to the sandbox's Zoom as an app does."""

import base64
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from tests.unit.sandbox.conftest import SandboxApp

PERSON = "sandbox-zoom-me"
WHOLE_ACCOUNT = "sandbox-zoom-account-1"
ACCOUNT_ID = "wTJw8LgeT8GlOSjLjOU9Hw"
RETURN_TO = "https://app.test/callback?from=zoom"
DIALOG = {"client_id": "app", "redirect_uri": RETURN_TO, "state": "s&1", "response_type": "code"}


async def api(
    app: SandboxApp, path: str, token: str = PERSON, method: str = "GET", **params: str
) -> httpx.Response:
    return await app.http.request(
        method, f"/zoom/v2/{path}", params=params, headers={"authorization": f"Bearer {token}"}
    )


async def ok(app: SandboxApp, path: str, token: str = PERSON, **params: str) -> dict[str, Any]:
    """The document of a call that must succeed."""
    answer = await api(app, path, token, **params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def refused(app: SandboxApp, path: str, token: str = PERSON, **params: str) -> tuple[int, int]:
    """HTTP status and Zoom's code of a call that must fail."""
    answer = await api(app, path, token, **params)
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["code"]


async def control(app: SandboxApp, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """The sandbox's own routes about Zoom."""
    answer = await app.http.request(method, f"/_sandbox/zoom{path}", json=document)
    assert answer.status_code in (200, 201), answer.text
    told: dict[str, Any] = answer.json()
    return told


async def add(app: SandboxApp, **description: Any) -> dict[str, Any]:
    """One more recording."""
    return await control(app, "POST", "/recordings", description)


async def decide(app: SandboxApp, decision: str, **changes: str) -> dict[str, list[str]]:
    answer = await app.http.post(
        "/zoom/oauth/authorize", data={**DIALOG, **changes, "sandbox_decision": decision}
    )
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)


def basic(client: str = "app", secret: str = "hush") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()}


async def token(app: SandboxApp, client: str = "app", secret: str = "hush", **form: str) -> httpx.Response:
    return await app.http.post("/zoom/oauth/token", data=form, headers=basic(client, secret))


async def redeem(app: SandboxApp, code: str, client: str = "app", **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": RETURN_TO, **changes}
    return await token(app, client, **form)


async def refresh(app: SandboxApp, refresh_token: str, client: str = "app") -> httpx.Response:
    return await token(app, client, grant_type="refresh_token", refresh_token=refresh_token)


async def signed_in(app: SandboxApp, **changes: str) -> dict[str, Any]:
    """The first pair of a new consent."""
    (code,) = (await decide(app, "allow", **changes))["code"]
    pair: dict[str, Any] = (await redeem(app, code, changes.get("client_id", "app"))).json()
    return pair


def once(uuid: str) -> str:
    return quote(uuid, safe="")


def twice(uuid: str) -> str:
    return quote(once(uuid), safe="")
