"""A Zoom in memory, for tests that need an answer no server gives on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import httpx

from platforms.calls.credentials import Credential, FixedCredential
from platforms.calls.usage import UsageLimiter
from platforms.zoom.api import ZoomApi
from platforms.zoom.client import ZoomClient

TOKEN = "eyJzb29tUserTokenThatMustNeverBeSeenAnywhere0123456789"
BASE_URL = "https://zoom.example.com/v2"
NOW = datetime(2026, 11, 4, 21, 30, tzinfo=UTC)

Answer = httpx.Response | Exception


class FakeZoom:
    """Answers in the order given; the last answer repeats. `slept` are the waits inside calls, in seconds."""

    def __init__(self, *answers: Answer | Callable[[httpx.Request], Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.limiter = UsageLimiter(clock=lambda: 0.0, sleep=self._sleep)
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._serve), trust_env=False)

    def api(self, credential: Credential | None = None) -> ZoomApi:
        """The transport under test, with `TOKEN` unless another credential is given."""
        return ZoomApi(
            self.http,
            BASE_URL,
            credential or FixedCredential(TOKEN, platform="zoom"),
            limiter=self.limiter,
            account="acme",
            now=lambda: NOW,
            random=lambda: 0.5,
        )

    def client(self, credential: Credential | None = None) -> ZoomClient:
        """The client under test."""
        return ZoomClient(self.api(credential))

    def asked(self) -> list[dict[str, str]]:
        """The parameters of each request."""
        return [dict(request.url.params) for request in self.requests]

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


def failure(
    status: int, code: int, message: str = "Something went wrong.", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """An error as Zoom words it."""
    return httpx.Response(status, json={"code": code, "message": message}, headers=dict(headers or {}))


def page(*uuids: str, token: str = "", **echoed: str) -> httpx.Response:
    """One page of a list of recordings."""
    return httpx.Response(
        200, json={**echoed, "next_page_token": token, "meetings": [{"uuid": uuid} for uuid in uuids]}
    )
