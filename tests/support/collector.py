"""A collector for OpenTelemetry: what services export, kept as it came."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carillon.ports import free_port
from tests.support.polling import eventually


class Collector:
    """An OTLP/HTTP endpoint. `exports` are the bodies of every request, uncompressed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.exports: list[bytes] = []

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[Span]:
        """Every span that was exported."""
        return [
            span
            for body in self.exports
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        compressed = request.headers.get("content-encoding") == "gzip"
        self.exports.append(gzip.decompress(body) if compressed else body)
        return Response(b"", media_type="application/x-protobuf")

    def app(self) -> Starlette:
        """As an ASGI application."""
        return Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])


class _Server(uvicorn.Server):
    """Leaves signals to the test run it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector that listens for the length of the block."""
    collector = Collector()
    server = _Server(
        uvicorn.Config(
            collector.app(), host="127.0.0.1", port=collector.port, log_config=None, lifespan="off"
        )
    )
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started, what="the collector listens")
        yield collector
    finally:
        server.should_exit = True
        await task
