"""Logs, traces and metrics, set up once by each service's `main`.

Logs are events with fields (structlog): `tenant_id`, `automation_id`, `run_id` and `trace_id` where they
apply. One trace follows a run from its dispatch to its delivery; the context crosses Kafka, the outbox and
the database as a W3C `traceparent`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span as RecordedSpan
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

from common.log_repeats import Repeats
from common.secrets.redaction import HIDDEN, hide_secrets
from common.settings import LogFormat, TelemetrySettings

_PROPAGATOR = TraceContextTextMapPropagator()
_SECRET_FIELD = re.compile(r"(token|secret|password|authorization|api_?key|dsn|database_url)", re.IGNORECASE)
_QUERY = "url.query"


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        # What begins with an underscore is structlog's own and is taken out before anything is written.
        if not name.startswith("_"):
            event[name] = _shown("" if name == "event" else name, value)
    return event


def _shown(name: str, value: object) -> object:
    """A field as a log may show it: whatever is in it, however deep, without secrets."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_FIELD.search(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", item) for item in value]
    return hide_secrets(value if isinstance(value, str) else repr(value))


def _add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
    return event


def configure(service: str, settings: TelemetrySettings, *, instance: str) -> None:
    """Set up structured logs and the tracer provider for this process.

    Spans are always recorded, so that every run has a trace id; they leave the process only when an OTLP
    endpoint is set.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if settings.log_format is LogFormat.CONSOLE
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy in ("httpx", "httpcore", "aiokafka", "faststream", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Warns of OTEL_EXPORTER_OTLP_HEADERS that it cannot read, and repeats them: they are for credentials.
    logging.getLogger("opentelemetry.util.re").addFilter(_without_arguments)
    structlog.contextvars.bind_contextvars(service=service)

    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.instance.id": instance})
    )
    provider.add_span_processor(WithoutQueries())
    if settings.otel_exporter_otlp_endpoint:
        # Loaded only where it is used: the exporter takes longer to import than the rest of this module.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    propagate.set_global_textmap(_PROPAGATOR)


def _without_arguments(record: logging.LogRecord) -> bool:
    """A filter that lets everything pass, but for what the message was filled with."""
    record.args = tuple(HIDDEN for _ in record.args or ())
    return True


class WithoutQueries(SpanProcessor):
    """Hides the query of an address in whatever span holds one, as the web framework's own spans do.

    A person who comes back from a platform brings the code that her tokens are given for in it.
    """

    def on_start(self, span: RecordedSpan, parent_context: Context | None = None) -> None:
        """Called before other processors see the span."""
        if span.attributes and span.attributes.get(_QUERY):
            span.set_attribute(_QUERY, HIDDEN)


def tracer() -> trace.Tracer:
    """The tracer of everything Carillon does."""
    return trace.get_tracer("carillon")


def context_of(traceparent: str | None) -> Context:
    """The context a `traceparent` names; an empty one when there is none."""
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, context=Context())


def traceparent_of(span: Span) -> str:
    """`span` as a W3C `traceparent`, to cross a table or a topic."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context=trace.set_span_in_context(span))
    return carrier.get("traceparent", "")


def trace_id_of(span: Span) -> str:
    """The span's trace id, 32 hex digits."""
    return f"{span.get_span_context().trace_id:032x}"


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> Iterator[Span]:
    """A current span, a child of `parent` (a `traceparent`) or of the current one; errors mark it failed."""
    context = context_of(parent) if parent else None
    with tracer().start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=dict(attributes or {}),
        # Both would put the error's own text, secrets included, into what is exported.
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, hide_secrets(str(error), limit=500)))
            current.set_attribute("error.type", type(error).__qualname__)
            raise


def messaging_attributes(topic: str, operation: str, **more: str | int) -> dict[str, str | int]:
    """OpenTelemetry's messaging attributes for one record. `operation`: send, receive or process."""
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        **more,
    }


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

SLOT_TO_START = Histogram(
    "carillon_slot_to_start_seconds", "Lag from a slot to the start of its run", ["lane"], buckets=_SECONDS
)
SLOT_TO_DISPATCH = Histogram(
    "carillon_slot_to_dispatch_seconds", "Lag from a slot to the commit of its run", buckets=_SECONDS
)
RUN_DURATION = Histogram("carillon_run_duration_seconds", "Time a handler ran", ["type"], buckets=_SECONDS)
RUNS_FINISHED = Counter("carillon_runs_finished_total", "Attempts finished, by outcome", ["type", "outcome"])
DELIVERIES = Counter("carillon_deliveries_total", "Delivery attempts, by outcome", ["channel", "outcome"])
DELIVERY_DURATION = Histogram(
    "carillon_delivery_duration_seconds", "Time one delivery attempt took", ["channel"], buckets=_SECONDS
)
RECORDING_STEPS = Counter(
    "carillon_recording_steps_total", "Steps of recordings, by outcome", ["step", "outcome"]
)
RECORDING_STEP_DURATION = Histogram(
    "carillon_recording_step_duration_seconds",
    "Time one step of a recording took",
    ["step"],
    buckets=_SECONDS,
)
RECORDING_BYTES = Counter("carillon_recording_bytes_total", "Bytes of recordings moved, by step", ["step"])
QUEUE_DEPTH = Gauge("carillon_queue_depth", "Runs waiting to be claimed", ["lane"])
LOOP_STALLS = Counter("carillon_event_loop_stalls_total", "Times the event loop stood still for too long")
LEADER_TERM = Gauge("carillon_leader_term", "Term this process leads in; 0 when it does not lead")
OUTBOX_AGE = Gauge("carillon_outbox_age_seconds", "Age of the oldest event not yet published")
RELAYED = Counter("carillon_events_published_total", "Events published to Kafka", ["topic"])
DEAD_LETTERS = Counter("carillon_dead_letters_total", "Records sent to dead letters", ["topic", "reason"])
TOKEN_RENEWALS = Counter(
    "carillon_token_renewals_total", "Requests for another token, by outcome", ["platform", "outcome"]
)
