"""A client of the public API, as one team uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from common.database.pool import DbSession
from tests.factories import Team
from tests.support.polling import eventually

Document = dict[str, Any]

NEXT_YEAR = {"type": "cron", "expression": "0 0 1 1 *", "timezone": "UTC"}
"""A schedule that does not fire during a test."""

_UNDER_WAY = """
SELECT (SELECT count(*) FROM automation_run WHERE status IN ('waiting', 'queued', 'running'))
     + (SELECT count(*) FROM delivery WHERE status IN ('queued', 'sending'))
     + (SELECT count(*) FROM recording WHERE worker IS NOT NULL
           OR (status NOT IN ('UPLOADED', 'FAILED', 'SKIPPED') AND available_at <= now()))
     + (SELECT count(*) FROM outbox)
"""


@dataclass
class TeamClient:
    """One team's API client."""

    name: str
    team: Team
    api: httpx.AsyncClient

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Document:
        """The response body of a request that must succeed."""
        answer = await self.api.post(path, json=body)
        assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text}"
        document: Document = answer.json()
        return document

    async def connect(self, platform: str, **body: Any) -> str:
        """A connection by pasted secrets; its id."""
        wanted = {"platform": platform, "name": f"{platform} of {self.team.tenant_id}", **body}
        return str((await self.post("/api/connections", wanted))["id"])

    async def chat(self, token: str, chat_id: int = 4711) -> str:
        """A Telegram destination; its id."""
        body = {"type": "telegram", "name": "Chat", "config": {"chat_id": chat_id}, "bot_token": token}
        return str((await self.post("/api/destinations", body))["id"])

    async def hook(self, url: str, secret: str, name: str = "Warehouse") -> str:
        """A webhook destination; its id."""
        body = {"type": "webhook", "name": name, "config": {"url": url}, "signing_secret": secret}
        return str((await self.post("/api/destinations", body))["id"])

    async def automate(
        self, kind: str, config: Mapping[str, Any], destination_id: str, *platforms: str
    ) -> str:
        """Create an automation that only runs on demand; returns its id."""
        body = {
            "name": f"{kind} {' '.join(platforms)}",
            "type": kind,
            "destination_id": destination_id,
            "schedule_config": NEXT_YEAR,
            "automation_config": dict(config),
            "platforms": list(platforms),
        }
        return str((await self.post("/api/automations", body))["id"])

    async def run(self, automation_id: str) -> tuple[Document, Document]:
        """Run an automation or a recording job, first dry, then for real; returns both responses."""
        tried = await self.post(f"/api/automations/{automation_id}/run?dry_run=true")
        return tried, await self.post(f"/api/automations/{automation_id}/run")

    async def run_all(self, automation_ids: Iterable[str]) -> None:
        """Run automations concurrently, each in both ways."""
        await asyncio.gather(*map(self.run, automation_ids))


async def settled(db: DbSession, *, within: float = 60.0) -> None:
    """Wait until no run, delivery, recording or event is pending."""

    async def is_quiet() -> bool:
        return bool(await db.fetchval(_UNDER_WAY) == 0)

    await eventually(is_quiet, within=within, every=0.1, what="no work is pending")
