"""One request that carries a file, and its answer or the error that says what to do."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx
from opentelemetry.trace import SpanKind

from common.errors import BlockedAddress, Consequence
from common.http import RECEIVER, ResponseTooLarge, port_of
from common.telemetry import span, traceparent_of
from executor.recordings.targets.base import UploadFailed

CONNECT_SECONDS = 10.0
KEPT_BODY = 64 * 1024
"""Bytes of an answer's body that are read. Nothing we act on is longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said. `body` is its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def send(
    http: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    content: bytes | AsyncIterable[bytes],
    headers: Mapping[str, str],
    *,
    patience: float,
) -> Answer:
    """Send it and read the answer; follows no redirect.

    `patience` is in seconds, for each piece that is sent and for the answer. The address is in no error and
    no span: it may hold a signature or be a password. Raises UploadFailed, and what `content` raises.
    """
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "server.address": url.host,
        "server.port": port_of(url),
    }
    with span(f"{method} recording file", kind=SpanKind.CLIENT, attributes=attributes) as current:
        request = http.build_request(
            method,
            url,
            content=content,
            headers={**headers, "accept-encoding": "identity", "traceparent": traceparent_of(current)},
            timeout=httpx.Timeout(patience, connect=CONNECT_SECONDS),
            extensions=dict(RECEIVER),
        )
        try:
            response = await http.send(request, stream=True, follow_redirects=False)
        except BlockedAddress as error:
            raise UploadFailed(error.detail, Consequence.INVALID, code="blocked_address") from error
        except httpx.TransportError as error:
            raise UploadFailed(
                f"no answer came ({type(error).__name__}); the file may have arrived",
                Consequence.TRANSIENT,
                code="no_answer",
            ) from error
        current.set_attribute("http.response.status_code", response.status_code)
        return Answer(response.status_code, response.headers, await _beginning(response))


async def _beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    try:
        with suppress(httpx.TransportError, ResponseTooLarge):
            async for piece in response.aiter_raw():
                body += piece
                if len(body) >= KEPT_BODY:
                    break
    finally:
        await response.aclose()
    return bytes(body[:KEPT_BODY])
