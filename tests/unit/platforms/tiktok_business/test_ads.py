"""TikTok's advertisers and reports in the words all platforms share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Consequence, PlatformError
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import METRICS, Level
from platforms.calls.periods import Days
from platforms.tiktok_business.ads import NAMES, PER, TikTokAds
from platforms.tiktok_business.advertisers import App, zone_of
from platforms.tiktok_business.report_tasks import POLL_SECONDS
from platforms.tiktok_business.reports import figure
from tests.support.fake_clock import Timeline
from tests.support.platforms.fake_tiktok import (
    APP_SECRET,
    Asked,
    FakeTikTok,
    business,
    failure,
    page,
    success,
)

ACCOUNT = AdAccount("7001", "Shop", "USD", UTC, "UTC")
REPORT, INFO, GRANTED = "report/integrated/get/", "advertiser/info/", "oauth2/advertiser/get/"
CREATE, CHECK, DOWNLOAD = "report/task/create/", "report/task/check/", "report/task/download/"
WEEK = Days(date(2026, 11, 14), date(2026, 11, 20))
DAY = Days(date(2026, 11, 20), date(2026, 11, 20))
TOO_MUCH = failure(40011, "Too many ids in one request.")


@pytest.fixture
def tiktok() -> FakeTikTok:
    return FakeTikTok()


@pytest.fixture
async def http(tiktok: FakeTikTok) -> AsyncIterator[httpx.AsyncClient]:
    async with tiktok.client() as client:
        yield client


@pytest.fixture
def time() -> Timeline:
    return Timeline()


@pytest.fixture
def ads(http: httpx.AsyncClient, time: Timeline) -> TikTokAds:
    return TikTokAds(business(http), recorded={"7001": "Shop"}, sleep=time.sleep)


def _row(
    day: str | None = None, owner: tuple[str, str] = ("advertiser_id", "7001"), **metrics: str
) -> object:
    dimensions = dict([owner]) | ({"stat_time_day": f"{day} 00:00:00"} if day else {})
    return {
        "dimensions": dimensions,
        "metrics": {"spend": "0.000", "impressions": "0", "clicks": "0", **metrics},
    }


def _each_day(asked: Asked) -> httpx.Response:
    since, until = (date.fromisoformat(asked.params[name]) for name in ("start_date", "end_date"))
    days = [date.fromordinal(number) for number in range(since.toordinal(), until.toordinal() + 1)]
    return page(*(_row(str(day), spend="1.000") for day in days))


async def _refused(ads: TikTokAds, *periods: Days, daily: bool = False) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await ads.rows(ACCOUNT, ["spend"], periods, daily=daily)
    return refused.value


class TestNumbers:
    @pytest.mark.parametrize(
        ("told", "read"),
        [("20.000", "20"), ("0", "0"), ("1.13", "1.13"), (3, "3"), ("-", None), ("", None), (None, None)],
    )
    def test_a_figure_is_read_as_written(self, told: object, read: str | None) -> None:
        assert figure(told) == (None if read is None else Decimal(read))

    @pytest.mark.parametrize("told", ["--", "n/a", "NaN", True, [], {}])
    def test_a_malformed_figure_is_refused(self, told: object) -> None:
        with pytest.raises(ValueError, match="not a number"):
            figure(told)

    @given(st.decimals(min_value=0, max_value=10**12, allow_nan=False, places=3))
    def test_every_amount_survives(self, amount: Decimal) -> None:
        assert figure(str(amount)) == amount


class TestMetrics:
    def test_each_is_one_that_all_platforms_name_alike(self) -> None:
        assert TikTokAds.metrics <= METRICS.keys()
        assert PER.keys() | set(PER.values()) <= NAMES.keys()

    async def test_a_row_is_read_column_by_column(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        figures = {name: str(number) for number, name in enumerate(NAMES.values(), start=1)}
        tiktok.on(REPORT, page({"dimensions": {"advertiser_id": "7001"}, "metrics": figures}))
        (read,) = await ads.rows(ACCOUNT, sorted(NAMES), [WEEK])
        assert (read.account_id, read.days, read.campaign_id) == ("7001", WEEK, None)
        assert read.metrics == {name: Decimal(number) for number, name in enumerate(NAMES, start=1)}

    async def test_an_unknown_figure_is_missing(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, page(_row(spend="1.500", reach="-", clicks="4")))
        (read,) = await ads.rows(ACCOUNT, ["spend", "reach", "clicks", "likes"], [WEEK])
        assert read.metrics == {"spend": Decimal("1.5"), "clicks": 4}

    async def test_a_rate_of_nothing_is_not_known(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        row = _row(
            impressions="90",
            ctr="0.00",
            cpc="0.000",
            cpm="0.000",
            conversion="0",
            cost_per_conversion="0.000",
        )
        tiktok.on(REPORT, page(row))
        (read,) = await ads.rows(ACCOUNT, ["ctr", "cpc", "cpm", "conversions", "cost_per_conversion"], [WEEK])
        assert read.metrics == {"ctr": 0, "cpm": 0, "conversions": 0}

    async def test_nothing_delivered_is_zero_and_has_no_rates(
        self, ads: TikTokAds, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(REPORT, page(of=0))
        (read,) = await ads.rows(ACCOUNT, sorted(NAMES), [WEEK])
        assert read.metrics == dict.fromkeys(NAMES.keys() - PER.keys(), Decimal(0))

    async def test_a_malformed_figure_is_an_error(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, page(_row(spend="much")))
        assert (await _refused(ads, WEEK)).consequence is Consequence.INVALID

    async def test_a_metric_tiktok_does_not_have_is_refused_before_a_call(
        self, ads: TikTokAds, tiktok: FakeTikTok
    ) -> None:
        with pytest.raises(PlatformError) as refused:
            await ads.rows(ACCOUNT, ["spend", "roas"], [WEEK])
        assert refused.value.consequence is Consequence.INVALID
        assert not tiktok.asked


class TestPeriods:
    async def test_each_is_a_question_about_the_account(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, page(_row(spend="2.000")), page(_row(spend="1.000")))
        rows = await ads.rows(ACCOUNT, ["spend"], [WEEK, WEEK.before()])
        assert [(row.days, int(row.metrics["spend"])) for row in rows] == [(WEEK, 2), (WEEK.before(), 1)]
        assert tiktok.asked[0].params == {
            "advertiser_id": 7001,
            "report_type": "BASIC",
            "service_type": "AUCTION",
            "data_level": "AUCTION_ADVERTISER",
            "dimensions": ["advertiser_id"],
            "metrics": ["spend", "impressions", "clicks"],
            "start_date": "2026-11-14",
            "end_date": "2026-11-20",
            "page": 1,
            "page_size": 1000,
        }

    @pytest.mark.parametrize("count", [1, 29, 30, 31, 61, 90])
    async def test_days_are_asked_for_thirty_at_a_time(
        self, ads: TikTokAds, tiktok: FakeTikTok, count: int
    ) -> None:
        tiktok.on(REPORT, _each_day)
        days = Days.ending(WEEK.until, count)
        rows = await ads.rows(ACCOUNT, ["spend"], [days], daily=True)
        assert [row.days.since.toordinal() for row in rows] == list(
            range(days.since.toordinal(), days.until.toordinal() + 1)
        )
        assert all(row.metrics == {"spend": 1} for row in rows)
        assert len(tiktok.asked) == -(-count // 30)

    async def test_every_day_has_a_row_and_touching_periods_one_question(
        self, ads: TikTokAds, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(REPORT, page(_row("2026-11-15", spend="2.000")))
        rows = await ads.rows(ACCOUNT, ["spend", "cpc"], [WEEK, WEEK.before()], daily=True)
        assert [row.days.since for row in rows] == [date(2026, 11, day) for day in range(7, 21)]
        assert {str(row.days.since) for row in rows if row.metrics["spend"]} == {"2026-11-15"}
        assert len(tiktok.asked) == 1

    async def test_more_than_a_year_is_not_added_up(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        assert (await _refused(ads, Days.ending(WEEK.until, 366))).consequence is Consequence.INVALID
        assert not tiktok.asked

    @pytest.mark.parametrize(
        "row",
        [
            _row("2026-11-30"),
            _row("soon"),
            _row(),
            {"dimensions": {"stat_time_day": "2026-11-15 00:00:00"}, "metrics": {}},
            {"dimensions": {"advertiser_id": "7001", "stat_time_day": "2026-11-15"}},
            {"metrics": {}},
        ],
    )
    async def test_a_row_without_dimensions_is_an_error(
        self, ads: TikTokAds, tiktok: FakeTikTok, row: object
    ) -> None:
        tiktok.on(REPORT, page(row))
        assert (await _refused(ads, WEEK, daily=True)).consequence is Consequence.INVALID

    async def test_two_rows_of_one_day_are_an_error(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, page(_row("2026-11-15"), _row("2026-11-15")))
        assert (await _refused(ads, WEEK, daily=True)).consequence is Consequence.INVALID


class TestTooMuchAtOnce:
    async def test_days_are_asked_for_in_parts(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        def answer(asked: Asked) -> httpx.Response:
            return _each_day(asked) if asked.params["start_date"] == asked.params["end_date"] else TOO_MUCH

        tiktok.on(REPORT, answer)
        rows = await ads.rows(ACCOUNT, ["spend"], [WEEK], daily=True)
        assert [row.metrics["spend"] for row in rows] == [1] * 7

    async def test_then_as_a_task(self, ads: TikTokAds, tiktok: FakeTikTok, time: Timeline) -> None:
        tiktok.on(REPORT, TOO_MUCH)
        tiktok.on(CREATE, success({"task_id": "99"}))
        tiktok.on(
            CHECK,
            success({"status": "QUEUING"}),
            success({"status": "PROCESSING"}),
            success({"status": "SUCCESS"}),
        )
        text = "\ufeffadvertiser_id,spend,impressions,clicks\n7001,2.500,10,-\n"
        tiktok.on(DOWNLOAD, httpx.Response(200, content=text.encode()))
        (row,) = await ads.rows(ACCOUNT, ["spend", "clicks"], [WEEK])
        assert row.metrics == {"spend": Decimal("2.5")}
        (created,) = tiktok.calls(CREATE)
        assert (created.body["advertiser_id"], created.body["dimensions"]) == ("7001", ["advertiser_id"])
        assert created.body["enable_report_title_translation"] is False, "or the columns have human titles"
        assert tiktok.calls(DOWNLOAD)[0].params == {"advertiser_id": 7001, "task_id": 99}
        assert time.naps == list(POLL_SECONDS[:3])

    @pytest.mark.parametrize("status", ["FAILED", "CANCELED", None])
    async def test_a_task_that_failed_may_work_the_next_time(
        self, ads: TikTokAds, tiktok: FakeTikTok, status: str | None
    ) -> None:
        tiktok.on(REPORT, TOO_MUCH)
        tiktok.on(CREATE, success({"task_id": "99"}))
        tiktok.on(CHECK, success({"status": status}))
        assert (await _refused(ads, WEEK)).consequence is Consequence.TRANSIENT

    async def test_a_task_that_takes_for_ever_is_given_up(
        self, ads: TikTokAds, tiktok: FakeTikTok, time: Timeline
    ) -> None:
        tiktok.on(REPORT, TOO_MUCH)
        tiktok.on(CREATE, success({"task_id": "99"}))
        tiktok.on(CHECK, success({"status": "PROCESSING"}))
        assert (await _refused(ads, WEEK)).consequence is Consequence.TRANSIENT
        assert sum(time.naps) < 300, "a run may take no longer"

    @pytest.mark.parametrize(
        ("download", "consequence"),
        [
            (failure(40201, "The task is not ready"), Consequence.TRANSIENT),
            (httpx.Response(200, text="<html>sign in</html>"), Consequence.INVALID),
            (httpx.Response(200, text=""), Consequence.TRANSIENT),
            (httpx.Response(200, text="a,b\n1,2\n"), Consequence.INVALID),
            (success({}), Consequence.INVALID),
            (httpx.Response(502, text="bad gateway"), Consequence.TRANSIENT),
        ],
    )
    async def test_a_download_that_is_not_a_report_is_an_error(
        self, ads: TikTokAds, tiktok: FakeTikTok, download: httpx.Response, consequence: Consequence
    ) -> None:
        tiktok.on(REPORT, TOO_MUCH)
        tiktok.on(CREATE, success({"task_id": "99"}))
        tiktok.on(CHECK, success({"status": "SUCCESS"}))
        tiktok.on(DOWNLOAD, download)
        assert (await _refused(ads, WEEK)).consequence is consequence

    async def test_a_task_without_an_id_is_an_error(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, TOO_MUCH)
        tiktok.on(CREATE, success({}))
        assert (await _refused(ads, WEEK)).consequence is Consequence.INVALID


class TestCampaigns:
    async def test_those_that_delivered_have_rows_with_their_names(
        self, ads: TikTokAds, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(
            REPORT,
            page(
                _row(owner=("campaign_id", "1"), spend="2.000", campaign_name="Spring"),
                _row(owner=("campaign_id", "2"), campaign_name="Idle"),
                _row(owner=("campaign_id", "3"), likes="4", campaign_name="-"),
                _row(owner=("campaign_id", "4"), clicks="1"),
            ),
        )
        tiktok.on("campaign/get/", page({"campaign_id": "3", "campaign_name": "Autumn"}))
        rows = await ads.rows(ACCOUNT, ["spend", "likes"], [WEEK], level=Level.CAMPAIGN)
        assert [(row.campaign_id, row.campaign_name) for row in rows] == [
            ("1", "Spring"),
            ("3", "Autumn"),
            ("4", "4"),
        ]
        (asked,) = tiktok.calls("campaign/get/")
        assert asked.params["filtering"] == {"campaign_ids": ["3", "4"], "primary_status": "STATUS_ALL"}

    async def test_deleted_campaigns_are_asked_for(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, page())
        await ads.rows(ACCOUNT, ["spend"], [WEEK], level=Level.CAMPAIGN)
        await ads.rows(ACCOUNT, ["spend"], [WEEK])
        of_campaigns, of_account = tiktok.calls(REPORT)
        assert of_campaigns.params["filtering"] == [
            {"field_name": "campaign_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}
        ]
        assert "filtering" not in of_account.params

    async def test_names_are_asked_for_a_hundred_at_a_time(self, ads: TikTokAds, tiktok: FakeTikTok) -> None:
        tiktok.on(REPORT, page(*(_row(owner=("campaign_id", str(n)), spend="1.000") for n in range(201))))
        tiktok.on("campaign/get/", page())
        assert len(await ads.rows(ACCOUNT, ["spend"], [WEEK], level=Level.CAMPAIGN)) == 201
        sizes = [len(asked.params["filtering"]["campaign_ids"]) for asked in tiktok.calls("campaign/get/")]
        assert sizes == [100, 100, 1]


def _info(asked: Asked) -> httpx.Response:
    """Describes advertisers whose id is not 13, of which one spoils the answer."""
    ids = asked.params["advertiser_ids"]
    if "13" in ids:
        return failure(40001, "No permission to operate advertiser 13.")
    return success(
        {
            "list": [
                {
                    "advertiser_id": each,
                    "name": f"Shop {each}",
                    "currency": "EUR",
                    "timezone": "Etc/GMT-1",
                    "display_timezone": "Europe/Berlin",
                }
                for each in ids
            ]
        }
    )


class TestAdvertisers:
    async def test_those_recorded_are_described_a_hundred_at_a_time(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(INFO, _info)
        ids = [str(number) for number in range(1000, 1201)]
        ads = TikTokAds(business(http), recorded=dict.fromkeys(ids, ""))
        accounts = await ads.ad_accounts()
        assert [account.id for account in accounts] == ids
        assert accounts[0] == AdAccount(
            "1000", "Shop 1000", "EUR", ZoneInfo("Europe/Berlin"), "Europe/Berlin"
        )
        assert [len(asked.params["advertiser_ids"]) for asked in tiktok.asked] == [100, 100, 1]

    async def test_without_any_the_app_asks_for_them(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(GRANTED, success({"list": [{"advertiser_id": "5", "advertiser_name": "Five"}]}))
        tiktok.on(INFO, _info)
        (account,) = await TikTokAds(business(http), app=App("42", APP_SECRET)).ad_accounts()
        assert account.id == "5"
        assert tiktok.calls(GRANTED)[0].params == {"app_id": 42, "secret": APP_SECRET}

    async def test_advertisers_cannot_be_listed_without_the_app(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        with pytest.raises(PlatformError) as refused:
            await TikTokAds(business(http)).ad_accounts()
        assert (refused.value.consequence, refused.value.code) == (Consequence.INVALID, "app_not_configured")
        assert not tiktok.asked

    async def test_a_hidden_advertiser_does_not_hide_the_others(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(INFO, _info)
        names = {str(number): f"Known {number}" for number in range(10, 30)}
        accounts = {each.id: each for each in await TikTokAds(business(http), recorded=names).ad_accounts()}
        assert list(accounts) == list(names)
        assert accounts["12"].currency == "EUR"
        assert accounts["13"] == AdAccount("13", "Known 13", "", UTC, "UTC")
        assert len(tiktok.asked) < 12, "found by halving"

    @pytest.mark.parametrize("code", [40105, 50000, 40100])
    async def test_other_refusals_are_not_asked_about_again(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, time: Timeline, code: int
    ) -> None:
        tiktok.on(INFO, failure(code, "No."))
        ads = TikTokAds(business(http, limiter=time.limiter()), recorded={"1": "", "2": ""})
        with pytest.raises(PlatformError) as refused:
            await ads.ad_accounts()
        assert refused.value.code == str(code)
        assert len(tiktok.asked) == 1

    @pytest.mark.parametrize(
        ("names", "zone"),
        [
            (("America/Los_Angeles", "Etc/GMT+8"), "America/Los_Angeles"),
            ((None, "Etc/GMT+8"), "Etc/GMT+8"),
            (("", "Etc/GMT+8"), "Etc/GMT+8"),
            (("Mars/Olympus", "Etc/GMT-1"), "Etc/GMT-1"),
            (("../etc/passwd", 5), "UTC"),
            ((), "UTC"),
        ],
    )
    def test_the_zone_people_see_counts_first(self, names: tuple[object, ...], zone: str) -> None:
        found, name = zone_of(*names)
        assert (str(found), name) == (zone, zone)

    def test_the_way_to_the_account(self, ads: TikTokAds) -> None:
        assert ads.manager_url(ACCOUNT).endswith("aadvid=7001")
