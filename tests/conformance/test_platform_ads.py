"""What holds for the advertising of every platform: the same names mean the same things."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import METRICS, AdsClient, Level, MetricRow
from platforms.calls.credentials import FixedCredential
from platforms.calls.periods import Days
from platforms.calls.usage import UsageLimiter
from platforms.facebook.ads import FacebookAds
from platforms.facebook.graph import Graph
from platforms.facebook.wire import Endpoint
from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business
from tests.support.channels import unique
from tests.support.platforms.base import Site

WEEK = Days.ending((datetime.now(UTC) - timedelta(days=3)).date(), 7)
SUMS = {name for name, metric in METRICS.items() if metric.adds_up}


def _facebook(site: Site) -> AdsClient:
    limiter = UsageLimiter()
    endpoint = Endpoint(site.url, "v26.0")
    return FacebookAds(Graph(site.http, endpoint, f"sandbox-fb-{unique()}", limiter=limiter, scope="t"))


def _tiktok(site: Site) -> AdsClient:
    credential = FixedCredential(f"sandbox-tt-{unique()}", platform="tiktok")
    business = Business(site.http, site.url, credential, limiter=UsageLimiter(), scope="t")
    return TikTokAds(business, app=App("app", "secret"))


@pytest.fixture(params=[_facebook, _tiktok], ids=["facebook", "tiktok"])
def ads(request: pytest.FixtureRequest, site: Site) -> AdsClient:
    client: AdsClient = request.param(site)
    return client


@pytest.fixture
async def account(ads: AdsClient) -> AdAccount:
    return (await ads.ad_accounts())[0]


def _total(rows: list[MetricRow], name: str) -> object:
    return sum(row.metrics[name] for row in rows)


async def test_accounts_have_currencies_and_zones(ads: AdsClient) -> None:
    accounts = await ads.ad_accounts()
    assert len({account.id for account in accounts}) == len(accounts) > 1
    for account in accounts:
        assert len(account.currency) == 3
        assert str(account.zone) == account.zone_name != "UTC"
        assert account.name in {each.name for each in accounts}
        assert ads.manager_url(account).startswith("https://")


async def test_every_metric_it_tells_is_told(ads: AdsClient, account: AdAccount) -> None:
    (row,) = await ads.rows(account, sorted(ads.metrics), [WEEK])
    assert row.metrics.keys() == ads.metrics
    assert (row.account_id, row.days) == (account.id, WEEK)
    spend, clicks, impressions = (row.metrics[name] for name in ("spend", "clicks", "impressions"))
    assert float(row.metrics["cpc"]) == pytest.approx(float(spend / clicks), rel=0.01)
    assert float(row.metrics["ctr"]) == pytest.approx(float(100 * clicks / impressions), rel=0.01)
    assert float(row.metrics["cpm"]) == pytest.approx(float(1000 * spend / impressions), rel=0.01)
    assert float(row.metrics["frequency"]) == pytest.approx(
        float(impressions / row.metrics["reach"]), rel=0.01
    )
    assert float(row.metrics["cost_per_conversion"]) == pytest.approx(
        float(spend / row.metrics["conversions"]), rel=0.01
    )


@pytest.mark.parametrize("count", [1, 7, 45])
async def test_a_period_is_the_sum_of_its_days(ads: AdsClient, account: AdAccount, count: int) -> None:
    period = Days.ending(WEEK.until, count)
    names = sorted(ads.metrics & SUMS)
    (whole,) = await ads.rows(account, names, [period])
    days = await ads.rows(account, names, [period], daily=True)
    assert [row.days.since for row in days] == [
        period.since + timedelta(days=offset) for offset in range(count)
    ]
    assert {name: _total(list(days), name) for name in names} == dict(whole.metrics)


async def test_periods_come_in_the_order_they_were_asked_for(ads: AdsClient, account: AdAccount) -> None:
    together = await ads.rows(account, ["spend"], [WEEK, WEEK.before()])
    alone = [(await ads.rows(account, ["spend"], [days]))[0] for days in (WEEK, WEEK.before())]
    assert list(together) == alone
    assert together[0].metrics != together[1].metrics


async def test_campaigns_add_up_to_their_account(ads: AdsClient, account: AdAccount) -> None:
    names = sorted(ads.metrics & SUMS)
    (whole,) = await ads.rows(account, names, [WEEK])
    campaigns = await ads.rows(account, names, [WEEK], level=Level.CAMPAIGN)
    assert {name: _total(list(campaigns), name) for name in names} == dict(whole.metrics)
    ids = [row.campaign_id for row in campaigns]
    assert len(ids) == len(set(ids)) > 1
    assert all(row.campaign_name and row.campaign_name != row.campaign_id for row in campaigns)
    daily = await ads.rows(account, names, [WEEK], level=Level.CAMPAIGN, daily=True)
    assert {name: _total(list(daily), name) for name in names} == dict(whole.metrics)


async def test_an_account_that_delivers_nothing_has_zeros_and_no_rates(ads: AdsClient) -> None:
    disabled = (await ads.ad_accounts())[3]
    (row,) = await ads.rows(disabled, sorted(ads.metrics), [WEEK])
    zeros: Mapping[str, object] = {
        name: 0 for name in ads.metrics if METRICS[name].adds_up or name == "reach"
    }
    assert dict(row.metrics) == zeros
    assert len(await ads.rows(disabled, ["spend"], [WEEK], daily=True)) == 7
    assert await ads.rows(disabled, ["spend"], [WEEK], level=Level.CAMPAIGN) == []
