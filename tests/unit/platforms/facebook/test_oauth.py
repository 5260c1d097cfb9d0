"""Facebook's grant: what it asks and in which order. The vendor's rules hold what each refusal means."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import Consequence, PlatformError
from platforms.facebook.oauth import LOOK_EVERY, RENEW_BEFORE, FacebookUser
from platforms.oauth.base import NO_TOKEN, NOT_CONFIGURED, Stored, TokenSet, missing_scopes
from tests.support.fake_vendor import (
    CONFIGURED,
    SECRETS,
    UNCONFIGURED,
    Answer,
    Vendor,
    form_of,
    says,
)

NOW = datetime(2026, 11, 4, 10, tzinfo=UTC)
SOON = NOW + timedelta(days=60)
TOKEN = "/v26.0/oauth/access_token"
DEBUG = "/v26.0/debug_token"
ME = "/v26.0/me"
CODE = "AQcode-canary-0123456789"
OLD = "EAAold-token-canary-0123456789"
PROOF = hmac.new(b"fb-app-secret-canary", OLD.encode(), hashlib.sha256).hexdigest()
FACTS = {
    "data": {
        "app_id": "1000200030004000",
        "type": "USER",
        "is_valid": True,
        "expires_at": int(SOON.timestamp()),
        "data_access_expires_at": int(SOON.timestamp()) + 86_400,
        "scopes": ["ads_read", "pages_show_list"],
        "user_id": "999",
    }
}


def refused(code: int, message: str = "no", *, subcode: int | None = None, status: int = 400) -> Answer:
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code}
    if subcode is not None:
        error["error_subcode"] = subcode
    return says(status, {"error": error})


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def grant(vendor: Vendor) -> FacebookUser:
    return FacebookUser(vendor.client(), CONFIGURED)


def test_the_dialog_asks_for_what_the_handlers_need(grant: FacebookUser) -> None:
    url = urlsplit(
        grant.authorize_url(state="s&t", redirect_uri="https://c.test/oauth/callback", challenge=None)
    )
    assert (url.netloc, url.path) == ("dialog.test", "/v26.0/dialog/oauth")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query == {
        "client_id": "1000200030004000",
        "redirect_uri": "https://c.test/oauth/callback",
        "state": "s&t",
        "scope": "ads_read,pages_show_list,pages_read_engagement,read_insights,business_management",
        "response_type": "code",
    }


async def test_a_code_is_exchanged_twice_and_no_secret_is_in_an_address(
    vendor: Vendor, grant: FacebookUser
) -> None:
    vendor.on(
        TOKEN,
        {"access_token": "short-canary", "token_type": "bearer", "expires_in": 5400},
        {"access_token": "long-canary", "token_type": "bearer", "expires_in": 5183944},
    )
    tokens = await grant.exchange(CODE, redirect_uri="https://c.test/cb", verifier=None, now=NOW)
    assert tokens == TokenSet("long-canary", expires_at=NOW + timedelta(seconds=5183944))
    first, second = map(form_of, vendor.asked(TOKEN))
    assert (first["code"], first["redirect_uri"]) == (CODE, "https://c.test/cb")
    assert (second["grant_type"], second["fb_exchange_token"]) == ("fb_exchange_token", "short-canary")
    assert all(not request.url.query for request in vendor.requests)


async def test_an_answer_without_expires_in_is_looked_up(vendor: Vendor, grant: FacebookUser) -> None:
    vendor.on(TOKEN, {"access_token": "long-canary", "token_type": "bearer"})
    vendor.on(DEBUG, FACTS)
    tokens = await grant.exchange(CODE, redirect_uri="https://c.test/cb", verifier=None, now=NOW)
    assert (tokens.expires_at, tokens.scopes) == (SOON, ("ads_read", "pages_show_list"))


async def test_a_token_without_an_end_is_looked_at_and_kept(vendor: Vendor, grant: FacebookUser) -> None:
    vendor.on(DEBUG, {"data": {**FACTS["data"], "expires_at": 0}})
    tokens = await grant.renew(Stored(OLD), now=NOW)
    assert (tokens.access_token, tokens.expires_at) == (OLD, None)
    (request,) = vendor.requests
    assert request.headers["authorization"] == "Bearer 1000200030004000|fb-app-secret-canary"


async def test_without_an_app_a_token_is_looked_at_by_its_permissions(vendor: Vendor) -> None:
    vendor.on(
        "/v26.0/me/permissions",
        {
            "data": [
                {"permission": "ads_read", "status": "granted"},
                {"permission": "read_insights", "status": "declined"},
            ]
        },
    )
    grant = FacebookUser(vendor.client(), UNCONFIGURED)
    tokens = await grant.renew(Stored(OLD, expires_at=SOON), now=NOW)
    assert tokens == TokenSet(OLD, expires_at=SOON, scopes=("ads_read",))
    assert "appsecret_proof" not in vendor.requests[0].url.params
    assert grant.missing_settings() == ("FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET")
    with pytest.raises(PlatformError) as caught:
        await grant.exchange(CODE, redirect_uri="https://c.test/cb", verifier=None, now=NOW)
    assert (caught.value.consequence, caught.value.code) == (Consequence.INVALID, NOT_CONFIGURED)


async def test_discovery_follows_pages_proves_the_secret_and_asks_for_no_page_tokens(
    vendor: Vendor, grant: FacebookUser
) -> None:
    vendor.on(DEBUG, FACTS)
    vendor.on(ME, {"id": "999", "name": "Ada"})
    row = {"account_id": "1", "account_status": 1, "currency": "EUR", "timezone_name": "Europe/Berlin"}
    vendor.on(
        f"{ME}/adaccounts",
        {
            "data": [{**row, "id": "act_1", "name": "Shop"}],
            "paging": {"cursors": {"after": "MTAx"}, "next": "https://graph.test/next?access_token=x"},
        },
        {"data": [{**row, "id": "act_2", "name": "Shop 2"}], "paging": {"cursors": {"after": "MTAy"}}},
    )
    vendor.on(f"{ME}/accounts", {"data": [{"id": "55", "name": "Page", "category": "Brand"}]})
    found = await grant.discover(Stored(OLD), now=NOW)
    assert (found.external_id, found.external_name) == ("999", "Ada")
    assert [account["id"] for account in found.accounts] == ["act_1", "act_2", "55"]
    assert found.accounts[0] == {
        "id": "act_1",
        "name": "Shop",
        "type": "ad_account",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "status": 1,
    }
    assert found.expires_at == SOON
    assert found.settings == {"data_access_expires_at": (SOON + timedelta(days=1)).isoformat()}
    assert vendor.asked(f"{ME}/adaccounts")[1].url.params["after"] == "MTAx"
    assert all(request.url.params["appsecret_proof"] == PROOF for request in vendor.asked(f"{ME}/accounts"))
    assert "access_token" not in vendor.asked(f"{ME}/accounts")[0].url.params["fields"]


async def test_another_apps_token_is_discovered_without_a_proof_of_ours(
    vendor: Vendor, grant: FacebookUser
) -> None:
    foreign = "(#100) The App_id in the input_token did not match the Viewing App"
    vendor.on(DEBUG, refused(100, foreign))
    vendor.on(f"{ME}/permissions", {"data": [{"permission": "ads_read", "status": "granted"}]})
    vendor.on(ME, {"id": "7", "name": "System user"})
    vendor.on(f"{ME}/adaccounts", {"data": []})
    vendor.on(f"{ME}/accounts", refused(200, "(#200) Missing permission", status=403))
    found = await grant.discover(Stored(OLD), now=NOW)
    assert (found.external_id, found.scopes, found.accounts) == ("7", ("ads_read",), [])
    assert all("appsecret_proof" not in request.url.params for request in vendor.requests)


async def test_a_page_token_reaches_its_page(vendor: Vendor, grant: FacebookUser) -> None:
    vendor.on(DEBUG, {"data": {**FACTS["data"], "type": "PAGE", "profile_id": "55"}})
    vendor.on(ME, {"id": "55", "name": "Page"})
    found = await grant.discover(Stored(OLD), now=NOW)
    assert found.accounts == [{"id": "55", "name": "Page", "type": "page"}]


async def test_inspection_finds_a_dead_token(vendor: Vendor, grant: FacebookUser) -> None:
    dead = {
        "code": 190,
        "message": f"Error validating access token {OLD}: Session has expired",
        "subcode": 463,
    }
    vendor.on(DEBUG, {"data": {"is_valid": False, "error": dead, "scopes": []}})
    with pytest.raises(PlatformError) as caught:
        await grant.discover(Stored(OLD), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (Consequence.REAUTH, "190/463")
    assert OLD not in caught.value.detail


async def test_no_secret_is_in_an_error(vendor: Vendor, grant: FacebookUser) -> None:
    vendor.on(
        TOKEN,
        refused(190, f"Malformed access token {OLD}, secret {' '.join(SECRETS[:1])}"),
        refused(100, f"Invalid verification code {CODE}"),
    )
    for call in (
        grant.renew(Stored(OLD, expires_at=NOW), now=NOW),
        grant.exchange(CODE, redirect_uri="https://c.test/cb", verifier=None, now=NOW),
    ):
        with pytest.raises(PlatformError) as caught:
            await call
        assert "canary" not in f"{caught.value.detail} {caught.value!r}"
    held = Stored("canary", "canary", {"client_secret": "canary"})
    assert "canary" not in repr(held) + repr(TokenSet("canary", "canary"))


async def test_a_token_unfit_for_a_header_is_refused_and_hidden(vendor: Vendor) -> None:
    grant = FacebookUser(vendor.client(), UNCONFIGURED)
    with pytest.raises(PlatformError) as caught:
        await grant.discover(Stored("tökén-canary"), now=NOW)
    assert caught.value.consequence is Consequence.INVALID
    assert caught.value.__cause__ is None
    assert "canary" not in caught.value.detail


async def test_a_connection_without_a_token_must_be_connected_again(grant: FacebookUser) -> None:
    with pytest.raises(PlatformError) as caught:
        await grant.renew(Stored(), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (Consequence.REAUTH, NO_TOKEN)


async def test_revoking_withdraws_nothing(vendor: Vendor, grant: FacebookUser) -> None:
    await grant.revoke(Stored(OLD))
    assert vendor.requests == []


@pytest.mark.parametrize(
    ("left", "after"),
    [
        (timedelta(days=60), timedelta(days=50)),
        (RENEW_BEFORE + timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=9), LOOK_EVERY),
        (timedelta(hours=2), timedelta(hours=1)),
        (-timedelta(hours=1), timedelta(0)),
        (None, LOOK_EVERY),
    ],
)
def test_when_it_is_renewed(grant: FacebookUser, left: timedelta | None, after: timedelta) -> None:
    tokens = TokenSet(OLD, expires_at=None if left is None else NOW + left)
    assert grant.renew_at(tokens, now=NOW) == NOW + after


def test_missing_scopes_are_named_once_the_granted_ones_are_known(grant: FacebookUser) -> None:
    assert missing_scopes(grant.needs, ()) == []
    assert missing_scopes(grant.needs, ("ads_management", "pages_show_list", "business_management")) == [
        "pages_read_engagement",
        "read_insights",
    ]
