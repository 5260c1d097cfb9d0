"""The Graph API as a transport: one request, its span, its usage, and what its error asks of us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from opentelemetry.trace import Span, SpanKind

from common.errors import Consequence, PlatformError
from common.telemetry import hide_secrets, span
from executor.platforms.facebook import errors, usage
from executor.platforms.usage import Usage, UsageLimiter

PLATFORM = "facebook"
MAX_PAGES = 500
SMALLEST_PAGE = 5

Params = Mapping[str, str]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the Graph API is: `https://graph.facebook.com`, `v26.0`."""

    base_url: str
    version: str


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
    """Requests with one connection's token.

    `scope` names whose limits are meant, so that the usage one tenant's app has reported never holds back
    another tenant's calls.
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
    ) -> None:
        self._http = http
        self._token = token
        self._limiter = limiter
        self._scope = scope
        self._connection_id = None if connection_id is None else str(connection_id)
        self._prefix = f"{endpoint.base_url.rstrip('/')}/{endpoint.version}"
        self._version = endpoint.version
        url = httpx.URL(endpoint.base_url)
        self._server: dict[str, str | int] = {
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }

    async def get(self, target: Target, params: Params, *, token: str | None = None) -> Json:
        """GET an object or one page of a list; raises PlatformError."""
        return await self._request("GET", target, params, token or self._token)

    async def post(self, target: Target, form: Params) -> Json:
        """POST a form; raises PlatformError."""
        return await self._request("POST", target, form, self._token)

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
        token: str | None = None,
    ) -> PlatformError:
        """A PlatformError of this connection whose text is free of its tokens."""
        for secret in (self._token, token):
            if secret:
                detail = detail.replace(secret, "[hidden]")
        return PlatformError(
            f"Facebook: {hide_secrets(detail)}",
            consequence,
            platform=PLATFORM,
            code=code,
            http_status=http_status,
            retry_after=retry_after,
            connection_id=self._connection_id,
        )

    async def _request(self, method: str, target: Target, params: Params, token: str) -> Json:
        template = f"/{self._version}/{target.template}"
        attributes = {"http.request.method": method, "url.template": template, **self._server}
        with span(f"{method} {template}", kind=SpanKind.CLIENT, attributes=attributes) as current:
            closed = await self._limiter.admit(*self._buckets(target))
            if closed:
                raise self.error(
                    f"{target.owner or 'the app'} has used up its calls", Consequence.RATE, retry_after=closed
                )
            response = await self._send(method, target, params, token)
            current.set_attribute("http.response.status_code", response.status_code)
            answer = errors.read(response.status_code, response.content)
            fault = answer if isinstance(answer, errors.GraphFault) else None
            await self._note_usage(target, response.headers, fault)
            if isinstance(answer, errors.GraphFault):
                raise self._failed(answer, response, current, token)
            return answer

    async def _send(self, method: str, target: Target, params: Params, token: str) -> httpx.Response:
        try:
            return await self._http.request(
                method,
                f"{self._prefix}/{target.path}",
                params=params if method == "GET" else None,
                data=dict(params) if method == "POST" else None,
                headers={"authorization": f"Bearer {token}"},
                follow_redirects=False,
            )
        except httpx.TimeoutException as error:
            raise self.error(f"no answer in time ({type(error).__name__})", Consequence.TRANSIENT) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self.error(
                f"no usable answer ({type(error).__name__}: {error})", Consequence.TRANSIENT, token=token
            ) from error

    def _failed(
        self, fault: errors.GraphFault, response: httpx.Response, current: Span, token: str
    ) -> PlatformError:
        current.set_attribute("facebook.error_code", fault.code)
        if fault.trace:
            current.set_attribute("facebook.trace_id", fault.trace)
        return self.error(
            fault.message or f"error {fault.code}",
            fault.consequence,
            code=fault.code,
            http_status=response.status_code,
            retry_after=(
                usage.seconds_to_wait(response.headers) if fault.consequence is Consequence.RATE else None
            ),
            token=token,
        )

    def _buckets(self, target: Target) -> tuple[str, ...]:
        app = f"{PLATFORM}/{self._scope}/app"
        return (app, f"{PLATFORM}/{self._scope}/{target.owner}") if target.owner else (app,)

    async def _note_usage(
        self, target: Target, headers: Mapping[str, str], fault: errors.GraphFault | None
    ) -> None:
        app, *own = self._buckets(target)
        seen = {app: usage.app_usage(headers)}
        if own:
            seen[own[0]] = usage.object_usage(headers)
        if fault is not None and fault.consequence is Consequence.RATE:
            exhausted = app if fault.app_wide or not own else own[0]
            seen[exhausted] = Usage(100.0, usage.seconds_to_wait(headers))
        for bucket, value in seen.items():
            if value is not None:
                await self._limiter.note(bucket, value)


def _cursor_after(page: Json) -> str | None:
    """The cursor of the next page. `cursors.after` is there on the last page too; only `next` says that
    there is more."""
    paging = page.get("paging")
    if not isinstance(paging, dict) or "next" not in paging:
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) and after else None
