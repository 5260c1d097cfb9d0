"""Writing rows to a user's table: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from common.errors import Consequence, PlatformError
from common.models import POSTGRESQL
from executor.sync.chunks import Chunk, Row
from executor.sync.postgresql.connecting import UserConnection
from executor.sync.postgresql.table import COLUMNS_OF, SCHEMA_EXISTS, UNIQUE_KEYS_OF, Present, Table
from platforms.advertising.metrics import Level

# In the transaction, not at its start: poolers refuse settings that come with the connection.
_LIMITS = """
SET LOCAL statement_timeout = '60s';
SET LOCAL lock_timeout = '15s';
SET LOCAL idle_in_transaction_session_timeout = '60s';
SET LOCAL timezone = 'UTC';
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the table. `statements` made what was missing of it, or with a dry run would make it."""

    rows: int
    removed: int
    statements: Sequence[str]


async def inspect(connection: UserConnection, table: Table) -> Sequence[str]:
    """The statements that would make what is missing; changes nothing."""
    async with connection.transaction(readonly=True):
        await connection.execute(_LIMITS)
        return table.missing(await _present(connection, table))


async def write(
    connection: UserConnection,
    table: Table,
    chunks: Sequence[Chunk],
    accounts: Sequence[Row],
    *,
    level: Level,
    now: datetime,
    create: bool,
    connection_id: str,
) -> Written:
    """Put the rows where rows of the same key were, in one transaction.

    `accounts` say which days of whom the rows are: campaigns of those days that are not among them go.

    Raises:
        PlatformError: INVALID, with the statements to run, when something is missing and `create` is False.
    """
    removed = 0
    async with connection.transaction():
        await connection.execute(_LIMITS)
        statements = table.missing(await _present(connection, table))
        if statements and not create:
            raise _incomplete(table, statements, connection_id)
        for statement in statements:
            await connection.execute(statement)
        for chunk in chunks:
            await connection.execute(table.upsert, chunk.text(), now)
        if level is Level.CAMPAIGN and accounts:  # of an account itself there is a row for every day
            swept = await connection.execute(
                table.sweep,
                [account["platform"] for account in accounts],
                [account["account_id"] for account in accounts],
                [date.fromisoformat(account["since"]) for account in accounts],
                [date.fromisoformat(account["until"]) for account in accounts],
                level.value,
                now,
            )
            removed = int(swept.rpartition(" ")[2])
    return Written(sum(chunk.rows for chunk in chunks), removed, statements)


async def _present(connection: UserConnection, table: Table) -> Present:
    return Present(
        schema=await connection.fetchval(SCHEMA_EXISTS, table.schema),
        columns={row[0] for row in await connection.fetch(COLUMNS_OF, table.schema, table.name)},
        unique_keys=[
            frozenset(row[0]) for row in await connection.fetch(UNIQUE_KEYS_OF, table.schema, table.name)
        ],
    )


def _incomplete(table: Table, statements: Sequence[str], connection_id: str) -> PlatformError:
    script = ";\n".join(statements)
    return PlatformError(
        f"table: {table.sql} is not as it must be; run this, or set create_schema:\n{script};",
        Consequence.INVALID,
        platform=POSTGRESQL,
        code="schema",
        connection_id=connection_id,
    )
