"""The Business API as a transport: what is sent, how refusals and limits are met, what nobody may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.tiktok_business.client import MAX_PAGES, Business
from tests.support.fake_clock import Timeline
from tests.support.platforms.fake_tiktok import (
    APP_SECRET,
    RENEWED,
    TOKEN,
    FakeTikTok,
    Tokens,
    business,
    failure,
    page,
    success,
)
from tests.support.spans import recorded_spans

PATH = "campaign/get/"
TOO_FAST = failure(40100, "App reaches the QPS limit.")


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


async def _refused(api: Business, advertiser: str = "") -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await api.get(PATH, {}, advertiser=advertiser)
    return refused.value


class TestSending:
    async def test_lists_and_objects_travel_as_json_and_the_token_in_its_header(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(PATH, success({"x": 1}))
        params = {"advertiser_id": "7001", "fields": ["a", "b"], "filtering": {"ids": ["1"]}, "page": 2}
        assert await business(http).get(PATH, params) == {"x": 1}
        (asked,) = tiktok.asked
        assert asked.params == {**params, "advertiser_id": 7001}
        assert asked.headers["access-token"] == TOKEN
        assert "authorization" not in asked.headers

    async def test_a_body_is_json(self, http: httpx.AsyncClient, tiktok: FakeTikTok) -> None:
        tiktok.on("report/task/create/", success({"task_id": "1"}))
        await business(http).post("report/task/create/", {"dimensions": ["campaign_id"]})
        (asked,) = tiktok.asked
        assert (asked.method, asked.body) == ("POST", {"dimensions": ["campaign_id"]})
        assert asked.headers["content-type"] == "application/json"

    async def test_a_partial_answer_is_retried(self, http: httpx.AsyncClient, tiktok: FakeTikTok) -> None:
        tiktok.on(PATH, success({"list": []}, code=20001))
        refused = await _refused(business(http))
        assert (refused.consequence, refused.code) == (Consequence.TRANSIENT, "20001")

    async def test_cancellation_passes(self, http: httpx.AsyncClient, tiktok: FakeTikTok) -> None:
        tiktok.on(PATH, asyncio.CancelledError())
        with pytest.raises(asyncio.CancelledError):
            await business(http).get(PATH, {})


class TestPaging:
    async def test_every_page_is_asked_for_once_at_full_size(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(PATH, lambda asked: page({"n": asked.params["page"]}, number=asked.params["page"], of=3))
        rows = [row async for row in business(http).rows(PATH, {"x": "y"}, advertiser="7")]
        assert rows == [{"n": 1}, {"n": 2}, {"n": 3}]
        assert [asked.params for asked in tiktok.asked] == [
            {"x": "y", "page": number, "page_size": 1000} for number in (1, 2, 3)
        ]

    async def test_an_empty_list_has_no_pages(self, http: httpx.AsyncClient, tiktok: FakeTikTok) -> None:
        tiktok.on(PATH, page(of=0))
        assert [row async for row in business(http).rows(PATH, {}, advertiser="7")] == []

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"list": "x", "page_info": {"total_page": 1}},
            {"list": ["x"], "page_info": {"total_page": 1}},
            {"list": []},
            {"list": [], "page_info": {}},
            {"list": [], "page_info": {"total_page": True}},
        ],
    )
    async def test_a_malformed_list_is_an_error(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, data: object
    ) -> None:
        tiktok.on(PATH, success(data))
        with pytest.raises(PlatformError) as refused:
            _ = [row async for row in business(http).rows(PATH, {}, advertiser="7")]
        assert refused.value.consequence is Consequence.INVALID

    async def test_a_list_without_end_ends(self, http: httpx.AsyncClient, tiktok: FakeTikTok) -> None:
        tiktok.on(PATH, page({"n": 1}, of=10**6))
        with pytest.raises(PlatformError) as refused:
            _ = [row async for row in business(http).rows(PATH, {}, advertiser="7")]
        assert refused.value.consequence is Consequence.SPLIT
        assert len(tiktok.asked) == MAX_PAGES


class TestTokens:
    @pytest.mark.parametrize("code", [40102, 40105])
    async def test_a_creators_is_renewed_once(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, code: int
    ) -> None:
        tiktok.on(PATH, failure(code), success({"x": 1}))
        tokens = Tokens(TOKEN, RENEWED)
        assert await business(http, tokens, of_creator=True).get(PATH, {}) == {"x": 1}
        assert tokens.rejected == [TOKEN]
        assert [asked.headers["access-token"] for asked in tiktok.asked] == [TOKEN, RENEWED]

    @pytest.mark.parametrize("code", [40102, 40105])
    async def test_an_advertisers_is_not(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, code: int
    ) -> None:
        tiktok.on(PATH, failure(code))
        tokens, connection_id = Tokens(TOKEN, RENEWED), uuid4()
        refused = await _refused(business(http, tokens, connection_id=connection_id))
        assert (refused.consequence, refused.code) == (Consequence.REAUTH, str(code))
        assert refused.connection_id == str(connection_id)
        assert tokens.rejected == []


class TestLimits:
    async def test_calls_that_came_too_fast_are_made_again(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, time: Timeline
    ) -> None:
        tiktok.on(PATH, TOO_FAST, TOO_FAST, success({"x": 1}))
        assert await business(http, limiter=time.limiter()).get(PATH, {}) == {"x": 1}
        assert len(time.naps) == 2
        assert all(1 <= nap <= 2 for nap in time.naps)

    async def test_but_not_for_ever(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, time: Timeline
    ) -> None:
        tiktok.on(PATH, TOO_FAST)
        refused = await _refused(business(http, limiter=time.limiter()))
        assert (refused.consequence, refused.code) == (Consequence.RATE, "40100")
        assert len(tiktok.asked) == 4

    @pytest.mark.parametrize(
        ("code", "message", "wait"),
        [
            (40100, "App reaches the QPM limit.", 300.0),
            (40016, "Too many requests. Please retry later.", 60.0),
        ],
    )
    async def test_an_app_limit_holds_back_all_calls(
        self,
        http: httpx.AsyncClient,
        tiktok: FakeTikTok,
        time: Timeline,
        code: int,
        message: str,
        wait: float,
    ) -> None:
        tiktok.on(PATH, failure(code, message))
        limiter = time.limiter()
        refused = await _refused(business(http, limiter=limiter), "7001")
        assert (refused.consequence, refused.retry_after) == (Consequence.RATE, wait)
        again = await _refused(business(http, limiter=limiter), "7002")
        assert (again.code, again.retry_after) == (None, wait)
        assert len(tiktok.asked) == 1, "refused by ourselves, without a call"
        elsewhere = await _refused(business(http, limiter=limiter, scope="another tenant"), "7001")
        assert elsewhere.code == str(code)

    async def test_an_advertisers_limit_holds_back_no_other(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, time: Timeline
    ) -> None:
        tiktok.on(PATH, failure(40132, "This value is limited."), success({}))
        limiter = time.limiter()
        assert (await _refused(business(http, limiter=limiter), "7001")).retry_after == 60
        assert await business(http, limiter=limiter).get(PATH, {}, advertiser="7002") == {}
        assert (await _refused(business(http, limiter=limiter), "7001")).code is None
        time.now += 60
        assert await business(http, limiter=limiter).get(PATH, {}, advertiser="7001") == {}

    async def test_an_advertiser_that_is_asked_too_fast_lets_only_its_own_calls_wait(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, time: Timeline
    ) -> None:
        too_fast = failure(40133, "Advertiser (7001)'s QPS (11) reaches QPS limit 10 for current path")
        limiter = time.limiter()
        tiktok.on(PATH, too_fast)
        await _refused(business(http, limiter=limiter), "7001")
        time.naps.clear()
        tiktok.on(PATH, success({}))
        await business(http, limiter=limiter).get(PATH, {}, advertiser="7002")
        assert time.naps == []

    async def test_a_day_is_over_at_midnight_utc(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, time: Timeline
    ) -> None:
        tiktok.on(PATH, failure(40100, "App reaches the QPD limit."))
        evening = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
        refused = await _refused(business(http, limiter=time.limiter(), now=lambda: evening))
        assert refused.retry_after == 90 * 60


class TestTelling:
    async def test_spans_name_the_call_and_the_refusal(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiktok.on(PATH, success({}), failure(40001, f"{TOKEN} may not do this"))
        api = business(http)
        with recorded_spans(monkeypatch) as spans:
            await api.get("campaign/get/", {"advertiser_id": "7001"}, advertiser="7001")
            await _refused(api, "7001")
        good, bad = (dict(span.attributes or {}) for span in spans.ended())
        assert {span.name for span in spans.ended()} == {"GET /open_api/v1.3/campaign/get/"}
        assert good == {
            "http.request.method": "GET",
            "url.template": "/open_api/v1.3/campaign/get/",
            "server.address": "business.example.com",
            "server.port": 443,
            "http.response.status_code": 200,
            "tiktok.request_id": "20261121AB",
        }
        assert (bad["tiktok.error_code"], bad["tiktok.request_id"]) == ("40001", "20261121CD")
        assert TOKEN not in spans.text()

    @pytest.mark.parametrize("secret", [TOKEN, APP_SECRET])
    async def test_an_error_hides_what_tiktok_repeats(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, secret: str
    ) -> None:
        tiktok.on(PATH, failure(40105, f"Access token {secret} is incorrect. " + "x" * 500))
        refused = await _refused(business(http))
        assert secret not in refused.detail
        assert "[hidden]" in refused.detail
        assert len(refused.detail) < 400
