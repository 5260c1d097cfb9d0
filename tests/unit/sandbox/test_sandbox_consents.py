"""The four consent dialogs: what a person sees, where they are sent back to, and what a code is good for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app
from tests.unit.sandbox.zoom_calls import basic

RETURN_TO = "https://app.test/callback?from=vendor"
ELSEWHERE = "https://elsewhere.test/"
CHALLENGE = "c" * 43


@dataclass(frozen=True)
class Dialog:
    """One vendor's dialog, and how an app exchanges its code."""

    path: str
    client: str
    """The parameter that names the app."""
    scope: str
    says: str
    """The meaning of the scope, as the person reads it."""
    lifetime: int
    unusable: list[dict[str, str]]
    code: str = "code"
    more: Mapping[str, str] = field(default_factory=dict)

    def params(self, **changes: str) -> dict[str, str]:
        """A link that works."""
        given = {self.client: "app", "redirect_uri": RETURN_TO, "state": "s&1", "response_type": "code"}
        return {**given, "scope": self.scope, **changes}

    async def decide(self, app: SandboxApp, decision: str, **changes: str) -> dict[str, list[str]]:
        """What the person is sent back with."""
        form = self.params(**changes, sandbox_decision=decision)
        answer = await app.http.post(self.path, data=form)
        assert answer.status_code == 302, answer.text
        address = urlsplit(answer.headers["location"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == "https://app.test/callback"
        return parse_qs(address.query)

    async def exchange(self, app: SandboxApp, code: str, redirect_uri: str = RETURN_TO) -> httpx.Response:
        """The vendor's answer to a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        match self.client:
            case "app_id":
                body = {"app_id": "app", "secret": "hush", "auth_code": code}
                return await app.http.post("/open_api/v1.3/oauth2/access_token/", json=body)
            case "client_key":
                form |= {"client_key": "app", "client_secret": "hush"}
                return await app.http.post("/v2/oauth/token/", data=form)
            case _ if self.path.startswith("/zoom"):
                return await app.http.post("/zoom/oauth/token", data=form, headers=basic())
        params = {"client_id": "app", "client_secret": "hush", "redirect_uri": redirect_uri, "code": code}
        return await app.http.get("/v26.0/oauth/access_token", params=params)


FACEBOOK = Dialog(
    "/v26.0/dialog/oauth", "client_id", "ads_read,read_insights", "See the insights of your Pages", 600, []
)
BUSINESS = Dialog("/portal/auth", "app_id", "", "Read the campaigns and reports of", 3_600, [], "auth_code")
ORGANIC = Dialog(
    "/v2/auth/authorize/",
    "client_key",
    "user.info.basic,video.list",
    "See your public videos",
    600,
    [
        {"response_type": "token"},
        {"scope": ""},
        {"code_challenge": CHALLENGE},
        {"code_challenge": "short", "code_challenge_method": "S256"},
    ],
)
ZOOM = Dialog(
    "/zoom/oauth/authorize",
    "client_id",
    "cloud_recording:read:list_user_recordings",
    "See a list of your cloud recordings",
    300,
    [
        {"response_type": "token"},
        {"code_challenge": CHALLENGE},
        {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
        {"code_challenge_method": "S256"},
    ],
)
DIALOGS = {"facebook": FACEBOOK, "tiktok_business": BUSINESS, "tiktok_organic": ORGANIC, "zoom": ZOOM}
EVERY = pytest.mark.parametrize("dialog", DIALOGS.values(), ids=DIALOGS)


def token_of(answer: httpx.Response) -> str:
    """The access token of a success; empty for a refusal."""
    document: dict[str, Any] = answer.json()
    return str(document.get("data", document).get("access_token", ""))


@EVERY
async def test_the_page_explains_what_is_asked_for_and_escapes_the_rest(
    app: SandboxApp, dialog: Dialog
) -> None:
    answer = await app.http.get(dialog.path, params=dialog.params(state='"><script>'))
    assert answer.headers["content-type"].startswith("text/html")
    assert dialog.says in answer.text
    assert "<script>" not in answer.text


@EVERY
async def test_agreeing_brings_a_code_and_the_state(app: SandboxApp, dialog: Dialog) -> None:
    query = await dialog.decide(app, "allow")
    assert (query["state"], query["from"]) == (["s&1"], ["vendor"])
    assert query[dialog.code][0]


@EVERY
async def test_declining_brings_an_error(app: SandboxApp, dialog: Dialog) -> None:
    query = await dialog.decide(app, "deny")
    assert (query["error"], query["state"]) == (["access_denied"], ["s&1"])
    assert "code" not in query


@pytest.mark.parametrize(
    ("dialog", "changes"),
    [
        pytest.param(dialog, changes, id=f"{name} {changes}")
        for name, dialog in DIALOGS.items()
        for changes in (
            {dialog.client: ""},
            {"redirect_uri": "javascript:alert(1)"},
            *([{"scope": "world:domination"}] if dialog.scope else []),
            *dialog.unusable,
        )
    ],
)
async def test_a_link_that_cannot_work_leads_nowhere(
    app: SandboxApp, dialog: Dialog, changes: dict[str, str]
) -> None:
    answer = await app.http.post(dialog.path, data=dialog.params(**changes, sandbox_decision="allow"))
    assert answer.status_code == 400
    assert "location" not in answer.headers


@EVERY
async def test_a_code_is_good_once_for_its_own_address_and_not_for_long(
    app: SandboxApp, dialog: Dialog
) -> None:
    (code,) = (await dialog.decide(app, "allow"))[dialog.code]
    if dialog is not BUSINESS:
        assert not token_of(await dialog.exchange(app, code, ELSEWHERE))
    assert token_of(await dialog.exchange(app, code))
    assert not token_of(await dialog.exchange(app, code))
    (late,) = (await dialog.decide(app, "allow"))[dialog.code]
    app.clock.advance(dialog.lifetime + 1)
    assert not token_of(await dialog.exchange(app, late))


@pytest.mark.parametrize("dialog", [FACEBOOK, BUSINESS], ids=["facebook", "tiktok_business"])
async def test_a_lasting_token_outlives_a_restart_and_cannot_be_forged(
    app: SandboxApp, settings: Settings, dialog: Dialog
) -> None:
    (code,) = (await dialog.decide(app, "allow"))[dialog.code]
    token = token_of(await dialog.exchange(app, code))
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")

    async def works(at: SandboxApp, token: str) -> bool:
        if dialog is FACEBOOK:
            return (await at.graph("me", token)).status_code == 200
        params = {"app_id": "app", "secret": "hush"}
        path = "/open_api/v1.3/oauth2/advertiser/get/"
        answer = await at.http.get(path, params=params, headers={"access-token": token})
        return bool(answer.json()["code"] == 0)

    restarted = sandbox_app(settings)
    async with restarted.http:
        assert await works(restarted, token)
        assert not await works(restarted, forged)
