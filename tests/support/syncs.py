"""Data syncs at work: a run that is under way, its automation, and what it is given."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from common.automation_config.data_sync import DataSyncConfig
from common.database.pool import ConnectionPool
from executor.handlers.base import Account, Outcome, RunContext
from executor.handlers.data_sync import DataSync
from executor.settings import ExecutorSettings
from platforms.advertising.figures import AdAccount
from platforms.calls.periods import Days
from tests.factories import Team, World
from tests.support.fake_ads import Values
from tests.support.run_contexts import run_context

SLOT = datetime(2026, 11, 21, 9, tzinfo=UTC)
YESTERDAY = date(2026, 11, 20)
WORKER = "executor-1"
_numbers = itertools.count(1)


def executor_settings(encryption_keys: str, *allowed_hosts: str) -> ExecutorSettings:
    """Settings of an executor that may call these private hosts."""
    return ExecutorSettings(
        database_url=SecretStr("postgresql://nobody@localhost/none"),
        kafka_bootstrap_servers="localhost:1",
        encryption_keys=SecretStr(encryption_keys),
        receiver_allowed_hosts=frozenset(allowed_hosts),
    )


def spend_is_the_day(_account: AdAccount, days: Days) -> Values:
    """Figures by which every day can be told."""
    return {"spend": f"{days.since.day}.50", "impressions": days.since.day * 100, "clicks": 0}


@dataclass
class Syncing:
    """An automation and its present run. Each attempt is the run's next."""

    world: World
    pool: ConnectionPool
    team: Team
    handler: DataSync
    config: Mapping[str, Any]
    automation_id: UUID
    accounts: list[Account] = field(default_factory=list)
    state: Mapping[str, Any] = field(default_factory=dict)
    slot: datetime = SLOT
    run_id: UUID | None = None
    made: int = 0

    async def attempt(self, http: httpx.AsyncClient, **context: Any) -> Outcome:
        """One attempt of the present run, as an executor holds it; `recorded` ends the run."""
        return await self.handler.run(
            await self.context(http, **context), DataSyncConfig.model_validate(self.config)
        )

    async def context(self, http: httpx.AsyncClient, **fields: Any) -> RunContext:
        """What the next attempt is given."""
        if self.run_id is None:
            self.made = 1
            self.run_id = await self.world.running(self.team, self.automation_id, worker=WORKER)
        else:
            self.made += 1
            await self.world.sql.execute(
                "UPDATE automation_run SET attempt = $2, status = 'running' WHERE id = $1",
                self.run_id,
                self.made,
            )
        return run_context(
            http,
            *self.accounts,
            slot=self.slot,
            pool=self.pool,
            state=self.state,
            run_id=self.run_id,
            automation_id=self.automation_id,
            tenant_id=self.team.tenant_id,
            attempt=self.made,
            **fields,
        )

    async def recorded(self, outcome: Outcome, *, later: timedelta = timedelta(days=1)) -> None:
        """The run is completed; the next attempt is of another run, `later`."""
        await self.world.sql.execute(
            "UPDATE automation_run SET status = 'completed' WHERE id = $1", self.run_id
        )
        self.run_id, self.slot = None, self.slot + later
        if outcome.state is not None:
            self.state = outcome.state


async def syncing(
    world: World, pool: ConnectionPool, team: Team, handler: DataSync, config: Mapping[str, Any]
) -> Syncing:
    """An automation of this configuration that has not run yet."""
    (automation_id,) = await world.automations(team, None, kind="data_sync", config=config)
    return Syncing(world, pool, team, handler, config, automation_id)


def fresh_hook() -> str:
    """The name of a hook that no other test uses."""
    return f"rows-{next(_numbers)}-{datetime.now(UTC).timestamp():.6f}"
