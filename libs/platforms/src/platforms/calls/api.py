"""Calls to one platform's API: their spans, their limits and their tokens."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import httpx
from opentelemetry.trace import Span, SpanKind

from common.clock import utc_now
from common.errors import Consequence, PlatformError
from common.http import parse_retry_after
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from platforms.calls.credentials import Credential
from platforms.calls.exchange import NoAnswer, Reply, Request, exchange, server_attributes
from platforms.calls.pace import SHORT_WAIT, Pace
from platforms.calls.renewal import with_renewal
from platforms.calls.usage import Usage, UsageLimiter

MAX_IN_FLIGHT = 4
"""Requests one run has open at a time."""
MAX_DETAIL = 300

Json = Mapping[str, Any]
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked.

    Attributes:
        path: below the base; it holds no ids, and so names the span too.
        owner: whose limit the call counts against beside the app's; empty when there is none.
        for_file: the answer is a file, without an envelope.
    """

    method: str
    path: str
    params: Mapping[str, str]
    body: Json | None = None
    owner: str = ""
    for_file: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as the platform tells it, its message unchanged. `wait` is in seconds, where it has one."""

    consequence: Consequence
    code: str
    message: str
    trace: str | None = None
    wait: float | None = None
    app_wide: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """Whose calls these are.

    `scope` names whose limits are meant, so that what one tenant's app has used up never holds back another
    tenant's calls.
    """

    credential: Credential
    scope: str
    id: UUID | None = None


class Api(ABC, Generic[A]):
    """Calls by one connection, for one run. `A` is what an answer is."""

    platform: ClassVar[str]
    title: ClassVar[str]
    """What people call the platform; every error begins with it."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        connection: Connection,
        *,
        limiter: UsageLimiter,
        secrets: Sequence[str] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`secrets` are those beside the token that calls carry."""
        self._http = http
        self._base = base_url.rstrip("/")
        self._server = server_attributes(base_url)
        self._connection = connection
        self._limiter = limiter
        self._pace = Pace(limiter)
        self._secrets = secrets
        self._now = now
        self._turn = asyncio.Semaphore(MAX_IN_FLIGHT)

    @abstractmethod
    def authorization(self, token: str) -> Mapping[str, str]:
        """The headers that carry the token."""

    @abstractmethod
    def read(self, call: Call, reply: Reply, now: datetime) -> tuple[A, str | None] | Fault:
        """What the reply says, and the platform's id of it."""

    async def ask(self, call: Call) -> A:
        """The answer; raises PlatformError. A dead token is renewed once, a limit per second waited for."""
        own = self._buckets(call)[-1]
        return await with_renewal(
            self._connection.credential,
            lambda token: self._pace.call(own, lambda: self._attempt(call, token)),
        )

    def error(
        self,
        detail: str,
        consequence: Consequence,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> PlatformError:
        """A PlatformError of this connection whose text is free of its secrets."""
        shown = hide_secrets(detail, [*self._connection.credential.seen, *self._secrets])
        connection_id = self._connection.id
        return PlatformError(
            f"{self.title}: {shown if len(shown) <= MAX_DETAIL else shown[: MAX_DETAIL - 1] + '…'}",
            consequence,
            platform=self.platform,
            code=code,
            http_status=http_status,
            retry_after=retry_after,
            connection_id=None if connection_id is None else str(connection_id),
        )

    async def _attempt(self, call: Call, token: str) -> A:
        attributes = {"http.request.method": call.method, "url.template": call.path, **self._server}
        with span(f"{call.method} {call.path}", kind=SpanKind.CLIENT, attributes=attributes) as current:
            closed = await self._pace.admit(*self._buckets(call))
            if closed:
                raise self.error(
                    f"{call.owner or 'the app'} has used up its calls", Consequence.RATE, retry_after=closed
                )
            reply = await self._send(call, token)
            current.set_attribute("http.response.status_code", reply.status)
            answer = self.read(call, reply, self._now())
            if isinstance(answer, Fault):
                raise await self._refused(answer, call, reply, current)
            read, trace = answer
            if trace:
                current.set_attribute(f"{self.platform}.request_id", trace)
            return read

    async def _send(self, call: Call, token: str) -> Reply:
        request = Request(
            call.method,
            self._base + call.path,
            self.authorization(token),
            params=call.params,
            json=call.body,
        )
        try:
            async with self._turn:
                return await exchange(self._http, request)
        except NoAnswer as error:
            raise self.error(str(error), error.consequence) from error

    async def _refused(self, fault: Fault, call: Call, reply: Reply, current: Span) -> PlatformError:
        current.set_attribute(f"{self.platform}.error_code", fault.code)
        if fault.trace:
            current.set_attribute(f"{self.platform}.request_id", fault.trace)
        # Where the platform itself sends no such header, a proxy in front of it may.
        told = parse_retry_after(reply.headers.get("retry-after"), now=self._now())
        wait = fault.wait if told is None else told
        if fault.consequence is Consequence.RATE:
            await self._hold(call, fault, wait or 0.0)
        return self.error(
            fault.message or f"error {fault.code}",
            fault.consequence,
            code=fault.code,
            http_status=reply.status,
            retry_after=wait,
        )

    async def _hold(self, call: Call, fault: Fault, wait: float) -> None:
        """Delay only the calls that the limit applies to."""
        buckets = self._buckets(call)
        bucket = buckets[0] if fault.app_wide else buckets[-1]
        if wait > SHORT_WAIT:
            await self._limiter.note(bucket, Usage(100.0, wait))
        else:
            self._limiter.hold(bucket, wait)

    def _buckets(self, call: Call) -> tuple[str, ...]:
        """The limits a call counts against, the app's first."""
        scope = f"{self.platform}/{self._connection.scope}"
        return (f"{scope}/app", f"{scope}/{call.owner}") if call.owner else (f"{scope}/app",)
