"""Zoom's two grants: what they ask, and what each answer means."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import Consequence, PlatformError
from platforms.oauth.base import NO_TOKEN, Stored, TokenSet
from platforms.oauth.pkce import challenge_of, new_verifier
from platforms.zoom.oauth import RENEW_SERVER_BEFORE, RENEW_USER_BEFORE, ZoomServer, ZoomUser
from tests.support.fake_vendor import CONFIGURED, UNCONFIGURED, Answer, Vendor, form_of, says

NOW = datetime(2026, 11, 4, 10, tzinfo=UTC)
TOKEN = "/oauth/token"
REFRESH = "refresh-canary-0123456789"
PAIR = {
    "access_token": "eyJaccess-canary",
    "token_type": "bearer",
    "refresh_token": "eyJrefresh-canary",
    "expires_in": 3599,
    "scope": "user:read:user cloud_recording:read:list_user_recordings",
    "api_url": "https://api.test",
}
CREDENTIALS = {"account_id": "acc", "client_id": "cid", "client_secret": "own-secret-canary"}
T, INVALID, REAUTH = Consequence.TRANSIENT, Consequence.INVALID, Consequence.REAUTH


def refused(status: int, error: str, reason: str) -> Answer:
    return says(status, {"reason": reason, "error": error})


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def user(vendor: Vendor) -> ZoomUser:
    return ZoomUser(vendor.client(), CONFIGURED)


@pytest.fixture
def server(vendor: Vendor) -> ZoomServer:
    return ZoomServer(vendor.client(), CONFIGURED)


def test_the_dialog_carries_the_challenge(user: ZoomUser) -> None:
    verifier = new_verifier()
    challenge = challenge_of(verifier)
    url = urlsplit(user.authorize_url(state="s", redirect_uri="https://c.test/cb", challenge=challenge))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.netloc, url.path) == ("zoom.test", "/oauth/authorize")
    assert query == {
        "response_type": "code",
        "client_id": "zoomclient",
        "redirect_uri": "https://c.test/cb",
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert len(verifier) in range(43, 129)


def test_the_challenge_is_that_of_rfc_7636() -> None:
    # Its appendix B.
    assert (
        challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


async def test_a_code_becomes_a_pair(vendor: Vendor, user: ZoomUser) -> None:
    vendor.on(TOKEN, PAIR)
    tokens = await user.exchange("code-canary", redirect_uri="https://c.test/cb", verifier="v" * 43, now=NOW)
    assert tokens == TokenSet(
        "eyJaccess-canary",
        "eyJrefresh-canary",
        NOW + timedelta(seconds=3599),
        scopes=("user:read:user", "cloud_recording:read:list_user_recordings"),
    )
    (request,) = vendor.requests
    assert form_of(request) == {
        "grant_type": "authorization_code",
        "code": "code-canary",
        "redirect_uri": "https://c.test/cb",
        "code_verifier": "v" * 43,
    }
    expected = base64.b64encode(b"zoomclient:zoom-client-secret-canary").decode()
    assert request.headers["authorization"] == f"Basic {expected}"
    assert not request.url.query


async def test_the_wait_a_limit_asks_for_is_kept(vendor: Vendor, user: ZoomUser) -> None:
    limited = {"error": "too_many_requests", "reason": "slow"}
    vendor.on(TOKEN, says(429, limited, {"retry-after": "17"}))
    with pytest.raises(PlatformError) as caught:
        await user.renew(Stored("old", REFRESH), now=NOW)
    assert caught.value.retry_after == 17


async def test_no_secret_is_in_an_error(vendor: Vendor, user: ZoomUser) -> None:
    basic = base64.b64encode(b"zoomclient:zoom-client-secret-canary").decode()
    leaky = f"no {REFRESH} zoom-client-secret-canary {basic}"
    vendor.on(TOKEN, refused(400, "invalid_grant", leaky))
    with pytest.raises(PlatformError) as caught:
        await user.renew(Stored("old", REFRESH), now=NOW)
    assert "canary" not in caught.value.detail
    assert basic not in caught.value.detail


async def test_a_pasted_token_without_a_refresh_token_must_be_connected_again(user: ZoomUser) -> None:
    with pytest.raises(PlatformError) as caught:
        await user.renew(Stored("old"), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (REAUTH, NO_TOKEN)


async def test_a_person_is_discovered(vendor: Vendor, user: ZoomUser) -> None:
    vendor.on(
        "/v2/users/me",
        {
            "id": "u1",
            "account_id": "acc",
            "display_name": "Ada L",
            "email": "ada@c.test",
            "timezone": "Europe/Berlin",
        },
    )
    found = await user.discover(Stored("eyJaccess"), now=NOW)
    assert (found.external_id, found.external_name) == ("u1", "Ada L")
    assert found.settings == {"account_id": "acc"}
    assert found.accounts == [
        {
            "id": "u1",
            "name": "Ada L",
            "type": "user",
            "email": "ada@c.test",
            "timezone": "Europe/Berlin",
        }
    ]


@pytest.mark.parametrize(
    ("status", "code", "consequence"),
    [
        (401, 124, Consequence.REFRESH),
        (400, 4711, Consequence.PERM),
        (401, 4700, Consequence.PERM),
        (400, 200, Consequence.PERM),
        (403, 3001, Consequence.PERM),
        (404, 1001, Consequence.GONE),
        (400, 300, INVALID),
        (409, 1, INVALID),
        (429, 429, Consequence.RATE),
        (500, 500, T),
        (401, 1, Consequence.REFRESH),
    ],
)
async def test_consequence_of_a_refused_discovery(
    vendor: Vendor, user: ZoomUser, status: int, code: int, consequence: Consequence
) -> None:
    vendor.on("/v2/users/me", says(status, {"code": code, "message": "no"}))
    with pytest.raises(PlatformError) as caught:
        await user.discover(Stored("eyJaccess"), now=NOW)
    assert (caught.value.consequence, caught.value.code) == (consequence, str(code))


async def test_a_server_asks_with_its_own_credentials(vendor: Vendor, server: ZoomServer) -> None:
    vendor.on(TOKEN, {**PAIR, "refresh_token": None})
    tokens = await server.renew(Stored(credentials=CREDENTIALS), now=NOW)
    assert (tokens.refresh_token, tokens.expires_at) == (None, NOW + timedelta(seconds=3599))
    (request,) = vendor.requests
    assert form_of(request) == {"grant_type": "account_credentials", "account_id": "acc"}
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'cid:own-secret-canary').decode()}"


async def test_a_server_without_credentials_must_be_connected_again(server: ZoomServer) -> None:
    with pytest.raises(PlatformError) as caught:
        await server.renew(Stored(credentials={"account_id": "acc"}), now=NOW)
    assert caught.value.consequence is REAUTH


async def test_a_server_discovers_its_users_page_by_page(vendor: Vendor, server: ZoomServer) -> None:
    owner = {"id": "u1", "display_name": "Ada", "role_id": "0", "timezone": "UTC"}
    vendor.on(
        "/v2/users",
        {"users": [owner], "next_page_token": "p2"},
        {"users": [{"id": "u2", "first_name": "Bob", "last_name": "B"}], "next_page_token": ""},
    )
    found = await server.discover(Stored("eyJ", credentials=CREDENTIALS), now=NOW)
    assert (found.external_id, found.external_name) == ("acc", "Ada's account")
    assert [(each["id"], each["name"]) for each in found.accounts] == [("u1", "Ada"), ("u2", "Bob B")]
    assert vendor.asked("/v2/users")[1].url.params["next_page_token"] == "p2"


async def test_a_server_that_may_not_list_users_is_still_known(vendor: Vendor, server: ZoomServer) -> None:
    vendor.on("/v2/users", says(400, {"code": 4711, "message": "does not contain scopes"}))
    found = await server.discover(Stored("eyJ", credentials=CREDENTIALS), now=NOW)
    assert (found.external_id, found.external_name, found.accounts) == ("acc", "Account acc", [])


async def test_revoking_ends_the_consent_and_forgives_a_dead_one(vendor: Vendor, user: ZoomUser) -> None:
    vendor.on("/oauth/revoke", {"status": "success"}, refused(400, "invalid_grant", "Invalid Token!"))
    await user.revoke(Stored("eyJaccess", REFRESH))
    await user.revoke(Stored("eyJaccess", REFRESH))
    assert [form_of(request) for request in vendor.requests] == [{"token": "eyJaccess"}] * 2


def test_when_each_is_renewed(user: ZoomUser, server: ZoomServer) -> None:
    tokens = TokenSet("eyJ", expires_at=NOW + timedelta(seconds=3599))
    assert user.renew_at(tokens, now=NOW) == NOW + timedelta(seconds=3599) - RENEW_USER_BEFORE
    assert server.renew_at(tokens, now=NOW) == NOW + timedelta(seconds=3599) - RENEW_SERVER_BEFORE
    assert user.renew_at(TokenSet("eyJ"), now=NOW) == NOW
    assert server.renew_at(TokenSet("eyJ", expires_at=NOW), now=NOW) == NOW


def test_what_is_missing_is_named(vendor: Vendor) -> None:
    grant = ZoomUser(vendor.client(), UNCONFIGURED)
    assert grant.missing_settings() == ("ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET")
