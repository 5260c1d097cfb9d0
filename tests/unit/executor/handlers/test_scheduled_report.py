"""A scheduled report from its configuration to its message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from common.automation_config.scheduled_report import ScheduledReportConfig
from common.errors import CarillonError, Consequence, PlatformError
from executor.handlers.base import Account, RunContext
from executor.handlers.scheduled_report import ScheduledReport
from executor.settings import ExecutorSettings
from platforms.calls.usage import UsageLimiter
from platforms.facebook import FACEBOOK_USER
from platforms.zoom import ZOOM_USER
from tests.support.run_contexts import account, run_context
from tests.unit.platforms.facebook.fake_graph import TOKEN, Asked, FakeGraph, failure, page

SLOT = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
"""Early on the 21st in Berlin, late on the 20th in New York and California."""
BERLIN = {"id": "act_1", "name": "Shop", "currency": "EUR", "timezone_name": "Europe/Berlin"}
NEW_YORK = {"id": "act_2", "name": "Outdoor", "currency": "USD", "timezone_name": "America/New_York"}
STUDIO = {"id": "7", "name": "Studio", "access_token": "page-token-7"}


def _insights(asked: Asked) -> httpx.Response:
    """Spend is the day of the month on which the period ends, so that every period tells itself."""
    one = asked.params.get("time_range")
    ranges = [json.loads(one)] if one else json.loads(asked.params["time_ranges"])
    if asked.params.get("time_increment") == "1":
        (days,) = ranges
        since, until = (date.fromisoformat(days[end]) for end in ("since", "until"))
        each = [str(since + timedelta(days=n)) for n in range((until - since).days + 1)]
        ranges = [{"since": day, "until": day} for day in each]
    campaigns: list[dict[str, str]] = [{}]
    if asked.params["level"] == "campaign":
        campaigns = [
            {"campaign_id": f"{asked.path[4]}0{n}", "campaign_name": f"Campaign {n}"} for n in (1, 2, 3)
        ]
    return page(
        *(
            {
                **campaign,
                "date_start": days["since"],
                "date_stop": days["until"],
                "spend": str(int(days["until"][-2:]) * 10 * (number + 1)),
                "impressions": "1000",
                "clicks": "20",
                "reach": "700",
            }
            for days in ranges
            for number, campaign in enumerate(campaigns)
        )
    )


def _page_insights(counted_until: date = date(2026, 11, 30)) -> Callable[[Asked], httpx.Response]:
    """Every metric is the day of the month, of the days up to `counted_until`."""

    def answer(asked: Asked) -> httpx.Response:
        since, until = (date.fromisoformat(asked.params[name]) for name in ("since", "until"))
        days = [since + timedelta(days=n) for n in range((until - since).days)]
        values = [
            {"value": day.day, "end_time": f"{day + timedelta(days=1)}T08:00:00+0000"}
            for day in days
            if day <= counted_until
        ]
        return page(*({"name": name, "values": values} for name in asked.params["metric"].split(",")))

    return answer


@pytest.fixture
def facebook() -> FakeGraph:
    graph = FakeGraph()
    graph.on("me/adaccounts", page(BERLIN, NEW_YORK))
    graph.on("me/accounts", page(STUDIO))
    graph.on("act_1/insights", _insights)
    graph.on("act_2/insights", _insights)
    graph.on("7/insights", _page_insights())
    return graph


@pytest.fixture
async def http(facebook: FakeGraph) -> AsyncIterator[httpx.AsyncClient]:
    async with facebook.client() as client:
        yield client


@pytest.fixture
def report(settings: ExecutorSettings) -> ScheduledReport:
    return ScheduledReport(settings)


def _account(name: str = "Main", token: str = TOKEN) -> Account:
    return account(FACEBOOK_USER, token, name=name)


def _context(
    http: httpx.AsyncClient, *accounts: Account, slot: datetime = SLOT, limiter: UsageLimiter | None = None
) -> RunContext:
    return run_context(
        http, *accounts, slot=slot, platforms=("facebook",), tenant_id=UUID(int=1), limiter=limiter
    )


def _config(**given: object) -> ScheduledReportConfig:
    return ScheduledReportConfig.model_validate(given)


async def _failed(
    report: ScheduledReport, http: httpx.AsyncClient, *accounts: Account, **config: object
) -> PlatformError:
    with pytest.raises(PlatformError) as failed:
        await report.run(_context(http, *(accounts or (_account(),))), _config(**config))
    return failed.value


class TestDays:
    async def test_each_account_is_reported_for_its_own_last_full_day(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await report.run(_context(http, _account()), _config(period="weekly"))
        shop, outdoor = outcome.result["ad_accounts"]
        assert (shop["since"], shop["until"], shop["current"]["spend"]) == ("2026-11-14", "2026-11-20", "200")
        assert (outdoor["since"], outdoor["until"]) == ("2026-11-13", "2026-11-19")
        assert (outdoor["current"]["spend"], outdoor["previous"]["spend"]) == ("190", "120")
        (studio,) = outcome.result["pages"]
        assert (studio["since"], studio["until"]) == ("2026-11-13", "2026-11-19")
        assert studio["metrics"]["views"] == {
            "current": sum(range(13, 20)),
            "previous": sum(range(6, 13)),
            "change_percent": 77.78,
        }
        assert studio["metrics"]["follows"] == {"current": 19, "previous": 12, "change_percent": 58.33}

    async def test_the_automations_zone_delays_the_last_full_day(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await report.run(_context(http, _account()), _config(timezone="America/Los_Angeles"))
        assert {each["until"] for each in outcome.result["ad_accounts"]} == {"2026-11-19"}

    async def test_a_zone_of_the_automation_never_adds_an_unfinished_day(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await report.run(_context(http, _account()), _config(timezone="Pacific/Kiritimati"))
        assert [each["until"] for each in outcome.result["ad_accounts"]] == ["2026-11-20", "2026-11-19"]

    async def test_a_day_facebook_has_not_counted_yet_is_not_a_loss(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("7/insights", _page_insights(counted_until=date(2026, 11, 18)))
        outcome = await report.run(_context(http, _account()), _config(period="weekly"))
        (studio,) = outcome.result["pages"]
        assert (studio["since"], studio["until"]) == ("2026-11-12", "2026-11-18")
        assert studio["metrics"]["views"]["current"] == sum(range(12, 19))

    async def test_a_page_without_recent_figures_is_left_out(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("7/insights", _page_insights(counted_until=date(2026, 11, 16)))
        outcome = await report.run(_context(http, _account()), _config(period="weekly"))
        assert outcome.result["pages"] == []
        assert outcome.result["omitted"][0]["subject"] == "page"


class TestMessage:
    async def test_it_is_one_message_with_markup_text_and_figures(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        outcome = await report.run(_context(http, _account()), _config(period="daily"))
        (message,) = outcome.messages
        assert message.type == "report.completed"
        assert message.title == "Morning numbers: Fri 20 Nov 2026"
        assert message.html is not None
        assert "<b>Shop</b> · EUR" in message.html
        assert "Shop · EUR" in message.text
        assert message.data == outcome.result
        assert json.loads(json.dumps(outcome.result))["partial"] is False
        assert outcome.summary == "2 ad accounts, 1 page: spend 200.00 EUR (+5 %), 190.00 USD (+6 %)"

    async def test_text_has_no_markup(self, report: ScheduledReport, http: httpx.AsyncClient) -> None:
        outcome = await report.run(_context(http, _account()), _config(format="text"))
        assert outcome.messages[0].html is None
        assert "<" not in outcome.messages[0].text

    async def test_only_the_wanted_metrics_are_requested(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        await report.run(_context(http, _account()), _config(metric_types=["pages"]))
        assert facebook.paths() == ["me/accounts", "7/insights"]
        facebook.asked.clear()
        await report.run(
            _context(http, _account()), _config(metric_types=["ad_account"], accounts=["2"], chart=False)
        )
        assert facebook.paths() == ["me/adaccounts", "act_2/insights"]

    async def test_a_small_team_costs_two_requests(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        await report.run(_context(http, _account()), _config())
        assert len(facebook.requests) == 2

    async def test_a_later_attempt_calls_one_by_one(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.batch_answer = httpx.ReadTimeout("")
        with pytest.raises(PlatformError):
            await report.run(_context(http, _account()), _config())
        outcome = await report.run(replace(_context(http, _account()), attempt=2), _config())
        assert len(outcome.result["ad_accounts"]) == 2
        assert not any(asked.batched for asked in facebook.asked)

    async def test_no_token_is_in_the_outcome_or_the_log(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("act_2/insights", failure(200, f"no access for {TOKEN} and page-token-7"))
        context = _context(http, _account())
        outcome = await report.run(context, _config())
        told = repr(outcome) + repr(context.log.entries)
        assert TOKEN not in told
        assert context.log.entries[0]["code"] == "200"


class TestPartial:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (failure(200, status=403), "a permission is missing (error 200)"),
            (failure(100, subcode=33), "is gone, or hidden from the connected account (error 100/33)"),
            (failure(100), "Facebook refused the question (error 100)"),
        ],
    )
    async def test_an_account_refused_for_good_is_named(
        self,
        report: ScheduledReport,
        facebook: FakeGraph,
        http: httpx.AsyncClient,
        error: httpx.Response,
        reason: str,
    ) -> None:
        facebook.on("act_2/insights", error)
        context = _context(http, _account())
        outcome = await report.run(context, _config(metric_types=["ad_account"]))
        assert [each["id"] for each in outcome.result["ad_accounts"]] == ["act_1"]
        assert outcome.result["partial"] is True
        assert outcome.result["omitted"][0]["reason"] == reason
        assert f"Ad account Outdoor: {reason}" in outcome.messages[0].text
        assert outcome.summary.endswith("; 1 could not be read")
        assert [entry["event"] for entry in context.log.entries] == ["part left out", "figures collected"]

    async def test_pages_that_may_not_be_listed_do_not_cost_the_ad_accounts(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("me/accounts", failure(10, status=403))
        outcome = await report.run(_context(http, _account("Marketing")), _config())
        assert len(outcome.result["ad_accounts"]) == 2
        assert outcome.result["omitted"][0]["subject"] == "connection"
        assert "Connection Marketing: a permission is missing" in outcome.messages[0].text

    async def test_a_transient_error_fails_the_attempt(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        usage = '{"2":[{"call_count":100,"estimated_time_to_regain_access":9}]}'
        facebook.on("act_1/insights", failure(2, status=500))
        facebook.on("act_2/insights", failure(80000, headers={"x-business-use-case-usage": usage}))
        failed = await _failed(report, http)
        assert (failed.consequence, failed.retry_after) == (Consequence.RATE, 540)

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (failure(80000), "has used up its calls to Facebook for now (error 80000)"),
            (failure(2, status=500), "got no answer from Facebook (error 2)"),
            (httpx.ReadTimeout(""), "got no answer from Facebook"),
            (failure(368, status=403), "is blocked by Facebook for now (error 368)"),
        ],
    )
    async def test_at_the_last_attempt_a_part_is_better_than_nothing(
        self,
        report: ScheduledReport,
        facebook: FakeGraph,
        http: httpx.AsyncClient,
        error: httpx.Response | Exception,
        reason: str,
    ) -> None:
        facebook.on("act_2/insights", lambda asked: None if asked.batched else error)
        config = _config(metric_types=["ad_account"])
        with pytest.raises(PlatformError):
            await report.run(_context(http, _account()), config)
        outcome = await report.run(replace(_context(http, _account()), last_attempt=True), config)
        assert [each["id"] for each in outcome.result["ad_accounts"]] == ["act_1"]
        assert outcome.result["omitted"][0]["reason"].startswith(reason.partition(" (")[0])

    async def test_at_the_last_attempt_nothing_is_still_a_failure_of_its_own_kind(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("me/adaccounts", failure(2, status=500))
        facebook.on("me/accounts", failure(200, status=403))
        with pytest.raises(PlatformError) as failed:
            await report.run(replace(_context(http, _account()), last_attempt=True), _config())
        assert failed.value.consequence is Consequence.TRANSIENT

    async def test_when_everything_is_refused_the_most_telling_error_is_raised(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("act_1/insights", failure(100))
        facebook.on("act_2/insights", failure(200, status=403))
        facebook.on("7/insights", failure(100, subcode=33))
        failed = await _failed(report, http)
        assert (failed.consequence, failed.permanent) == (Consequence.PERM, True)

    async def test_an_expired_token_stops_the_report_and_names_its_connection(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("me/adaccounts", failure(190, subcode=463))
        facebook.on("me/accounts", failure(190, subcode=463))
        account = _account()
        failed = await _failed(report, http, account)
        assert failed.consequence is Consequence.REAUTH
        assert failed.connection_id == str(account.connection_id)

    async def test_one_of_two_connections_is_enough_for_a_report(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        def by_token(asked: Asked) -> httpx.Response:
            return failure(190, subcode=460) if asked.token == "dead-token" else page(BERLIN)

        facebook.on("me/adaccounts", by_token)
        old = _account("Old", "dead-token")
        outcome = await report.run(_context(http, old, _account("New")), _config(metric_types=["ad_account"]))
        assert [(fault.code, fault.connection_id) for fault in outcome.faults] == [
            ("190/460", str(old.connection_id))
        ]
        assert [each["id"] for each in outcome.result["ad_accounts"]] == ["act_1"]
        (omitted,) = outcome.result["omitted"]
        assert (omitted["name"], omitted["code"]) == ("Old", "190/460")
        assert "must be connected again" in omitted["reason"]


class TestSelection:
    async def test_an_account_that_two_connections_show_counts_once(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        outcome = await report.run(_context(http, _account("A"), _account("B")), _config())
        assert len(outcome.result["ad_accounts"]) == 2
        assert len(outcome.result["pages"]) == 1

    async def test_selected_accounts_come_in_the_order_wanted_and_missing_ones_are_named(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        config = _config(metric_types=["ad_account"], accounts=["act_2", "act_404", "act_1"])
        outcome = await report.run(_context(http, _account()), config)
        assert [each["id"] for each in outcome.result["ad_accounts"]] == ["act_2", "act_1"]
        assert [each["id"] for each in outcome.result["omitted"]] == ["act_404"]

    async def test_a_list_that_may_not_be_read_does_not_make_its_accounts_gone(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("me/adaccounts", failure(200, status=403))
        outcome = await report.run(_context(http, _account()), _config(accounts=["act_1"]))
        assert [each["subject"] for each in outcome.result["omitted"]] == ["connection"]

    async def test_pages_selected_for_a_report_without_pages_are_not_missed(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        config = _config(metric_types=["ad_account"], pages=["404"])
        outcome = await report.run(_context(http, _account()), config)
        assert outcome.result["partial"] is False

    async def test_only_missing_accounts_are_an_error(
        self, report: ScheduledReport, http: httpx.AsyncClient
    ) -> None:
        failed = await _failed(report, http, metric_types=["ad_account"], accounts=["404"])
        assert failed.consequence is Consequence.GONE

    async def test_a_connection_without_accounts_is_reported(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("me/adaccounts", page())
        facebook.on("me/accounts", page())
        failed = await _failed(report, http)
        assert failed.permanent
        assert "no ad accounts and no pages" in failed.detail

    @pytest.mark.parametrize("accounts", [(), (account(ZOOM_USER, "zoom-token"),)])
    async def test_a_missing_connection_is_reported_with_a_remedy(
        self,
        report: ScheduledReport,
        facebook: FakeGraph,
        http: httpx.AsyncClient,
        accounts: tuple[Account, ...],
    ) -> None:
        with pytest.raises(CarillonError, match="no Facebook account is connected") as failed:
            await report.run(_context(http, *accounts), _config())
        assert failed.value.permanent
        assert facebook.requests == []


class TestRunning:
    async def test_accounts_without_delivery_are_a_report_too(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        for path in ("act_1/insights", "act_2/insights"):
            facebook.on(path, page())
        outcome = await report.run(_context(http, _account()), _config(metric_types=["ad_account"]))
        assert "No delivery: Shop, Outdoor" in outcome.messages[0].text
        assert outcome.summary == "2 ad accounts: spend 0.00 EUR, 0.00 USD"

    async def test_limits_seen_by_one_run_hold_for_the_next(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("me/adaccounts", failure(4, status=403))
        limiter = UsageLimiter()
        for _ in range(2):
            with pytest.raises(PlatformError, match="Facebook"):
                await report.run(
                    _context(http, _account(), limiter=limiter), _config(metric_types=["ad_account"])
                )
        assert len(facebook.requests) == 1

    async def test_a_defect_is_raised_as_itself(
        self, report: ScheduledReport, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        facebook.on("act_1/insights", ZeroDivisionError("a defect"))
        with pytest.raises(ZeroDivisionError):
            await report.run(_context(http, _account()), _config(metric_types=["ad_account"], accounts=["1"]))

    async def test_cancellation_passes(self, report: ScheduledReport, facebook: FakeGraph) -> None:
        reached = asyncio.Event()

        async def hang(request: httpx.Request) -> httpx.Response:
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        async with httpx.AsyncClient(transport=httpx.MockTransport(hang), trust_env=False) as http:
            task = asyncio.create_task(report.run(_context(http, _account()), _config()))
            await asyncio.wait_for(reached.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
