"""Logs are events with fields and no secrets; a trace crosses tables and topics as a traceparent."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.trace import StatusCode
from opentelemetry.util.re import parse_env_headers

from common import telemetry
from common.settings import LogFormat, TelemetrySettings
from tests.support.spans import recorded_spans

BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


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


def test_a_trace_continues_across_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_malformed_traceparent_starts_a_new_trace(
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
