"""Data syncs: Facebook's figures to a webhook and into a database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from common.models import POSTGRESQL
from common.secrets.crypto import new_webhook_secret
from platforms.facebook import FACEBOOK_USER
from tests.support.handlers.base import HandlerEnvironment, Mistake
from tests.support.syncs import fresh_hook

_DAYS_BACK = 120


class _Syncing:
    """A Facebook account whose campaigns are passed on."""

    type: ClassVar[str] = "data_sync"
    platforms: ClassVar[Sequence[str]] = ("facebook",)

    def __init__(self) -> None:
        start = (datetime.now(UTC) - timedelta(days=_DAYS_BACK)).date()
        self.config: Mapping[str, Any] = {"level": "campaign", "start_date": str(start)}

    async def _connect(self, environment: HandlerEnvironment) -> None:
        token = environment.planted.new("Facebook token", "sandbox-fb-")
        await environment.world.connection(environment.team, FACEBOOK_USER, token)


class WebhookSyncDriver(_Syncing):
    """To the sandbox's sink."""

    name: ClassVar[str] = "data_sync to a webhook"
    mistakes: ClassVar[Sequence[Mistake]] = (
        Mistake({"webhook_url": None, "destination_id": None}, "/webhook_url"),
        Mistake({"webhook_url": "https://u:p@example.com"}, "/webhook_url"),
        Mistake({"webhook_url": "http://169.254.169.254/latest"}, "/webhook_url"),
        Mistake({"days": 0}, "/days"),
        Mistake({"metrics": ["spnd"]}, "/metrics"),
    )

    async def set_up(self, environment: HandlerEnvironment, *, broken: bool = False) -> None:
        """A destination whose secret signs; `broken`: its receiver wants another one's."""
        await self._connect(environment)
        self._sandbox = environment.sandbox
        secret = environment.planted.plant("signing secret", new_webhook_secret(), public="whsec_")
        self._expected = new_webhook_secret() if broken else secret
        destination_id = await environment.world.webhook(environment.team, "https://example.com/rows", secret)
        self.config = {**self.config, "sync_type": "webhook", "destination_id": str(destination_id)}
        await self.reset()

    async def reset(self) -> None:
        """An address nobody has called."""
        self._hook = fresh_hook()
        await self._sandbox.put(f"hooks/{self._hook}", secret=self._expected, reject_invalid=True)
        self.config = {**self.config, "webhook_url": f"{self._sandbox.url}/hooks/{self._hook}"}

    async def effects(self, run_id: UUID) -> object:
        """The rows it was sent, one delivery for each id."""
        bodies: dict[str, str] = {}
        for call in await self._sandbox.received("webhook", hook=self._hook):
            document = json.loads(call["body"])
            if document["data"]["sync_id"] != str(run_id) or not 200 <= call["status"] < 300:
                continue
            assert call["signature"] == "valid"
            known = bodies.setdefault(call["webhook_id"], call["body"])
            assert known == call["body"], "another body under an id the receiver has seen"
        data = [json.loads(body)["data"] for body in bodies.values()]
        assert sorted(each["sequence"] for each in data) == list(range(1, len(data) + 1))
        assert {each["of"] for each in data} <= {len(data)}
        return sorted(json.dumps(row, sort_keys=True) for each in data for row in each["rows"])


class DatabaseSyncDriver(_Syncing):
    """Into a database of the user's."""

    name: ClassVar[str] = "data_sync into a database"
    mistakes: ClassVar[Sequence[Mistake]] = (
        Mistake({"connection_id": None}, "/connection_id"),
        Mistake({"connection_id": "7"}, "/connection_id"),
        Mistake({"table": None}, "/table"),
        Mistake({"table": "a.b.c"}, "/table"),
        Mistake({"start_date": "soon"}, "/start_date"),
    )

    async def set_up(self, environment: HandlerEnvironment, *, broken: bool = False) -> None:
        """A role of its own with a password; `broken`: another password is stored."""
        await self._connect(environment)
        self._url = environment.store_url
        password = environment.planted.new("password of the database")
        parts = urlsplit(environment.store_url)
        await self._execute("DROP ROLE IF EXISTS syncer")
        await self._execute(f"CREATE ROLE syncer SUPERUSER LOGIN PASSWORD '{password}'")
        stored = environment.planted.new("wrong password") if broken else password
        dsn = urlunsplit(parts._replace(netloc=f"syncer:{stored}@{parts.hostname}:{parts.port}"))
        environment.planted.plant_dsn("DSN", dsn)
        connection_id = await environment.world.connection(environment.team, POSTGRESQL, dsn)
        self.config = {
            **self.config,
            "sync_type": "database",
            "connection_id": str(connection_id),
            "table": "ads.days",
            "create_schema": True,
        }

    async def reset(self) -> None:
        """An empty database."""
        await self._execute("DROP SCHEMA IF EXISTS ads CASCADE")

    async def effects(self, run_id: UUID) -> object:
        """The rows of the table, which say nothing of the run they came with."""
        db = await asyncpg.connect(self._url)
        try:
            if await db.fetchval("SELECT to_regclass('ads.days')") is None:
                return []
            rows = await db.fetch("SELECT to_jsonb(t) - 'synced_at' AS row FROM ads.days t")
        finally:
            await db.close()
        return sorted(row["row"] for row in rows)

    async def _execute(self, statement: str) -> None:
        db = await asyncpg.connect(self._url)
        try:
            await db.execute(statement)
        finally:
            await db.close()
