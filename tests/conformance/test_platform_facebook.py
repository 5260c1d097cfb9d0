"""The Facebook client against a Graph API that behaves, and misbehaves, as the documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from common.automation_config.scheduled_report import ScheduledReportConfig
from common.errors import Consequence, PlatformError
from common.http import create_client
from common.secrets.crypto import new_encryption_key
from executor.handlers.base import RunContext
from executor.handlers.scheduled_report import ScheduledReport
from executor.settings import ExecutorSettings
from platforms.advertising.figures import AdFigures
from platforms.calls.periods import Days
from platforms.calls.usage import UsageLimiter
from platforms.facebook import FACEBOOK_USER
from platforms.facebook.ads_insights import InsightsQuery, Sleep, fetch
from platforms.facebook.client import FacebookClient
from platforms.facebook.figures import Page
from platforms.facebook.graph import Graph, Target
from platforms.facebook.wire import Endpoint
from tests.support.channels import PATIENCE, Sandbox, unique
from tests.support.run_contexts import account, run_context
from tests.support.stack import Service

ME = Target("me/adaccounts", "me/adaccounts")
ACCOUNT = "act_402210009451117"
INSIGHTS = Target(f"{ACCOUNT}/insights", "{ad_account_id}/insights", ACCOUNT)
WEEK = Days.ending((datetime.now(UTC) - timedelta(days=3)).date(), 7)

T, RATE, SPLIT, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REAUTH
PERM, GONE, INVALID, BLOCKED = Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.BLOCKED

APP_SECRET = "the-secret-of-the-app"
MakeGraph = Callable[..., Graph]
Started = Callable[..., Service]


@pytest.fixture
def token() -> str:
    """A user token of this test's own, so that its faults strike nobody else."""
    return f"sandbox-fb-{unique()}"


@pytest.fixture
def graph(sandbox_server: Service, outbound: httpx.AsyncClient, token: str) -> Graph:
    return _graph(outbound, sandbox_server, token)


@pytest.fixture
def client(graph: Graph) -> FacebookClient:
    return FacebookClient(graph)


@pytest.fixture(scope="module")
def heavy(start_sandbox: Callable[..., Service]) -> Service:
    """A Facebook that finds every synchronous query of more than three rows too big."""
    return start_sandbox("facebook-heavy", **{"FACEBOOK_SYNC_ROWS": "3"})


@pytest.fixture(scope="module")
def asynchronous(start_sandbox: Callable[..., Service]) -> Service:
    """A Facebook that answers insights by reports only."""
    return start_sandbox("facebook-asynchronous", **{"FACEBOOK_SYNC_ROWS": "0"})


@pytest.fixture(scope="module")
def secured(start_sandbox: Callable[..., Service]) -> Service:
    """A Facebook whose app requires its secret with every call."""
    app = {"FACEBOOK_APP_ID": "123", "FACEBOOK_APP_SECRET": APP_SECRET, "FACEBOOK_REQUIRE_PROOF": "true"}
    return start_sandbox("facebook-secured", **app)


@pytest.fixture(scope="module")
def strict(start_sandbox: Callable[..., Service]) -> Service:
    """A Facebook that allows forty calls an hour for an account."""
    return start_sandbox("facebook-strict", **{"FACEBOOK_ACCOUNT_CALLS_PER_HOUR": "40"})


@pytest.fixture
async def anywhere() -> AsyncIterator[httpx.AsyncClient]:
    """A client for sandboxes of the test's own, on whatever port."""
    async with create_client(
        timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as http:
        yield http


def _graph(
    http: httpx.AsyncClient, service: Service, token: str, limiter: UsageLimiter | None = None
) -> Graph:
    return Graph(http, Endpoint(service.url, "v26.0"), token, limiter=limiter or UsageLimiter(), scope=token)


def _moving_the_clock(http: httpx.AsyncClient, service: Service) -> Sleep:
    """Sleeping that makes the sandbox's time pass instead of ours."""

    async def sleep(seconds: float) -> None:
        answer = await http.post(f"{service.url}/_sandbox/clock", json={"advance_seconds": seconds})
        answer.raise_for_status()

    return sleep


async def _refused(graph: Graph, target: Target = ME) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await graph.get(target, {})
    return refused.value


class TestReading:
    async def test_ad_accounts_and_pages_are_listed(self, client: FacebookClient) -> None:
        accounts = await client.ad_accounts()
        assert [account.currency for account in accounts] == ["EUR", "USD", "GBP", "USD"]
        assert {str(account.zone) for account in accounts} == {account.zone_name for account in accounts}
        pages = await client.pages()
        assert len(pages) == 3
        assert all(page.token for page in pages)

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 25])
    async def test_every_row_comes_once_whatever_the_size_of_a_page(self, graph: Graph, limit: int) -> None:
        rows = [row["id"] async for row in graph.rows(ME, {"fields": "id"}, limit=limit)]
        assert len(rows) == len(set(rows)) == 4

    async def test_the_addresses_called_hold_no_token(self, graph: Graph, sandbox: Sandbox) -> None:
        rows = [row async for row in graph.rows(ME, {"fields": "id"}, limit=3)]
        calls = await sandbox.received("facebook", path="/v26.0/me/adaccounts")
        assert len(rows) == 4
        first, second = (call["params"] for call in calls[-2:])
        assert "after" not in first
        assert "after" in second
        assert "access_token" not in {**first, **second}

    async def test_a_period_is_the_sum_of_its_days(self, client: FacebookClient, graph: Graph) -> None:
        current, previous = await client.account_insights(ACCOUNT, WEEK, WEEK.before())
        query = InsightsQuery(
            ACCOUNT, (WEEK.before(), WEEK), ("spend", "impressions", "clicks", "reach"), daily=True
        )
        days = [AdFigures.of(row) for row in await fetch(graph, query)]
        assert current.spend + previous.spend == sum(day.spend for day in days) > 0
        assert current.impressions + previous.impressions == sum(day.impressions for day in days)
        assert 0 < current.reach < sum(day.reach for day in days)

    async def test_campaigns_add_up_to_their_account(self, client: FacebookClient) -> None:
        (whole,) = await client.account_insights(ACCOUNT, WEEK)
        campaigns = await client.campaign_insights(ACCOUNT, WEEK)
        assert len(campaigns) > 1
        assert sum(campaign.spend for campaign in campaigns.values()) == whole.spend

    async def test_an_account_without_delivery_has_zeros(self, client: FacebookClient) -> None:
        disabled = (await client.ad_accounts())[3]
        assert await client.account_insights(disabled.id, WEEK) == [AdFigures()]

    async def test_page_insights_come_by_day(self, client: FacebookClient) -> None:
        page = (await client.pages())[0]
        values = await client.page_insights(page, ("page_media_view", "page_follows"), WEEK)
        assert set(values) == {"page_media_view", "page_follows"}
        assert len(values["page_media_view"].by_day) == WEEK.count
        assert values["page_follows"].last(WEEK) == max(values["page_follows"].by_day.values())

    async def test_half_a_year_of_page_insights_comes_in_pieces(self, client: FacebookClient) -> None:
        page = (await client.pages())[0]
        days = Days.ending(WEEK.until, 182)
        values = await client.page_insights(page, ("page_media_view",), days)
        assert len(values["page_media_view"].by_day) == 182

    async def test_a_retired_metric_costs_the_others_nothing(self, client: FacebookClient) -> None:
        page = (await client.pages())[0]
        metrics = ("page_media_view", "page_impressions", "page_fans", "page_follows")
        assert set(await client.page_insights(page, metrics, WEEK)) == {"page_media_view", "page_follows"}


class TestTokens:
    async def test_a_page_wants_its_own_token(self, client: FacebookClient, token: str) -> None:
        first, second, _ = await client.pages()
        for wrong, consequence in ((token, REAUTH), (second.token, PERM)):
            with pytest.raises(PlatformError) as refused:
                await client.page_insights(Page(first.id, first.name, wrong), ("page_follows",), WEEK)
            assert refused.value.consequence is consequence


class TestTrouble:
    @pytest.mark.parametrize("kind", ["reset", "truncated", "slow"])
    async def test_a_batch_in_trouble_is_each_of_its_calls_in_trouble(
        self, graph: Graph, sandbox: Sandbox, token: str, kind: str
    ) -> None:
        await sandbox.fault(
            kind=kind, **({"seconds": PATIENCE * 3} if kind == "slow" else {}), match={"token": token}
        )
        answers = await asyncio.gather(*(graph.get(ME, {}) for _ in range(3)), return_exceptions=True)
        assert [each.consequence for each in answers if isinstance(each, PlatformError)] == [T, T, T]


class TestBatches:
    async def test_parts_have_their_own_tokens_and_outcomes(
        self, graph: Graph, client: FacebookClient, sandbox: Sandbox
    ) -> None:
        pages = await client.pages()
        before = len(await sandbox.received("facebook", path="/v26.0/"))
        metrics = ("page_follows", "page_media_view")
        found, missing, values = await asyncio.gather(
            client.account_insights(ACCOUNT, WEEK, WEEK.before()),
            _refused(graph, Target("act_999999999/insights", "", "act_999999999")),
            asyncio.gather(*(client.page_insights(page, metrics, WEEK) for page in pages)),
        )
        assert found[0].spend > 0
        assert missing.consequence is GONE
        assert [set(each) for each in values] == [set(metrics)] * 3
        assert len(await sandbox.received("facebook", path="/v26.0/")) == before + 1

    async def test_together_or_alone_the_figures_are_the_same(
        self, graph: Graph, client: FacebookClient
    ) -> None:
        accounts = await client.ad_accounts()
        together = await asyncio.gather(*(client.account_insights(each.id, WEEK) for each in accounts))
        alone = [await client.account_insights(each.id, WEEK) for each in accounts]
        assert together == alone


class TestLimits:
    async def test_a_limit_told_with_a_time_is_waited_for_that_long(
        self, graph: Graph, sandbox: Sandbox, token: str
    ) -> None:
        await sandbox.fault(kind="rate_limit", retry_after=300, match={"token": token})
        refused = await _refused(graph, INSIGHTS)
        assert (refused.consequence, refused.code, refused.retry_after) == (RATE, "80000", 300)
        again = await _refused(graph, INSIGHTS)
        assert again.code is None, "refused by ourselves, without a call"
        assert again.retry_after == pytest.approx(300, abs=2)
        assert (await graph.get(ME, {}))["data"], "other buckets are open"

    async def test_a_limit_told_without_a_time_is_waited_for_a_minute(
        self, graph: Graph, sandbox: Sandbox, token: str
    ) -> None:
        await sandbox.fault(kind="rate_limit", match={"token": token})
        refused = await _refused(graph)
        assert (refused.consequence, refused.code, refused.retry_after) == (RATE, "4", 60)
        assert (await _refused(graph, INSIGHTS)).code is None, "the app's limit concerns every call"

    async def test_holding_back_keeps_us_from_being_throttled(
        self, anywhere: httpx.AsyncClient, strict: Service, token: str
    ) -> None:
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        limiter = UsageLimiter(sleep=sleep)

        async def call() -> None:
            await _graph(anywhere, strict, token, limiter).get(INSIGHTS, {"fields": "spend"})

        for _ in range(38):
            await call()
        assert len(pauses) == 8, "slowed from 75 % of 40 calls on"
        assert pauses == sorted(pauses)
        with pytest.raises(PlatformError) as refused:
            await call()
        assert refused.value.consequence is RATE
        assert refused.value.code is None, "stopped at 95 % by ourselves"

    async def test_who_does_not_hold_back_is_throttled(
        self, anywhere: httpx.AsyncClient, strict: Service, token: str
    ) -> None:
        other = Target("act_402210009452234/insights", "{ad_account_id}/insights", "act_402210009452234")
        for _ in range(40):
            await _graph(anywhere, strict, token).get(other, {"fields": "spend"})
        refused = await _refused(_graph(anywhere, strict, token), other)
        assert (refused.consequence, refused.code) == (RATE, "80000")
        assert refused.retry_after is not None
        assert refused.retry_after > 60


async def test_an_app_that_requires_its_secret_is_shown_the_proof_of_every_token(
    anywhere: httpx.AsyncClient, secured: Service, token: str
) -> None:
    endpoint = Endpoint(secured.url, "v26.0", APP_SECRET)
    graph = Graph(anywhere, endpoint, token, limiter=UsageLimiter(), scope=token)
    client = FacebookClient(graph)
    accounts, pages = await asyncio.gather(client.ad_accounts(), client.pages())
    assert accounts
    readings = await asyncio.gather(*(client.page_insights(page, ("page_follows",), WEEK) for page in pages))
    assert len(readings) == len(pages) > 1, "one batch with a token for each page"
    await client.account_insights(accounts[0].id, WEEK)
    unproven = await _refused(_graph(anywhere, secured, token), ME)
    assert "require an appsecret_proof" in unproven.detail


class TestHeavyQueries:
    async def test_days_are_asked_for_in_pieces(
        self, anywhere: httpx.AsyncClient, heavy: Service, graph: Graph, token: str
    ) -> None:
        query = InsightsQuery(ACCOUNT, (WEEK,), ("spend", "impressions"), daily=True)
        in_pieces = await fetch(_graph(anywhere, heavy, token), query, sleep=_never)
        assert in_pieces == await fetch(graph, query)
        assert len(in_pieces) == 7

    async def test_a_report_gives_the_same_figures(
        self, anywhere: httpx.AsyncClient, asynchronous: Service, client: FacebookClient, token: str
    ) -> None:
        patient = FacebookClient(
            _graph(anywhere, asynchronous, token), sleep=_moving_the_clock(anywhere, asynchronous)
        )
        reported = await patient.account_insights(ACCOUNT, WEEK, WEEK.before())
        assert reported == await client.account_insights(ACCOUNT, WEEK, WEEK.before())
        assert reported[0].spend > 0

    @pytest.mark.parametrize("kind", ["report_failed", "report_skipped"])
    async def test_a_failed_report_may_work_the_next_time(
        self, anywhere: httpx.AsyncClient, asynchronous: Service, token: str, kind: str
    ) -> None:
        await Sandbox(asynchronous.url, anywhere).fault(kind=kind, match={"token": token, "method": "POST"})
        client = FacebookClient(
            _graph(anywhere, asynchronous, token), sleep=_moving_the_clock(anywhere, asynchronous)
        )
        with pytest.raises(PlatformError) as refused:
            await client.account_insights(ACCOUNT, WEEK)
        assert refused.value.consequence is T
        assert (await client.account_insights(ACCOUNT, WEEK))[0].spend > 0


async def _never(seconds: float) -> None:
    raise AssertionError("nothing had to be waited for")


class TestReports:
    def _context(self, http: httpx.AsyncClient, token: str, slot: datetime) -> RunContext:
        return run_context(http, account(FACEBOOK_USER, token), slot=slot)

    def _report(self, service: Service) -> ScheduledReport:
        return ScheduledReport(
            ExecutorSettings(
                database_url="postgresql://nobody@localhost/none",
                kafka_bootstrap_servers="localhost:1",
                encryption_keys=new_encryption_key("test"),
                facebook_base_url=service.url,
            )
        )

    async def test_a_late_run_tells_the_same_numbers(
        self, anywhere: httpx.AsyncClient, heavy: Service, token: str
    ) -> None:
        slot = datetime.now(UTC) - timedelta(days=2)
        config = ScheduledReportConfig.model_validate({"period": "daily"})
        punctual = await self._report(heavy).run(self._context(anywhere, token, slot), config)
        await _moving_the_clock(anywhere, heavy)(30 * 3600)
        late = await self._report(heavy).run(self._context(anywhere, token, slot), config)
        assert late.result == punctual.result
        assert late.messages == punctual.messages
        assert punctual.summary.startswith("4 ad accounts, 3 pages: spend ")

    async def test_a_dead_connection_names_itself(
        self, outbound: httpx.AsyncClient, sandbox_server: Service
    ) -> None:
        context = self._context(outbound, f"expired-{unique()}", datetime.now(UTC))
        with pytest.raises(PlatformError) as refused:
            await self._report(sandbox_server).run(context, ScheduledReportConfig())
        assert refused.value.consequence is REAUTH
        assert refused.value.connection_id == str(context.accounts[0].connection_id)
