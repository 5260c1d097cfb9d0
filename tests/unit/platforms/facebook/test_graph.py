"""Calls, pages and batches: what goes out, and what becomes of what comes back."""

from __future__ import annotations

import asyncio
import logging
import traceback

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common.errors import BlockedAddress, Consequence, PlatformError
from common.http import ResponseTooLarge
from platforms.calls.usage import Usage, UsageLimiter
from platforms.facebook.graph import MAX_PAGES, Graph, Target
from tests.unit.platforms.facebook.fake_graph import TOKEN, Asked, FakeGraph, failure, page

ACCOUNT = Target("act_1/insights", "{ad_account_id}/insights", "act_1")
ME = Target("me/adaccounts", "me/adaccounts")
OK = httpx.Response(200, json={"data": []})


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("common.telemetry.tracer", lambda: provider.get_tracer("test"))
    return exporter


async def _ids(graph: Graph, limit: int = 100) -> list[object]:
    return [row["id"] async for row in graph.rows(ME, {"fields": "id"}, limit=limit)]


async def _refused(graph: Graph, target: Target = ACCOUNT) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await graph.get(target, {})
    return refused.value


class TestOneCall:
    async def test_the_token_travels_in_a_header(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", OK)
        await graph.get(ACCOUNT, {"level": "account"})
        (request,) = facebook.requests
        assert request.url == "https://graph.example.com/v26.0/act_1/insights?level=account"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"

    async def test_a_form_is_posted_in_the_body(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", httpx.Response(200, json={"report_run_id": "7"}))
        assert await graph.post(ACCOUNT, {"level": "ad"}) == {"report_run_id": "7"}
        (request,) = facebook.requests
        assert (request.method, request.content) == ("POST", b"level=ad")

    async def test_an_answer_too_large_asks_for_less(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", ResponseTooLarge(1000))
        assert (await _refused(graph)).consequence is Consequence.SPLIT

    async def test_a_blocked_address_keeps_its_error(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", BlockedAddress("the host is a private address"))
        with pytest.raises(BlockedAddress):
            await graph.get(ACCOUNT, {})

    async def test_redirects_are_not_followed(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", httpx.Response(302, headers={"location": "https://evil.example/"}))
        assert (await _refused(graph)).consequence is Consequence.INVALID
        assert len(facebook.requests) == 1

    async def test_an_error_carries_facebooks_code_and_status(
        self, facebook: FakeGraph, graph: Graph
    ) -> None:
        facebook.on("act_1/insights", failure(190, "Session has expired", subcode=463, status=401))
        refused = await _refused(graph)
        assert (refused.consequence, refused.code, refused.http_status) == (
            Consequence.REAUTH,
            "190/463",
            401,
        )
        assert refused.platform == "facebook"
        assert refused.retry_after is None


class TestSecrets:
    LEAKS = (
        f"Malformed access token {TOKEN}",
        "x" * 280 + TOKEN,
        f"https://graph.example.com/next?access_token={TOKEN}",
        "Malformed access token EAAsomebodyElsesToken99887766554433221100",
    )

    @pytest.mark.parametrize("message", LEAKS)
    async def test_no_error_tells_a_token(
        self,
        facebook: FakeGraph,
        graph: Graph,
        spans: InMemorySpanExporter,
        caplog: pytest.LogCaptureFixture,
        message: str,
    ) -> None:
        facebook.on("act_1/insights", failure(190, message))
        with caplog.at_level(logging.DEBUG):
            refused = await _refused(graph)
        told = "".join(traceback.format_exception(refused)) + repr(refused) + caplog.text
        told += "".join(span.to_json() for span in spans.get_finished_spans())
        for secret in (TOKEN, TOKEN[:20], "EAAsomebody"):
            assert secret not in told
        assert len(refused.detail) < 350

    async def test_a_pages_token_is_hidden_too(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("1/insights", failure(190, "Malformed access token odd-page-token"))
        with pytest.raises(PlatformError) as refused:
            await graph.get(Target("1/insights", "", "1"), {}, token="odd-page-token")
        assert "odd-page-token" not in refused.value.detail

    async def test_a_batch_of_several_tokens_has_none_in_its_address(
        self, facebook: FakeGraph, graph: Graph, spans: InMemorySpanExporter
    ) -> None:
        facebook.on("1/insights", OK)
        target = Target("1/insights", "{page_id}/insights", "1")
        await asyncio.gather(graph.get(target, {}, token="page-token"), graph.get(target, {}))
        assert [asked.token for asked in facebook.asked] == ["page-token", TOKEN]
        (request,) = facebook.requests
        assert str(request.url) == "https://graph.example.com/v26.0/"
        assert "page-token" not in "".join(span.to_json() for span in spans.get_finished_spans())


class TestSpans:
    async def test_a_call_is_a_client_span(
        self, facebook: FakeGraph, graph: Graph, spans: InMemorySpanExporter
    ) -> None:
        facebook.on("act_1/insights", OK)
        await graph.get(ACCOUNT, {"level": "account"})
        (span,) = spans.get_finished_spans()
        assert span.name == "GET /v26.0/{ad_account_id}/insights"
        assert span.kind is trace.SpanKind.CLIENT
        assert dict(span.attributes or {}) == {
            "http.request.method": "GET",
            "url.template": "/v26.0/{ad_account_id}/insights",
            "http.response.status_code": 200,
            "server.address": "graph.example.com",
            "server.port": 443,
        }

    async def test_a_failed_call_is_a_failed_span_with_facebooks_own_ids(
        self, facebook: FakeGraph, graph: Graph, spans: InMemorySpanExporter
    ) -> None:
        facebook.on("act_1/insights", failure(17, status=400))
        await _refused(graph)
        (span,) = spans.get_finished_spans()
        assert not span.status.is_ok
        assert span.attributes is not None
        assert span.attributes["http.response.status_code"] == 400
        assert span.attributes["facebook.error_code"] == "17"
        assert span.attributes["facebook.trace_id"] == "AbCdEf"

    async def test_a_batch_is_a_span_beside_those_of_its_parts(
        self, facebook: FakeGraph, http: httpx.AsyncClient, spans: InMemorySpanExporter
    ) -> None:
        facebook.on("act_1/insights", OK)
        facebook.on("me/adaccounts", failure(200, status=403))
        with trace.get_tracer("t").start_as_current_span("run"):
            graph = facebook.graph(http)
            await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}), return_exceptions=True)
        by_name: dict[str, ReadableSpan] = {span.name: span for span in spans.get_finished_spans()}
        statuses = {
            name: (span.attributes or {})["http.response.status_code"] for name, span in by_name.items()
        }
        assert statuses == {
            "POST /v26.0/": 200,
            "GET /v26.0/{ad_account_id}/insights": 200,
            "GET /v26.0/me/adaccounts": 403,
        }
        assert (by_name["POST /v26.0/"].attributes or {})["facebook.batch_size"] == 2


class TestPages:
    async def test_the_after_cursor_is_followed_until_there_is_no_next(
        self, facebook: FakeGraph, graph: Graph
    ) -> None:
        facebook.on(
            "me/adaccounts",
            page({"id": "1"}, after="c1", more=True),
            page(after="c2", more=True),
            page({"id": "2"}, after="c3"),
        )
        assert await _ids(graph) == ["1", "2"]
        assert [asked.params.get("after") for asked in facebook.asked] == [None, "c1", "c2"]
        assert all(asked.params["fields"] == "id" for asked in facebook.asked)
        assert all("access_token" not in str(request.url) for request in facebook.requests)

    async def test_an_empty_list_has_no_pages(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("me/adaccounts", page())
        assert await _ids(graph) == []

    async def test_a_page_too_big_is_asked_for_at_half_the_size_from_the_same_place(
        self, facebook: FakeGraph, graph: Graph
    ) -> None:
        too_big = failure(1, "Please reduce the amount of data you're asking for, then retry", status=500)
        facebook.on(
            "me/adaccounts",
            page({"id": "1"}, after="c1", more=True),
            too_big,
            too_big,
            page({"id": "2"}, after="c2"),
        )
        assert await _ids(graph, limit=40) == ["1", "2"]
        assert [(a.params.get("after"), a.params["limit"]) for a in facebook.asked] == [
            (None, "40"),
            ("c1", "40"),
            ("c1", "20"),
            ("c1", "10"),
        ]

    async def test_a_page_that_cannot_be_smaller_fails(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("me/adaccounts", failure(1, subcode=99, status=500))
        with pytest.raises(PlatformError) as refused:
            await _ids(graph, limit=12)
        assert refused.value.consequence is Consequence.SPLIT
        assert [asked.params["limit"] for asked in facebook.asked] == ["12", "6", "5"]

    async def test_a_list_that_goes_in_circles_ends(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("me/adaccounts", page({"id": "1"}, after="same", more=True))
        with pytest.raises(PlatformError, match="same page"):
            await _ids(graph)
        assert len(facebook.asked) == 2

    async def test_a_list_without_end_ends(self, facebook: FakeGraph, graph: Graph) -> None:
        def endless(asked: Asked) -> httpx.Response:
            return page({"id": "1"}, after=str(len(facebook.asked)), more=True)

        facebook.on("me/adaccounts", endless)
        with pytest.raises(PlatformError, match="pages"):
            await _ids(graph)
        assert len(facebook.asked) == MAX_PAGES

    @pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {"id": "1"}}, {"data": ["1"]}])
    async def test_a_malformed_list_is_not_an_empty_list(
        self, facebook: FakeGraph, graph: Graph, body: dict[str, object]
    ) -> None:
        facebook.on("me/adaccounts", httpx.Response(200, json=body))
        with pytest.raises(PlatformError, match="list without data"):
            await _ids(graph)


class TestLimits:
    async def test_a_full_account_is_not_called(self, facebook: FakeGraph, http: httpx.AsyncClient) -> None:
        limiter = UsageLimiter()
        facebook.on("act_1/insights", failure(80000))
        facebook.on("act_2/insights", OK)
        await _refused(facebook.graph(http, limiter))
        refused = await _refused(facebook.graph(http, limiter))
        assert refused.consequence is Consequence.RATE
        assert refused.retry_after == pytest.approx(60, abs=1)
        assert facebook.paths() == ["act_1/insights"]
        await facebook.graph(http, limiter).get(Target("act_2/insights", "", "act_2"), {})

    async def test_a_full_app_is_not_called_at_all(
        self, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        limiter = UsageLimiter()
        facebook.on("act_1/insights", failure(4, status=403, is_transient=True))
        await _refused(facebook.graph(http, limiter))
        assert (await _refused(facebook.graph(http, limiter), ME)).consequence is Consequence.RATE
        assert facebook.paths() == ["act_1/insights"]

    async def test_one_tenants_limits_are_not_anothers(
        self, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        limiter = UsageLimiter()
        facebook.on("act_1/insights", failure(4, status=403), OK)
        await _refused(facebook.graph(http, limiter))
        other = facebook.graph(http, limiter)
        other._bucket = "facebook/another-tenant"
        assert await other.get(ACCOUNT, {}) == {"data": []}

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-ad-account-usage": '{"acc_id_util_pct":96}'},
            {"x-app-usage": '{"call_count":95}'},
            {"x-business-use-case-usage": '{"1":[{"total_time":99}]}'},
        ],
    )
    async def test_success_with_a_nearly_full_bucket_stops_the_next_call(
        self, facebook: FakeGraph, graph: Graph, headers: dict[str, str]
    ) -> None:
        facebook.on("act_1/insights", httpx.Response(200, json={"data": []}, headers=headers))
        await graph.get(ACCOUNT, {})
        assert (await _refused(graph)).consequence is Consequence.RATE
        assert len(facebook.requests) == 1

    async def test_a_filling_bucket_slows_the_next_call(
        self, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        graph = facebook.graph(http, UsageLimiter(sleep=sleep))
        full = httpx.Response(
            200, json={"data": []}, headers={"x-ad-account-usage": '{"acc_id_util_pct":85}'}
        )
        facebook.on("act_1/insights", full)
        await graph.get(ACCOUNT, {})
        await graph.get(ACCOUNT, {})
        assert slept == [pytest.approx(2.1)]


class TestBatches:
    async def test_calls_made_together_travel_together(self, facebook: FakeGraph, graph: Graph) -> None:
        for number in range(3):
            facebook.on(f"act_{number}/insights", page({"id": str(number)}))
        answers = await asyncio.gather(
            *(
                graph.get(Target(f"act_{number}/insights", "", f"act_{number}"), {"a": "ä&=?"})
                for number in range(3)
            )
        )
        assert [answer["data"][0]["id"] for answer in answers] == ["0", "1", "2"]
        assert len(facebook.requests) == 1
        assert all(asked.batched and asked.params == {"a": "ä&=?"} for asked in facebook.asked)

    async def test_a_call_made_alone_travels_alone(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", OK)
        await graph.get(ACCOUNT, {})
        await graph.get(ACCOUNT, {})
        assert [asked.batched for asked in facebook.asked] == [False, False]

    async def test_a_large_wave_becomes_several_batches(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.on("act_1/insights", OK)
        await asyncio.gather(*(graph.get(ACCOUNT, {}) for _ in range(60)))
        assert len(facebook.asked) == 60
        assert len(facebook.requests) == 3

    async def test_each_part_has_its_own_outcome_and_usage(
        self, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        limiter = UsageLimiter()
        graph = facebook.graph(http, limiter)
        usage = {
            "x-business-use-case-usage": '{"1":[{"call_count":100,"estimated_time_to_regain_access":5}]}'
        }
        facebook.on("act_1/insights", failure(80000, headers=usage))
        facebook.on("me/adaccounts", OK)
        first, second = await asyncio.gather(
            graph.get(ACCOUNT, {}), graph.get(ME, {}), return_exceptions=True
        )
        assert isinstance(first, PlatformError)
        assert (first.consequence, first.retry_after) == (Consequence.RATE, 300)
        assert second == {"data": []}
        assert await limiter.admit("facebook/tenant/act_1") == pytest.approx(300, abs=1)
        assert await limiter.admit("facebook/tenant/app") == 0

    @pytest.mark.parametrize("unfinished", [None, failure(960, "Request aborted. Batch timed out")])
    async def test_a_part_not_finished_in_time_is_asked_for_alone(
        self, facebook: FakeGraph, graph: Graph, unfinished: httpx.Response | None
    ) -> None:
        facebook.on("act_1/insights", unfinished, page({"id": "late"}))
        facebook.on("me/adaccounts", OK)
        late, _ = await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}))
        assert late["data"] == [{"id": "late"}]
        assert [(asked.path, asked.batched) for asked in facebook.asked] == [
            ("act_1/insights", True),
            ("me/adaccounts", True),
            ("act_1/insights", False),
        ]

    async def test_a_batch_refused_as_a_whole_fails_each_of_its_calls(
        self, facebook: FakeGraph, graph: Graph
    ) -> None:
        facebook.batch_answer = failure(190, subcode=467, status=401)
        answers = await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}), return_exceptions=True)
        assert [answer.code for answer in answers if isinstance(answer, PlatformError)] == ["190/467"] * 2

    @pytest.mark.parametrize(
        "answer",
        [
            failure(1, subcode=99, status=500),
            httpx.Response(200, json=[]),
            httpx.Response(200, json={"unexpected": "object"}),
            httpx.Response(200, json=[{"code": "200", "body": "{}"}, None]),
            httpx.Response(200, json=[{"code": 200}, None]),
            httpx.Response(200, json=[{"code": 200, "body": "{}", "headers": [{"name": 1}]}, None]),
            ResponseTooLarge(1000),
        ],
    )
    async def test_a_batch_that_does_not_work_is_taken_apart(
        self, facebook: FakeGraph, graph: Graph, answer: httpx.Response | Exception
    ) -> None:
        facebook.batch_answer = answer
        facebook.on("act_1/insights", OK)
        facebook.on("me/adaccounts", OK)
        await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}))
        assert {(asked.path, asked.batched) for asked in facebook.asked} == {
            ("act_1/insights", False),
            ("me/adaccounts", False),
        }

    @pytest.mark.parametrize("error", [httpx.ReadTimeout(""), httpx.ConnectError("")])
    async def test_a_lost_batch_fails_each_of_its_calls(
        self, facebook: FakeGraph, graph: Graph, error: Exception
    ) -> None:
        facebook.batch_answer = error
        answers = await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}), return_exceptions=True)
        assert [a.consequence for a in answers if isinstance(a, PlatformError)] == [Consequence.TRANSIENT] * 2

    async def test_a_truncated_batch_is_transient(self, facebook: FakeGraph, graph: Graph) -> None:
        facebook.batch_answer = httpx.Response(200, content=b'[{"code":200,"bo')
        answers = await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}), return_exceptions=True)
        assert [a.consequence for a in answers if isinstance(a, PlatformError)] == [Consequence.TRANSIENT] * 2

    async def test_cancelling_the_run_ends_all_of_its_calls(self, facebook: FakeGraph) -> None:
        reached = asyncio.Event()

        async def hang(request: httpx.Request) -> httpx.Response:
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        async with httpx.AsyncClient(transport=httpx.MockTransport(hang), trust_env=False) as http:
            graph = facebook.graph(http)

            async def run() -> None:
                async with asyncio.TaskGroup() as group:
                    for _ in range(3):
                        group.create_task(graph.get(ACCOUNT, {}))

            task = asyncio.create_task(run())
            await asyncio.wait_for(reached.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    async def test_cancelling_the_call_that_carries_a_batch_cancels_that_batch_only(
        self, facebook: FakeGraph, graph: Graph
    ) -> None:
        facebook.on("act_1/insights", OK)
        carrier, companion = (asyncio.create_task(graph.get(ACCOUNT, {})) for _ in range(2))
        await asyncio.sleep(0)
        carrier.cancel()
        ended = await asyncio.wait_for(asyncio.gather(carrier, companion, return_exceptions=True), 5)
        assert [type(each) for each in ended] == [asyncio.CancelledError] * 2
        assert await graph.get(ACCOUNT, {}) == {"data": []}
        assert len(facebook.requests) == 1

    async def test_usage_of_a_part_is_noted_for_its_own_object(
        self, facebook: FakeGraph, http: httpx.AsyncClient
    ) -> None:
        limiter = UsageLimiter()
        graph = facebook.graph(http, limiter)
        facebook.on(
            "act_1/insights",
            httpx.Response(200, json={"data": []}, headers={"x-ad-account-usage": '{"acc_id_util_pct":99}'}),
        )
        facebook.on("me/adaccounts", OK)
        await asyncio.gather(graph.get(ACCOUNT, {}), graph.get(ME, {}))
        assert await limiter.admit("facebook/tenant/act_1") > 0
        await limiter.note("facebook/tenant/act_1", Usage(0))
