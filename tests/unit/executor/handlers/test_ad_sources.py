"""Which connections a run's advertising is read from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr

from common.errors import Consequence, PlatformError
from common.secrets.crypto import new_encryption_key
from executor.handlers.base import Account, RunContext
from executor.settings import ExecutorSettings
from executor.sources.ads import AdSources
from executor.sources.creators import CreatorSources
from platforms.facebook import FACEBOOK_USER
from platforms.facebook.ads import FacebookAds
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC
from platforms.zoom import ZOOM_USER
from tests.support.run_contexts import account, run_context

SLOT = datetime(2026, 11, 21, 9, tzinfo=UTC)


def _serve(request: httpx.Request) -> httpx.Response:
    """Facebook without an account, and TikTok that describes no advertiser."""
    if "open_api" in request.url.path:
        return httpx.Response(200, json={"code": 0, "data": {"list": []}})
    return httpx.Response(200, json={"data": []})


class LostCredential:
    """A token that cannot be renewed now."""

    seen = ()

    async def current(self) -> str:
        """Raises."""
        raise PlatformError("no answer", Consequence.TRANSIENT, platform="facebook", code="renewal")

    async def renewed(self, rejected: str) -> str:
        """Raises."""
        return await self.current()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(_serve), trust_env=False) as client:
        yield client


@pytest.fixture
def settings() -> ExecutorSettings:
    return ExecutorSettings(
        database_url=SecretStr("postgresql://nobody@localhost/none"),
        kafka_bootstrap_servers="localhost:1",
        encryption_keys=SecretStr(new_encryption_key("test")),
    )


@pytest.fixture
def sources(settings: ExecutorSettings) -> AdSources:
    return AdSources(settings)


def _context(http: httpx.AsyncClient, *accounts: Account) -> RunContext:
    return run_context(http, *accounts, slot=SLOT)


async def test_every_connection_with_advertising_is_one(http: httpx.AsyncClient, sources: AdSources) -> None:
    facebook = account(FACEBOOK_USER, "EAA1", name="Shop")
    zoom = account(ZOOM_USER, "zoom")
    (found,) = await sources.of(_context(http, facebook, zoom))
    assert (found.connection_id, found.name, found.platform) == (
        str(facebook.connection_id),
        "Shop",
        "facebook",
    )
    assert await found.client.ad_accounts() == []


async def test_tiktoks_advertisers_are_those_found_when_it_was_connected(
    http: httpx.AsyncClient, sources: AdSources
) -> None:
    found = [
        {"id": "7001", "name": "Shop", "type": "advertiser"},
        {"id": "p", "name": "Page", "type": "page"},
    ]
    tiktok = account(TIKTOK_BUSINESS, "abc", accounts=found)
    (source,) = await sources.of(_context(http, tiktok, account(FACEBOOK_USER, "E")), ["tiktok"])
    assert source.platform == "tiktok"
    (advertiser,) = await source.client.ad_accounts()
    assert (advertiser.id, advertiser.name) == ("7001", "Shop")


async def test_creators_have_no_advertising(http: httpx.AsyncClient, sources: AdSources) -> None:
    with pytest.raises(PlatformError) as refused:
        await sources.of(_context(http, account(TIKTOK_ORGANIC, "act.1")), ["tiktok"])
    assert refused.value.code == "not_connected"
    assert "no TikTok Ads account" in refused.value.detail


async def test_creators_are_sources_of_their_own(http: httpx.AsyncClient, settings: ExecutorSettings) -> None:
    creator = account(TIKTOK_ORGANIC, "act.1", name="Bright")
    advertiser = account(TIKTOK_BUSINESS, "abc")
    (found,) = CreatorSources(settings).of(_context(http, creator, advertiser))
    assert (found.connection_id, found.name) == (str(creator.connection_id), "Bright")
    with pytest.raises(PlatformError) as refused:
        CreatorSources(settings).of(_context(http, advertiser))
    assert (refused.value.consequence, refused.value.code) == (Consequence.REAUTH, "not_connected")


async def test_a_missing_database_connection_must_be_connected(
    http: httpx.AsyncClient, sources: AdSources
) -> None:
    context = _context(http, account(ZOOM_USER, "zoom"))
    with pytest.raises(PlatformError) as refused:
        await sources.of(context)
    assert (refused.value.consequence, refused.value.code) == (Consequence.REAUTH, "not_connected")


async def test_a_token_that_cannot_be_had_costs_the_others_nothing(
    http: httpx.AsyncClient, sources: AdSources
) -> None:
    lost = account(FACEBOOK_USER, "", credential=LostCredential())
    found = await sources.of(_context(http, lost, account(FACEBOOK_USER, "EAA1")))
    assert await found[1].client.ad_accounts() == []
    assert found[0].client.metrics == FacebookAds.metrics
    with pytest.raises(PlatformError) as refused:
        await found[0].client.ad_accounts()
    assert refused.value.code == "renewal"
