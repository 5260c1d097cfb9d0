"""Passing daily figures on, to a webhook or into a user's PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from common.automation_config.data_sync import DataSyncConfig, SyncType
from common.clock import utc_now
from common.errors import Consequence, PlatformError
from common.http import AddressGuard
from common.models import POSTGRESQL
from common.secrets.crypto import KeyRing
from executor.handlers.base import Account, Handler, Outcome, RunContext
from executor.settings import ExecutorSettings
from executor.sources.ads import AdSources
from executor.sources.reading import Sources
from executor.sync import record
from executor.sync.batches import Batch, Batches
from executor.sync.chunks import DATABASE, WEBHOOK, Chunk, Limits, cut
from executor.sync.collection import Collected, collect
from executor.sync.endpoints import find_endpoint
from executor.sync.postgresql.address import parse_dsn
from executor.sync.postgresql.connecting import connected
from executor.sync.postgresql.failures import FAILURES, failure
from executor.sync.postgresql.table import Table
from executor.sync.postgresql.writing import Written, inspect, write
from executor.sync.sending import Envelope, Sender, Sleep
from executor.sync.windows import Watermarks, fingerprint
from platforms.advertising.metrics import Level


class DataSync(Handler[DataSyncConfig]):
    """Reads what is new and what may have been restated since, and passes it on.

    To a webhook: what is read is kept first, then sent chunk by chunk, so that the next attempt goes on after
    the last chunk the receiver took. Into a database: all rows in one transaction, each in the place of the
    one that was there before, so that doing it twice does no harm.
    """

    name: ClassVar[str] = "data_sync"
    title: ClassVar[str] = "Data sync"
    config = DataSyncConfig

    def __init__(
        self, settings: ExecutorSettings, *, sources: Sources | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._sources: Sources = sources or AdSources(settings)
        self._ring = KeyRing.parse(settings.encryption_keys.get_secret_value())
        self._guard = AddressGuard(settings.receiver_allowed_hosts)
        self._sleep = sleep

    async def run(self, context: RunContext, config: DataSyncConfig) -> Outcome:
        """Read and pass on. Raises PlatformError or ChannelError where that fails, for good or for now."""
        if config.sync_type is SyncType.WEBHOOK:
            return await self._send(context, config)
        return await self._store(context, config)

    async def _send(self, context: RunContext, config: DataSyncConfig) -> Outcome:
        endpoint = await find_endpoint(
            context.pool,
            self._ring,
            context.tenant_id,
            url=config.webhook_url,
            destination_id=config.destination_id,
        )
        if context.dry_run:
            collected = await self._collect(context, config)
            return _shown(collected, _cut(collected, WEBHOOK))
        batches = Batches(
            context.pool,
            run_id=context.run_id,
            automation_id=context.automation_id,
            tenant_id=context.tenant_id,
            attempt=context.attempt,
        )
        batch = await self._prepared(context, config, batches)
        envelope = Envelope(
            context.run_id,
            context.automation_id,
            batch.facts["fingerprint"],
            config.level.value,
            tuple(metric.value for metric in config.metrics),
        )
        sent = await Sender(context.http, endpoint, self._sleep).send(batches, batch, envelope)
        context.log.info("rows sent", chunks=sent, of=batch.chunks)
        figures = batch.facts["figures"]
        told = record.counted(figures["rows"], batch.facts["accounts"])
        requests = f"{batch.chunks} request{'' if batch.chunks == 1 else 's'}"
        return Outcome(
            f"{told} sent in {requests}{record.missing(figures)}",
            {**figures, "sync_type": config.sync_type.value, "chunks": batch.chunks},
            state=batch.facts["state"],
            faults=record.faults(batch.facts),
        )

    async def _prepared(self, context: RunContext, config: DataSyncConfig, batches: Batches) -> Batch:
        mark = fingerprint(config, target_only=False)
        batch = await batches.find()
        if batch is not None and batch.facts.get("fingerprint") == mark:
            context.log.info("sending goes on", chunks=batch.chunks, left=len(batch.left))
            return batch
        collected = await self._collect(context, config)
        return await batches.prepare(record.facts(collected, mark), _cut(collected, WEBHOOK))

    async def _store(self, context: RunContext, config: DataSyncConfig) -> Outcome:
        account = _store_of(context, config)
        connection_id = str(account.connection_id)
        dsn = await account.credential.current()
        address = parse_dsn(dsn, connection_id=connection_id)
        table = Table.named(config.table or "", [metric.value for metric in config.metrics])
        collected = await self._collect(context, config)
        chunks = _cut(collected, DATABASE)
        try:
            async with connected(address, self._guard) as connection:
                if context.dry_run:
                    statements = await inspect(connection, table)
                    return _shown(collected, chunks, table=table.sql, statements=statements)
                written = await write(
                    connection,
                    table,
                    chunks,
                    [account.account for account in collected.accounts],
                    level=Level(config.level.value),
                    now=utc_now(),
                    create=config.create_schema,
                    connection_id=connection_id,
                )
        except FAILURES as error:
            raise failure(error, connection_id=connection_id, secrets=(address.password,)) from None
        context.log.info(
            "rows stored", rows=written.rows, removed=written.removed, statements=len(written.statements)
        )
        return _stored(collected, written, table)

    async def _collect(self, context: RunContext, config: DataSyncConfig) -> Collected:
        collected = await collect(
            await self._sources.of(context),
            config,
            context.slot,
            Watermarks.read(context.state, config),
            is_last_chance=context.last_attempt,
        )
        for refusal in collected.refusals:
            context.log.warning(
                "account left out",
                platform=refusal.platform,
                account_id=refusal.account_id,
                code=refusal.error.code,
                error=refusal.error.detail,
            )
        context.log.info("rows read", rows=collected.rows, accounts=len(collected.accounts))
        return collected


def _store_of(context: RunContext, config: DataSyncConfig) -> Account:
    for account in context.accounts:
        if account.connection_id == config.connection_id and account.platform == POSTGRESQL:
            return account
    raise PlatformError(
        "connection_id: no PostgreSQL connection of yours has this id, or it must be connected again",
        Consequence.REAUTH,
        platform=POSTGRESQL,
        # Without the id: a configuration may name any connection, and another team's must not be blamed.
        code="not_connected",
    )


def _cut(collected: Collected, limits: Limits) -> list[Chunk]:
    return list(cut(collected.accounts, limits))


def _stored(collected: Collected, written: Written, table: Table) -> Outcome:
    figures = record.figures(collected)
    told = record.counted(collected.rows, len(collected.accounts))
    return Outcome(
        f"{told} stored in {table.schema}.{table.name}{record.missing(figures)}",
        {
            **figures,
            "sync_type": SyncType.DATABASE.value,
            "table": table.sql,
            "removed": written.removed,
            "statements": list(written.statements),
        },
        state=collected.watermarks.as_state(),
        faults=[refusal.error for refusal in collected.refusals],
    )


def _shown(collected: Collected, chunks: Sequence[Chunk], **more: object) -> Outcome:
    """What a dry run found and would do with it."""
    figures = record.figures(collected)
    told = record.counted(collected.rows, len(collected.accounts))
    return Outcome(
        f"{told} would be passed on{record.missing(figures)}",
        {**figures, "chunks": len(chunks), "first_rows": record.shown_rows(chunks), **more},
        faults=[refusal.error for refusal in collected.refusals],
    )
