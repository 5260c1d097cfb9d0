"""TikTok's two grants: what they ask, and what each answer means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import Consequence, PlatformError
from platforms.oauth.base import NO_TOKEN, NOT_CONFIGURED, Stored, TokenSet
from platforms.tiktok_business.oauth import LOOK_EVERY, TikTokBusiness
from platforms.tiktok_business.refusals import consequence_of
from platforms.tiktok_organic.oauth import TikTokOrganic
from tests.support.fake_vendor import (
    CONFIGURED,
    UNCONFIGURED,
    Answer,
    Vendor,
    document_of,
    form_of,
    says,
)

NOW = datetime(2026, 11, 4, 10, tzinfo=UTC)
BUSINESS = "/open_api/v1.3"
EXCHANGE = f"{BUSINESS}/oauth2/access_token/"
ADVERTISERS = f"{BUSINESS}/oauth2/advertiser/get/"
INFO = f"{BUSINESS}/advertiser/info/"
ORGANIC = "/v2/oauth/token/"
USER = "/v2/user/info/"
TOKEN = "business-token-canary"
REFRESH = "rft.refresh-canary-0123"
T, INVALID, REAUTH, PERM = (
    Consequence.TRANSIENT,
    Consequence.INVALID,
    Consequence.REAUTH,
    Consequence.PERM,
)
PAIR = {
    "access_token": "act.access-canary",
    "expires_in": 7200,
    "open_id": "open-1",
    "refresh_expires_in": 15552000,
    "refresh_token": "rft.next-canary",
    "scope": "user.info.basic,video.list",
    "token_type": "Bearer",
}


def ok(data: dict[str, Any]) -> dict[str, Any]:
    return {"code": 0, "message": "OK", "request_id": "r", "data": data}


def failed(code: int, message: str = "no", status: int = 200) -> Answer:
    return says(status, {"code": code, "message": message, "request_id": "r", "data": {}})


def told(status: int, error: str, description: str = "no") -> Answer:
    return says(status, {"error": error, "error_description": description, "log_id": "l"})


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def business(vendor: Vendor) -> TikTokBusiness:
    return TikTokBusiness(vendor.client(), CONFIGURED)


@pytest.fixture
def organic(vendor: Vendor) -> TikTokOrganic:
    return TikTokOrganic(vendor.client(), CONFIGURED)


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_the_portal_names_the_app(business: TikTokBusiness) -> None:
    address = business.authorize_url(state="s", redirect_uri="https://c.test/cb", challenge=None)
    assert address.startswith("https://portal.test/portal/auth?")
    assert query_of(address) == {
        "app_id": "7000000000000000001",
        "state": "s",
        "redirect_uri": "https://c.test/cb",
    }


async def test_an_auth_code_becomes_a_token_without_an_end(vendor: Vendor, business: TikTokBusiness) -> None:
    vendor.on(EXCHANGE, ok({"access_token": TOKEN, "advertiser_ids": ["7100", "700"], "scope": [4, 12]}))
    tokens = await business.exchange("code-canary", redirect_uri="https://c.test/cb", verifier=None, now=NOW)
    assert tokens == TokenSet(TOKEN, scopes=("4", "12"), external_id="700")
    assert document_of(vendor.requests[0]) == {
        "app_id": "7000000000000000001",
        "secret": "tt-app-secret-canary",
        "auth_code": "code-canary",
    }
    assert business.renew_at(tokens, now=NOW) == NOW + LOOK_EVERY


async def test_advertisers_are_discovered_a_hundred_at_a_time(
    vendor: Vendor, business: TikTokBusiness
) -> None:
    named = [{"advertiser_id": str(7000 + each), "advertiser_name": f"Shop {each}"} for each in range(101)]
    vendor.on(ADVERTISERS, ok({"list": named}))
    described = {
        "advertiser_id": "7000",
        "name": "Shop",
        "currency": "USD",
        "timezone": "Etc/GMT+8",
        "display_timezone": "America/Los_Angeles",
        "status": "STATUS_ENABLE",
    }
    vendor.on(INFO, ok({"list": [described]}), ok({"list": []}))
    found = await business.discover(Stored(TOKEN), now=NOW)
    assert (found.external_id, found.external_name) == ("7000", "Shop 0 and 100 more")
    assert len(found.accounts) == 101
    assert found.accounts[0] == {
        "id": "7000",
        "name": "Shop 0",
        "type": "advertiser",
        "currency": "USD",
        "timezone": "America/Los_Angeles",
        "status": "STATUS_ENABLE",
    }
    sizes = [len(json.loads(each.url.params["advertiser_ids"])) for each in vendor.asked(INFO)]
    assert sizes == [100, 1]
    assert {each.headers["access-token"] for each in vendor.requests} == {TOKEN}


async def test_without_the_apps_secret_known_advertisers_are_looked_at(vendor: Vendor) -> None:
    grant = TikTokBusiness(vendor.client(), UNCONFIGURED)
    vendor.on(INFO, ok({"list": [{"advertiser_id": "7000", "name": "Shop", "currency": "USD"}]}))
    found = await grant.discover(Stored(TOKEN, settings={"advertiser_ids": ["7000"]}), now=NOW)
    assert [account["name"] for account in found.accounts] == ["Shop"]
    with pytest.raises(PlatformError) as caught:
        await grant.renew(Stored(TOKEN), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (INVALID, NOT_CONFIGURED)
    assert "TIKTOK_APP_ID and TIKTOK_APP_SECRET" in caught.value.detail


async def test_a_used_auth_code_is_a_dead_grant(vendor: Vendor, business: TikTokBusiness) -> None:
    vendor.on(EXCHANGE, failed(40110, "Auth_code code-canary has been used by tt-app-secret-canary"))
    with pytest.raises(PlatformError) as caught:
        await business.exchange("code-canary", redirect_uri="https://c.test/cb", verifier=None, now=NOW)
    assert caught.value.consequence is REAUTH
    assert "canary" not in caught.value.detail


async def test_a_token_without_advertisers_lacks_a_permission(
    vendor: Vendor, business: TikTokBusiness
) -> None:
    vendor.on(ADVERTISERS, ok({"list": []}))
    with pytest.raises(PlatformError) as caught:
        await business.discover(Stored(TOKEN), now=NOW)
    assert caught.value.consequence is PERM


async def test_revoking_forgives_a_dead_token(vendor: Vendor, business: TikTokBusiness) -> None:
    path = f"{BUSINESS}/oauth2/revoke_token/"
    vendor.on(path, ok({}), failed(40105))
    await business.revoke(Stored(TOKEN))
    await business.revoke(Stored(TOKEN))
    assert document_of(vendor.requests[0])["access_token"] == TOKEN


def test_a_creators_token_can_be_renewed_where_an_advertisers_cannot() -> None:
    assert consequence_of(40102) is REAUTH
    assert consequence_of(40102, of_creator=True) is Consequence.REFRESH
    assert consequence_of(40105, of_creator=True) is Consequence.REFRESH


def test_the_creators_page_is_asked_for_scopes_with_a_challenge(organic: TikTokOrganic) -> None:
    address = organic.authorize_url(state="s", redirect_uri="https://c.test/cb", challenge="c" * 43)
    assert address.startswith("https://tiktok.test/v2/auth/authorize/?")
    assert query_of(address) == {
        "client_key": "awkey",
        "scope": "user.info.basic,user.info.profile,user.info.stats,video.list",
        "response_type": "code",
        "redirect_uri": "https://c.test/cb",
        "state": "s",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }


async def test_token_lifetimes_come_from_the_answer(vendor: Vendor, organic: TikTokOrganic) -> None:
    vendor.on(ORGANIC, PAIR, {**PAIR, "expires_in": 86400, "refresh_expires_in": 31536000})
    tokens = await organic.exchange(
        "code*1!4512", redirect_uri="https://c.test/cb", verifier="v" * 43, now=NOW
    )
    assert tokens == TokenSet(
        "act.access-canary",
        "rft.next-canary",
        NOW + timedelta(hours=2),
        NOW + timedelta(days=180),
        ("user.info.basic", "video.list"),
        "open-1",
    )
    assert organic.renew_at(tokens, now=NOW) == NOW + timedelta(minutes=96)
    later = await organic.renew(Stored("old", REFRESH), now=NOW)
    assert later.refresh_expires_at == NOW + timedelta(days=365)
    assert organic.renew_at(later, now=NOW) == NOW + timedelta(hours=24) * 0.8
    first, second = map(form_of, vendor.requests)
    assert (first["code"], first["code_verifier"]) == ("code*1!4512", "v" * 43)
    assert (second["grant_type"], second["refresh_token"]) == ("refresh_token", REFRESH)


async def test_a_refresh_token_that_is_not_renewed_stays(vendor: Vendor, organic: TikTokOrganic) -> None:
    vendor.on(ORGANIC, {name: value for name, value in PAIR.items() if name != "refresh_token"})
    assert (await organic.renew(Stored("old", REFRESH), now=NOW)).refresh_token is None


async def test_a_pasted_token_without_a_refresh_token_must_be_connected_again(
    organic: TikTokOrganic,
) -> None:
    with pytest.raises(PlatformError) as caught:
        await organic.renew(Stored("act.pasted"), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (REAUTH, NO_TOKEN)


async def test_a_profile_is_discovered_with_what_may_be_seen_of_it(
    vendor: Vendor, organic: TikTokOrganic
) -> None:
    fine = {"code": "ok", "message": "", "log_id": "l"}
    missed = says(400, {"data": {}, "error": {"code": "scope_permission_missed", "message": "more"}})
    whole = {"open_id": "open-1", "display_name": "Ada", "username": "ada", "profile_deep_link": "https://t"}
    vendor.on(
        USER,
        says(200, {"data": {"user": whole}, "error": fine}),
        missed,
        says(200, {"data": {"user": {"open_id": "open-1", "display_name": "Ada"}}, "error": fine}),
    )
    found = await organic.discover(Stored("act.x"), now=NOW)
    assert (found.external_id, found.external_name) == ("open-1", "Ada (@ada)")
    less = await organic.discover(Stored("act.x"), now=NOW)
    assert (less.external_id, less.external_name) == ("open-1", "Ada")


@pytest.mark.parametrize(
    ("status", "code", "consequence"),
    [
        (401, "access_token_invalid", Consequence.REFRESH),
        (401, "scope_not_authorized", PERM),
        (429, "rate_limit_exceeded", Consequence.RATE),
        (500, "internal_error", T),
        (400, "invalid_params", INVALID),
        (401, "unheard_of", Consequence.REFRESH),
    ],
)
async def test_consequence_of_a_refused_discovery(
    vendor: Vendor, organic: TikTokOrganic, status: int, code: str, consequence: Consequence
) -> None:
    vendor.on(USER, says(status, {"data": {}, "error": {"code": code, "message": "no", "log_id": "l"}}))
    with pytest.raises(PlatformError) as caught:
        await organic.discover(Stored("act.x"), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (consequence, code)


async def test_revoking_keeps_a_creators_consent(vendor: Vendor, organic: TikTokOrganic) -> None:
    await organic.revoke(Stored("act.x", REFRESH))
    assert vendor.requests == []
