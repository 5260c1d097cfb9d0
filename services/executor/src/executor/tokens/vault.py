"""Connections' secrets in PostgreSQL: read, locked for one refresher at a time, and replaced.

That a renewal is about to be sent is committed on a connection of its own, while the row is locked on
another: whatever becomes of this process, the next refresher learns that an answer may have been lost. The
reference from `token_refresh` takes KEY SHARE on the locked row, which NO KEY UPDATE lets through.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from common.database.pool import ConnectionPool, DbSession
from common.errors import PlatformError
from common.ids import new_id
from common.models import ConnectionKind, ConnectionStatus, RefreshOutcome
from common.secrets.crypto import KeyRing
from executor.tokens.decisions import Past, Token
from platforms.oauth.base import Discovered, Stored, TokenSet

LOCK_PATIENCE = 25.0
"""Seconds to wait for another refresher: longer than it may take, shorter than the command timeout."""
MESSAGE_LENGTH = 500
_REMEMBERED = 20
BLOCKED = "blocked"
"""The code of a refresh that kept its process busy until the watchdog ended that."""

_COLUMNS = """
id, tenant_id, platform, kind, status, status_reason, settings, scopes, token_version, token_sealed,
refresh_token_sealed, credentials_sealed, expires_at, refresh_expires_at, refreshed_at, refresh_at,
clock_timestamp() AS now
"""
_READ = f"SELECT {_COLUMNS} FROM connection WHERE id = $1"
_LOCK = f"{_READ} FOR NO KEY UPDATE"
_PAST = f"""
SELECT outcome, error_code, clock_timestamp() - started_at AS age FROM token_refresh
 WHERE connection_id = $1 AND token_version = $2 ORDER BY started_at DESC LIMIT {_REMEMBERED}
"""
# One refresher at a time, so a row without an outcome was left by a process that ended.
_BEGIN = """
WITH lost AS (
    UPDATE token_refresh
       SET ended_at = clock_timestamp(), outcome = 'unknown', error_code = $5, error_message = $6
     WHERE connection_id = $2 AND ended_at IS NULL
)
INSERT INTO token_refresh (id, connection_id, worker, token_version, started_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
"""
_END = """
UPDATE token_refresh
   SET ended_at = clock_timestamp(), outcome = $2, error_code = $3, error_message = $4 WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class _Renewals:
    """See `common.work.stopping.Stoppers`. A refresh has one attempt."""

    table: str = "token_refresh"
    stopped: str = f"""
UPDATE token_refresh
   SET ended_at = clock_timestamp(), outcome = 'unknown', error_code = '{BLOCKED}',
       error_message = 'it kept its process busy until that had to be ended'
 WHERE id = $1 AND $2 = 1 AND worker = $3 AND ended_at IS NULL
"""


RENEWALS = _Renewals()
_STORE = """
UPDATE connection
   SET token_sealed = $2, refresh_token_sealed = $3, token_version = $4, expires_at = $5,
       refresh_expires_at = $6, refresh_at = $7, scopes = $8, refresh_requested_at = NULL,
       refreshed_at = clock_timestamp(), checked_at = clock_timestamp(), updated_at = clock_timestamp()
 WHERE id = $1
"""
_POSTPONE = """
UPDATE connection SET refresh_at = clock_timestamp() + $2, refresh_requested_at = NULL
 WHERE id = $1 AND token_version = $3
"""
_LOOK_AGAIN = """
UPDATE connection
   SET checked_at = clock_timestamp(), refresh_at = clock_timestamp() + $3, refresh_requested_at = NULL,
       problem = coalesce($4, problem)
 WHERE id = $1 AND token_version = $2
"""
_SEEN = """
UPDATE connection
   SET checked_at = clock_timestamp(), refresh_at = $3, refresh_requested_at = NULL,
       expires_at = coalesce($4, expires_at), external_name = $5,
       scopes = CASE WHEN jsonb_array_length($6) > 0 THEN $6 ELSE scopes END,
       accounts = CASE WHEN jsonb_array_length($7) > 0 THEN $7 ELSE accounts END,
       settings = settings || $8, updated_at = clock_timestamp()
 WHERE id = $1 AND token_version = $2 AND status = 'active'
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection with decrypted secrets, which must stay in this process. `now` is the database's."""

    id: UUID
    tenant_id: UUID
    platform: str
    kind: ConnectionKind
    status: ConnectionStatus
    status_reason: str | None
    version: int
    token: Token | None
    stored: Stored = field(repr=False)
    scopes: tuple[str, ...]
    refresh_expires_at: datetime | None
    refresh_at: datetime | None
    now: datetime


class Vault:
    """Reads and writes the stored secrets, for one worker."""

    def __init__(self, pool: ConnectionPool, ring: KeyRing, *, worker: str) -> None:
        self._pool = pool
        self._ring = ring
        self._worker = worker

    async def read(self, connection_id: UUID) -> Kept | None:
        """The connection as it is; None when it was deleted. Raises Undecryptable."""
        row = await self._pool.fetchrow(_READ, connection_id)
        return None if row is None else self._kept(row)

    @asynccontextmanager
    async def locked(self, connection_id: UUID) -> AsyncIterator[tuple[DbSession, Kept | None]]:
        """The connection once no other process is refreshing it, and the transaction that locks it.

        Raises Undecryptable, and asyncpg's LockNotAvailableError after `LOCK_PATIENCE`.
        """
        async with self._pool.acquire() as db, db.transaction():
            await db.execute(f"SET LOCAL lock_timeout = '{int(LOCK_PATIENCE * 1000)}'")
            row = await db.fetchrow(_LOCK, connection_id)
            yield db, None if row is None else self._kept(row)

    def open_token(self, sealed: bytes, *, tenant_id: UUID, connection_id: UUID) -> str:
        """A decrypted access token; raises Undecryptable."""
        return self._ring.open(sealed, tenant_id=tenant_id, row_id=connection_id, column="token")

    async def past(self, db: DbSession, kept: Kept) -> Past:
        """Outcomes of earlier refreshes of the current token."""
        rows = await db.fetch(_PAST, kept.id, kept.version)
        stopped = sum(row["error_code"] == BLOCKED for row in rows)
        return Past.of([(row["outcome"], row["age"]) for row in rows], stopped=stopped)

    async def begin(self, kept: Kept, *, because: str, code: str) -> UUID:
        """Commit the intent to send a refresh; earlier rows without an outcome get one."""
        refresh_id = new_id()
        await self._pool.execute(
            _BEGIN, refresh_id, kept.id, self._worker, kept.version, code, because[:MESSAGE_LENGTH]
        )
        return refresh_id

    async def end(
        self,
        db: DbSession,
        refresh_id: UUID,
        outcome: RefreshOutcome,
        error: PlatformError | None = None,
    ) -> None:
        """Record the outcome of a refresh."""
        code = None if error is None else f"{error.consequence.value}:{error.code or ''}".rstrip(":")
        detail = None if error is None else error.detail[:MESSAGE_LENGTH]
        await db.execute(_END, refresh_id, outcome.value, code, detail)

    async def store(
        self,
        db: DbSession,
        kept: Kept,
        tokens: TokenSet,
        *,
        version: int,
        refresh_at: datetime | None,
    ) -> None:
        """Replace the tokens of a locked connection. A refresh token without a successor stays."""
        keeps_refresh_token = tokens.refresh_token is None
        refresh_token = kept.stored.refresh_token if keeps_refresh_token else tokens.refresh_token
        refresh_end = tokens.refresh_expires_at or (kept.refresh_expires_at if keeps_refresh_token else None)
        await db.execute(
            _STORE,
            kept.id,
            self._seal(kept, "token", tokens.access_token),
            None if refresh_token is None else self._seal(kept, "refresh_token", refresh_token),
            version,
            tokens.expires_at,
            refresh_end,
            refresh_at,
            list(tokens.scopes or kept.scopes),
        )

    async def postpone(self, db: DbSession, kept: Kept, pause: timedelta) -> None:
        """Postpone the next refresh or check by `pause`."""
        await db.execute(_POSTPONE, kept.id, pause, kept.version)

    async def seen(self, kept: Kept, found: Discovered, *, refresh_at: datetime | None) -> None:
        """Store the result of a check, unless the token was replaced meanwhile."""
        await self._pool.execute(
            _SEEN,
            kept.id,
            kept.version,
            refresh_at,
            found.expires_at,
            found.external_name,
            list(found.scopes),
            [dict(account) for account in found.accounts],
            dict(found.settings),
        )

    async def look_again(self, kept: Kept, pause: timedelta, *, problem: str | None) -> None:
        """Postpone the next check by `pause`; `problem` is what the check met, if it is significant."""
        shown = None if problem is None else problem[:MESSAGE_LENGTH]
        await self._pool.execute(_LOOK_AGAIN, kept.id, kept.version, pause, shown)

    def _seal(self, kept: Kept, column: str, secret: str) -> bytes:
        return self._ring.seal(secret, tenant_id=kept.tenant_id, row_id=kept.id, column=column)

    def _kept(self, row: asyncpg.Record) -> Kept:
        opened = {
            column: self._ring.open(sealed, tenant_id=row["tenant_id"], row_id=row["id"], column=column)
            for column in ("token", "refresh_token", "credentials")
            if (sealed := row[f"{column}_sealed"]) is not None
        }
        value = opened.get("token")
        return Kept(
            id=row["id"],
            tenant_id=row["tenant_id"],
            platform=row["platform"],
            kind=ConnectionKind(row["kind"]),
            status=ConnectionStatus(row["status"]),
            status_reason=row["status_reason"],
            version=row["token_version"],
            token=None
            if value is None
            else Token(value, row["token_version"], row["expires_at"], row["refreshed_at"]),
            stored=Stored(
                access_token=value,
                refresh_token=opened.get("refresh_token"),
                credentials=json.loads(opened.get("credentials", "{}")),
                settings=row["settings"],
                expires_at=row["expires_at"],
            ),
            scopes=tuple(row["scopes"]),
            refresh_expires_at=row["refresh_expires_at"],
            refresh_at=row["refresh_at"],
            now=row["now"],
        )
