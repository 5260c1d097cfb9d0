import hashlib
import hmac
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import ACCOUNT, PAGE, TOKEN, SandboxApp, sandbox_app

RETURN_TO = "https://app.test/callback?from=fb"
DIALOG = {
    "client_id": "123",
    "redirect_uri": RETURN_TO,
    "state": "s&1",
    "scope": "ads_read,pages_show_list,pages_read_engagement,read_insights",
    "response_type": "code",
}
CLIENT = {"client_id": "123", "client_secret": "hush"}


async def decide(app: SandboxApp, decision: str, **changes: str) -> dict[str, list[str]]:
    answer = await app.http.post(
        "/v26.0/dialog/oauth", data={**DIALOG, **changes, "sandbox_decision": decision}
    )
    assert answer.status_code == 302
    address = urlsplit(answer.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == "https://app.test/callback"
    return parse_qs(address.query)


async def redeem(app: SandboxApp, code: str, **changes: str) -> dict[str, Any]:
    params = {**CLIENT, "redirect_uri": RETURN_TO, "code": code, **changes}
    document: dict[str, Any] = (await app.http.get("/v26.0/oauth/access_token", params=params)).json()
    return document


async def exchange(app: SandboxApp, token: str) -> dict[str, Any]:
    params = {**CLIENT, "grant_type": "fb_exchange_token", "fb_exchange_token": token}
    document: dict[str, Any] = (await app.http.get("/v26.0/oauth/access_token", params=params)).json()
    return document


async def signed_in(app: SandboxApp, **changes: str) -> str:
    (code,) = (await decide(app, "allow", **changes))["code"]
    return str((await redeem(app, code))["access_token"])


async def test_the_dialog_asks_for_what_the_app_wants(app: SandboxApp) -> None:
    answer = await app.http.get("/v26.0/dialog/oauth", params={**DIALOG, "state": '"><script>'})
    assert answer.headers["content-type"].startswith("text/html")
    assert "See the insights of your Pages" in answer.text
    assert "<script>" not in answer.text


async def test_agreeing_returns_a_code_and_the_state(app: SandboxApp) -> None:
    query = await decide(app, "allow")
    assert query["state"] == ["s&1"]
    assert query["from"] == ["fb"]
    assert query["code"][0].startswith("AQ")


async def test_declining_says_so(app: SandboxApp) -> None:
    query = await decide(app, "deny")
    assert (query["error"], query["error_reason"]) == (["access_denied"], ["user_denied"])
    assert query["state"] == ["s&1"]
    assert "code" not in query


async def test_a_link_that_cannot_work_is_not_followed(app: SandboxApp) -> None:
    for changes in (
        {"redirect_uri": "javascript:alert(1)"},
        {"scope": "world_domination"},
        {"client_id": ""},
    ):
        answer = await app.http.post(
            "/v26.0/dialog/oauth", data={**DIALOG, **changes, "sandbox_decision": "allow"}
        )
        assert answer.status_code == 400
        assert "location" not in answer.headers


async def test_a_code_becomes_a_short_token_once(app: SandboxApp) -> None:
    (code,) = (await decide(app, "allow"))["code"]
    token = await redeem(app, code)
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 5400
    assert (await app.graph("me", token["access_token"])).json()["name"] == "Dana Demo"
    again = (await redeem(app, code))["error"]
    assert (again["code"], again["error_subcode"]) == (100, 36009)


async def test_a_code_is_for_its_own_address_and_not_for_long(app: SandboxApp) -> None:
    (code,) = (await decide(app, "allow"))["code"]
    other = (await redeem(app, code, redirect_uri="https://elsewhere.test/"))["error"]
    assert (other["code"], other["error_subcode"]) == (100, 36008)
    app.clock.advance(601)
    late = (await redeem(app, code))["error"]
    assert (late["code"], late["error_subcode"]) == (100, 36007)
    assert (await redeem(app, "AQinvented"))["error"]["code"] == 100


async def test_a_short_token_is_exchanged_while_it_lives(app: SandboxApp) -> None:
    short = await signed_in(app)
    long = await exchange(app, short)
    assert long["expires_in"] == 5183944
    app.clock.advance(5401)
    gone = (await app.graph("me", short)).json()["error"]
    assert (gone["code"], gone["error_subcode"]) == (190, 463)
    assert (await app.graph("me", long["access_token"])).status_code == 200
    refused = (await exchange(app, short))["error"]
    assert (refused["code"], refused["error_subcode"]) == (190, 463)


async def test_a_long_token_dies_after_sixty_days_unless_renewed(app: SandboxApp) -> None:
    long = (await exchange(app, await signed_in(app)))["access_token"]
    app.clock.advance(50 * 86_400)
    renewed = (await exchange(app, long))["access_token"]
    assert renewed != long
    app.clock.advance(12 * 86_400)
    expired = await app.error("me", long)
    assert expired["error_subcode"] == 463
    assert "Session has expired on Wednesday, 20-Jan-27" in expired["message"]
    assert (await app.graph("me", renewed)).status_code == 200


async def test_page_tokens_of_a_long_token_do_not_expire(app: SandboxApp) -> None:
    short = await signed_in(app)
    long = (await exchange(app, short))["access_token"]
    from_short = (await app.graph("me/accounts", short)).json()["data"][0]["access_token"]
    from_long = (await app.graph("me/accounts", long)).json()["data"][0]["access_token"]
    app.clock.advance(400 * 86_400)
    assert (await app.graph(PAGE, from_long)).status_code == 200
    assert (await app.graph(PAGE, from_short)).status_code == 400


async def test_declined_scopes_are_missing_from_the_token(app: SandboxApp) -> None:
    token = await signed_in(app, declined="ads_read")
    assert (await app.error(f"{ACCOUNT}/insights", token))["code"] == 200
    assert (await app.graph("me/accounts", token)).json()["data"]


async def test_withdrawing_consent_kills_its_tokens_and_no_others(app: SandboxApp) -> None:
    token = await signed_in(app)
    page_token = (await app.graph("me/accounts", token)).json()["data"][0]["access_token"]
    answer = await app.http.delete("/v26.0/me/permissions", params={"access_token": token})
    assert answer.json() == {"success": True}
    for dead in (token, page_token):
        assert (await app.error("me", dead))["error_subcode"] == 458
    assert (await app.graph("me", TOKEN)).status_code == 200
    assert (await app.graph("me", await signed_in(app))).status_code == 200


async def test_minted_tokens_outlive_a_restart(app: SandboxApp, settings: Settings) -> None:
    token = await signed_in(app)
    restarted = sandbox_app(settings)
    async with restarted.http:
        assert (await restarted.graph("me", token)).status_code == 200


async def test_a_forged_token_is_refused(app: SandboxApp) -> None:
    token = await signed_in(app)
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert (await app.error("me", forged))["code"] == 190
    assert (await app.error("me", "EAAnot-base32!"))["code"] == 190


@pytest.mark.parametrize(
    ("token", "subcode"),
    [
        ("expired-1", 463),
        ("revoked-1", 467),
        ("password-changed-1", 460),
        ("uninstalled-1", 458),
        ("checkpointed-1", 459),
        ("unconfirmed-1", 464),
        ("role-lost-1", 492),
        ("idle-1", 493),
        ("nonsense", None),
        ("nonsense-that-goes-on-for-long", None),
    ],
)
async def test_tokens_that_are_dead_by_convention(app: SandboxApp, token: str, subcode: int | None) -> None:
    answer = await app.graph("me", token)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("error_subcode")) == (400, 190, subcode)
    assert error["type"] == "OAuthException"
    assert error["fbtrace_id"]
    assert answer.headers["www-authenticate"].startswith('OAuth "Facebook Platform" "invalid_token" "')


async def test_a_token_by_header_form_and_query(app: SandboxApp) -> None:
    by_header = await app.http.get("/v26.0/me", headers={"authorization": f"Bearer {TOKEN}"})
    by_form = await app.http.request("GET", "/v26.0/me", data={"access_token": TOKEN})
    by_query = await app.http.get("/me", params={"access_token": TOKEN})
    assert by_header.json() == by_form.json() == by_query.json()


async def test_no_token_at_all(app: SandboxApp) -> None:
    assert (await app.http.get("/v26.0/me")).json()["error"]["code"] == 2500
    assert (await app.http.get(f"/v26.0/{ACCOUNT}")).json()["error"]["code"] == 104


async def test_debug_token_tells_lifetime_scopes_and_kind(app: SandboxApp) -> None:
    long = (await exchange(app, await signed_in(app)))["access_token"]
    data = (await app.graph("debug_token", "123|hush", input_token=long)).json()["data"]
    assert data["is_valid"] is True
    assert data["type"] == "USER"
    assert data["expires_at"] - data["issued_at"] == 5183944
    assert data["data_access_expires_at"] - data["issued_at"] == 90 * 86_400
    assert "ads_read" in data["scopes"]
    page = (await app.graph("me/accounts", long)).json()["data"][0]
    about_page = (await app.graph("debug_token", "123|hush", input_token=page["access_token"])).json()["data"]
    assert (about_page["type"], about_page["profile_id"], about_page["expires_at"]) == ("PAGE", page["id"], 0)


async def test_debug_token_of_a_dead_token_is_an_answer_not_an_error(app: SandboxApp) -> None:
    short = await signed_in(app)
    app.clock.advance(6000)
    for token in (short, "expired-x"):
        answer = await app.graph("debug_token", "123|hush", input_token=token)
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert data["is_valid"] is False
        assert (data["error"]["code"], data["error"]["subcode"]) == (190, 463)


async def test_an_app_token(app: SandboxApp) -> None:
    params = {**CLIENT, "grant_type": "client_credentials"}
    token = (await app.http.get("/v26.0/oauth/access_token", params=params)).json()["access_token"]
    assert token == "123|hush"
    assert (await app.error("me", token))["code"] == 2500


@pytest.fixture
def strict() -> Settings:
    return replace(
        Settings(), facebook_app_id="123", facebook_app_secret="app_secret", facebook_require_proof=True
    )


async def test_with_an_app_configured_only_that_app_gets_tokens(strict: Settings) -> None:
    app = sandbox_app(strict)
    async with app.http:
        (code,) = (await decide(app, "allow"))["code"]
        assert (await redeem(app, code))["error"]["message"] == "Error validating client secret."
        assert (await redeem(app, code, client_id="9"))["error"]["code"] == 101
        assert "access_token" in await redeem(app, code, client_secret="app_secret")
        assert (await app.error("debug_token", "123|guess", input_token=TOKEN))["code"] == 190


async def test_appsecret_proof_is_checked(strict: Settings) -> None:
    app = sandbox_app(strict)
    async with app.http:
        missing = await app.error("me")
        assert (missing["code"], missing["type"]) == (100, "GraphMethodException")
        wrong = await app.error("me", appsecret_proof="0" * 64)
        assert wrong["message"] == "Invalid appsecret_proof provided in the API argument"
        proof = hmac.new(b"app_secret", TOKEN.encode(), hashlib.sha256).hexdigest()
        assert (await app.graph("me", appsecret_proof=proof)).status_code == 200
