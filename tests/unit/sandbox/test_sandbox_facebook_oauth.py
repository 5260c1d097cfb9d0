from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.sandbox.conftest import ACCOUNT, PAGE, TOKEN, SandboxApp

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


async def test_page_tokens_of_a_long_token_do_not_expire(app: SandboxApp) -> None:
    short = await signed_in(app)
    long = (await exchange(app, short))["access_token"]
    from_short = (await app.graph("me/accounts", short)).json()["data"][0]["access_token"]
    from_long = (await app.graph("me/accounts", long)).json()["data"][0]["access_token"]
    app.clock.advance(400 * 86_400)
    assert (await app.graph(PAGE, from_long)).status_code == 200
    assert (await app.graph(PAGE, from_short)).status_code == 400


async def test_withdrawing_consent_kills_its_tokens_and_no_others(app: SandboxApp) -> None:
    token = await signed_in(app)
    page_token = (await app.graph("me/accounts", token)).json()["data"][0]["access_token"]
    answer = await app.http.delete("/v26.0/me/permissions", params={"access_token": token})
    assert answer.json() == {"success": True}
    for dead in (token, page_token):
        assert (await app.error("me", dead))["error_subcode"] == 458
    assert (await app.graph("me", TOKEN)).status_code == 200
    assert (await app.graph("me", await signed_in(app))).status_code == 200


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
