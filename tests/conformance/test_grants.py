"""Every grant against the sandbox: consent, renewal, discovery, and how each failure is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from carillon.services import SANDBOX_APPS, vendors_at
from common.errors import Consequence, PlatformError
from common.http import create_client
from common.models import ConnectionKind
from platforms.facebook import FACEBOOK_USER
from platforms.oauth.base import ANSWER_LOST, Discovered, Grant, Stored, TokenSet
from platforms.oauth.pkce import challenge_of, new_verifier
from platforms.registry import grants
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC
from platforms.zoom import ZOOM_SERVER, ZOOM_USER
from tests.support.fake_vendor import VendorSettings
from tests.support.stack import Service

BACK = "https://console.example/oauth/callback"
PATIENCE = 2.0
SERVER = {
    "account_id": "wTJw8LgeT8GlOSjLjOU9Hw",
    "client_id": "AcademyServer",
    "client_secret": "academy-server-secret",
}
LASTING = [FACEBOOK_USER, TIKTOK_BUSINESS]
ROTATING = [TIKTOK_ORGANIC, ZOOM_USER]
ALL = [*LASTING, *ROTATING, ZOOM_SERVER]
TOKEN_PATHS: Mapping[ConnectionKind, str] = {
    FACEBOOK_USER: "/v26.0/oauth/access_token",
    TIKTOK_BUSINESS: "/open_api/v1.3/oauth2/access_token/",
    TIKTOK_ORGANIC: "/v2/oauth/token/",
    ZOOM_USER: "/zoom/oauth/token",
    ZOOM_SERVER: "/zoom/oauth/token",
}
TYPES: Mapping[ConnectionKind, set[str]] = {
    FACEBOOK_USER: {"ad_account", "page"},
    TIKTOK_BUSINESS: {"advertiser"},
    TIKTOK_ORGANIC: {"profile"},
    ZOOM_USER: {"user"},
    ZOOM_SERVER: {"user"},
}


@pytest.fixture(scope="module")
def own_sandbox(start_sandbox: Callable[..., Service]) -> Service:
    """A sandbox that knows its apps' secrets, whose clock may be moved."""
    return start_sandbox("sandbox-grants", **SANDBOX_APPS)


def settings_for(service: Service, app: Mapping[str, str] = SANDBOX_APPS) -> VendorSettings:
    given = {**vendors_at(service.port), **app}
    return VendorSettings.model_validate({name.lower(): value for name, value in given.items()})


@dataclass
class GrantHarness:
    """The grants, the platforms' side, and the time there."""

    service: Service
    http: httpx.AsyncClient
    known: Mapping[ConnectionKind, Grant]

    async def now(self) -> datetime:
        answer = await self.http.get(f"{self.service.url}/_sandbox/clock")
        return datetime.fromtimestamp(answer.json()["now"], UTC)

    async def advance(self, by: timedelta) -> None:
        url = f"{self.service.url}/_sandbox/clock"
        await self.http.post(url, json={"advance_seconds": by.total_seconds()})

    async def fault(self, path: str, **what: object) -> None:
        description = {"path": path, "times": 1, **what}
        answer = await self.http.post(f"{self.service.url}/_sandbox/faults", json=description)
        assert answer.status_code == 201, answer.text

    async def agree(self, grant: Grant, verifier: str | None, **choices: str) -> Mapping[str, list[str]]:
        """What the platform's page sends the person back with."""
        challenge = challenge_of(verifier) if verifier else None
        page = httpx.URL(grant.authorize_url(state="st&te", redirect_uri=BACK, challenge=challenge))
        answer = await self.http.get(page.copy_merge_params({"sandbox_decision": "allow", **choices}))
        assert answer.status_code == 302, answer.text
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["state"] == ["st&te"]
        return query

    async def consent(self, kind: ConnectionKind, **choices: str) -> TokenSet:
        """A consent of its own; a server-to-server app asks nobody."""
        grant = self.known[kind]
        if not grant.has_dialog:
            return await grant.renew(Stored(credentials=SERVER), now=await self.now())
        verifier = new_verifier() if grant.uses_pkce else None
        query = await self.agree(grant, verifier, **choices)
        (code,) = query.get("auth_code") or query["code"]
        return await grant.exchange(code, redirect_uri=BACK, verifier=verifier, now=await self.now())

    async def discover(self, kind: ConnectionKind, tokens: TokenSet) -> Discovered:
        return await self.known[kind].discover(stored_of(kind, tokens), now=await self.now())


def stored_of(kind: ConnectionKind, tokens: TokenSet) -> Stored:
    credentials = SERVER if kind == ZOOM_SERVER else {}
    return Stored(tokens.access_token, tokens.refresh_token, credentials, {}, tokens.expires_at)


@pytest.fixture
async def harness(own_sandbox: Service) -> AsyncIterator[GrantHarness]:
    hosts = {f"127.0.0.1:{own_sandbox.port}"}
    async with create_client(
        timeout=httpx.Timeout(PATIENCE), allowed_hosts=hosts, receiver_hosts=hosts
    ) as http:
        yield GrantHarness(own_sandbox, http, grants(http, settings_for(own_sandbox)))
        await http.post(f"{own_sandbox.url}/_sandbox/reset")


async def refused(call: Awaitable[object]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await call
    secrets = [value for name, value in SANDBOX_APPS.items() if name.endswith("_SECRET")]
    assert not any(secret in caught.value.detail for secret in (*secrets, SERVER["client_secret"]))
    return caught.value


def test_every_kind_of_account_has_a_grant(harness: GrantHarness) -> None:
    assert set(harness.known) == set(ALL)
    assert all(not grant.missing_settings() for grant in harness.known.values())


@pytest.mark.parametrize("kind", ALL)
async def test_a_consent_is_worth_a_token_that_says_whose_it_is_and_what_it_reaches(
    harness: GrantHarness, kind: ConnectionKind
) -> None:
    tokens = await harness.consent(kind)
    found = await harness.discover(kind, tokens)
    assert found.external_id
    assert found.external_name
    assert {account["type"] for account in found.accounts} == TYPES[kind]
    assert all(account["id"] and account["name"] for account in found.accounts)
    if tokens.external_id is not None:
        assert tokens.external_id == found.external_id
    grant, now = harness.known[kind], await harness.now()
    due = grant.renew_at(tokens, now=now)
    assert due is not None
    assert now < due
    assert tokens.expires_at is None or due < tokens.expires_at
    again = await harness.discover(kind, await harness.consent(kind))
    assert (again.external_id, again.external_name) == (found.external_id, found.external_name)


async def test_facebook_lives_for_two_months_and_longer_when_renewed(harness: GrantHarness) -> None:
    kind = FACEBOOK_USER
    grant, tokens = harness.known[kind], await harness.consent(kind)
    assert tokens.expires_at is not None
    assert tokens.expires_at > await harness.now() + timedelta(days=59)
    await harness.advance(timedelta(days=51))
    later = await grant.renew(stored_of(kind, tokens), now=await harness.now())
    assert later.access_token != tokens.access_token
    assert later.expires_at is not None
    assert later.expires_at > tokens.expires_at + timedelta(days=50)
    await harness.advance(timedelta(days=10))
    error = await refused(grant.renew(stored_of(kind, tokens), now=await harness.now()))
    assert (error.consequence, error.code) == (Consequence.REAUTH, "190/463")
    await harness.discover(kind, later)


async def test_facebook_tells_what_was_declined(harness: GrantHarness) -> None:
    kind = FACEBOOK_USER
    found = await harness.discover(kind, await harness.consent(kind, declined="ads_read,business_management"))
    assert "ads_read" not in found.scopes
    assert {account["type"] for account in found.accounts} == {"page"}


@pytest.mark.parametrize("kind", ROTATING)
async def test_a_renewal_kills_the_refresh_token_it_was_made_with(
    harness: GrantHarness, kind: ConnectionKind
) -> None:
    grant, first = harness.known[kind], await harness.consent(kind)
    second = await grant.renew(stored_of(kind, first), now=await harness.now())
    assert second.refresh_token not in (None, first.refresh_token)
    error = await refused(grant.renew(stored_of(kind, first), now=await harness.now()))
    assert error.consequence is Consequence.REAUTH
    third = await grant.renew(stored_of(kind, second), now=await harness.now())
    await harness.discover(kind, third)


@pytest.mark.parametrize("kind", ROTATING)
async def test_an_access_token_that_has_ended_is_no_dead_grant(
    harness: GrantHarness, kind: ConnectionKind
) -> None:
    grant, tokens = harness.known[kind], await harness.consent(kind)
    assert tokens.expires_at is not None
    await harness.advance(tokens.expires_at - await harness.now() + timedelta(seconds=1))
    error = await refused(harness.discover(kind, tokens))
    assert error.consequence is Consequence.REFRESH
    await harness.discover(kind, await grant.renew(stored_of(kind, tokens), now=await harness.now()))


async def test_agreeing_with_zoom_again_ends_the_pair_of_before(harness: GrantHarness) -> None:
    kind = ZOOM_USER
    first, second = await harness.consent(kind), await harness.consent(kind)
    error = await refused(harness.known[kind].renew(stored_of(kind, first), now=await harness.now()))
    assert error.consequence is Consequence.REAUTH
    await harness.discover(kind, second)


async def test_tokens_of_a_server_live_side_by_side(harness: GrantHarness) -> None:
    kind = ZOOM_SERVER
    first, second = await harness.consent(kind), await harness.consent(kind)
    assert first.access_token != second.access_token
    await harness.discover(kind, first)
    await harness.discover(kind, second)
    wrong = Stored(credentials={**SERVER, "account_id": "another"})
    error = await refused(harness.known[kind].renew(wrong, now=await harness.now()))
    assert error.consequence is Consequence.INVALID


@pytest.mark.parametrize("kind", ROTATING)
async def test_a_renewal_whose_answer_is_lost_says_so_and_has_happened(
    harness: GrantHarness, kind: ConnectionKind
) -> None:
    grant, tokens = harness.known[kind], await harness.consent(kind)
    await harness.fault(TOKEN_PATHS[kind], kind="reset", stage="answer")
    error = await refused(grant.renew(stored_of(kind, tokens), now=await harness.now()))
    assert (error.consequence, error.code) == (Consequence.TRANSIENT, ANSWER_LOST)
    error = await refused(grant.renew(stored_of(kind, tokens), now=await harness.now()))
    assert error.consequence is Consequence.REAUTH


@pytest.mark.parametrize("kind", [*LASTING, *ROTATING])
async def test_a_code_is_good_for_one_exchange(harness: GrantHarness, kind: ConnectionKind) -> None:
    grant = harness.known[kind]
    verifier = new_verifier() if grant.uses_pkce else None
    query = await harness.agree(grant, verifier)
    (code,) = query.get("auth_code") or query["code"]
    now = await harness.now()
    await grant.exchange(code, redirect_uri=BACK, verifier=verifier, now=now)
    error = await refused(grant.exchange(code, redirect_uri=BACK, verifier=verifier, now=now))
    assert error.consequence is Consequence.REAUTH
    assert code not in error.detail


@pytest.mark.parametrize("kind", ROTATING)
async def test_a_code_without_its_verifier_is_worth_nothing(
    harness: GrantHarness, kind: ConnectionKind
) -> None:
    grant = harness.known[kind]
    query = await harness.agree(grant, new_verifier())
    (code,) = query["code"]
    error = await refused(
        grant.exchange(code, redirect_uri=BACK, verifier=new_verifier(), now=await harness.now())
    )
    assert error.permanent


async def test_an_advertisers_token_is_looked_at_until_it_is_revoked(harness: GrantHarness) -> None:
    kind = TIKTOK_BUSINESS
    grant, tokens = harness.known[kind], await harness.consent(kind)
    assert (
        await grant.renew(stored_of(kind, tokens), now=await harness.now())
    ).access_token == tokens.access_token
    await grant.revoke(stored_of(kind, tokens))
    error = await refused(grant.renew(stored_of(kind, tokens), now=await harness.now()))
    assert (error.consequence, error.code) == (Consequence.REAUTH, "40105")
    await grant.revoke(stored_of(kind, tokens))


async def test_an_advertiser_who_keeps_some_to_themselves_shows_the_others(harness: GrantHarness) -> None:
    kind = TIKTOK_BUSINESS
    whole = await harness.discover(kind, await harness.consent(kind))
    kept = whole.accounts[-1]["id"]
    less = await harness.discover(kind, await harness.consent(kind, declined=kept))
    assert {account["id"] for account in less.accounts} == {each["id"] for each in whole.accounts} - {kept}
    assert all(account["currency"] and account["timezone"] for account in whole.accounts)


async def test_zoom_is_given_back_what_it_granted(harness: GrantHarness) -> None:
    kind = ZOOM_USER
    grant, tokens = harness.known[kind], await harness.consent(kind)
    await grant.revoke(stored_of(kind, tokens))
    assert (await refused(harness.discover(kind, tokens))).consequence is Consequence.REFRESH
    error = await refused(grant.renew(stored_of(kind, tokens), now=await harness.now()))
    assert error.consequence is Consequence.REAUTH
    await grant.revoke(stored_of(kind, tokens))
