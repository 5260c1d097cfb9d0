"""TikTok in memory, for tests that need an answer no server gives on demand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from common.errors import Consequence, PlatformError
from platforms.calls.usage import UsageLimiter
from platforms.tiktok_business.client import Business
from platforms.tiktok_organic.client import Organic

TOKEN = "0123456789abcdef0123456789abcdef01234567"
RENEWED = "fedcba9876543210fedcba9876543210fedcba98"
APP_SECRET = "the-secret-of-the-app-that-nobody-sees"
BUSINESS_URL = "https://business.example.com"
OPEN_URL = "https://open.example.com"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as TikTok sees it; parameters that are JSON are parsed."""

    method: str
    path: str
    params: dict[str, Any]
    body: Any
    headers: httpx.Headers


Answer = httpx.Response | BaseException


class FakeTikTok:
    """Answers by path, in the order given; the last answer repeats. Anything else is a page not found."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[str, list[Answer | Callable[[Asked], Answer]]] = defaultdict(list)

    def on(self, path: str, *answers: Answer | Callable[[Asked], Answer]) -> None:
        """Answer calls to `path`, below the version, with these, one after the other."""
        self._answers[path] = list(answers)

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that reaches nothing else."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._serve), trust_env=False)

    def calls(self, path: str) -> list[Asked]:
        """The calls of one path, in order."""
        return [asked for asked in self.asked if asked.path == path]

    def _serve(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/open_api/v1.3/").removeprefix("/v2/")
        params = {name: _parsed(value) for name, value in request.url.params.items()}
        body = json.loads(request.content) if request.content else None
        asked = Asked(request.method, path, params, body, request.headers)
        self.asked.append(asked)
        answers = self._answers[path]
        if not answers:
            return httpx.Response(404, text="404 page not found")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(asked)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Tokens:
    """A credential that answers its tokens one after the other as they are rejected."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens or (TOKEN,)
        self.rejected: list[str] = []

    @property
    def seen(self) -> Sequence[str]:
        """All of them."""
        return self._tokens

    async def current(self) -> str:
        """The one not rejected yet."""
        return self._tokens[min(len(self.rejected), len(self._tokens) - 1)]

    async def renewed(self, rejected: str) -> str:
        """The next one, or REAUTH."""
        self.rejected.append(rejected)
        if len(self.rejected) >= len(self._tokens):
            raise PlatformError("no other token", Consequence.REAUTH, platform="tiktok", code="invalid_grant")
        return self._tokens[len(self.rejected)]


def business(http: httpx.AsyncClient, credential: Tokens | None = None, **options: Any) -> Business:
    """The transport of the Business API under test."""
    given = {"limiter": UsageLimiter(), "scope": "tenant", "secrets": (APP_SECRET,), **options}
    return Business(http, BUSINESS_URL, credential or Tokens(), **given)


def organic(http: httpx.AsyncClient, credential: Tokens | None = None, **options: Any) -> Organic:
    """The client of the organic API under test."""
    given = {"limiter": UsageLimiter(), "scope": "tenant", **options}
    return Organic(http, OPEN_URL, credential or Tokens(), **given)


def success(data: object, code: int = 0) -> httpx.Response:
    """A Business API answer."""
    envelope = {"code": code, "message": "OK", "request_id": "20261121AB", "data": data}
    return httpx.Response(200, json=envelope)


def page(*rows: object, number: int = 1, of: int = 1) -> httpx.Response:
    """One page of a Business API list."""
    info = {"page": number, "page_size": 1000, "total_number": len(rows), "total_page": of}
    return success({"list": rows, "page_info": info})


def failure(code: int, message: str = "Something went wrong", **more: Any) -> httpx.Response:
    """A Business API refusal; HTTP 200 as nearly always."""
    envelope = {"code": code, "message": message, "request_id": "20261121CD", "data": {}}
    return httpx.Response(more.pop("status", 200), json=envelope, **more)


def shown(data: object) -> httpx.Response:
    """An organic API answer."""
    return httpx.Response(200, json={"data": data, "error": {"code": "ok", "message": "", "log_id": "1"}})


def refusal(code: str, status: int, message: str = "Something went wrong") -> httpx.Response:
    """An organic API refusal."""
    error = {"code": code, "message": message, "log_id": "20261121EF"}
    return httpx.Response(status, json={"data": {}, "error": error})


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
