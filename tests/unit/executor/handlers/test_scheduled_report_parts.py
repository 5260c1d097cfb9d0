"""Campaigns, TikTok, the chart and the table of a scheduled report, and what a missing one of them costs."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx
import pytest
from PIL import Image

from common.automation_config.scheduled_report import ScheduledReportConfig
from common.errors import Consequence, PlatformError
from common.messages import Attachment
from executor.handlers.base import Account, Outcome
from executor.handlers.scheduled_report import ScheduledReport
from executor.reports.gather import advertising
from executor.reports.gather.collection import MOST_PLOTTED, Collected, Source, Sources, Wanted, collect
from executor.reports.gather.profile_memory import Memory
from executor.reports.model.content import Subject
from executor.settings import ExecutorSettings
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import Level, MetricRow
from platforms.calls.periods import Days, single_days
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC
from tests.support.platforms.fake_tiktok import (
    BUSINESS_URL,
    OPEN_URL,
    Asked,
    FakeTikTok,
    failure,
    page,
    refusal,
    shown,
)
from tests.support.run_contexts import account, run_context

SLOT = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
SHOP = AdAccount("act_1", "Shop", "EUR", BERLIN, "Europe/Berlin")
OUTLET = AdAccount("act_2", "Outlet", "EUR", BERLIN, "Europe/Berlin")
OUTDOOR = AdAccount("act_3", "Outdoor", "USD", ZoneInfo("America/New_York"), "America/New_York")
DENIED = PlatformError("no", Consequence.PERM, platform="facebook", code="200", connection_id="c-1")
BUSY = PlatformError("later", Consequence.RATE, platform="facebook", code="80000", retry_after=60)


@dataclass(frozen=True)
class Query:
    """One question to the ads of an account."""

    account: str
    metrics: tuple[str, ...]
    periods: tuple[Days, ...]
    level: Level
    daily: bool


@dataclass
class FakeAds:
    """Every account spends as much a day as the day of the month says, every campaign a half of it."""

    accounts: Sequence[AdAccount]
    errors: Mapping[Callable[[Query], bool], PlatformError] = field(default_factory=dict)
    asked: list[Query] = field(default_factory=list)
    hangs: Callable[[Query], bool] = lambda _: False
    platform: ClassVar[str] = "facebook"
    metrics: ClassVar[frozenset[str]] = frozenset({"spend", "impressions", "clicks", "reach", "conversions"})

    async def ad_accounts(self) -> Sequence[AdAccount]:
        return self.accounts

    async def rows(
        self,
        account: AdAccount,
        metrics: Sequence[str],
        periods: Sequence[Days],
        *,
        level: Level = Level.ACCOUNT,
        daily: bool = False,
    ) -> Sequence[MetricRow]:
        query = Query(account.id, tuple(metrics), tuple(periods), level, daily)
        self.asked.append(query)
        for matches, error in self.errors.items():
            if matches(query):
                raise error
        if self.hangs(query):
            await asyncio.Event().wait()
        days = list(single_days(periods)) if daily else list(periods)
        campaigns = [(None, None)] if level is Level.ACCOUNT else [("9", "Brand"), ("8", "Spring")]
        return [
            MetricRow(account.id, each, _spent(each, metrics, len(campaigns)), id_, name)
            for each in days
            for id_, name in campaigns
        ]

    def manager_url(self, account: AdAccount) -> str:
        return f"https://example.com/{account.id}"


def _spent(days: Days, metrics: Sequence[str], parts: int) -> dict[str, Decimal]:
    whole = Decimal(sum(each.since.day for each in single_days([days])))
    return {name: (whole if name == "spend" else whole * 100) / parts for name in metrics}


def config(**given: Any) -> ScheduledReportConfig:
    return ScheduledReportConfig.model_validate({"metric_types": ["ad_account"], **given})


async def collected(
    *clients: FakeAds, is_last_chance: bool = False, with_chart: bool = True, **given: Any
) -> Collected:
    asked = config(**given)
    wanted = Wanted(asked, frozenset(asked.metric_types or ()), SLOT, SLOT, BERLIN, with_chart=with_chart)
    sources = Sources(ads=[Source(f"c-{n}", f"Connection {n}", each) for n, each in enumerate(clients, 1)])
    return await collect(sources, wanted, Memory({}), is_last_chance=is_last_chance)


class TestAsking:
    async def test_a_report_and_its_chart_take_two_questions_for_each_account(self) -> None:
        ads = FakeAds([SHOP, OUTLET])
        await collected(ads, period="weekly")
        week = Days(date(2026, 11, 14), date(2026, 11, 20))
        assert [
            (query.account, query.daily, query.periods) for query in ads.asked if query.account == "act_1"
        ] == [
            ("act_1", False, (week, week.before())),
            ("act_1", True, (Days(date(2026, 11, 7), date(2026, 11, 20)),)),
        ]

    async def test_a_chart_of_one_day_asks_for_those_before_it(self) -> None:
        ads = FakeAds([SHOP])
        await collected(ads, period="daily")
        (daily,) = [query for query in ads.asked if query.daily]
        assert daily.periods == (Days(date(2026, 11, 7), date(2026, 11, 20)),)
        assert daily.metrics == ("spend",)

    async def test_no_request_is_made_for_a_chart_that_is_not_sent(self) -> None:
        ads = FakeAds([SHOP])
        await collected(ads, with_chart=False)
        assert [query.daily for query in ads.asked] == [False]

    async def test_only_the_currency_the_chart_is_of_is_asked_by_day(self) -> None:
        ads = FakeAds([SHOP, OUTDOOR, OUTLET])
        await collected(ads)
        assert {query.account for query in ads.asked if query.daily} == {"act_1", "act_2"}

    async def test_so_many_accounts_are_not_worth_a_chart(self) -> None:
        ads = FakeAds([replace(SHOP, id=f"act_{number}") for number in range(MOST_PLOTTED + 1)])
        await collected(ads)
        assert not [query for query in ads.asked if query.daily]

    async def test_without_a_comparison_nothing_before_is_asked_for(self) -> None:
        ads = FakeAds([SHOP])
        found = await collected(ads, period="weekly", compare=False)
        week = Days(date(2026, 11, 14), date(2026, 11, 20))
        assert [query.periods for query in ads.asked] == [(week,), (week,)]
        assert found.accounts[0].previous is None

    async def test_campaigns_come_with_their_account(self) -> None:
        found = await collected(FakeAds([SHOP]), metric_types=["campaigns"], period="weekly")
        assert [(each.name, each.account_name, each.current.spend) for each in found.campaigns] == [
            ("Brand", "Shop", Decimal("59.5")),
            ("Spring", "Shop", Decimal("59.5")),
        ]
        assert found.campaigns[0].previous is not None
        assert found.accounts[0].current.spend == 119

    async def test_a_table_asks_for_every_metric_of_every_day(self) -> None:
        ads = FakeAds([SHOP])
        found = await collected(
            ads, metric_types=["ad_account", "campaigns"], period="weekly", attachments=["csv"]
        )
        assert {(query.level, query.daily) for query in ads.asked} == {
            (Level.ACCOUNT, False),
            (Level.ACCOUNT, True),
            (Level.CAMPAIGN, False),
            (Level.CAMPAIGN, True),
        }
        assert {query.metrics for query in ads.asked} == {
            ("spend", "impressions", "clicks", "reach", "conversions")
        }
        assert list(found.campaigns[0].daily) == [date(2026, 11, day) for day in range(14, 21)]


def by_day(query: Query) -> bool:
    return query.daily


def of_campaigns(query: Query) -> bool:
    return query.level is Level.CAMPAIGN


class TestRefusals:
    @pytest.mark.parametrize("error", [DENIED, BUSY])
    async def test_missing_data_of_the_chart_drops_only_the_chart(self, error: PlatformError) -> None:
        found = await collected(FakeAds([SHOP], {by_day: error}))
        assert [each.name for each in found.accounts] == ["Shop"]
        assert found.refusals == []
        assert [each.error for each in found.unplotted] == [error]

    async def test_a_report_does_not_wait_for_its_chart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(advertising, "CHART_PATIENCE", 0.05)
        found = await collected(FakeAds([SHOP], hangs=by_day))
        assert found.accounts[0].daily == {}
        assert [each.error.code for each in found.unplotted] == ["chart_timeout"]

    async def test_missing_data_of_the_table_is_retried(self) -> None:
        ads = FakeAds([SHOP], {by_day: BUSY})
        with pytest.raises(PlatformError) as failed:
            await collected(ads, attachments=["csv"])
        assert failed.value is BUSY
        found = await collected(ads, attachments=["csv"], is_last_chance=True)
        assert [(each.subject, each.name) for each in found.refusals] == [(Subject.FILE, "Shop")]
        assert len(found.accounts) == 1

    async def test_campaigns_that_are_refused_do_not_cost_their_account(self) -> None:
        found = await collected(
            FakeAds([SHOP], {of_campaigns: DENIED}), metric_types=["ad_account", "campaigns"]
        )
        assert [(each.subject, each.id) for each in found.refusals] == [(Subject.CAMPAIGNS, "act_1")]
        assert len(found.accounts) == 1

    async def test_an_account_that_is_refused_is_named_once(self) -> None:
        def of_shop(query: Query) -> bool:
            return query.account == "act_1"

        found = await collected(
            FakeAds([SHOP, OUTLET], {of_shop: DENIED}),
            metric_types=["ad_account", "campaigns"],
            attachments=["csv"],
        )
        assert [(each.subject, each.id) for each in found.refusals] == [(Subject.AD_ACCOUNT, "act_1")]
        assert [each.name for each in found.accounts] == ["Outlet"]

    async def test_a_defect_is_raised_as_itself(self) -> None:
        class Broken(FakeAds):
            async def rows(self, *_given: Any, **_more: Any) -> Sequence[MetricRow]:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await collected(Broken([SHOP]))


NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
ADVERTISER = {
    "advertiser_id": "7001",
    "name": "Kitchen",
    "currency": "USD",
    "timezone": "Etc/GMT-1",
    "display_timezone": "Europe/Berlin",
}


def _report_rows(asked: Asked) -> httpx.Response:
    since, until = (date.fromisoformat(asked.params[name]) for name in ("start_date", "end_date"))
    dimensions = asked.params["dimensions"]
    stretches = [Days(since, until)]
    if "stat_time_day" in dimensions:
        stretches = list(single_days(stretches))
    campaigns = ["5", "6"] if "campaign_id" in dimensions else [None]
    return page(
        *(
            {
                "dimensions": {
                    "advertiser_id": "7001",
                    **({"stat_time_day": f"{days.since} 00:00:00"} if "stat_time_day" in dimensions else {}),
                    **({"campaign_id": campaign} if campaign else {}),
                },
                "metrics": {
                    "spend": f"{days.count * 10}.000",
                    "impressions": str(days.count * 1_000),
                    "clicks": "20",
                    "reach": "700",
                    "conversion": "3",
                    "video_play_actions": "900",
                    "campaign_name": f"Campaign {campaign}",
                },
            }
            for days in stretches
            for campaign in campaigns
        )
    )


def _videos(*days: int) -> httpx.Response:
    return shown(
        {
            "videos": [
                {
                    "id": f"72{day}",
                    "title": f"Posted on the {day}th",
                    "create_time": int(datetime(2026, 11, day, 12, tzinfo=UTC).timestamp()),
                    "view_count": day * 100,
                    "like_count": day,
                }
                for day in days
            ],
            "cursor": 1,
            "has_more": False,
        }
    )


def _creator(followers: int) -> httpx.Response:
    user = {"open_id": "creator-1", "display_name": "Kitchen Stories", "follower_count": followers}
    return shown({"user": {**user, "likes_count": 9_000, "video_count": 40}})


@pytest.fixture
def tiktok() -> FakeTikTok:
    fake = FakeTikTok()
    fake.on("oauth2/advertiser/get/", page({"advertiser_id": "7001", "advertiser_name": "Kitchen"}))
    fake.on("advertiser/info/", page(ADVERTISER))
    fake.on("report/integrated/get/", _report_rows)
    fake.on("user/info/", _creator(1_000))
    fake.on("video/list/", _videos(20, 18, 12, 2))
    return fake


@pytest.fixture
async def http(tiktok: FakeTikTok) -> AsyncIterator[httpx.AsyncClient]:
    async with tiktok.client() as client:
        yield client


@pytest.fixture
def report(settings: ExecutorSettings) -> ScheduledReport:
    urls = {"tiktok_base_url": BUSINESS_URL, "tiktok_open_base_url": OPEN_URL}
    return ScheduledReport(settings.model_copy(update=urls), clock=lambda: NOW)


def business(**fields: Any) -> Account:
    found = [{"type": "advertiser", "id": "7001", "name": "Kitchen"}]
    return account(TIKTOK_BUSINESS, "token-of-business", name="Ads", accounts=found, **fields)


def organic() -> Account:
    return account(TIKTOK_ORGANIC, "token-of-creator", name="Creator")


async def run(
    report: ScheduledReport,
    http: httpx.AsyncClient,
    *accounts: Account,
    given: Mapping[str, Any] | None = None,
    **context: Any,
) -> Outcome:
    made = run_context(
        http, *accounts, slot=SLOT, **{"platforms": ("tiktok",), "timezone": "Europe/Berlin", **context}
    )
    return await report.run(made, ScheduledReportConfig.model_validate(given or {}))


def content(attachment: Attachment | None) -> bytes:
    assert attachment is not None
    return attachment.data


class TestTikTok:
    async def test_advertisers_and_campaigns_are_reported_like_facebooks(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        asked = {"period": "weekly", "metric_types": ["ad_account", "campaigns"]}
        outcome = await run(report, http, business(), given=asked)
        (advertiser,) = outcome.result["ad_accounts"]
        assert (advertiser["platform"], advertiser["name"], advertiser["currency"]) == (
            "tiktok",
            "Kitchen",
            "USD",
        )
        assert (advertiser["since"], advertiser["until"]) == ("2026-11-14", "2026-11-20")
        assert advertiser["current"]["video_views"] == 900
        assert [each["name"] for each in outcome.result["campaigns"]] == ["Campaign 5", "Campaign 6"]
        (message,) = outcome.messages
        assert "Video views: 900" in message.text
        assert "Source: TikTok · days in Europe/Berlin time" in message.text
        assert outcome.summary.startswith("1 ad account, 2 campaigns: spend 70.00 USD")

    async def test_only_chosen_advertisers_are_read(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        with pytest.raises(PlatformError) as failed:
            await run(report, http, business(), given={"advertisers": ["42"], "accounts": ["act_7"]})
        assert failed.value.consequence is Consequence.GONE
        assert tiktok.calls("report/integrated/get/") == []

    async def test_a_creators_totals_are_compared_with_stored_ones(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        first = await run(report, http, organic(), given={"metric_types": ["profile"], "period": "weekly"})
        assert first.result["profiles"][0]["totals"]["followers"] == {"current": 1_000, "previous": None}
        assert first.state == {
            "profiles": {"creator-1": {"2026-11-21": {"followers": 1_000, "likes": 9_000, "videos": 40}}}
        }
        tiktok.on("user/info/", _creator(1_250))
        state = {
            "profiles": {"creator-1": {"2026-11-14": first.state["profiles"]["creator-1"]["2026-11-21"]}}
        }
        later = await run(
            report, http, organic(), given={"metric_types": ["profile"], "period": "weekly"}, state=state
        )
        assert later.result["profiles"][0]["totals"]["followers"] == {"current": 1_250, "previous": 1_000}
        assert later.result["profiles"][0]["compared_with"] == "2026-11-14"
        assert "Followers: 1,250  +250" in later.messages[0].text
        assert later.state is not None
        assert set(later.state["profiles"]["creator-1"]) == {"2026-11-14", "2026-11-21"}

    async def test_videos_belong_to_the_period_they_were_posted_in(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await run(report, http, organic(), given={"metric_types": ["videos"], "period": "weekly"})
        (videos,) = outcome.result["videos"]
        assert videos["posted"] == {"current": 2, "previous": 1}
        assert [each["id"] for each in videos["most_watched"]] == ["7220", "7218"]
        assert outcome.state is None, "there is nothing to remember of videos"

    async def test_the_default_report_covers_the_connected_platforms(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await run(report, http, business(), organic())
        kept = outcome.result
        assert [len(kept[name]) for name in ("ad_accounts", "pages", "profiles", "videos")] == [1, 0, 1, 1]
        assert kept["partial"] is False

    async def test_a_missing_permission_is_reported_as_a_fault_of_its_connection(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        tiktok.on("user/info/", shown({"user": {"open_id": "creator-1", "display_name": "Kitchen Stories"}}))
        creator = organic()
        outcome = await run(report, http, creator)
        assert outcome.result["omitted"][0]["subject"] == "profile"
        (fault,) = outcome.faults
        assert (fault.code, fault.connection_id) == ("user.info.stats", str(creator.connection_id))

    async def test_one_dead_connection_is_a_fault_and_not_a_failure(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        tiktok.on("user/info/", refusal("access_token_invalid", 401))
        creator = organic()
        outcome = await run(report, http, business(), creator)
        assert [each["subject"] for each in outcome.result["omitted"]] == ["connection"]
        assert [(each.consequence, each.connection_id) for each in outcome.faults] == [
            (Consequence.REAUTH, str(creator.connection_id))
        ]
        assert len(outcome.result["ad_accounts"]) == 1

    async def test_an_error_of_one_account_is_no_fault_of_its_connection(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        tiktok.on("report/integrated/get/", failure(40007, "object does not exist"))
        outcome = await run(report, http, business(), organic())
        assert outcome.result["omitted"][0]["reason"].startswith("is gone, or hidden")
        assert outcome.faults == []

    async def test_a_platform_without_a_connection_is_named_in_the_report(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await run(
            report, http, business(), given={"metric_types": ["ad_account"]}, platforms=("facebook", "tiktok")
        )
        (omitted,) = outcome.result["omitted"]
        assert (omitted["subject"], omitted["name"], omitted["code"]) == (
            "connection",
            "Facebook",
            "not_connected",
        )
        assert outcome.faults == [], "there is no connection to blame"

    async def test_metrics_without_a_platform_are_rejected_before_any_request(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        with pytest.raises(PlatformError, match=r"automation_config\.metric_types: pages") as refused:
            await run(report, http, business(), given={"metric_types": ["pages"]})
        assert refused.value.permanent
        assert tiktok.asked == []


class TestEnclosures:
    async def test_a_message_has_a_chart_and_on_request_a_table(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        asked = {"period": "weekly", "metric_types": ["ad_account", "campaigns"], "attachments": ["csv"]}
        outcome = await run(report, http, business(), given=asked)
        (message,) = outcome.messages
        assert message.chart is not None
        assert (message.chart.filename, message.chart.media_type) == ("chart-2026-11-20.png", "image/png")
        assert Image.open(io.BytesIO(content(message.chart))).format == "PNG"
        (file,) = message.files
        assert (file.filename, file.media_type) == ("report-2026-11-20.csv", "text/csv")
        rows = list(csv.DictReader(io.StringIO(file.data.decode("utf-8-sig"), newline="")))
        assert [row["level"] for row in rows] == ["account"] * 7 + ["campaign"] * 14
        assert (rows[0]["date"], rows[0]["spend"], rows[0]["video_views"]) == ("2026-11-14", "10.000", "900")

    @pytest.mark.parametrize(
        ("given", "destination", "has_chart"),
        [
            ({}, None, True),
            ({}, "telegram", True),
            ({}, "webhook", False),
            ({"chart": False}, "telegram", False),
        ],
    )
    async def test_a_chart_is_drawn_where_it_is_wanted_and_can_be_shown(
        self,
        report: ScheduledReport,
        tiktok: FakeTikTok,
        http: httpx.AsyncClient,
        given: dict[str, Any],
        destination: str | None,
        has_chart: bool,
    ) -> None:
        outcome = await run(report, http, business(), given=given, destination_type=destination)
        assert (outcome.messages[0].chart is not None) == has_chart
        daily = [
            asked
            for asked in tiktok.calls("report/integrated/get/")
            if "stat_time_day" in asked.params["dimensions"]
        ]
        assert bool(daily) == has_chart

    async def test_a_lack_of_days_costs_the_chart_and_is_noted(
        self, report: ScheduledReport, tiktok: FakeTikTok, http: httpx.AsyncClient
    ) -> None:
        def by_day_refused(asked: Asked) -> httpx.Response:
            is_daily = "stat_time_day" in asked.params["dimensions"]
            return failure(40001, "no permission") if is_daily else _report_rows(asked)

        tiktok.on("report/integrated/get/", by_day_refused)
        context = run_context(http, business(), slot=SLOT, platforms=("tiktok",))
        outcome = await report.run(context, ScheduledReportConfig())
        assert outcome.messages[0].chart is None
        assert outcome.result["partial"] is False
        assert [entry["event"] for entry in context.log.entries] == ["chart left out", "figures collected"]

    async def test_a_dry_run_shows_what_a_run_would_send(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        real = await run(report, http, business(), organic(), given={"attachments": ["csv"]})
        dry = await run(report, http, business(), organic(), given={"attachments": ["csv"]}, dry_run=True)
        assert dry.messages == real.messages
