"""Taking runs: one conditional update for a whole batch, before the batch is acknowledged."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, overload
from uuid import UUID

import asyncpg
import structlog

from common import telemetry
from common.automation_policy import AutomationPolicy
from common.clock import utc_now
from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import RunStarted, to_record
from common.models import POSTGRESQL, S3, ConnectionKind, Lane, Trigger
from common.secrets.crypto import Undecryptable
from common.work.leases import RUNS, Attempt, patience
from common.work.places import Flows, team
from common.work.waiting import Waiting
from executor.handlers.base import Account
from executor.tokens.credential import KeptCredential
from executor.tokens.decisions import Token
from executor.tokens.keeper import TokenKeeper

log = structlog.get_logger()

# The order prevents deadlocks between two claimants.
_WANTED = """
SELECT id FROM automation_run
 WHERE id = ANY($1::uuid[]) AND status = 'queued'
   AND (expires_at IS NULL OR expires_at > clock_timestamp())
 ORDER BY id FOR UPDATE SKIP LOCKED
"""
# Runs whose event was lost with the broker, or has been taken and forgotten: PostgreSQL alone is enough.
_WAITING = """
SELECT id, tenant_id FROM automation_run
 WHERE status = 'queued' AND lane = $1 AND available_at < clock_timestamp() - make_interval(secs => $2)
   AND (expires_at IS NULL OR expires_at > clock_timestamp())
   AND tenant_id <> ALL($3::uuid[])
 ORDER BY available_at LIMIT $4
"""
_NEW_ATTEMPTS = """,
attempts AS (
    INSERT INTO run_attempt (run_id, number, worker, started_at)
    SELECT id, attempt, $2, claimed_at FROM claimed
)"""
_CLAIMED = """
SELECT c.id, c.tenant_id, c.automation_id, c.lane, c.attempt, c.uncounted, c.max_attempts,
       c.scheduled_for, c.as_of,
       c.created_at, c.expires_at, c.trigger, c.stopped_workers,
       c.started_at, c.claimed_at, c.trace_id, c.traceparent,
       a.name, a.type, a.automation_config, a.policy, a.platforms, a.destination_id,
       d.type AS destination_type,
       coalesce(a.schedule_config ->> 'timezone', 'UTC') AS timezone,
       coalesce(s.state, '{}'::jsonb) AS state
  FROM claimed c JOIN automation a ON a.id = c.automation_id
  LEFT JOIN destination d ON d.id = a.destination_id
  LEFT JOIN automation_state s ON s.automation_id = c.automation_id
"""
_CLAIM = f"WITH {RUNS.claim(_WANTED)}{_NEW_ATTEMPTS}{_CLAIMED}"
_READ_BACK = f"WITH {RUNS.read_back}{_CLAIMED}"
_CONNECTIONS = """
SELECT id, tenant_id, platform, kind, name, settings, accounts, token_sealed, token_version, expires_at,
       refreshed_at, problem IS NOT NULL AS has_problem
  FROM connection
 WHERE tenant_id = ANY($1::uuid[]) AND status = 'active'
   AND (token_sealed IS NOT NULL OR credentials_sealed IS NOT NULL)
 ORDER BY created_at
"""


STORES = frozenset({POSTGRESQL, S3})
"""What any automation may write to; its configuration names the connection."""


class _Secrets(Sequence[str]):
    """Every secret a run's credentials have held until now, those renewed under it included."""

    def __init__(self, credentials: Sequence[KeptCredential]) -> None:
        self._credentials = credentials

    def __iter__(self) -> Iterator[str]:
        return (secret for credential in self._credentials for secret in credential.seen)

    def __len__(self) -> int:
        return sum(len(credential.seen) for credential in self._credentials)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return list(self)[index]


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that is this worker's until its lease expires.

    `credentials` are its accounts' own, by connection; `troubled` are connections that had a problem when it
    was claimed; `stopped_workers` counts the processes it has blocked until they ended.
    """

    id: UUID
    tenant_id: UUID
    automation_id: UUID
    automation_name: str
    type: str
    lane: Lane
    attempt: int
    uncounted: int
    max_attempts: int
    scheduled_for: datetime | None
    slot: datetime
    started_at: datetime
    expires_at: datetime | None
    trace_id: str | None
    traceparent: str | None
    timezone: str
    config: Mapping[str, Any]
    policy: AutomationPolicy
    dry_run: bool
    platforms: Sequence[str]
    destination_id: UUID | None
    accounts: Sequence[Account]
    state: Mapping[str, Any]
    destination_type: str | None = None
    credentials: Mapping[UUID, KeptCredential] = field(default_factory=dict, repr=False)
    troubled: frozenset[UUID] = frozenset()
    stopped_workers: int = 0

    @property
    def flows(self) -> Flows:
        """Its team's."""
        return (team(self.tenant_id),)

    @property
    def secrets(self) -> Sequence[str]:
        """What must not be shown of it, wherever a vendor or a library repeats it; grows with renewals."""
        return _Secrets(list(self.credentials.values()))

    @property
    def counted_attempts(self) -> int:
        """The number of this attempt among those that count."""
        return self.attempt - self.uncounted

    def blamed_version(self, connection_id: UUID) -> int | None:
        """The version of the token that an error with this connection is about; None when it is unknown."""
        credential = self.credentials.get(connection_id)
        return None if credential is None else credential.blamed


class Claims:
    """Claims runs for one worker."""

    def __init__(
        self, pool: ConnectionPool, keeper: TokenKeeper, *, worker: str, lease_seconds: float
    ) -> None:
        self._pool = pool
        self._keeper = keeper
        self._worker = worker
        self._lease_seconds = lease_seconds

    async def claim(self, traceparents: Mapping[UUID, str | None]) -> list[ClaimedRun]:
        """Claim those of the runs that are still waiting.

        `traceparents` maps the run ids to the trace context their events carried.
        """
        async with self._pool.acquire() as db, db.transaction():
            rows = await db.fetch(_CLAIM, list(traceparents), self._worker, self._lease_seconds)
            if not rows:
                return []
            runs = await self._runs(db, rows, traceparents)
            await self._announce(db, runs)
        for row in rows:
            if row["attempt"] == 1:
                lag = (row["claimed_at"] - (row["scheduled_for"] or row["created_at"])).total_seconds()
                telemetry.SLOT_TO_START.labels(row["lane"]).observe(max(0.0, lag))
        return runs

    async def waiting(
        self, lane: Lane, *, waited_seconds: float, without: Sequence[UUID], limit: int
    ) -> list[Waiting]:
        """Runs of `lane` that have waited for so long, the oldest first, but for those of some teams."""
        rows = await self._pool.fetch(_WAITING, lane.value, waited_seconds, without, limit)
        return [Waiting(row["id"], (team(row["tenant_id"]),)) for row in rows]

    async def read_back(self, known: Sequence[Attempt]) -> list[ClaimedRun]:
        """The runs that are this worker's by a claim whose answer was lost: all it holds but `known`.

        Everything else that a claim writes was committed with it.
        """
        async with asyncio.timeout(patience(self._lease_seconds)), self._pool.acquire() as db:
            rows = await db.fetch(
                _READ_BACK,
                [run_id for run_id, _ in known],
                self._worker,
                self._lease_seconds,
                [number for _, number in known],
            )
            return await self._runs(db, rows, {}) if rows else []

    async def _runs(
        self, db: DbSession, rows: Sequence[asyncpg.Record], traceparents: Mapping[UUID, str | None]
    ) -> list[ClaimedRun]:
        connected = await self._accounts(db, {row["tenant_id"] for row in rows})
        return [
            _run(row, traceparents.get(row["id"]), connected[row["tenant_id"]], self._keeper) for row in rows
        ]

    async def _announce(self, db: DbSession, runs: Sequence[ClaimedRun]) -> None:
        now = utc_now()
        await outbox.write(
            db,
            [
                to_record(
                    RunStarted(
                        run_id=run.id,
                        automation_id=run.automation_id,
                        tenant_id=run.tenant_id,
                        attempt=run.attempt,
                        trace_id=run.trace_id,
                        scheduled_for=run.scheduled_for,
                        started_at=run.started_at,
                        worker=self._worker,
                    ),
                    source="executor",
                    time=now,
                    traceparent=run.traceparent,
                )
                for run in runs
            ],
        )

    async def _accounts(self, db: DbSession, tenants: set[UUID]) -> dict[UUID, list[_Connected]]:
        connected: dict[UUID, list[_Connected]] = defaultdict(list)
        for row in await db.fetch(_CONNECTIONS, list(tenants)):
            try:
                token = self._token(row)
            except Undecryptable as error:
                # One unreadable token must not stop the batch; the runs that need it will say it is missing.
                log.error(
                    "token cannot be opened",
                    connection_id=str(row["id"]),
                    tenant_id=str(row["tenant_id"]),
                    error=error.detail,
                )
                continue
            connected[row["tenant_id"]].append(_Connected(row, token))
        return connected

    def _token(self, row: asyncpg.Record) -> Token | None:
        """The connection's token; None where it has only the credentials to ask for one."""
        if row["token_sealed"] is None:
            return self._keeper.known(row["id"])
        return self._keeper.opened(
            row["id"],
            row["token_sealed"],
            tenant_id=row["tenant_id"],
            version=row["token_version"],
            expires_at=row["expires_at"],
            granted_at=row["refreshed_at"],
        )


@dataclass(frozen=True, slots=True)
class _Connected:
    """A connection as it was found, with its token in clear."""

    row: asyncpg.Record
    token: Token | None

    def serves(self, platforms: Sequence[str]) -> bool:
        """Whether an automation with these platforms may use it."""
        return self.row["platform"] in platforms or self.row["platform"] in STORES

    def account(self, credential: KeptCredential) -> Account:
        """What a handler is given of it."""
        row = self.row
        return Account(
            row["id"],
            row["platform"],
            row["kind"],
            row["name"],
            row["settings"],
            credential,
            self.token.version if self.token else row["token_version"],
            row["accounts"],
        )


def _run(
    row: asyncpg.Record, traceparent: str | None, connected: Sequence[_Connected], keeper: TokenKeeper
) -> ClaimedRun:
    # Anything may be there after an UPDATE by hand; the handler will say what it misses.
    platforms: list[str] = row["platforms"] if isinstance(row["platforms"], list) else []
    usable = [each for each in connected if each.serves(platforms)]
    credentials = {
        each.row["id"]: KeptCredential(keeper, each.row["id"], ConnectionKind(each.row["kind"]), each.token)
        for each in usable
    }
    return ClaimedRun(
        id=row["id"],
        tenant_id=row["tenant_id"],
        automation_id=row["automation_id"],
        automation_name=row["name"],
        type=row["type"],
        lane=Lane(row["lane"]),
        attempt=row["attempt"],
        uncounted=row["uncounted"],
        max_attempts=row["max_attempts"],
        scheduled_for=row["scheduled_for"],
        slot=row["scheduled_for"] or row["as_of"] or row["created_at"],
        started_at=row["started_at"],
        expires_at=row["expires_at"],
        trace_id=row["trace_id"],
        traceparent=traceparent or row["traceparent"],
        timezone=row["timezone"],
        config=row["automation_config"],
        policy=AutomationPolicy.read(row["policy"]),
        dry_run=row["trigger"] == Trigger.DRY_RUN,
        platforms=platforms,
        destination_id=row["destination_id"],
        destination_type=row["destination_type"],
        accounts=[each.account(credentials[each.row["id"]]) for each in usable],
        state=row["state"] if isinstance(row["state"], dict) else {},
        credentials=credentials,
        stopped_workers=row["stopped_workers"],
        troubled=frozenset(each.row["id"] for each in usable if each.row["has_problem"]),
    )
