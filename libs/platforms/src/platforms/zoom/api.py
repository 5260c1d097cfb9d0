"""Zoom's REST API as a transport: calls, their spans, their limits, and what their errors ask of us."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from opentelemetry.trace import SpanKind

from common.clock import utc_now
from common.errors import Consequence, PlatformError
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from platforms.calls.answers import UNREADABLE, Refusal
from platforms.calls.credentials import Credential
from platforms.calls.exchange import NoAnswer, Reply, Request, exchange, server_attributes
from platforms.calls.pace import Pace, asks_for_a_moment
from platforms.calls.renewal import with_renewal
from platforms.calls.usage import MIN_WAIT, Usage, UsageLimiter
from platforms.zoom import PLATFORM, refusals, usage
from platforms.zoom.usage import Category

MAX_IN_FLIGHT = 4
"""Requests one run has open at a time with one connection."""
MAX_DETAIL = 300

Params = Mapping[str, str]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about.

    Attributes:
        path: below the version, such as `users/me`, with its parts already encoded.
        template: `path` with its ids replaced, for spans: `users/{userId}`.
        category: whose limit it counts against, until an answer says otherwise.
    """

    path: str
    template: str
    category: Category


class ZoomApi:
    """Calls with one connection's token, for one run.

    `account` names whose limits are meant: Zoom counts the calls of all apps of an account together. `now` is
    the time by which dates in answers become seconds.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        credential: Credential,
        *,
        limiter: UsageLimiter,
        account: str,
        connection_id: UUID | None = None,
        now: Callable[[], datetime] = utc_now,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._http = http
        self._base = base_url.rstrip("/") + "/"
        self._credential = credential
        self._limiter = limiter
        self._pace = Pace(limiter, random=random)
        self._account = account
        self._connection_id = None if connection_id is None else str(connection_id)
        self._now = now
        self._turn = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._categories: dict[str, Category] = {}
        self._server = server_attributes(base_url)

    async def get(self, target: Target, params: Params) -> Json:
        """GET an object or one page of a list; raises PlatformError."""

        async def with_token(token: str) -> Json:
            return await self._pace.call(self._bucket(target), lambda: self._perform(target, params, token))

        return await with_renewal(self._credential, with_token)

    def error(
        self,
        detail: str,
        consequence: Consequence,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> PlatformError:
        """A PlatformError of this connection whose text is free of its tokens."""
        shown = hide_secrets(detail, self._credential.seen)
        return PlatformError(
            f"Zoom: {shown if len(shown) <= MAX_DETAIL else shown[: MAX_DETAIL - 1] + '…'}",
            consequence,
            platform=PLATFORM,
            code=code,
            http_status=http_status,
            retry_after=retry_after,
            connection_id=self._connection_id,
        )

    async def _perform(self, target: Target, params: Params, token: str) -> Json:
        template = f"/{target.template}"
        attributes = {"http.request.method": "GET", "url.template": template, **self._server}
        with span(f"GET {template}", kind=SpanKind.CLIENT, attributes=attributes) as current:
            closed = await self._pace.admit(self._bucket(target))
            if closed:
                raise self.error("the account has used up its calls", Consequence.RATE, retry_after=closed)
            request = Request(
                "GET", self._base + target.path, {"authorization": f"Bearer {token}"}, params=params
            )
            try:
                async with self._turn:
                    reply = await exchange(self._http, request)
            except NoAnswer as error:
                raise self.error(str(error), error.consequence) from error
            current.set_attribute("http.response.status_code", reply.status)
            if tracking := reply.headers.get("x-zm-trackingid"):
                current.set_attribute("zoom.tracking_id", tracking[:200])
            answer = refusals.read(reply.status, reply.body)
            if not isinstance(answer, Refusal):
                await self._note_usage(target, reply.headers, None)
                return answer
            current.set_attribute("zoom.error_code", answer.code)
            refused = self._refused(answer, reply)
            await self._note_usage(target, reply.headers, refused)
            raise refused

    def _refused(self, refusal: Refusal, reply: Reply) -> PlatformError:
        wait = None
        if refusal.consequence is Consequence.RATE:
            # Where it was not Zoom that answered, it was not Zoom's second that was used up.
            otherwise = MIN_WAIT if refusal.code == UNREADABLE else usage.QPS_WAIT
            wait = usage.seconds_to_wait(reply.headers, refusal.message, now=self._now(), otherwise=otherwise)
        return self.error(
            refusal.message,
            refusal.consequence,
            code=refusal.code,
            http_status=reply.status,
            retry_after=wait,
        )

    def _bucket(self, target: Target) -> str:
        """The limit a call counts against."""
        return f"{PLATFORM}/{self._account}/{self._categories.get(target.template, target.category)}"

    async def _note_usage(
        self, target: Target, headers: Mapping[str, str], refused: PlatformError | None
    ) -> None:
        told = usage.category(headers)
        if told is not None:
            self._categories[target.template] = told
        seen = usage.daily_usage(headers, now=self._now())
        if refused is not None and refused.consequence is Consequence.RATE and not asks_for_a_moment(refused):
            seen = Usage(100.0, refused.retry_after or 0.0)
        if seen is not None:
            await self._limiter.note(self._bucket(target), seen)
