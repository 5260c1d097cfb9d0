import hashlib
import hmac
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import ACCOUNT, PAGE, TOKEN, Bench, bench_of

RETURN_TO = "https://app.test/callback?from=fb"
DIALOG = {
    "client_id": "123",
    "redirect_uri": RETURN_TO,
    "state": "s&1",
    "scope": "ads_read,pages_show_list,pages_read_engagement,read_insights",
    "response_type": "code",
}
CLIENT = {"client_id": "123", "client_secret": "hush"}


async def decide(bench: Bench, decision: str, **changes: str) -> dict[str, list[str]]:
    answer = await bench.http.post(
        "/v26.0/dialog/oauth", data={**DIALOG, **changes, "sandbox_decision": decision}
    )
    assert answer.status_code == 302
    address = urlsplit(answer.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == "https://app.test/callback"
    return parse_qs(address.query)


async def redeem(bench: Bench, code: str, **changes: str) -> dict[str, Any]:
    params = {**CLIENT, "redirect_uri": RETURN_TO, "code": code, **changes}
    document: dict[str, Any] = (await bench.http.get("/v26.0/oauth/access_token", params=params)).json()
    return document


async def exchange(bench: Bench, token: str) -> dict[str, Any]:
    params = {**CLIENT, "grant_type": "fb_exchange_token", "fb_exchange_token": token}
    document: dict[str, Any] = (await bench.http.get("/v26.0/oauth/access_token", params=params)).json()
    return document


async def signed_in(bench: Bench, **changes: str) -> str:
    (code,) = (await decide(bench, "allow", **changes))["code"]
    return str((await redeem(bench, code))["access_token"])


async def test_the_dialog_asks_for_what_the_app_wants(bench: Bench) -> None:
    answer = await bench.http.get("/v26.0/dialog/oauth", params={**DIALOG, "state": '"><script>'})
    assert answer.headers["content-type"].startswith("text/html")
    assert "See the insights of your Pages" in answer.text
    assert "<script>" not in answer.text


async def test_agreeing_returns_a_code_and_the_state(bench: Bench) -> None:
    query = await decide(bench, "allow")
    assert query["state"] == ["s&1"]
    assert query["from"] == ["fb"]
    assert query["code"][0].startswith("AQ")


async def test_declining_says_so(bench: Bench) -> None:
    query = await decide(bench, "deny")
    assert (query["error"], query["error_reason"]) == (["access_denied"], ["user_denied"])
    assert query["state"] == ["s&1"]
    assert "code" not in query


async def test_a_link_that_cannot_work_is_not_followed(bench: Bench) -> None:
    for changes in (
        {"redirect_uri": "javascript:alert(1)"},
        {"scope": "world_domination"},
        {"client_id": ""},
    ):
        answer = await bench.http.post(
            "/v26.0/dialog/oauth", data={**DIALOG, **changes, "sandbox_decision": "allow"}
        )
        assert answer.status_code == 400
        assert "location" not in answer.headers


async def test_a_code_becomes_a_short_token_once(bench: Bench) -> None:
    (code,) = (await decide(bench, "allow"))["code"]
    token = await redeem(bench, code)
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 5400
    assert (await bench.graph("me", token["access_token"])).json()["name"] == "Dana Demo"
    again = (await redeem(bench, code))["error"]
    assert (again["code"], again["error_subcode"]) == (100, 36009)


async def test_a_code_is_for_its_own_address_and_not_for_long(bench: Bench) -> None:
    (code,) = (await decide(bench, "allow"))["code"]
    other = (await redeem(bench, code, redirect_uri="https://elsewhere.test/"))["error"]
    assert (other["code"], other["error_subcode"]) == (100, 36008)
    bench.clock.advance(601)
    late = (await redeem(bench, code))["error"]
    assert (late["code"], late["error_subcode"]) == (100, 36007)
    assert (await redeem(bench, "AQinvented"))["error"]["code"] == 100


async def test_a_short_token_is_exchanged_while_it_lives(bench: Bench) -> None:
    short = await signed_in(bench)
    long = await exchange(bench, short)
    assert long["expires_in"] == 5183944
    bench.clock.advance(5401)
    gone = (await bench.graph("me", short)).json()["error"]
    assert (gone["code"], gone["error_subcode"]) == (190, 463)
    assert (await bench.graph("me", long["access_token"])).status_code == 200
    refused = (await exchange(bench, short))["error"]
    assert (refused["code"], refused["error_subcode"]) == (190, 463)


async def test_a_long_token_dies_after_sixty_days_unless_renewed(bench: Bench) -> None:
    long = (await exchange(bench, await signed_in(bench)))["access_token"]
    bench.clock.advance(50 * 86_400)
    renewed = (await exchange(bench, long))["access_token"]
    assert renewed != long
    bench.clock.advance(12 * 86_400)
    expired = await bench.error("me", long)
    assert expired["error_subcode"] == 463
    assert "Session has expired on Wednesday, 20-Jan-27" in expired["message"]
    assert (await bench.graph("me", renewed)).status_code == 200


async def test_page_tokens_of_a_long_token_do_not_expire(bench: Bench) -> None:
    short = await signed_in(bench)
    long = (await exchange(bench, short))["access_token"]
    from_short = (await bench.graph("me/accounts", short)).json()["data"][0]["access_token"]
    from_long = (await bench.graph("me/accounts", long)).json()["data"][0]["access_token"]
    bench.clock.advance(400 * 86_400)
    assert (await bench.graph(PAGE, from_long)).status_code == 200
    assert (await bench.graph(PAGE, from_short)).status_code == 400


async def test_declined_scopes_are_missing_from_the_token(bench: Bench) -> None:
    token = await signed_in(bench, declined="ads_read")
    assert (await bench.error(f"{ACCOUNT}/insights", token))["code"] == 200
    assert (await bench.graph("me/accounts", token)).json()["data"]


async def test_withdrawing_consent_kills_its_tokens_and_no_others(bench: Bench) -> None:
    token = await signed_in(bench)
    page_token = (await bench.graph("me/accounts", token)).json()["data"][0]["access_token"]
    answer = await bench.http.delete("/v26.0/me/permissions", params={"access_token": token})
    assert answer.json() == {"success": True}
    for dead in (token, page_token):
        assert (await bench.error("me", dead))["error_subcode"] == 458
    assert (await bench.graph("me", TOKEN)).status_code == 200
    assert (await bench.graph("me", await signed_in(bench))).status_code == 200


async def test_minted_tokens_outlive_a_restart(bench: Bench, settings: Settings) -> None:
    token = await signed_in(bench)
    restarted = bench_of(settings)
    async with restarted.http:
        assert (await restarted.graph("me", token)).status_code == 200


async def test_a_forged_token_is_refused(bench: Bench) -> None:
    token = await signed_in(bench)
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert (await bench.error("me", forged))["code"] == 190
    assert (await bench.error("me", "EAAnot-base32!"))["code"] == 190


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
async def test_tokens_that_are_dead_by_convention(bench: Bench, token: str, subcode: int | None) -> None:
    answer = await bench.graph("me", token)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("error_subcode")) == (400, 190, subcode)
    assert error["type"] == "OAuthException"
    assert error["fbtrace_id"]
    assert answer.headers["www-authenticate"].startswith('OAuth "Facebook Platform" "invalid_token" "')


async def test_a_token_by_header_form_and_query(bench: Bench) -> None:
    by_header = await bench.http.get("/v26.0/me", headers={"authorization": f"Bearer {TOKEN}"})
    by_form = await bench.http.request("GET", "/v26.0/me", data={"access_token": TOKEN})
    by_query = await bench.http.get("/me", params={"access_token": TOKEN})
    assert by_header.json() == by_form.json() == by_query.json()


async def test_no_token_at_all(bench: Bench) -> None:
    assert (await bench.http.get("/v26.0/me")).json()["error"]["code"] == 2500
    assert (await bench.http.get(f"/v26.0/{ACCOUNT}")).json()["error"]["code"] == 104


async def test_debug_token_tells_lifetime_scopes_and_kind(bench: Bench) -> None:
    long = (await exchange(bench, await signed_in(bench)))["access_token"]
    data = (await bench.graph("debug_token", "123|hush", input_token=long)).json()["data"]
    assert data["is_valid"] is True
    assert data["type"] == "USER"
    assert data["expires_at"] - data["issued_at"] == 5183944
    assert data["data_access_expires_at"] - data["issued_at"] == 90 * 86_400
    assert "ads_read" in data["scopes"]
    page = (await bench.graph("me/accounts", long)).json()["data"][0]
    about_page = (await bench.graph("debug_token", "123|hush", input_token=page["access_token"])).json()[
        "data"
    ]
    assert (about_page["type"], about_page["profile_id"], about_page["expires_at"]) == ("PAGE", page["id"], 0)


async def test_debug_token_of_a_dead_token_is_an_answer_not_an_error(bench: Bench) -> None:
    short = await signed_in(bench)
    bench.clock.advance(6000)
    for token in (short, "expired-x"):
        answer = await bench.graph("debug_token", "123|hush", input_token=token)
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert data["is_valid"] is False
        assert (data["error"]["code"], data["error"]["subcode"]) == (190, 463)


async def test_an_app_token(bench: Bench) -> None:
    params = {**CLIENT, "grant_type": "client_credentials"}
    token = (await bench.http.get("/v26.0/oauth/access_token", params=params)).json()["access_token"]
    assert token == "123|hush"
    assert (await bench.error("me", token))["code"] == 2500


@pytest.fixture
def strict() -> Settings:
    return replace(
        Settings(), facebook_app_id="123", facebook_app_secret="app_secret", facebook_require_proof=True
    )


async def test_with_an_app_configured_only_that_app_gets_tokens(strict: Settings) -> None:
    bench = bench_of(strict)
    async with bench.http:
        (code,) = (await decide(bench, "allow"))["code"]
        assert (await redeem(bench, code))["error"]["message"] == "Error validating client secret."
        assert (await redeem(bench, code, client_id="9"))["error"]["code"] == 101
        assert "access_token" in await redeem(bench, code, client_secret="app_secret")
        assert (await bench.error("debug_token", "123|guess", input_token=TOKEN))["code"] == 190


async def test_appsecret_proof_is_checked(strict: Settings) -> None:
    bench = bench_of(strict)
    async with bench.http:
        missing = await bench.error("me")
        assert (missing["code"], missing["type"]) == (100, "GraphMethodException")
        wrong = await bench.error("me", appsecret_proof="0" * 64)
        assert wrong["message"] == "Invalid appsecret_proof provided in the API argument"
        proof = hmac.new(b"app_secret", TOKEN.encode(), hashlib.sha256).hexdigest()
        assert (await bench.graph("me", appsecret_proof=proof)).status_code == 200
