"""HTTP to a platform's token endpoints; errors hold no secrets, and say if an answer may be lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import httpx
from opentelemetry.trace import SpanKind

from common.clock import utc_now
from common.errors import BlockedAddress, Consequence, PlatformError
from common.http import ResponseTooLarge, parse_retry_after
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from platforms.calls.answers import UNREADABLE, Refusal
from platforms.oauth.base import ANSWER_LOST, NO_TOKEN, NOT_CONFIGURED

MAX_DETAIL = 300
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""Failures before the first byte of the request was sent; after any other one the outcome is unknown."""

Json = Mapping[str, Any]
Read = Callable[[int, bytes], Json | Refusal]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `template` is its path without ids, for spans; `secrets` are hidden in any error."""

    method: str
    url: str
    template: str
    params: Mapping[str, str] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str | None, ...] = field(default=(), repr=False)


class Endpoint:
    """One platform, spoken to about tokens."""

    def __init__(self, http: httpx.AsyncClient, *, platform: str, title: str) -> None:
        self._http = http
        self._platform = platform
        self._title = title

    async def ask(self, call: Call, read: Read) -> Json:
        """The object the platform answers with; raises PlatformError."""
        url = httpx.URL(call.url)
        attributes: dict[str, str | int] = {
            "http.request.method": call.method,
            "url.template": call.template,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
        with span(f"{call.method} {call.template}", kind=SpanKind.CLIENT, attributes=attributes) as current:
            response = await self._send(call)
            current.set_attribute("http.response.status_code", response.status_code)
            answer = read(response.status_code, response.content)
            if isinstance(answer, Refusal):
                raise self._refused(answer, response, call)
            return answer

    def error(
        self,
        detail: str,
        consequence: Consequence,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        secrets: tuple[str | None, ...] = (),
    ) -> PlatformError:
        """A PlatformError whose text is free of `secrets`."""
        shown = hide_secrets(detail, [secret for secret in secrets if secret])
        return PlatformError(
            f"{self._title}: {shown if len(shown) <= MAX_DETAIL else shown[: MAX_DETAIL - 1] + '…'}",
            consequence,
            platform=self._platform,
            code=code,
            http_status=http_status,
            retry_after=retry_after,
        )

    def lost(self, detail: str, *, http_status: int | None = None) -> PlatformError:
        """The error for a request whose effect is unknown."""
        return self.error(detail, Consequence.TRANSIENT, code=ANSWER_LOST, http_status=http_status)

    def needs_token(self, what: str) -> PlatformError:
        """The error for a missing token, named in `what`."""
        return self.error(f"there is no {what}", Consequence.REAUTH, code=NO_TOKEN)

    def needs_settings(self, names: tuple[str, ...]) -> PlatformError:
        """The error for missing app credentials."""
        return self.error(f"{' and '.join(names)} not set", Consequence.INVALID, code=NOT_CONFIGURED)

    async def _send(self, call: Call) -> httpx.Response:
        try:
            return await self._http.request(
                call.method,
                call.url,
                params=call.params,
                data=call.form,
                json=call.document,
                headers=call.headers,
                follow_redirects=False,
            )
        except (BlockedAddress, UnicodeError, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            # The request could not even be written down. The cause's text can hold a header, and is dropped.
            named = type(error).__name__
            raise self.error(f"the request cannot be sent ({named})", Consequence.INVALID) from None
        except _NOT_SENT as error:
            detail = f"no connection ({type(error).__name__})"
            raise self.error(detail, Consequence.TRANSIENT, code="unreachable") from error
        except (httpx.TransportError, httpx.DecodingError, ResponseTooLarge) as error:
            raise self.lost(f"no usable answer ({type(error).__name__})") from error

    def _refused(self, refusal: Refusal, response: httpx.Response, call: Call) -> PlatformError:
        if refusal.code == UNREADABLE and response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            # The request succeeded, but the grant did not arrive.
            return self.lost(refusal.message, http_status=response.status_code)
        wait = None
        if refusal.consequence is Consequence.RATE:
            wait = parse_retry_after(response.headers.get("retry-after"), now=utc_now())
        return self.error(
            refusal.message or f"error {refusal.code}",
            refusal.consequence,
            code=refusal.code,
            http_status=response.status_code,
            retry_after=wait,
            secrets=call.secrets,
        )


def text_in(answer: Json, name: str) -> str | None:
    """A text of an answer; None when it is empty or no text."""
    value = answer.get(name)
    return value if isinstance(value, str) and value else None


def rows_in(answer: Json, name: str) -> list[Json]:
    """The objects of a list in an answer; empty when it is none."""
    value = answer.get(name)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def instant_after(answer: Json, name: str, now: datetime) -> datetime | None:
    """`now` and the seconds an answer gives a token to live; None when it says nothing we can read."""
    seconds = _number(answer.get(name))
    return now + timedelta(seconds=seconds) if seconds is not None and 0 < seconds < _LONGEST else None


def instant_at(answer: Json, name: str) -> datetime | None:
    """A Unix time of an answer; None for 0, which means never."""
    seconds = _number(answer.get(name))
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds < _LATEST else None


_LONGEST = 100 * 365 * 86_400
_LATEST = 253_402_300_800  # the year 10000


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return float(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else None
