"""TikTok's Business (Marketing) API v1.3 as a transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import httpx

from common.clock import utc_now
from common.errors import Consequence
from platforms.calls.answers import Refusal, object_in
from platforms.calls.api import Api, Call, Connection, Fault, Json
from platforms.calls.credentials import Credential
from platforms.calls.exchange import Reply
from platforms.calls.usage import UsageLimiter
from platforms.tiktok_business import PLATFORM, refusals
from platforms.tiktok_business.limits import (
    APP_WIDE,
    MAINTENANCE,
    MAINTENANCE_WAIT,
    limit_in,
    seconds_to_wait,
)

ROOT = "/open_api/v1.3/"
PAGE_SIZE = 1000
"""The most rows TikTok gives at a time; ten when it is not asked."""
MAX_PAGES = 500

_FILE = "file"

Params = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of an answer. `partial`: TikTok did only some of what was asked."""

    data: Json
    partial: bool = False


class Business(Api[Answer]):
    """Calls with one connection's token, for one run.

    `of_creator`: it is a creator's token, which can be renewed; an advertiser's lives until it is revoked.
    """

    platform: ClassVar[str] = PLATFORM
    title: ClassVar[str] = "TikTok"

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        credential: Credential,
        *,
        limiter: UsageLimiter,
        scope: str,
        connection_id: UUID | None = None,
        of_creator: bool = False,
        secrets: Sequence[str] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        connection = Connection(credential, scope, connection_id)
        super().__init__(http, base_url, connection, limiter=limiter, secrets=secrets, now=now)
        self._of_creator = of_creator

    async def get(self, path: str, params: Params, *, advertiser: str = "") -> Json:
        """GET `path` below the version; raises PlatformError. Lists and objects travel as JSON."""
        return await self._data(Call("GET", ROOT + path, _query(params), owner=advertiser))

    async def post(self, path: str, body: Json, *, advertiser: str = "") -> Json:
        """POST a JSON body; raises PlatformError."""
        return await self._data(Call("POST", ROOT + path, {}, body, owner=advertiser))

    async def download(self, path: str, params: Params, *, advertiser: str) -> str:
        """GET a file that comes without an envelope; raises PlatformError."""
        call = Call("GET", ROOT + path, _query(params), owner=advertiser, for_file=True)
        text = (await self.ask(call)).data.get(_FILE)
        if not isinstance(text, str):
            raise self.error("a download without a file", Consequence.INVALID)
        return text

    async def rows(
        self, path: str, params: Params, *, advertiser: str, page_size: int = PAGE_SIZE
    ) -> AsyncIterator[Json]:
        """Every row of a list, page by page."""
        for page in range(1, MAX_PAGES + 1):
            paged = {**params, "page": page, "page_size": page_size}
            answer = await self.get(path, paged, advertiser=advertiser)
            for row in self.list_in(answer):
                yield row
            if page >= self._pages_in(answer):
                return
        raise self.error(f"a list of more than {MAX_PAGES} pages", Consequence.SPLIT)

    def list_in(self, answer: Json) -> list[Json]:
        """The rows of one page; raises PlatformError when it is not a list of objects."""
        rows = answer.get("list")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.error("an answer without a list", Consequence.INVALID)
        return rows

    def authorization(self, token: str) -> Mapping[str, str]:
        """TikTok's own header."""
        return {"access-token": token}

    def read(self, call: Call, reply: Reply, now: datetime) -> tuple[Answer, str | None] | Fault:
        """The data of the envelope, or the text of a file as the data's only member."""
        if call.for_file and _is_file(reply):
            return Answer({_FILE: reply.body.decode("utf-8-sig", "replace")}), None
        envelope = refusals.read(reply.status, reply.body, of_creator=self._of_creator)
        if isinstance(envelope, Refusal):
            return _fault(envelope, _request_id(object_in(reply.body) or {}), now)
        data = envelope.get("data")
        answer = Answer(data if isinstance(data, dict) else {}, envelope["code"] == refusals.PARTIAL)
        return answer, _request_id(envelope)

    async def _data(self, call: Call) -> Json:
        answer = await self.ask(call)
        if answer.partial:
            # Figures of a part would be told as the figures of the whole.
            raise self.error("only a part was answered", Consequence.TRANSIENT, code=str(refusals.PARTIAL))
        return answer.data

    def _pages_in(self, answer: Json) -> int:
        info = answer.get("page_info")
        total = info.get("total_page") if isinstance(info, dict) else None
        if not isinstance(total, int) or isinstance(total, bool):
            raise self.error("a list that does not say how long it is", Consequence.INVALID)
        return total


def _query(params: Params) -> dict[str, str]:
    return {name: _text(value) for name, value in params.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _is_file(reply: Reply) -> bool:
    """Whether it is one: an error comes as an envelope in the file's place, a proxy's as HTML."""
    return reply.status == httpx.codes.OK and reply.body.lstrip()[:1] not in (b"", b"{", b"<")


def _fault(refusal: Refusal, request_id: str | None, now: datetime) -> Fault:
    wait = MAINTENANCE_WAIT if refusal.code == MAINTENANCE else None
    if refusal.consequence is Consequence.RATE:
        wait = seconds_to_wait(limit_in(refusal.message), now)
    return Fault(
        refusal.consequence,
        refusal.code,
        refusal.message,
        request_id,
        wait=wait,
        app_wide=refusal.code in APP_WIDE,
    )


def _request_id(envelope: Json) -> str | None:
    told = envelope.get("request_id")
    return told if isinstance(told, str) and told else None
