"""What Carillon asks of Facebook, and how it reads the answers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.advertising.figures import AdFigures, number
from platforms.calls.periods import Days
from platforms.facebook.ads_insights import POLL_SECONDS, InsightsQuery, fetch
from platforms.facebook.client import FacebookClient
from platforms.facebook.figures import Page
from platforms.facebook.graph import Graph
from tests.unit.platforms.facebook.fake_graph import Asked, FakeGraph, failure, page

WEEK = Days(date(2026, 11, 14), date(2026, 11, 20))
TOO_BIG = failure(1, "An unknown error occurred", subcode=99, status=500)


class Naps:
    """Sleeping that takes no time."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def client(graph: Graph, naps: Naps) -> FacebookClient:
    return FacebookClient(graph, sleep=naps)


def _row(days: Days, **figures: str) -> dict[str, object]:
    return {"date_start": str(days.since), "date_stop": str(days.until), **figures}


class TestDays:
    def test_the_days_before_are_as_many(self) -> None:
        assert WEEK.count == 7
        assert WEEK.before() == Days(date(2026, 11, 7), date(2026, 11, 13))
        assert Days.ending(date(2026, 3, 1), 2) == Days(date(2026, 2, 28), date(2026, 3, 1))

    @pytest.mark.parametrize("count", [2, 3, 7, 90])
    def test_halves_are_the_whole(self, count: int) -> None:
        days = Days.ending(date(2026, 11, 20), count)
        early, late = days.halves()
        assert (early.since, late.until) == (days.since, days.until)
        assert early.until + timedelta(days=1) == late.since
        assert abs(early.count - late.count) <= 1


class TestNumbers:
    @pytest.mark.parametrize(
        ("told", "parsed"),
        [
            ("152.31", "152.31"),
            ("0", "0"),
            (7, "7"),
            (0.1, "0.1"),
            (None, "0"),
            ("1e3", "1000"),
            ("-3", "-3"),
        ],
    )
    def test_a_number_is_read_as_written(self, told: object, parsed: str) -> None:
        assert number(told) == Decimal(parsed)

    @pytest.mark.parametrize("told", ["", "n/a", "NaN", "Infinity", True, [], {}, "1e400000", "1" * 40])
    def test_an_impossible_number_is_refused(self, told: object) -> None:
        with pytest.raises(ValueError, match="not a number"):
            number(told)

    def test_rates_of_nothing_are_unknown(self) -> None:
        assert AdFigures().ctr is None
        assert AdFigures().cpc is None
        assert AdFigures(Decimal("10"), 1000, 20, 900).ctr == 2
        assert AdFigures(Decimal("10"), 1000, 20, 900).cpc == Decimal("0.5")


class TestAccounts:
    async def test_an_account_has_its_own_zone(self, facebook: FakeGraph, client: FacebookClient) -> None:
        facebook.on(
            "me/adaccounts",
            page(
                {"id": "act_1", "name": "Shop", "currency": "EUR", "timezone_name": "Europe/Berlin"},
                {"id": "act_2", "timezone_name": "TZ_EARTH", "timezone_offset_hours_utc": 5.5},
                {"id": "act_3", "name": "", "timezone_name": "../etc/passwd"},
            ),
        )
        shop, other, bare = await client.ad_accounts()
        assert (shop.id, shop.name, shop.currency, shop.zone) == (
            "act_1",
            "Shop",
            "EUR",
            ZoneInfo("Europe/Berlin"),
        )
        assert other.zone == timezone(timedelta(hours=5.5))
        assert (bare.name, bare.currency, bare.zone) == ("act_3", "", UTC)

    async def test_an_account_without_an_id_is_an_error(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on("me/adaccounts", page({"name": "Shop"}))
        with pytest.raises(PlatformError, match="without id"):
            await client.ad_accounts()

    async def test_pages_come_with_their_tokens(self, facebook: FakeGraph, client: FacebookClient) -> None:
        facebook.on("me/accounts", page({"id": "1", "name": "P", "access_token": "page-token"}, {"id": "2"}))
        first, second = await client.pages()
        assert first == Page("1", "P", "page-token")
        assert "page-token" not in repr(first)
        assert second == Page("2", "2", None)


class TestAccountInsights:
    async def test_both_periods_are_asked_for_at_once(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on(
            "act_1/insights",
            page(
                _row(WEEK.before(), spend="80.10", impressions="900", clicks="9"),
                _row(WEEK, spend="100.50", impressions="1000", clicks="20", reach="800"),
            ),
        )
        now, then = await client.account_insights("act_1", WEEK, WEEK.before())
        assert now == AdFigures(Decimal("100.50"), 1000, 20, 800)
        assert then == AdFigures(Decimal("80.10"), 900, 9, 0)
        (asked,) = facebook.asked
        assert json.loads(asked.params["time_ranges"]) == [
            {"since": "2026-11-14", "until": "2026-11-20"},
            {"since": "2026-11-07", "until": "2026-11-13"},
        ]
        assert asked.params["level"] == "account"

    async def test_a_period_without_delivery_has_no_row(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on("act_1/insights", page(_row(WEEK, spend="1")))
        assert await client.account_insights("act_1", WEEK, WEEK.before()) == [
            AdFigures(Decimal(1)),
            AdFigures(),
        ]
        facebook.on("act_1/insights", page())
        assert await client.account_insights("act_1", WEEK, WEEK.before()) == [AdFigures(), AdFigures()]

    @pytest.mark.parametrize(
        "rows", [[_row(Days(WEEK.since, date(2026, 11, 19)))], [_row(WEEK), _row(WEEK)], [{"spend": "1"}]]
    )
    async def test_figures_of_other_days_are_not_taken_for_ours(
        self, facebook: FakeGraph, client: FacebookClient, rows: list[dict[str, object]]
    ) -> None:
        facebook.on("act_1/insights", page(*rows))
        with pytest.raises(PlatformError, match="other days"):
            await client.account_insights("act_1", WEEK)

    async def test_an_unreadable_figure_is_an_error(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on("act_1/insights", page(_row(WEEK, spend="a lot")))
        with pytest.raises(PlatformError, match="not a number: 'a lot'"):
            await client.account_insights("act_1", WEEK)

    async def test_campaigns_are_told_apart(self, facebook: FakeGraph, client: FacebookClient) -> None:
        facebook.on(
            "act_1/insights",
            page(_row(WEEK, campaign_id="7", spend="1"), after="c", more=True),
            page(_row(WEEK, campaign_id="8", spend="2"), after="d"),
        )
        assert await client.campaign_insights("act_1", WEEK) == {
            "7": AdFigures(Decimal(1)),
            "8": AdFigures(Decimal(2)),
        }


class TestAskingForLess:
    async def test_periods_are_asked_for_one_by_one(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        def answer(asked: Asked) -> httpx.Response:
            if "time_ranges" in asked.params:
                return TOO_BIG
            days = json.loads(asked.params["time_range"])
            return page(
                {"date_start": days["since"], "date_stop": days["until"], "spend": days["since"][-2:]}
            )

        facebook.on("act_1/insights", answer)
        figures = await client.account_insights("act_1", WEEK, WEEK.before())
        assert [each.spend for each in figures] == [14, 7]
        assert len(facebook.asked) == 3

    async def test_daily_rows_are_asked_for_in_halves_and_each_day_comes_once(
        self, facebook: FakeGraph, graph: Graph, naps: Naps
    ) -> None:
        def answer(asked: Asked) -> httpx.Response:
            days = json.loads(asked.params["time_range"])
            since, until = date.fromisoformat(days["since"]), date.fromisoformat(days["until"])
            if (until - since).days > 1:
                return TOO_BIG
            count = (until - since).days + 1
            return page(*({"date_start": str(since + timedelta(days=n))} for n in range(count)))

        facebook.on("act_1/insights", answer)
        rows = await fetch(graph, InsightsQuery("act_1", (WEEK,), ("spend",), daily=True), sleep=naps)
        assert [row["date_start"] for row in rows] == [f"2026-11-{day}" for day in range(14, 21)]
        assert naps.taken == []

    async def test_a_query_that_cannot_be_split_becomes_an_asynchronous_report(
        self, facebook: FakeGraph, client: FacebookClient, naps: Naps
    ) -> None:
        facebook.on(
            "act_1/insights",
            lambda asked: (
                httpx.Response(200, json={"report_run_id": "99"}) if asked.method == "POST" else TOO_BIG
            ),
        )
        facebook.on("99", *(httpx.Response(200, json=state) for state in _STATES))
        facebook.on("99/insights", page(_row(WEEK, spend="5.00"), after="x"))
        (figures,) = await client.account_insights("act_1", WEEK)
        assert figures.spend == 5
        assert naps.taken == list(POLL_SECONDS[: len(_STATES)])
        posted = next(asked for asked in facebook.asked if asked.method == "POST")
        assert json.loads(posted.params["time_range"]) == {"since": "2026-11-14", "until": "2026-11-20"}

    @pytest.mark.parametrize(
        ("state", "told"),
        [
            ({"async_status": "Job Failed", "error_message": "too heavy"}, "too heavy"),
            ({"async_status": "Job Skipped"}, "Job Skipped"),
            ({"async_status": "Job Running", "async_percent_completion": 40}, "too long"),
            ({"async_status": "Job Completed", "async_percent_completion": 97}, "too long"),
            ({}, "too long"),
        ],
    )
    async def test_a_report_that_does_not_come_may_come_the_next_time(
        self, facebook: FakeGraph, client: FacebookClient, state: dict[str, object], told: str
    ) -> None:
        facebook.on(
            "act_1/insights",
            lambda asked: (
                httpx.Response(200, json={"report_run_id": "99"}) if asked.method == "POST" else TOO_BIG
            ),
        )
        facebook.on("99", httpx.Response(200, json=state))
        with pytest.raises(PlatformError, match=told) as refused:
            await client.account_insights("act_1", WEEK)
        assert refused.value.consequence is Consequence.TRANSIENT

    async def test_a_report_that_was_just_made_is_asked_for_again_until_it_is_found(
        self, facebook: FakeGraph, client: FacebookClient, naps: Naps
    ) -> None:
        facebook.on(
            "act_1/insights",
            lambda asked: (
                httpx.Response(200, json={"report_run_id": "99"}) if asked.method == "POST" else TOO_BIG
            ),
        )
        missing = failure(100, "Unsupported get request. Object does not exist", subcode=33)
        done = httpx.Response(200, json={"async_status": "Job Completed", "async_percent_completion": 100})
        facebook.on("99", missing, missing, done)
        facebook.on("99/insights", page(_row(WEEK, spend="5.00")))
        (figures,) = await client.account_insights("act_1", WEEK)
        assert figures.spend == 5
        assert len(naps.taken) == 3

    @pytest.mark.parametrize("run_id", [None, 99, "../me", ""])
    async def test_a_report_without_a_usable_id_is_an_error(
        self, facebook: FakeGraph, client: FacebookClient, run_id: object
    ) -> None:
        facebook.on(
            "act_1/insights",
            lambda asked: (
                httpx.Response(200, json={"report_run_id": run_id}) if asked.method == "POST" else TOO_BIG
            ),
        )
        with pytest.raises(PlatformError, match="no id"):
            await client.account_insights("act_1", WEEK)

    async def test_a_report_that_is_refused_is_refused(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on("act_1/insights", lambda asked: failure(190) if asked.method == "POST" else TOO_BIG)
        with pytest.raises(PlatformError) as refused:
            await client.account_insights("act_1", WEEK)
        assert refused.value.consequence is Consequence.REAUTH

    def test_waiting_for_a_report_ends_before_the_run_must(self) -> None:
        assert sum(POLL_SECONDS) < 240


_STATES: list[dict[str, object]] = [
    {"async_status": "Job Not Started", "async_percent_completion": 0},
    {"async_status": "Job Running", "async_percent_completion": 45},
    {"async_status": "Job Completed", "async_percent_completion": 99},
    {"async_status": "Job Completed", "async_percent_completion": 100},
]


def _series(name: str, *values: tuple[str, object]) -> dict[str, object]:
    return {
        "name": name,
        "period": "day",
        "values": [{"value": value, "end_time": end} for end, value in values],
        "id": f"1/insights/{name}/day",
    }


class TestPageInsights:
    PAGE = Page("1", "Shop", "page-token")

    async def test_a_value_belongs_to_the_day_that_ended(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        days = Days(date(2026, 10, 31), date(2026, 11, 2))  # the clocks go back on 1 November
        facebook.on(
            "1/insights",
            page(
                _series(
                    "page_media_view",
                    ("2026-10-31T07:00:00+0000", 1),
                    ("2026-11-01T07:00:00+0000", 10),
                    ("2026-11-02T08:00:00+0000", 20),
                    ("2026-11-03T08:00:00+0000", 40),
                    ("2026-11-04T08:00:00+0000", 99),
                )
            ),
        )
        values = (await client.page_insights(self.PAGE, ("page_media_view",), days))["page_media_view"]
        assert dict(values.by_day) == {date(2026, 10, 31): 10, date(2026, 11, 1): 20, date(2026, 11, 2): 40}
        assert values.total(days) == 70
        assert values.total(Days(date(2026, 11, 1), date(2026, 11, 2))) == 60
        assert values.last(days) == 40
        assert values.total(days.before()) is None
        assert values.last(days.before()) is None
        (asked,) = facebook.asked
        assert asked.token == "page-token"
        assert (asked.params["since"], asked.params["until"]) == ("2026-10-31", "2026-11-03")

    async def test_neighbouring_days_are_not_followed_as_pages(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        body = {
            "data": [_series("page_media_view", ("2026-11-21T08:00:00+0000", 3))],
            "paging": {"previous": "https://x", "next": "https://y"},
        }
        facebook.on("1/insights", httpx.Response(200, json=body))
        await client.page_insights(self.PAGE, ("page_media_view",), WEEK)
        assert len(facebook.asked) == 1

    async def test_more_than_ninety_days_take_several_queries(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        def answer(asked: Asked) -> httpx.Response:
            since, until = (datetime.fromisoformat(asked.params[name]) for name in ("since", "until"))
            assert (until - since).days <= 90
            ends = (since + timedelta(days=n + 1) for n in range((until - since).days))
            return page(_series("page_media_view", *((f"{end:%Y-%m-%d}T08:00:00+0000", 1) for end in ends)))

        facebook.on("1/insights", answer)
        days = Days.ending(date(2026, 2, 20), 182)
        values = (await client.page_insights(self.PAGE, ("page_media_view",), days))["page_media_view"]
        assert values.total(days) == 182
        assert len(facebook.asked) == 3

    async def test_a_retired_metric_is_left_out_and_the_others_come(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        def answer(asked: Asked) -> httpx.Response:
            if "page_impressions" in asked.params["metric"]:
                return failure(100, "(#100) The value must be a valid insights metric")
            return page(_series(asked.params["metric"], ("2026-11-21T08:00:00+0000", 3)))

        facebook.on("1/insights", answer)
        metrics = ("page_media_view", "page_impressions", "page_follows")
        assert set(await client.page_insights(self.PAGE, metrics, WEEK)) == {
            "page_media_view",
            "page_follows",
        }

    async def test_when_every_metric_is_refused_so_is_the_page(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on("1/insights", failure(100, "(#100) The value must be a valid insights metric"))
        with pytest.raises(PlatformError, match="valid insights metric"):
            await client.page_insights(self.PAGE, ("page_fans", "page_impressions"), WEEK)

    async def test_another_error_is_not_taken_for_a_retired_metric(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        facebook.on("1/insights", failure(100, "gone", subcode=33))
        with pytest.raises(PlatformError) as refused:
            await client.page_insights(self.PAGE, ("page_fans", "page_follows"), WEEK)
        assert refused.value.consequence is Consequence.GONE
        assert len(facebook.asked) == 1

    async def test_a_page_without_a_token_needs_a_permission(
        self, facebook: FakeGraph, client: FacebookClient
    ) -> None:
        with pytest.raises(PlatformError, match="ANALYZE") as refused:
            await client.page_insights(Page("1", "Shop", None), ("page_follows",), WEEK)
        assert refused.value.consequence is Consequence.PERM
        assert facebook.asked == []

    async def test_a_breakdown_counts_as_its_sum(self, facebook: FakeGraph, client: FacebookClient) -> None:
        facebook.on(
            "1/insights", page(_series("reactions", ("2026-11-21T08:00:00+0000", {"like": 3, "love": 1})))
        )
        values = await client.page_insights(self.PAGE, ("reactions",), WEEK)
        assert values["reactions"].total(WEEK) == 4

    @pytest.mark.parametrize(
        "item",
        [
            {"value": 3},
            {"value": 3, "end_time": "yesterday"},
            {"value": 3, "end_time": "2026-11-21T08:00:00"},
            {"value": "many", "end_time": "2026-11-21T08:00:00+0000"},
            {"value": 3, "end_time": 7},
            7,
        ],
    )
    async def test_an_unreadable_value_is_an_error(
        self, facebook: FakeGraph, client: FacebookClient, item: object
    ) -> None:
        facebook.on("1/insights", page({"name": "page_follows", "values": [item]}))
        with pytest.raises(PlatformError, match="unreadable"):
            await client.page_insights(self.PAGE, ("page_follows",), WEEK)

    async def test_unrequested_series_are_ignored(self, facebook: FakeGraph, client: FacebookClient) -> None:
        facebook.on(
            "1/insights", page(_series("other"), {"name": 7}, {"name": "page_follows", "values": None})
        )
        values = await client.page_insights(self.PAGE, ("page_follows",), WEEK)
        assert {name: dict(each.by_day) for name, each in values.items()} == {"page_follows": {}}
