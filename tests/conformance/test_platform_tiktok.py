"""TikTok's clients against what only TikTok does: limits by the second, report tasks, creators' scopes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from common.errors import Consequence, PlatformError
from common.http import create_client
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import Level
from platforms.calls.credentials import FixedCredential
from platforms.calls.periods import Days
from platforms.calls.usage import UsageLimiter
from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business
from platforms.tiktok_business.reports import Sleep
from platforms.tiktok_organic.client import Organic
from tests.support.channels import Sandbox, unique
from tests.support.platforms.base import Site
from tests.support.stack import Service

WEEK = Days.ending((datetime.now(UTC) - timedelta(days=3)).date(), 7)
ADVERTISER = "7001402301117000000"
ACCOUNT = AdAccount(ADVERTISER, "Kitchen & Co", "USD", UTC, "UTC")
REPORT = "*/report/integrated/get/"


@pytest.fixture
def token() -> str:
    """A token of this test's own, so that its faults strike nobody else."""
    return f"sandbox-tt-{unique()}"


@pytest.fixture(scope="module")
def strict(start_sandbox: Callable[..., Service]) -> Service:
    """A TikTok that takes three calls a second from an app."""
    limits = {"TIKTOK_APP_PER_SECOND": "3"}
    return start_sandbox("tiktok-strict", **limits)


@pytest.fixture(scope="module")
def patient(start_sandbox: Callable[..., Service]) -> Service:
    """A TikTok whose clock a test may move."""
    return start_sandbox("tiktok-patient")


@pytest.fixture
async def anywhere() -> AsyncIterator[httpx.AsyncClient]:
    """A client for sandboxes of the test's own, on whatever port."""
    async with create_client(
        timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as http:
        yield http


def _business(site: Site, token: str, limiter: UsageLimiter | None = None) -> Business:
    credential = FixedCredential(token, platform="tiktok")
    return Business(site.http, site.url, credential, limiter=limiter or UsageLimiter(), scope=token)


def _creator(site: Site, token: str) -> Organic:
    credential = FixedCredential(token, platform="tiktok")
    return Organic(site.http, site.url, credential, limiter=UsageLimiter(), scope=token)


def _moving_the_clock(site: Site) -> Sleep:
    """Sleeping that makes the sandbox's time pass instead of ours."""

    async def sleep(seconds: float) -> None:
        answer = await site.http.post(f"{site.url}/_sandbox/clock", json={"advance_seconds": seconds})
        answer.raise_for_status()

    return sleep


class TestLimits:
    async def test_calls_beyond_the_limit_per_second_come_later(
        self, anywhere: httpx.AsyncClient, strict: Service, token: str
    ) -> None:
        business = _business(Site(anywhere, strict.url), token)
        params = {"advertiser_ids": [ADVERTISER], "fields": ["name"]}
        answers = await asyncio.gather(*(business.get("advertiser/info/", params) for _ in range(7)))
        assert answers == [{"list": [{"name": "Kitchen & Co"}]}] * 7
        refused = await Sandbox(strict.url, anywhere).received("tiktok_business")
        assert len(refused) > 7, "some were refused first"


class TestReports:
    @pytest.mark.parametrize("level", list(Level))
    async def test_a_task_gives_the_same_figures(
        self, anywhere: httpx.AsyncClient, patient: Service, token: str, level: Level
    ) -> None:
        site = Site(anywhere, patient.url)
        ads = TikTokAds(_business(site, token), sleep=_moving_the_clock(site))
        metrics = sorted(ads.metrics)
        at_once = await ads.rows(ACCOUNT, metrics, [WEEK], level=level)
        sandbox = Sandbox(patient.url, anywhere)
        await sandbox.fault(kind="code", code="40011", match={"token": token, "path": REPORT})
        assert await ads.rows(ACCOUNT, metrics, [WEEK], level=level) == at_once
        assert at_once[0].metrics["spend"] > 0

    async def test_days_that_are_too_many_come_in_parts(
        self, site: Site, sandbox: Sandbox, token: str
    ) -> None:
        ads = TikTokAds(_business(site, token), sleep=_never)
        at_once = await ads.rows(ACCOUNT, ["spend"], [WEEK], daily=True)
        await sandbox.fault(kind="code", code="40011", times=2, match={"token": token, "path": REPORT})
        assert await ads.rows(ACCOUNT, ["spend"], [WEEK], daily=True) == at_once

    @pytest.mark.parametrize("kind", ["report_failed", "report_skipped"])
    async def test_a_task_that_failed_may_work_the_next_time(
        self, anywhere: httpx.AsyncClient, patient: Service, token: str, kind: str
    ) -> None:
        site, sandbox = Site(anywhere, patient.url), Sandbox(patient.url, anywhere)
        ads = TikTokAds(_business(site, token), sleep=_moving_the_clock(site))
        await sandbox.fault(kind="code", code="40011", times=2, match={"token": token, "path": REPORT})
        await sandbox.fault(kind=kind, match={"token": token, "method": "POST"})
        with pytest.raises(PlatformError) as refused:
            await ads.rows(ACCOUNT, ["spend"], [WEEK])
        assert refused.value.consequence is Consequence.TRANSIENT
        assert (await ads.rows(ACCOUNT, ["spend"], [WEEK]))[0].metrics["spend"] > 0

    async def test_an_advertiser_of_somebody_else_is_told_as_such(self, site: Site, token: str) -> None:
        unknown = AdAccount("7001402301117009999", "", "", UTC, "UTC")
        for ads, consequence in (
            (TikTokAds(_business(site, token)), Consequence.GONE),
            (TikTokAds(_business(site, f"unscoped-{unique()}")), Consequence.PERM),
        ):
            account = unknown if consequence is Consequence.GONE else ACCOUNT
            with pytest.raises(PlatformError) as refused:
                await ads.rows(account, ["spend"], [WEEK])
            assert refused.value.consequence is consequence

    async def test_one_advertiser_that_is_gone_spoils_no_list(self, site: Site, token: str) -> None:
        recorded = {ADVERTISER: "", "7001402301117009999": "Gone & Co"}
        known, gone = await TikTokAds(_business(site, token), recorded=recorded).ad_accounts()
        assert (known.currency, known.zone_name) == ("USD", "America/Los_Angeles")
        assert (gone.name, gone.currency) == ("Gone & Co", "")

    async def test_the_apps_secret_is_not_needed_where_advertisers_are_known(
        self, site: Site, sandbox: Sandbox, token: str
    ) -> None:
        asked = await TikTokAds(_business(site, token), app=App("app", "secret")).ad_accounts()
        recorded = {account.id: account.name for account in asked}
        assert await TikTokAds(_business(site, token), recorded=recorded).ad_accounts() == asked


class TestCreators:
    async def test_a_profile_and_its_videos_agree(self, site: Site) -> None:
        client = _creator(site, f"act.sandbox-brightpath-{unique()}")
        profile = await client.profile()
        videos = [video async for video in client.videos()]
        assert (profile.name, profile.username) == ("Brightpath Courses", "brightpath")
        assert profile.videos == len(videos) > 20
        assert profile.likes is not None
        assert profile.likes == pytest.approx(sum(video.likes for video in videos), rel=0.01)
        assert all(video.url.endswith(video.id) for video in videos)

    async def test_only_recent_videos_are_asked_for(self, site: Site, sandbox: Sandbox) -> None:
        client = _creator(site, f"act.sandbox-{unique()}")
        everything = [video async for video in client.videos()]
        since = everything[29].created_at
        recent = [video.id async for video in client.videos(since)]
        assert recent == [video.id for video in everything[:30]]

    async def test_a_creator_who_granted_little_shows_little(self, site: Site) -> None:
        client = _creator(site, f"act.unscoped-{unique()}")
        profile = await client.profile()
        assert profile.name
        assert (profile.username, profile.followers) == (None, None)
        with pytest.raises(PlatformError) as refused:
            _ = [video async for video in client.videos()]
        assert (refused.value.consequence, refused.value.code) == (Consequence.PERM, "scope_not_authorized")


async def _never(seconds: float) -> None:
    raise AssertionError("nothing had to be waited for")
