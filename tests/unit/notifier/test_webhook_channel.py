"""Requests to webhooks, and the consequence of their responses."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from common import telemetry
from common.errors import BlockedAddress, ChannelError, Consequence
from common.http.standard_webhooks import signed_headers, signing_keys
from common.retry import WEBHOOK_SCHEDULE
from notifier.channels.base import OutcomeUnknown, Parcel
from notifier.channels.exchange import KEPT_BODY, TOTAL_TIMEOUT
from notifier.channels.webhook import WebhookChannel, message_id, payload
from tests.support.fake_receiver import Handler, client_of
from tests.support.planted_secrets import PlantedSecrets
from tests.support.sample_deliveries import SECRET, TRACEPARENT, chart, message, parcel, table
from tests.support.secret_echoes import echo
from tests.support.spans import recorded_spans

NOW = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)
URL = "https://hooks.example.com/services/capability-in-the-path?key=capability-in-the-query"
OTHER_SECRET = "whsec_" + base64.b64encode(b"another key of thirty-two bytes!").decode()
MOMENTS = st.integers(978_307_200, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def channel(handler: Handler) -> WebhookChannel:
    return WebhookChannel(client_of(handler))


def delivery(**given: Any) -> Parcel:
    return parcel({"url": URL}, **{"secret": SECRET, **given})


async def refused(handler: Handler, sent: Parcel | None = None) -> ChannelError:
    with pytest.raises(ChannelError) as error:
        await channel(handler).send(sent or delivery(), now=NOW)
    return error.value


def test_the_signature_matches_the_published_vector() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        signing_keys(SECRET),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=24, max_size=64), st.text(st.characters(exclude_categories=["Cs"])), MOMENTS)
def test_signatures_are_those_of_the_reference_library(key: bytes, body: str, moment: datetime) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    expected = Webhook(secret).sign("msg_1", moment, body)
    assert (
        signed_headers("msg_1", moment, body.encode(), signing_keys(secret))["webhook-signature"] == expected
    )


async def test_a_delivery_is_signed_and_describes_the_event() -> None:
    seen: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    run_id = uuid4()
    sent = delivery(run_id=run_id)
    now = datetime.now(UTC)
    receipt = await channel(receive).send(sent, now=now)
    assert receipt.status_code == 204
    [request] = seen
    assert str(request.url) == URL
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]
    assert request.headers["webhook-id"] == f"msg_{sent.id.hex}"
    assert "." not in request.headers["webhook-id"]
    assert Webhook(SECRET).verify(request.content, dict(request.headers)) == {
        "type": "report.completed",
        "timestamp": "2026-11-05T10:00:00.123Z",
        "data": {
            "title": "Daily report",
            "text": "Spend & reach",
            "spend": 12.5,
            "rows": [1, 2],
            "delivery_id": str(sent.id),
            "run_id": str(run_id),
        },
    }


async def test_attempts_differ_in_their_timestamp_and_signature_only() -> None:
    seen: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500 if len(seen) == 1 else 200)

    sent = delivery()
    webhooks = channel(receive)
    with pytest.raises(ChannelError):
        await webhooks.send(sent, now=NOW)
    await webhooks.send(sent, now=NOW + timedelta(minutes=5))
    first, second = seen
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 300
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_the_body_does_not_depend_on_the_order_of_keys() -> None:
    one = message().model_copy(update={"data": {"a": 1, "b": {"c": 2, "d": 3}}})
    two = message().model_copy(update={"data": {"b": {"d": 3, "c": 2}, "a": 1}})
    sent = delivery(content=one)
    again = parcel({"url": URL}, secret=SECRET, content=two, identifier=sent.id)
    assert payload(sent) == payload(again)


def test_message_data_cannot_override_our_fields() -> None:
    forged = message().model_copy(update={"data": {"delivery_id": "forged", "title": "forged"}})
    data = json.loads(payload(delivery(content=forged)))["data"]
    assert "forged" not in (data["delivery_id"], data["title"])


async def test_during_secret_rotation_either_secret_verifies() -> None:
    seen: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await channel(receive).send(delivery(secret=f"{SECRET} {OTHER_SECRET}"), now=datetime.now(UTC))
    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(seen[0].content, dict(seen[0].headers))
    assert len(seen[0].headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize(
    "secret", [None, "", "  ", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", f"{SECRET} whsec_x"]
)
async def test_nothing_is_sent_without_a_usable_secret(secret: str | None) -> None:
    error = await refused(lambda request: httpx.Response(200), delivery(secret=secret))
    assert error.consequence is Consequence.INVALID
    assert "!!!!" not in str(error)
    assert SECRET not in str(error)


@pytest.mark.parametrize("config", [{}, {"url": None}, {"url": 7}, {"url": "https://[::1"}])
async def test_nothing_is_sent_without_a_url(config: dict[str, Any]) -> None:
    error = await refused(lambda request: httpx.Response(200), parcel(config, secret=SECRET))
    assert error.consequence is Consequence.INVALID


@pytest.mark.parametrize(
    ("status", "headers", "consequence", "retry_after"),
    [
        (301, {"location": "https://elsewhere.example.com"}, Consequence.TRANSIENT, None),
        (304, {}, Consequence.TRANSIENT, None),
        (308, {"location": "http://169.254.169.254/"}, Consequence.TRANSIENT, None),
        (400, {}, Consequence.TRANSIENT, None),
        (401, {}, Consequence.TRANSIENT, None),
        (404, {"retry-after": "9"}, Consequence.TRANSIENT, None),
        (408, {}, Consequence.TRANSIENT, None),
        (410, {}, Consequence.GONE, None),
        (425, {}, Consequence.TRANSIENT, None),
        (429, {}, Consequence.RATE, None),
        (429, {"retry-after": "120"}, Consequence.RATE, 120.0),
        (429, {"retry-after": "Thu, 05 Nov 2026 12:01:00 GMT"}, Consequence.RATE, 60.0),
        (429, {"retry-after": "whenever"}, Consequence.RATE, None),
        (500, {}, Consequence.TRANSIENT, None),
        (502, {}, Consequence.TRANSIENT, None),
        (503, {"retry-after": "30"}, Consequence.RATE, 30.0),
        (503, {}, Consequence.RATE, None),
        (504, {}, Consequence.TRANSIENT, None),
        (599, {}, Consequence.TRANSIENT, None),
    ],
)
async def test_the_consequence_of_each_response(
    status: int, headers: dict[str, str], consequence: Consequence, retry_after: float | None
) -> None:
    calls = 0

    def receive(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return httpx.Response(status, headers=headers, text="no <b>thanks</b>\r\n\x1b[31m")

    error = await refused(receive)
    assert calls == 1
    assert (error.consequence, error.retry_after) == (consequence, retry_after)
    assert error.http_status == status
    assert error.permanent is (status == 410)
    assert not isinstance(error, OutcomeUnknown)
    assert str(error).startswith(f"the receiver answered {status}")
    assert str(error).isprintable()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_acceptance(status: int) -> None:
    receipt = await channel(lambda request: httpx.Response(status)).send(delivery(), now=NOW)
    assert receipt.status_code == status


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.PoolTimeout("busy"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.ReadError("reset"), True),
        (httpx.WriteError("reset"), True),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), True),
    ],
)
async def test_a_lost_connection_says_whether_it_may_have_been_delivered(
    fault: httpx.TransportError, unknown: bool
) -> None:
    def receive(request: httpx.Request) -> httpx.Response:
        raise fault

    error = await refused(receive)
    assert error.consequence is Consequence.TRANSIENT
    assert isinstance(error, OutcomeUnknown) is unknown
    assert ("may have been delivered" in str(error)) is unknown


async def test_a_blocked_address_is_final() -> None:
    def receive(request: httpx.Request) -> httpx.Response:
        raise BlockedAddress("the host is a private address")

    error = await refused(receive)
    assert error.consequence is Consequence.INVALID
    assert error.permanent


class Once(httpx.AsyncByteStream):
    """A body in one piece."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class Endless(httpx.AsyncByteStream):
    """A body that goes on for ever, or stalls after its first chunk."""

    def __init__(self, *, stalls: bool) -> None:
        self._stalls = stalls
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 16_384
            yield b"x" * 16_384
            if self._stalls:
                raise httpx.ReadTimeout("stalled")


@pytest.mark.parametrize("stalls", [True, False])
async def test_the_status_counts_whatever_the_body_does(stalls: bool) -> None:
    body = Endless(stalls=stalls)
    receipt = await channel(lambda request: httpx.Response(200, stream=body)).send(delivery(), now=NOW)
    assert receipt.status_code == 200
    assert body.sent <= KEPT_BODY + 16_384


async def test_a_long_refusal_is_quoted_briefly() -> None:
    error = await refused(lambda request: httpx.Response(500, text="é" * 100_000))
    assert len(str(error)) < 300


async def test_a_secret_url_is_shown_in_neither_error_nor_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with recorded_spans(monkeypatch) as spans:
        error = await refused(lambda request: httpx.Response(500))
        await channel(lambda request: httpx.Response(200)).send(delivery(), now=NOW)
    failed, succeeded = spans.ended()
    assert failed.name == succeeded.name == "POST"
    assert dict(succeeded.attributes or {}) == {
        "http.request.method": "POST",
        "server.address": "hooks.example.com",
        "server.port": 443,
        "http.response.status_code": 200,
    }
    for text in (str(error), spans.text()):
        assert "capability" not in text
        assert SECRET.removeprefix("whsec_") not in text
    assert failed.parent is not None
    assert f"{failed.parent.span_id:016x}" == TRACEPARENT.split("-")[2]


def _saying(status: int, body: str) -> Handler:
    return lambda _request: httpx.Response(status, text=body)


@pytest.mark.parametrize("status", [302, 401, 410, 500])
async def test_an_echoed_secret_is_shown_in_neither_error_nor_span(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    key = base64.b64encode(b"\xfb\xef\xbe\xff" * 8).decode()
    planted = PlantedSecrets()
    secret = planted.plant("the secret", f"whsec_{key}", public="whsec_")
    texts = []
    with recorded_spans(monkeypatch) as spans:
        # Whatever is shown of it ends within one of these.
        for before in range(0, 220, 7):
            body = "x" * before + " " + json.dumps({"header": echo(secret)}).replace("/", "\\/")
            texts.append(str(await refused(_saying(status, body), delivery(secret=secret))))
    assert not planted.look([("an error", text) for text in texts])
    assert not planted.look([("a span", spans.text())])
    assert any("[hidden]" in text for text in texts)


async def test_the_request_carries_the_span_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def receive(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["traceparent"])
        return httpx.Response(200)

    with recorded_spans(monkeypatch) as spans:
        await channel(receive).send(delivery(), now=NOW)
    [span] = spans.ended()
    assert span.context is not None
    assert seen == [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"]


async def test_the_call_is_part_of_the_current_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded_spans(monkeypatch) as spans, telemetry.span("delivery") as delivering:
        await channel(lambda request: httpx.Response(200)).send(delivery(), now=NOW)
    call, _ = spans.ended()
    assert call.parent is not None
    assert call.parent.span_id == delivering.get_span_context().span_id


async def test_compressed_responses_are_neither_requested_nor_decoded() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    encodings: list[str] = []

    def receive(request: httpx.Request) -> httpx.Response:
        encodings.append(request.headers["accept-encoding"])
        return httpx.Response(500, headers={"content-encoding": "gzip"}, stream=Once(bomb))

    tracemalloc.start()
    try:
        error = await refused(receive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert encodings == ["identity"]
    assert error.http_status == 500
    assert peak < 10_000_000


async def test_cancellation_passes() -> None:
    arrived = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    sending = asyncio.create_task(channel(never).send(delivery(), now=NOW))
    await asyncio.wait_for(arrived.wait(), 5)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


def test_endpoints_on_one_host_are_paced_separately() -> None:
    webhooks = channel(lambda request: httpx.Response(200))
    one, two = delivery().target, delivery().target
    assert webhooks.pace_key(one) != webhooks.pace_key(two)
    assert webhooks.limits(one) == ()
    assert webhooks.messages(message()) == 1
    assert webhooks.schedule is WEBHOOK_SCHEDULE
    assert TOTAL_TIMEOUT == 15.0
    assert message_id(delivery()).startswith("msg_")


def test_requested_files_are_attached_and_the_chart_is_not() -> None:
    sent = delivery(content=message(chart=chart(), files=(table(),)))
    data = json.loads(payload(sent))["data"]
    assert data["attachments"] == [
        {
            "filename": "report-2026-11-05.csv",
            "media_type": "text/csv",
            "size": len(table().data),
            "content": base64.b64encode(table().data).decode(),
        }
    ]
    assert b"chart" not in payload(sent)
    assert "attachments" not in json.loads(payload(delivery()))["data"]
