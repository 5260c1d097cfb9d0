"""Sending one chunk: a signed POST, and what its answer means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import httpx
from opentelemetry.trace import SpanKind

from common import telemetry
from common.errors import BlockedAddress, ChannelError, Consequence
from common.http import RECEIVER, ResponseTooLarge, parse_retry_after, port_of
from common.http.standard_webhooks import signed_headers
from common.secrets.redaction import hide_secrets
from executor.sync.endpoints import WebhookEndpoint

TIMEOUT = 30.0
"""Seconds for one request as a whole."""
_PATIENCE = 2.0
_KEPT = 8_192
_SHOWN = 200


async def post(
    http: httpx.AsyncClient, endpoint: WebhookEndpoint, identifier: str, body: bytes, *, now: datetime
) -> None:
    """Send `body` under `identifier`, by which the receiver knows it again.

    Only 2xx is acceptance. The address is in no error: it may hold a token.

    Raises:
        ChannelError: GONE for 410, RATE for 429 and 503, TRANSIENT for every other answer and for none,
            INVALID where the address must not be called.
    """
    url = endpoint.url
    with telemetry.span(
        "POST",
        kind=SpanKind.CLIENT,
        attributes={
            "http.request.method": "POST",
            "server.address": url.host,
            "server.port": port_of(url),
        },
    ) as span:
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            **signed_headers(identifier, now, body, endpoint.keys),
        }
        if traceparent := telemetry.traceparent_of(span):
            headers["traceparent"] = traceparent
        status, said, answered = await _exchange(http, url, body, headers)
        span.set_attribute("http.response.status_code", status)
    if not 200 <= status < 300:
        raise _refusal(status, _shown(said, endpoint.secrets), answered, now=now)


async def _exchange(
    http: httpx.AsyncClient, url: httpx.URL, body: bytes, headers: Mapping[str, str]
) -> tuple[int, str, Mapping[str, str]]:
    request = http.build_request("POST", url, content=body, headers=headers, extensions=dict(RECEIVER))
    try:
        async with asyncio.timeout(TIMEOUT):
            response = await http.send(request, stream=True, follow_redirects=False)
    except BlockedAddress as error:
        raise ChannelError(
            f"webhook_url: {error.detail}", Consequence.INVALID, code="blocked_address"
        ) from None
    except (TimeoutError, httpx.TimeoutException):
        raise ChannelError(
            f"the receiver did not answer within {TIMEOUT:g} s", Consequence.TRANSIENT, code="timeout"
        ) from None
    except httpx.TransportError as error:
        raise ChannelError(
            f"the receiver cannot be reached, or hung up: {type(error).__name__}",
            Consequence.TRANSIENT,
            code="unreachable",
        ) from None
    try:
        return response.status_code, await _beginning(response), response.headers
    finally:
        await response.aclose()


async def _beginning(response: httpx.Response) -> str:
    """What the answer begins with. Its status counts even if the rest never comes."""
    read = bytearray()
    with suppress(httpx.TransportError, ResponseTooLarge, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            async for part in response.aiter_raw():
                read += part
                if len(read) >= _KEPT:
                    break
    return read.decode("utf-8", "replace")


def _shown(said: str, secrets: Sequence[str]) -> str:
    """A little of it on one line, without what it repeats of our secrets."""
    text = hide_secrets(said, secrets, limit=8 * _SHOWN)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SHOWN]


def _refusal(status: int, said: str, headers: Mapping[str, str], *, now: datetime) -> ChannelError:
    retry_after = None
    match status:
        case 410:
            consequence = Consequence.GONE
        case 429 | 503:
            consequence = Consequence.RATE
            retry_after = parse_retry_after(headers.get("retry-after"), now=now)
        case _:
            consequence = Consequence.TRANSIENT
    detail = f"the receiver answered {status}"
    if 300 <= status < 400:
        detail += ", a redirect, which webhooks do not follow"
    if said:
        detail += f": {said}"
    return ChannelError(detail, consequence, code=str(status), http_status=status, retry_after=retry_after)
