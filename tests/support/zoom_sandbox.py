"""Controls the sandbox's Zoom account from a test."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import httpx

from tests.support.stack import Service


class SandboxZoom:
    """Whose people record what the test says."""

    def __init__(self, service: Service, http: httpx.AsyncClient) -> None:
        self._control = f"{service.url}/_sandbox"
        self._http = http
        self.base_url = f"{service.url}/zoom/v2"

    async def reset(self) -> None:
        """As new, with nobody's recordings but those a test adds."""
        (await self._http.post(f"{self._control}/reset")).raise_for_status()
        await self._ask("PUT", "zoom/users", recordings=0)

    async def people(self, count: int) -> list[str]:
        """The ids of so many people who record nothing yet; the first is the demo person."""
        told = await self._ask("PUT", "zoom/users", count=count, recordings=0)
        return [str(person["id"]) for person in told["users"]][:count]

    async def plan(self, user: str, recordings: int, *, days: float, **more: Any) -> None:
        """Have somebody's recordings spread over the days before now."""
        await self._ask("PUT", f"zoom/users/{user}", recordings=recordings, days=days, **more)

    async def record(self, topic: str, **more: Any) -> dict[str, Any]:
        """One more recording; the demo person's unless `user` says otherwise. Answers Zoom's document."""
        return await self._ask("POST", "zoom/recordings", topic=topic, **more)

    async def download_token(self, uuid: str) -> str:
        """A token that opens the files of one recording, as a webhook brings it."""
        told = await self._ask("POST", "zoom/webhooks", recording=uuid, secret="zoom-webhook-secret")
        token: str = json.loads(told["request"]["body"])["download_token"]
        return token

    async def habit(self, **habits: Any) -> None:
        """Change what Zoom is not always like."""
        await self._ask("PUT", "zoom", **habits)

    async def limit(self, **limits: float) -> None:
        """Change how often it may be called; 0 lifts a limit."""
        await self._ask("PUT", "limits", **limits)

    async def clock(self, moment: datetime) -> None:
        """Let it be that time at Zoom."""
        await self._ask("POST", "clock", set=moment.isoformat())

    async def advance(self, seconds: float) -> None:
        """Let time pass at Zoom."""
        await self._ask("POST", "clock", advance_seconds=seconds)

    async def fault(self, **description: Any) -> None:
        """Switch a fault on, for one call unless `times` says otherwise."""
        await self._ask("POST", "faults", **{"times": 1, **description})

    async def calls(self) -> dict[str, dict[str, int]]:
        """Calls by path and status."""
        answer = await self._http.get(f"{self._control}/stats")
        told: dict[str, dict[str, dict[str, int]]] = answer.raise_for_status().json()["platforms"]
        return told.get("zoom", {})

    async def _ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = await self._http.request(method, f"{self._control}/{path}", json=body)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told
