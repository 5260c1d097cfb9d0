"""Facebook's insights in the words all platforms share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date
from decimal import Decimal

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.advertising.figures import AdAccount
from platforms.advertising.metrics import METRICS, Level
from platforms.calls.periods import Days
from platforms.facebook.ads import FacebookAds, conversions
from platforms.facebook.graph import Graph
from tests.unit.platforms.facebook.fake_graph import Asked, FakeGraph, failure, page

ACCOUNT = AdAccount("act_1", "Shop", "EUR", UTC, "UTC")
INSIGHTS = "act_1/insights"
WEEK = Days(date(2026, 11, 14), date(2026, 11, 20))
EVERYTHING = sorted(FacebookAds.metrics)


@pytest.fixture
def ads(graph: Graph) -> FacebookAds:
    return FacebookAds(graph)


def _row(days: Days, **figures: object) -> dict[str, object]:
    return {"date_start": str(days.since), "date_stop": str(days.until), **figures}


def _actions(**counts: str) -> list[dict[str, str]]:
    return [{"action_type": name, "value": value} for name, value in counts.items()]


async def _refused(ads: FacebookAds, *periods: Days, metrics: tuple[str, ...] = ("spend",)) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await ads.rows(ACCOUNT, metrics, periods)
    return refused.value


class TestMetrics:
    def test_each_is_one_that_all_platforms_name_alike(self) -> None:
        assert FacebookAds.metrics <= METRICS.keys()

    async def test_a_row_is_read_column_by_column(self, ads: FacebookAds, facebook: FakeGraph) -> None:
        row = _row(
            WEEK,
            spend="152.31",
            impressions="18273",
            clicks="312",
            reach="11892",
            frequency="1.536579",
            ctr="1.707437",
            cpc="0.488173",
            cpm="8.335249",
            actions=_actions(video_view="900", omni_purchase="4", purchase="4", lead="6"),
            purchase_roas=_actions(omni_purchase="2.41"),
        )
        facebook.on(INSIGHTS, page(row))
        (read,) = await ads.rows(ACCOUNT, EVERYTHING, [WEEK])
        assert (read.account_id, read.days, read.campaign_id) == ("act_1", WEEK, None)
        assert read.metrics == {
            "spend": Decimal("152.31"),
            "impressions": 18273,
            "clicks": 312,
            "reach": 11892,
            "frequency": Decimal("1.536579"),
            "ctr": Decimal("1.707437"),
            "cpc": Decimal("0.488173"),
            "cpm": Decimal("8.335249"),
            "conversions": 10,
            "cost_per_conversion": Decimal("15.231"),
            "roas": Decimal("2.41"),
            "video_views": 900,
        }

    async def test_nothing_delivered_is_zero_and_has_no_rates(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        facebook.on(INSIGHTS, page())
        (read,) = await ads.rows(ACCOUNT, EVERYTHING, [WEEK])
        assert read.metrics == dict.fromkeys(
            ("spend", "impressions", "clicks", "reach", "conversions", "video_views"), Decimal(0)
        )

    async def test_money_spent_for_nothing_has_a_return_of_zero_and_no_cost_per_conversion(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        facebook.on(INSIGHTS, page(_row(WEEK, spend="9.00")))
        (read,) = await ads.rows(ACCOUNT, ["roas", "cost_per_conversion"], [WEEK])
        assert read.metrics == {"roas": 0}

    @pytest.mark.parametrize(
        ("counts", "total"),
        [
            ({}, 0),
            ({"link_click": "270", "add_to_cart": "9"}, 0),
            ({"purchase": "3"}, 3),
            ({"omni_purchase": "5", "purchase": "3", "offsite_conversion.fb_pixel_purchase": "2"}, 5),
            ({"lead": "2", "offsite_conversion.fb_pixel_lead": "2", "omni_purchase": "1"}, 3),
            ({"complete_registration": "7", "onsite_conversion.lead_grouped": "1"}, 8),
        ],
    )
    def test_no_conversion_is_counted_twice(self, counts: Mapping[str, str], total: int) -> None:
        assert conversions({"actions": _actions(**counts)} if counts else {}) == total

    @pytest.mark.parametrize(
        "figures",
        [
            {"spend": "n/a"},
            {"actions": "many"},
            {"actions": ["purchase"]},
            {"actions": [{"action_type": "purchase", "value": "x"}]},
        ],
    )
    async def test_a_malformed_figure_is_an_error(
        self, ads: FacebookAds, facebook: FakeGraph, figures: dict[str, object]
    ) -> None:
        facebook.on(INSIGHTS, page(_row(WEEK, **figures)))
        refused = await _refused(ads, WEEK, metrics=("spend", "conversions"))
        assert refused.consequence is Consequence.INVALID

    async def test_only_the_columns_of_the_wanted_metrics_are_asked_for(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        facebook.on(INSIGHTS, page())
        await ads.rows(ACCOUNT, ["clicks", "cost_per_conversion", "conversions"], [WEEK])
        assert facebook.asked[0].params["fields"] == "clicks,spend,actions"

    async def test_a_metric_facebook_does_not_have_is_refused_before_a_call(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        refused = await _refused(ads, WEEK, metrics=("spend", "follows"))
        assert refused.consequence is Consequence.INVALID
        assert "follows" in refused.detail
        assert not facebook.asked


class TestPeriods:
    async def test_several_are_one_question(self, ads: FacebookAds, facebook: FakeGraph) -> None:
        before = WEEK.before()
        facebook.on(INSIGHTS, page(_row(before, spend="1"), _row(WEEK, spend="2")))
        rows = await ads.rows(ACCOUNT, ["spend"], [WEEK, before])
        assert [(row.days, int(row.metrics["spend"])) for row in rows] == [(WEEK, 2), (before, 1)]
        (asked,) = facebook.asked
        assert json.loads(asked.params["time_ranges"]) == [
            {"since": "2026-11-14", "until": "2026-11-20"},
            {"since": "2026-11-07", "until": "2026-11-13"},
        ]

    async def test_every_day_has_a_row_and_touching_periods_one_question(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        delivered = Days(date(2026, 11, 15), date(2026, 11, 15))
        facebook.on(INSIGHTS, page(_row(delivered, spend="2")))
        rows = await ads.rows(ACCOUNT, ["spend"], [WEEK.before(), WEEK], daily=True)
        assert [row.days.since for row in rows] == [date(2026, 11, day) for day in range(7, 21)]
        assert {row.days: row.metrics["spend"] for row in rows if row.metrics["spend"]} == {delivered: 2}
        (asked,) = facebook.asked
        assert asked.params["time_increment"] == "1"
        assert json.loads(asked.params["time_range"]) == {"since": "2026-11-07", "until": "2026-11-20"}

    async def test_no_period_makes_no_call(self, ads: FacebookAds, facebook: FakeGraph) -> None:
        assert await ads.rows(ACCOUNT, ["spend"], []) == []
        assert not facebook.asked

    async def test_a_query_that_is_too_large_is_split(self, ads: FacebookAds, facebook: FakeGraph) -> None:
        def answer(asked: Asked) -> httpx.Response:
            days = json.loads(asked.params["time_range"])
            if days["since"] != days["until"]:
                return failure(1, "An unknown error occurred", subcode=99, status=500)
            return page(_row(Days(*map(date.fromisoformat, days.values())), spend="1"))

        facebook.on(INSIGHTS, answer)
        two_days = Days.ending(WEEK.until, 2)
        rows = await ads.rows(ACCOUNT, ["spend"], [two_days], daily=True, level=Level.ACCOUNT)
        assert [row.metrics["spend"] for row in rows] == [1, 1]

    async def test_older_than_facebook_remembers_is_refused(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        facebook.on(INSIGHTS, failure(3018, "(#3018) The start date cannot be beyond 37 months"))
        refused = await _refused(ads, WEEK)
        assert (refused.consequence, refused.code) == (Consequence.INVALID, "3018")

    @pytest.mark.parametrize(
        "rows",
        [
            [_row(WEEK.before(), spend="1")],
            [_row(WEEK, spend="1"), _row(WEEK, spend="2")],
            [{"spend": "1"}],
            [{"spend": "1", "date_start": "soon", "date_stop": None}],
        ],
    )
    async def test_rows_of_other_days_are_an_error(
        self, ads: FacebookAds, facebook: FakeGraph, rows: list[dict[str, object]]
    ) -> None:
        facebook.on(INSIGHTS, page(*rows))
        assert (await _refused(ads, WEEK)).consequence is Consequence.INVALID


class TestCampaigns:
    async def test_those_that_delivered_have_rows_with_their_names(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        facebook.on(
            INSIGHTS,
            page(
                _row(WEEK, spend="2", campaign_id="238", campaign_name="Spring"),
                _row(WEEK, spend="3", campaign_id="239"),
            ),
        )
        rows = await ads.rows(ACCOUNT, ["spend"], [WEEK, WEEK.before()], level=Level.CAMPAIGN)
        assert [(row.campaign_id, row.campaign_name, int(row.metrics["spend"])) for row in rows] == [
            ("238", "Spring", 2),
            ("239", "239", 3),
        ]
        assert facebook.asked[0].params["fields"] == "campaign_id,campaign_name,spend"

    async def test_deleted_and_archived_campaigns_are_asked_for(
        self, ads: FacebookAds, facebook: FakeGraph
    ) -> None:
        facebook.on(INSIGHTS, page())
        await ads.rows(ACCOUNT, ["spend"], [WEEK], level=Level.CAMPAIGN)
        await ads.rows(ACCOUNT, ["spend"], [WEEK])
        of_campaigns, of_account = facebook.asked
        (condition,) = json.loads(of_campaigns.params["filtering"])
        assert (condition["field"], condition["operator"]) == ("campaign.effective_status", "IN")
        assert {"ACTIVE", "PAUSED", "DELETED", "ARCHIVED"} <= set(condition["value"])
        assert "filtering" not in of_account.params

    async def test_a_row_without_a_campaign_is_an_error(self, ads: FacebookAds, facebook: FakeGraph) -> None:
        facebook.on(INSIGHTS, page(_row(WEEK, spend="2")))
        with pytest.raises(PlatformError) as refused:
            await ads.rows(ACCOUNT, ["spend"], [WEEK], level=Level.CAMPAIGN)
        assert refused.value.consequence is Consequence.INVALID


def test_the_way_to_the_account(ads: FacebookAds) -> None:
    assert ads.manager_url(ACCOUNT).endswith("?act=1")
