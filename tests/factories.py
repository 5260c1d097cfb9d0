"""Rows for tests: what the API would have written, made in bulk and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from common.database.pool import connect
from common.ids import new_id
from common.models import ConnectionKind, platform_of
from common.secrets.crypto import KeyRing, hash_api_key, new_api_key
from platforms.facebook import FACEBOOK_USER

REPORT = {"period": "daily", "days": 1, "metric_types": ["ad_account", "pages"], "format": "html"}
MESSAGE = {"type": "report.completed", "title": "Daily report", "text": "Spend 12.00 EUR", "data": {}}
BOT_TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@dataclass(frozen=True)
class Team:
    """A tenant, its owner and the owner's key."""

    tenant_id: UUID
    user_id: UUID
    api_key: str


class World:
    """Writes tenants and what belongs to them straight into a database."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], ring: KeyRing) -> None:
        self.sql = connection
        self._ring = ring

    @classmethod
    async def open(cls, database_url: str, encryption_keys: str) -> World:
        """Connect; close `sql` afterwards."""
        connection = await connect(database_url, application_name="tests")
        return cls(connection, KeyRing.parse(encryption_keys))

    async def team(self, name: str = "Northwind Media") -> Team:
        """A tenant with an owner and a key."""
        team = Team(new_id(), new_id(), new_api_key())
        await self.sql.execute("INSERT INTO tenant (id, name) VALUES ($1, $2)", team.tenant_id, name)
        await self.sql.execute(
            "INSERT INTO user_account (id, tenant_id, email, role) VALUES ($1, $2, $3, 'owner')",
            team.user_id,
            team.tenant_id,
            f"owner@{name.lower().replace(' ', '-')}.example",
        )
        await self.sql.execute(
            "INSERT INTO api_key (id, tenant_id, user_id, hint, key_hash) VALUES ($1, $2, $3, $4, $5)",
            new_id(),
            team.tenant_id,
            team.user_id,
            team.api_key[:8],
            hash_api_key(team.api_key),
        )
        return team

    async def facebook(self, team: Team, token: str = "sandbox-fb-test") -> UUID:
        """A connected Facebook account."""
        return await self.connection(team, FACEBOOK_USER, token, name="Facebook")

    async def connection(
        self, team: Team, kind: ConnectionKind, token: str | None = None, **columns: Any
    ) -> UUID:
        """A connected account. All that is secret is sealed as the services do it."""
        connection_id = new_id()
        secrets = {
            name: columns.pop(name, None) for name in ("refresh_token", "credentials", "webhook_secret")
        }
        sealed = {
            f"{name}_sealed": self._ring.seal(
                secret, tenant_id=team.tenant_id, row_id=connection_id, column=name
            )
            for name, secret in {"token": token, **secrets}.items()
            if secret is not None
        }
        named = {
            "tenant_id": team.tenant_id,
            "platform": platform_of(kind),
            "kind": kind,
            "name": kind,
            **sealed,
            **columns,
        }
        return await self._insert("connection", named, row_id=connection_id)

    async def telegram(self, team: Team, chat_id: int = 4711, token: str = BOT_TOKEN) -> UUID:
        """A Telegram chat."""
        return await self._destination(team, "telegram", {"chat_id": chat_id}, token)

    async def webhook(self, team: Team, url: str, secret: str | None = None) -> UUID:
        """A webhook."""
        return await self._destination(team, "webhook", {"url": url}, secret)

    async def _destination(
        self, team: Team, kind: str, config: Mapping[str, Any], secret: str | None
    ) -> UUID:
        destination_id = new_id()
        sealed = secret and self._ring.seal(
            secret, tenant_id=team.tenant_id, row_id=destination_id, column="secret"
        )
        await self.sql.execute(
            "INSERT INTO destination (id, tenant_id, name, type, config, secret_sealed)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            destination_id,
            team.tenant_id,
            f"{kind} {destination_id}",
            kind,
            dict(config),
            sealed,
        )
        return destination_id

    async def automations(
        self,
        team: Team,
        destination_id: UUID | None,
        count: int = 1,
        *,
        kind: str = "scheduled_report",
        schedule: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] = REPORT,
        next_run: datetime | None = None,
        platforms: Sequence[str] = ("facebook",),
        priority: str = "normal",
    ) -> list[UUID]:
        """`count` automations, all due at `next_run` (default: an hour from now), then once a day."""
        due = next_run or datetime.now(UTC) + timedelta(hours=1)
        ids = [new_id() for _ in range(count)]
        # An anchor a day before puts the grid on `due` itself.
        given = schedule or {
            "type": "interval",
            "interval_minutes": 1440,
            "anchor": (due - timedelta(days=1)).isoformat(),
        }
        await self.sql.execute(
            """
            INSERT INTO automation (id, tenant_id, destination_id, name, type, schedule_config,
                                    automation_config, platforms, next_run, priority)
            SELECT id, $2, $3, $9 || ' ' || ordinality, $4, $5, $6, $7, $8, $10
              FROM unnest($1::uuid[]) WITH ORDINALITY AS ids (id, ordinality)
            """,
            ids,
            team.tenant_id,
            destination_id,
            kind,
            dict(given),
            dict(config),
            list(platforms),
            due,
            kind,
            priority,
        )
        return ids

    async def run(self, team: Team, automation_id: UUID, **columns: Any) -> UUID:
        """A run, queued unless `columns` say otherwise."""
        return await self._insert(
            "automation_run", {"tenant_id": team.tenant_id, "automation_id": automation_id, **columns}
        )

    async def running(
        self,
        team: Team,
        automation_id: UUID,
        *,
        worker: str = "executor-1",
        attempt: int = 1,
        lease: timedelta = timedelta(seconds=15),
        **columns: Any,
    ) -> UUID:
        """A run in the hands of `worker`, with the record of its attempt; a negative `lease` has run out."""
        run_id = await self.run(
            team,
            automation_id,
            status="running",
            worker=worker,
            attempt=attempt,
            lease_expires_at=datetime.now(UTC) + lease,
            **columns,
        )
        await self.sql.execute(
            "INSERT INTO run_attempt (run_id, number, worker) VALUES ($1, $2, $3)", run_id, attempt, worker
        )
        return run_id

    async def token_refresh(self, connection_id: UUID, **columns: Any) -> UUID:
        """A renewal of a connection's token, still going on unless `columns` say otherwise."""
        named = {"connection_id": connection_id, "worker": "executor-1", "token_version": 1, **columns}
        return await self._insert("token_refresh", named)

    async def delivery(self, team: Team, destination_id: UUID, **columns: Any) -> UUID:
        """A delivery, queued unless `columns` say otherwise."""
        return await self._insert(
            "delivery",
            {
                "tenant_id": team.tenant_id,
                "destination_id": destination_id,
                "message": MESSAGE,
                **columns,
            },
        )

    async def row(self, table: str, row_id: UUID) -> asyncpg.Record:
        """One row as it is now."""
        row = await self.sql.fetchrow(f"SELECT * FROM {table} WHERE id = $1", row_id)
        assert row is not None, f"no {table} {row_id}"
        return row

    async def _insert(self, table: str, columns: Mapping[str, Any], *, row_id: UUID | None = None) -> UUID:
        row_id = row_id or new_id()
        named = {"id": row_id, **columns}
        places = ", ".join(f"${number}" for number in range(1, len(named) + 1))
        await self.sql.execute(f"INSERT INTO {table} ({', '.join(named)}) VALUES ({places})", *named.values())
        return row_id
