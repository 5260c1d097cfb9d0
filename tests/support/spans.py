"""Looking at the spans a test makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from common import telemetry


class Spans:
    """The spans that have ended, as an exporter gets them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def ended(self) -> list[ReadableSpan]:
        """In the order they ended."""
        return list(self._exporter.get_finished_spans())

    def text(self) -> str:
        """Everything an exporter would send."""
        return "\n".join(span.to_json() for span in self.ended())


@contextmanager
def recorded_spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Record what `common.telemetry` traces meanwhile, whatever provider the process has."""
    spans = Spans()
    with monkeypatch.context() as patch:
        patch.setattr(telemetry, "tracer", lambda: spans.provider.get_tracer("test"))
        yield spans
