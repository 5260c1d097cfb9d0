"""Logs are events with fields and no secrets; a trace crosses tables and topics as a traceparent."""

from __future__ import annotations

import html
import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from opentelemetry.trace import StatusCode
from opentelemetry.util.re import parse_env_headers

from common import telemetry
from common.settings import LogFormat, TelemetrySettings
from tests.support.spans import recorded_spans

SPECIAL = 'hunter/2+é="3 <2nd>&\n'
BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide", "nothing to hide"),
        (f"POST https://api.telegram.org/bot{BOT}/sendMessage", "POST https://api.telegram.org/bot[hidden]/sendMessage"),
        ("?access_token=EAAGm0PX4ZCps&fields=id", "?access_token=[hidden]&fields=id"),
        ('"access_token=EAAGm0PX4ZCps"', '"access_token=[hidden]"'),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "whsec_[hidden]"),
        ("key car_" + "a" * 43, "key car_[hidden]"),
        ("POST /bot110201543%3AAAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe", "POST /bot[hidden]/getMe"),
        (r'{"secret": "whsec_ab+\/cd="}', '{"secret": "whsec_[hidden]"}'),
        ("?secret=whsec_ab%2B%2fcd%3D&x=1", "?secret=whsec_[hidden]&x=1"),
        ("Authorization: Basic YWRhOmh1bnRlcjI=", "Authorization: Basic [hidden]"),
        ("a Basic plan stays", "a Basic plan stays"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [hidden]"),
        ("postgresql://carillon:hunter2@db/carillon", "postgresql://carillon:[hidden]@db/carillon"),
        ("a car_park and a bot1 stay", "a car_park and a bot1 stay"),
    ],
)  # fmt: skip
def test_secrets_in_a_text_are_hidden(text: str, shown: str) -> None:
    assert telemetry.hide_secrets(text) == shown


def test_known_secrets_are_hidden_whatever_they_look_like() -> None:
    known = ["correct horse battery", "the"]
    assert telemetry.hide_secrets("the correct horse battery", known) == "the [hidden]"


@pytest.mark.parametrize(
    "spelt",
    [
        SPECIAL,
        quote(SPECIAL, safe=""),
        quote(SPECIAL, safe="").lower(),
        quote(quote(SPECIAL)),
        quote_plus(SPECIAL),
        json.dumps(SPECIAL)[1:-1],
        json.dumps(json.dumps(SPECIAL)),
        SPECIAL.replace("/", "\\/").replace('"', '\\"').replace("é", "\\u00E9"),
        html.escape(SPECIAL),
    ],
)
def test_known_secrets_are_hidden_however_they_are_spelt(spelt: str) -> None:
    shown = telemetry.hide_secrets(f"cannot use {spelt} here", [SPECIAL])
    assert "[hidden]" in shown
    assert "hunter" not in shown
    assert "2nd" not in shown


def test_of_secrets_that_hold_one_another_none_is_left() -> None:
    inner = "hunter2hunter2"
    assert telemetry.hide_secrets(f"no {inner}|app", [inner, f"{inner}|app"]) == "no [hidden]"


def test_hiding_takes_no_longer_than_reading() -> None:
    hostile = "\\\\" * 50_000 + "%25" * 50_000 + "&#0" * 50_000
    begun = time.process_time()
    assert telemetry.hide_secrets(hostile, ["///////////", "+/+/+/+/+/+/"]) == hostile
    assert time.process_time() - begun < 2


Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Logged]:
    """Logs as a service writes them; what was configured before comes back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "faststream", "uvicorn.error")}
    configured = structlog.get_config()
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    telemetry.configure("scheduler", TelemetrySettings(log_format=LogFormat.JSON), instance="scheduler-1")
    # Whether this is the process's first tracer provider depends on the tests before.
    output.truncate(0)
    output.seek(0)
    try:
        yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    finally:
        root.handlers, root.level = handlers, level
        for name, before in quiet.items():
            logging.getLogger(name).setLevel(before)
        structlog.contextvars.clear_contextvars()
        structlog.configure(**configured)


def test_a_log_line_is_one_json_object_with_its_service_and_fields(logged: Logged) -> None:
    structlog.get_logger().info("run claimed", run_id="r1", attempt=2)
    [entry] = logged()
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "run claimed",
        "run_id": "r1",
        "attempt": 2,
        "level": "info",
        "service": "scheduler",
    }


def test_credentials_for_the_collector_that_cannot_be_read_are_not_repeated(logged: Logged) -> None:
    assert parse_env_headers("hunter2-without-a-name", liberal=True) == {}
    [entry] = logged()
    assert "Header format invalid" in entry["event"]
    assert "hunter2" not in json.dumps(entry)


def test_no_field_shows_a_secret_however_deep_it_is(logged: Logged) -> None:
    log = structlog.get_logger()
    log.warning(
        f"calling https://api.telegram.org/bot{BOT}/getMe",
        token="hunter2-a",
        api_key="hunter2-b",
        config={"chat_id": 1, "bot_token": "hunter2-c", "urls": [f"https://x/bot{BOT}/"]},
        headers=[("authorization", "Bearer hunter2-d")],
        error=RuntimeError("Bearer hunter2-e"),
        token_count=3,
    )
    try:
        raise ValueError(f"no answer from /bot{BOT}/sendMessage")
    except ValueError:
        log.exception("failed")
    logging.getLogger("some.library").error("Bearer %s", "hunter2-f")
    logging.getLogger("some.library").error("gone", extra={"password": "hunter2-g"})
    text = json.dumps(entries := logged())
    assert BOT not in text
    assert "hunter2" not in text
    assert entries[0]["config"]["chat_id"] == 1
    assert entries[0]["token_count"] == 3
    assert "ValueError" in entries[1]["exception"]
    assert entries[2]["event"] == "Bearer [hidden]"


def test_a_line_within_a_trace_names_it(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded_spans(monkeypatch), telemetry.span("work") as span:
        structlog.get_logger().info("within")
    [entry] = logged()
    assert entry["trace_id"] == telemetry.trace_id_of(span)


def test_a_trace_crosses_a_table_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded_spans(monkeypatch) as spans:
        with telemetry.span("dispatch") as first:
            stored = telemetry.traceparent_of(first)
        with telemetry.span("process", parent=stored):
            pass
    dispatch, process = spans.ended()
    assert dispatch.context is not None
    assert process.context is not None
    assert process.context.trace_id == dispatch.context.trace_id
    assert process.parent is not None
    assert process.parent.span_id == dispatch.context.span_id
    assert stored.split("-")[1] == telemetry.trace_id_of(first)


@pytest.mark.parametrize("garbage", [None, "", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\x00"])
def test_what_is_no_traceparent_begins_a_trace_of_its_own(
    monkeypatch: pytest.MonkeyPatch, garbage: str | None
) -> None:
    with recorded_spans(monkeypatch) as spans, telemetry.span("process", parent=garbage):
        pass
    [process] = spans.ended()
    assert process.parent is None


def test_a_failed_span_says_how_and_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded_spans(monkeypatch) as spans, pytest.raises(ValueError), telemetry.span("send"):
        raise ValueError(f"no answer from /bot{BOT}/sendMessage")
    [send] = spans.ended()
    assert send.status.status_code is StatusCode.ERROR
    assert (send.attributes or {})["error.type"] == "ValueError"
    assert BOT not in spans.text()
    assert not send.events, "an exception event would hold the whole text"


def test_a_span_does_not_show_the_query_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded_spans(monkeypatch) as spans:
        spans.provider.add_span_processor(telemetry.WithoutQueries())
        query = {"url.path": "/oauth/callback", "url.query": "code=hunter2&state=hunter3"}
        with telemetry.tracer().start_as_current_span("GET", attributes=query):
            pass
        with telemetry.tracer().start_as_current_span("GET", attributes={"url.path": "/api/runs"}):
            pass
    [asked, plain] = (dict(span.attributes or {}) for span in spans.ended())
    assert asked == {"url.path": "/oauth/callback", "url.query": "[hidden]"}
    assert plain == {"url.path": "/api/runs"}
