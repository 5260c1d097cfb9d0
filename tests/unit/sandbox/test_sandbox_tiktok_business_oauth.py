from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app
from tests.unit.sandbox.tiktok_calls import (
    ADVERTISER,
    APP,
    BASE,
    CREATOR_APP,
    EURO,
    RETURN_TO,
    TikTok,
    code_of,
    data_of,
)

DAY = 86_400


@pytest.fixture
def tiktok(app: SandboxApp) -> TikTok:
    return TikTok(app)


async def exchange(tiktok: TikTok, code: str, **changes: str) -> int:
    return code_of(await tiktok.post("/oauth2/access_token/", **{**APP, "auth_code": code, **changes}))


async def test_the_portal_names_what_is_asked_for(tiktok: TikTok) -> None:
    params = {"app_id": "7100", "redirect_uri": RETURN_TO, "state": '"><script>'}
    answer = await tiktok.app.http.get("/portal/auth", params=params)
    assert answer.headers["content-type"].startswith("text/html")
    assert "<title>Log in with TikTok for Business (sandbox)</title>" in answer.text
    assert "reports of Kitchen &amp; Co (USD)" in answer.text
    assert "<script>" not in answer.text


async def test_agreeing_returns_a_code_and_the_state(tiktok: TikTok) -> None:
    query = await tiktok.auth_code()
    assert query["auth_code"] == query["code"]
    assert (query["state"], query["from"]) == (["s&1"], ["tt"])


async def test_declining_returns_no_code(tiktok: TikTok) -> None:
    query = await tiktok.auth_code("deny")
    assert query["error"] == ["access_denied"]
    assert query["state"] == ["s&1"]
    assert "auth_code" not in query


@pytest.mark.parametrize("changes", [{"redirect_uri": "javascript:alert(1)"}, {"app_id": ""}])
async def test_a_link_that_cannot_work_is_not_followed(tiktok: TikTok, changes: dict[str, str]) -> None:
    params = {"app_id": "7100", "redirect_uri": RETURN_TO, "sandbox_decision": "allow", **changes}
    answer = await tiktok.app.http.get("/portal/auth", params=params)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_code_becomes_a_token_once_that_does_not_expire(tiktok: TikTok) -> None:
    (code,) = (await tiktok.auth_code())["auth_code"]
    token = data_of(await tiktok.post("/oauth2/access_token/", **APP, auth_code=code))
    assert set(token) == {"access_token", "advertiser_ids", "scope"}
    assert token["advertiser_ids"][0] == ADVERTISER
    assert 4 in token["scope"]
    assert await exchange(tiktok, code) == 40110
    tiktok.app.clock.advance(900 * DAY)
    assert await tiktok.code("/campaign/get/", token["access_token"], advertiser_id=ADVERTISER) == 0


async def test_a_code_is_good_for_an_hour_and_for_its_own_app(tiktok: TikTok) -> None:
    (code,) = (await tiktok.auth_code())["auth_code"]
    assert await exchange(tiktok, code, app_id="8200") == 40101
    assert await exchange(tiktok, "made-up") == 40110
    assert await exchange(tiktok, "") == 40002
    tiktok.app.clock.advance(3_601)
    assert await exchange(tiktok, code) == 40110


async def test_the_older_endpoint_takes_a_form(tiktok: TikTok) -> None:
    (code,) = (await tiktok.auth_code())["auth_code"]
    form = {**CREATOR_APP, "auth_code": code, "grant_type": "authorization_code"}
    token = data_of(await tiktok.app.http.post(f"{BASE}/oauth/token/", data=form))
    assert token["advertiser_ids"]


async def test_a_revoked_token_is_dead_and_others_are_not(tiktok: TikTok) -> None:
    first = (await tiktok.signed_in())["access_token"]
    second = (await tiktok.signed_in())["access_token"]
    assert code_of(await tiktok.post("/oauth2/revoke_token/", **APP, access_token=first)) == 0
    assert await tiktok.code("/campaign/get/", first, advertiser_id=ADVERTISER) == 40105
    assert await tiktok.code("/campaign/get/", second, advertiser_id=ADVERTISER) == 0
    assert code_of(await tiktok.post("/oauth2/revoke_token/", **APP, access_token=first)) == 40105


async def test_a_minted_token_outlives_a_restart_and_cannot_be_forged(
    tiktok: TikTok, settings: Settings
) -> None:
    token = (await tiktok.signed_in(declined=EURO))["access_token"]
    restarted = TikTok(sandbox_app(settings))
    async with restarted.app.http:
        assert await restarted.code("/campaign/get/", token, advertiser_id=ADVERTISER) == 0
        assert await restarted.code("/campaign/get/", token, advertiser_id=EURO) == 40001
        forged = token[:-1] + ("0" if token[-1] != "0" else "1")
        assert await restarted.code("/campaign/get/", forged, advertiser_id=ADVERTISER) == 40105


async def test_with_an_app_configured_only_that_app_gets_tokens() -> None:
    strict = replace(Settings(), tiktok_app_id="7100", tiktok_app_secret="real")
    tiktok = TikTok(sandbox_app(strict))
    async with tiktok.app.http:
        (code,) = (await tiktok.auth_code())["auth_code"]
        assert await exchange(tiktok, code) == 40101
        assert await exchange(tiktok, code, app_id="9") == 40113
        assert await exchange(tiktok, code, secret="real") == 0


class Creator:
    """A creator's connection to the Business API."""

    def __init__(self, tiktok: TikTok) -> None:
        self.tiktok = tiktok

    async def connect(self) -> dict[str, Any]:
        query = await self.tiktok.consent(client_key="7100", scope="user.info.basic,user.insights")
        return data_of(await self.token(auth_code=query["code"][0]))

    async def token(self, **changes: str) -> httpx.Response:
        body = {**CREATOR_APP, "grant_type": "authorization_code", "redirect_uri": RETURN_TO, **changes}
        return await self.tiktok.post("/tt_user/oauth2/token/", **body)

    async def refresh(self, token: str, **changes: str) -> httpx.Response:
        body = {**CREATOR_APP, "grant_type": "refresh_token", "refresh_token": token, **changes}
        return await self.tiktok.post("/tt_user/oauth2/refresh_token/", **body)

    async def reads(self, pair: dict[str, Any]) -> int:
        return await self.tiktok.code("/business/get/", pair["access_token"], business_id=pair["open_id"])


@pytest.fixture
def creator(tiktok: TikTok) -> Creator:
    return Creator(tiktok)


async def test_a_creators_token_lives_a_day_and_is_refreshed(creator: Creator) -> None:
    first = await creator.connect()
    assert (first["expires_in"], first["refresh_token_expires_in"]) == (86_400, 31_536_000)
    assert first["scope"] == "user.info.basic,user.insights"
    assert await creator.reads(first) == 0
    creator.tiktok.app.clock.advance(DAY)
    assert await creator.reads(first) == 40102
    second = data_of(await creator.refresh(first["refresh_token"]))
    assert await creator.reads(second) == 0
    assert second["open_id"] == first["open_id"]
    assert code_of(await creator.refresh(first["refresh_token"])) == 40107


async def test_a_creators_refresh_token_dies_after_a_year(creator: Creator) -> None:
    pair = await creator.connect()
    creator.tiktok.app.clock.advance(365 * DAY)
    assert code_of(await creator.refresh(pair["refresh_token"])) == 40103


async def test_a_creator_connected_wrongly(creator: Creator) -> None:
    pair = await creator.connect()
    (code,) = (await creator.tiktok.consent(client_key="7100"))["code"]
    assert code_of(await creator.token(auth_code=code, grant_type="password")) == 40108
    assert code_of(await creator.token(auth_code=code, redirect_uri="https://elsewhere.test/")) == 40101
    assert code_of(await creator.token(auth_code="made-up")) == 40110
    assert code_of(await creator.token()) == 40002
    assert code_of(await creator.refresh("made-up")) == 40107
    assert code_of(await creator.refresh(pair["refresh_token"], client_id="8200")) == 40107
    assert code_of(await creator.refresh(pair["refresh_token"], grant_type="password")) == 40108


async def test_a_creator_who_revokes(creator: Creator) -> None:
    pair = await creator.connect()
    body = {**CREATOR_APP, "access_token": pair["access_token"]}
    assert code_of(await creator.tiktok.post("/tt_user/oauth2/revoke/", **body)) == 0
    assert await creator.reads(pair) == 40105
    assert code_of(await creator.refresh(pair["refresh_token"])) == 40107
    (grant,) = await creator.tiktok.grants("tiktok_business")
    assert (grant["revoked"], grant["refused_refreshes"]) == (True, 1)
