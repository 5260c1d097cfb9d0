"""The Graph API as a transport: calls, their spans, their usage, and what their errors ask of us."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import structlog
from opentelemetry.trace import SpanKind

from common.errors import Consequence, PlatformError
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from platforms.calls.exchange import NoAnswer, Reply, server_attributes
from platforms.calls.usage import Usage, UsageLimiter
from platforms.facebook import PLATFORM, usage
from platforms.facebook.batching import Batcher
from platforms.facebook.refusals import RETIRED_VERSION, GraphFault, read
from platforms.facebook.wire import Call, Endpoint, Wire

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_PAGES = 500
SMALLEST_PAGE = 5
MAX_DETAIL = 300
_WRONG_PROOF = ("100", "Invalid appsecret_proof")
"""Code and words of the refusal of a proof."""
_ANY_TOKEN = re.compile(r"\bEAA[A-Za-z0-9]{16,}")

Params = Mapping[str, str]
Json = Mapping[str, Any]
Send = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about.

    Attributes:
        path: below the version, such as `act_1/insights`.
        template: `path` with its ids replaced, for spans: `{ad_account_id}/insights`.
        owner: the ad account or page whose limit the call counts against; empty when there is none.
    """

    path: str
    template: str
    owner: str = ""


class Graph:
    """Calls with one connection's token, for one run.

    `scope` names whose limits are meant, so that the usage one tenant's app has reported never holds back
    another tenant's calls. `batched` lets calls made at the same time share a request.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        token: str,
        *,
        limiter: UsageLimiter,
        scope: str,
        connection_id: UUID | None = None,
        batched: bool = True,
    ) -> None:
        self._token = token
        self._limiter = limiter
        self._bucket = f"{PLATFORM}/{scope}"
        self._connection_id = None if connection_id is None else str(connection_id)
        self._version = endpoint.version
        self._server = server_attributes(endpoint.base_url)
        self._wire = Wire(http, endpoint)
        self._send: Send = self._wire.get
        if batched:
            root = f"/{endpoint.version}/"
            self._send = Batcher(
                self._wire, token, f"POST {root}", {"url.template": root, **self._server}
            ).get

    async def get(self, target: Target, params: Params, *, token: str | None = None) -> Json:
        """GET an object or one page of a list; raises PlatformError."""
        call = Call(target.path, params, token or self._token)
        return await self._perform("GET", target, self._send, call)

    async def post(self, target: Target, form: Params) -> Json:
        """POST a form; raises PlatformError."""
        return await self._perform("POST", target, self._wire.post, Call(target.path, form, self._token))

    async def rows(self, target: Target, params: Params, *, limit: int) -> AsyncIterator[Json]:
        """Every row of a list, page by page.

        Follows the `after` cursor: the `next` address holds the token. Where Facebook finds a page too big
        it is asked for again at half the size.
        """
        after: str | None = None
        for _ in range(MAX_PAGES):
            wanted = {**params, "limit": str(limit)}
            if after is not None:
                wanted["after"] = after
            try:
                page = await self.get(target, wanted)
            except PlatformError as error:
                if error.consequence is not Consequence.SPLIT or limit <= SMALLEST_PAGE:
                    raise
                limit = max(limit // 2, SMALLEST_PAGE)
                continue
            for row in self.list_in(page):
                yield row
            following = _cursor_after(page)
            if following is None:
                return
            if following == after:
                raise self.error("a list whose next page is the same page", Consequence.INVALID)
            after = following
        raise self.error(f"a list of more than {MAX_PAGES} pages", Consequence.SPLIT)

    def list_in(self, answer: Json) -> list[Json]:
        """The rows of one page; raises PlatformError when it is not a list of objects."""
        rows = answer.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.error("a list without data", Consequence.INVALID)
        return rows

    def error(
        self,
        detail: str,
        consequence: Consequence,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> PlatformError:
        """A PlatformError of this connection whose text is free of its token."""
        shown = _ANY_TOKEN.sub("[hidden]", hide_secrets(detail, [self._token]))
        return PlatformError(
            f"Facebook: {shown if len(shown) <= MAX_DETAIL else shown[: MAX_DETAIL - 1] + '…'}",
            consequence,
            platform=PLATFORM,
            code=code,
            http_status=http_status,
            retry_after=retry_after,
            connection_id=self._connection_id,
        )

    async def _perform(self, method: str, target: Target, send: Send, call: Call) -> Json:
        try:
            return await self._attempt(method, target, send, call)
        except PlatformError as error:
            if not _refuses_the_proof(error):
                raise
        # The token was pasted and is another app's, so that our secret proves nothing about it.
        self._wire.stop_proving()
        return await self._attempt(method, target, send, call)

    async def _attempt(self, method: str, target: Target, send: Send, call: Call) -> Json:
        template = f"/{self._version}/{target.template}"
        attributes = {"http.request.method": method, "url.template": template, **self._server}
        with span(f"{method} {template}", kind=SpanKind.CLIENT, attributes=attributes) as current:
            buckets = self._buckets(target)
            closed = await self._limiter.admit(*buckets)
            if closed:
                raise self.error(
                    f"{target.owner or 'the app'} has used up its calls", Consequence.RATE, retry_after=closed
                )
            try:
                reply = await send(call)
            except NoAnswer as error:
                raise self.error(str(error), error.consequence) from error
            current.set_attribute("http.response.status_code", reply.status)
            answer = read(reply.status, reply.body)
            fault = answer if isinstance(answer, GraphFault) else None
            await self._note_usage(buckets, reply.headers, fault)
            if isinstance(answer, GraphFault):
                current.set_attribute("facebook.error_code", answer.code)
                if answer.trace:
                    current.set_attribute("facebook.trace_id", answer.trace)
                raise self._refused(answer, reply, call)
            return answer

    def _refused(self, fault: GraphFault, reply: Reply, call: Call) -> PlatformError:
        limited = fault.consequence is Consequence.RATE
        if fault.code.partition("/")[0] == RETIRED_VERSION:
            log.error("facebook_api_version_retired", version=self._version)
        return self.error(
            (fault.message or f"error {fault.code}").replace(call.token, "[hidden]"),
            fault.consequence,
            code=fault.code,
            http_status=reply.status,
            retry_after=usage.seconds_to_wait(reply.headers) if limited else None,
        )

    def _buckets(self, target: Target) -> tuple[str, ...]:
        """The limits a call counts against, the app's first."""
        app = f"{self._bucket}/app"
        return (app, f"{self._bucket}/{target.owner}") if target.owner else (app,)

    async def _note_usage(
        self, buckets: tuple[str, ...], headers: Mapping[str, str], fault: GraphFault | None
    ) -> None:
        app, own = buckets[0], buckets[-1]
        seen = {own: usage.object_usage(headers), app: usage.app_usage(headers)}
        if fault is not None and fault.consequence is Consequence.RATE:
            seen[app if fault.app_wide else own] = Usage(100.0, usage.seconds_to_wait(headers))
        for bucket, value in seen.items():
            if value is not None:
                await self._limiter.note(bucket, value)


def _refuses_the_proof(error: PlatformError) -> bool:
    return error.code == _WRONG_PROOF[0] and _WRONG_PROOF[1] in error.detail


def _cursor_after(page: Json) -> str | None:
    """The cursor of the next page. `cursors.after` is there on the last page too; only `next` says that
    there is more."""
    paging = page.get("paging")
    if not isinstance(paging, dict) or "next" not in paging:
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) and after else None
