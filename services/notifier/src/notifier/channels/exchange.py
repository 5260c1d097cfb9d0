"""One POST to a receiver: its response, or an error that says whether the receiver may have the message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from common.errors import BlockedAddress, ChannelError, Consequence
from common.http import ResponseTooLarge, port_of
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from notifier.channels.base import OutcomeUnknown

TOTAL_TIMEOUT = 15.0
"""Seconds for one request as a whole; the client's own timeouts are for its steps."""
KEPT_BODY = 64 * 1024
"""Bytes of an answer's body that are read. Nothing we act on is longer."""

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The receiver's response. `body` is its beginning, undecoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def post(
    client: httpx.AsyncClient,
    url: httpx.URL,
    *,
    content: bytes,
    headers: Mapping[str, str],
    timeout: float = TOTAL_TIMEOUT,
    extensions: Mapping[str, Any] = MappingProxyType({}),
) -> Answer:
    """Send one POST and read the answer. Follows no redirect.

    The status counts once it is received: a body that stalls or breaks off afterwards is cut short, not an
    error. The URL is in no error: it may hold a token.

    Raises:
        ChannelError: nothing was sent.
        OutcomeUnknown: something was sent and no response came.
    """
    sending = _Sending()
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        request = client.build_request(
            "POST",
            url,
            content=content,
            headers={"accept-encoding": "identity", **headers},
            extensions={"trace": sending, **extensions},
        )
        async with asyncio.timeout_at(deadline):
            response = await client.send(request, stream=True, follow_redirects=False)
    except BlockedAddress as error:
        raise ChannelError(error.detail, Consequence.INVALID, code="blocked_address") from error
    except TimeoutError as error:
        if sending.began:
            raise _unknown(f"no answer within {timeout:g} s", "timeout") from error
        raise ChannelError(
            f"no connection within {timeout:g} s", Consequence.TRANSIENT, code="timeout"
        ) from error
    except _NEVER_SENT as error:
        raise ChannelError(
            f"the receiver cannot be reached: {_reason(error)}", Consequence.TRANSIENT, code="unreachable"
        ) from error
    except httpx.TransportError as error:
        code = "timeout" if isinstance(error, httpx.TimeoutException) else "connection_lost"
        raise _unknown(f"the connection ended without an answer: {_reason(error)}", code) from error
    body = bytearray()
    try:
        with suppress(httpx.TransportError, TimeoutError, ResponseTooLarge):
            async with asyncio.timeout_at(deadline):
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) >= KEPT_BODY:
                        break
    finally:
        await response.aclose()
    return Answer(response.status_code, response.headers, bytes(body[:KEPT_BODY]))


@contextmanager
def request_span(url: httpx.URL, traceparent: str | None, *, template: str | None = None) -> Iterator[Span]:
    """A client span for one POST, under the current span or, without one, under `traceparent`.

    Path and query are left out, because they hold a bot's token or are a webhook's password; `template` is
    their public form.
    """
    attributes: dict[str, str | int] = {
        "http.request.method": "POST",
        "server.address": url.host,
        "server.port": port_of(url),
    }
    if template is not None:
        attributes["url.template"] = template
    nested = trace.get_current_span().get_span_context().is_valid
    with span(
        f"POST {template}" if template else "POST",
        parent=None if nested else traceparent,
        kind=SpanKind.CLIENT,
        attributes=attributes,
    ) as current:
        yield current


class _Sending:
    """httpcore's trace hook: records that sending the request has begun."""

    def __init__(self) -> None:
        self.began = False

    async def __call__(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.began = True


def _unknown(detail: str, code: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"{detail}; it may have been delivered", Consequence.TRANSIENT, code=code)


def _reason(error: httpx.TransportError) -> str:
    return hide_secrets(f"{type(error).__name__} {error}".strip(), limit=200)


def excerpt(body: bytes, *, characters: int = 200, secrets: Iterable[str] = ()) -> str:
    """The beginning of a body on one line, for people to read, with echoed secrets redacted."""
    text = hide_secrets(body.decode("utf-8", "replace"), secrets, limit=8 * characters)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:characters]
