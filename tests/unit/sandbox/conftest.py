"""A sandbox inside the test's own process, at a time that stands still until it is moved."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sandbox.clock import Clock
from sandbox.main import build_app
from sandbox.settings import Settings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
TOKEN = "sandbox-fb-test"
ACCOUNT = "act_402210009451117"
PAGE = "106480015220733"
PAGE_TOKEN = f"sandbox-page-{PAGE}-test"
BOT = "/bot123456:" + "A" * 35


@dataclass
class SandboxApp:
    """A client of one sandbox, and the sandbox's clock."""

    http: httpx.AsyncClient
    clock: Clock

    async def graph(self, path: str, token: str = TOKEN, **params: str) -> httpx.Response:
        return await self.http.get(f"/v26.0/{path}", params={"access_token": token, **params})

    async def insights(self, **params: str) -> list[dict[str, Any]]:
        """Every row of one query, in one page."""
        answer = await self.graph(f"{ACCOUNT}/insights", **{"limit": "4999", **params})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["data"]
        return rows

    async def error(self, path: str, token: str = TOKEN, **params: str) -> dict[str, Any]:
        """The error envelope of a call that must fail."""
        answer = await self.graph(path, token, **params)
        assert answer.status_code >= 400, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    async def bot(self, method: str, **params: Any) -> dict[str, Any]:
        """A Bot API answer, successful or not."""
        document: dict[str, Any] = (await self.http.post(f"{BOT}/{method}", json=params)).json()
        return document

    async def refusal(self, method: str, **params: Any) -> str:
        """The description of a Bot API call that must fail."""
        document = await self.bot(method, **params)
        assert document["ok"] is False
        return str(document["description"])

    async def fault(self, kind: str, **description: Any) -> dict[str, Any]:
        answer = await self.http.post("/_sandbox/faults", json={"kind": kind, **description})
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def received(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.http.get("/_sandbox/received", params=query)
        assert answer.status_code == 200, answer.text
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages


def sandbox_app(settings: Settings, host: str = "http://graph.test") -> SandboxApp:
    """A fresh sandbox with these settings."""
    clock = Clock(source=lambda: NOON)
    transport = httpx.ASGITransport(app=build_app(settings, clock))
    return SandboxApp(httpx.AsyncClient(transport=transport, base_url=host), clock)


@pytest.fixture
def settings() -> Settings:
    return replace(Settings(), facebook_report_seconds=10.0)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[SandboxApp]:
    made = sandbox_app(settings)
    async with made.http:
        yield made
