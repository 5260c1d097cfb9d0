"""Clients of the public API and of the sandbox's control API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx

from carillon.errors import Obstacle

Document = dict[str, Any]

_TIMEOUT = 15.0
_PAGE_SIZE = 100


class Refused(Obstacle):
    """The API answered with a problem (RFC 9457); the message has its detail and its fields' faults."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Unreachable(Obstacle):
    """The server cannot be reached; the message says what to do."""


class Api:
    """Carillon's public API, with one API key. Made by `connected`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connected(cls, origin: str, api_key: str) -> AsyncIterator[Self]:
        """A client for the length of the block."""
        headers = {"Authorization": f"Bearer {api_key}"}
        async with httpx.AsyncClient(
            base_url=origin, headers=headers, timeout=_TIMEOUT, trust_env=False
        ) as http:
            yield cls(http)

    async def everything(self, collection: str) -> list[Document]:
        """All items of `automations`, `destinations`, `connections` or `runs`, whatever number of pages."""
        found: list[Document] = []
        address: str | None = f"/api/{collection}?limit={_PAGE_SIZE}"
        while address is not None:
            answer = await self._answer("GET", address)
            page = answer.json()
            if isinstance(page, list):  # recording jobs: an array, whose next page a header names
                found += page
                address = answer.links.get("next", {}).get("url")
            else:
                found += page["items"]
                address = page.get("next")
        return found

    async def create(self, collection: str, body: Mapping[str, Any]) -> Document:
        """A new item of a collection, as the API shows it."""
        return await self._call("POST", f"/api/{collection}", body=body)

    async def change(self, collection: str, identifier: str, body: Mapping[str, Any]) -> Document:
        """An item with some of its fields replaced."""
        return await self._call("PATCH", f"/api/{collection}/{identifier}", body=body)

    async def check_connection(self, identifier: str) -> Document:
        """Look at a connection now: its scopes, and the accounts it reaches."""
        return await self._call("POST", f"/api/connections/{identifier}/check")

    async def run_automation(self, identifier: str) -> Document:
        """Run an automation now; the queued run."""
        return await self._call("POST", f"/api/automations/{identifier}/run")

    async def runs_of(self, automation_id: str) -> list[Document]:
        """The newest runs of an automation."""
        page = await self._call("GET", f"/api/automations/{automation_id}/runs")
        runs: list[Document] = page["items"]
        return runs

    async def run(self, identifier: str) -> Document:
        """A run with its attempts, logs and deliveries."""
        return await self._call("GET", f"/api/runs/{identifier}")

    async def _call(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Document:
        document: Document = (await self._answer(method, path, body=body)).json()
        return document

    async def _answer(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            where = self._http.base_url
            raise Unreachable(f"no answer from {where}: is `carillon up` running there? ({error})") from error
        if answer.is_success:
            return answer
        raise Refused(answer.status_code, _reason(answer))


class Sandbox:
    """The sandbox's control API: what it received, and the secret of a webhook. Made by `connected`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connected(cls, origin: str) -> AsyncIterator[Self]:
        """A client for the length of the block."""
        async with httpx.AsyncClient(base_url=origin, timeout=_TIMEOUT, trust_env=False) as http:
            yield cls(http)

    async def expect_signature(self, hook: str, secret: str) -> None:
        """Have the sink check the signatures of what comes to this hook."""
        answer = await self._http.put(f"/_sandbox/hooks/{hook}", json={"secret": secret})
        answer.raise_for_status()

    async def received(self, *, after: int = 0, wait: float = 0.0) -> list[Document]:
        """What came in after this sequence number, waiting up to `wait` seconds for the first."""
        answer = await self._http.get(
            "/_sandbox/received", params={"after": after, "wait": wait}, timeout=wait + _TIMEOUT
        )
        answer.raise_for_status()
        messages: list[Document] = answer.json()["messages"]
        return messages

    async def last_seq(self) -> int:
        """The sequence number of the newest thing received."""
        answer = await self._http.get("/_sandbox/received", params={"limit": 0})
        answer.raise_for_status()
        seq: int = answer.json()["last_seq"]
        return seq


def _reason(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    fields = [f"{fault.get('pointer', '?')}: {fault.get('detail')}" for fault in problem.get("errors", [])]
    return "; ".join([str(problem.get("detail") or problem.get("title") or answer.status_code), *fields])
