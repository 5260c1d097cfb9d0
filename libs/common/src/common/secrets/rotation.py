"""Rotating the encryption key: every secret in the database is sealed again with the first key of the ring.

    1. put a new key first in ENCRYPTION_KEYS, keep the old one behind it, restart the services
    2. `carillon keys rotate`
    3. take the old key out, restart the services

Services may keep running meanwhile, because they seal with the first key already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from common.database.pool import DbSession, connect
from common.models import metadata
from common.secrets.crypto import KeyRing, Undecryptable

BATCH = 500
_SUFFIX = "_sealed"
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of secrets. `name` is what its values are bound to, the column's without `_sealed`."""

    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Rotated:
    """The result for one column: how many values were sealed again, and the rows no key of the ring opens."""

    column: SealedColumn
    sealed: int
    unreadable: Sequence[UUID]


def sealed_columns() -> list[SealedColumn]:
    """Every column of secrets there is."""
    return [
        SealedColumn(table.name, column.name.removesuffix(_SUFFIX))
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name.endswith(_SUFFIX)
    ]


async def rotate(database_url: str, ring: KeyRing) -> list[Rotated]:
    """Seal everything again with the first key; can be interrupted and repeated at any time."""
    connection = await connect(database_url, application_name="carillon-rotation")
    try:
        return [await _rotate(connection, ring, column) for column in sealed_columns()]
    finally:
        await connection.close()


async def _rotate(db: DbSession, ring: KeyRing, column: SealedColumn) -> Rotated:
    secret = f"{column.name}{_SUFFIX}"
    select = f"""
        SELECT id, tenant_id, {secret} AS secret FROM {column.table}
         WHERE {secret} IS NOT NULL AND substring({secret} FROM 1 FOR $1) <> $2 AND id > $3
         ORDER BY id LIMIT {BATCH}
    """
    # Losing branch: a secret that changed since it was read was sealed by a service, with the first key
    # already.
    update = f"""
        UPDATE {column.table} t SET {secret} = new.secret
          FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS new (id, old, secret)
         WHERE t.id = new.id AND t.{secret} = new.old
    """
    header, last, sealed = ring.header(), _FIRST, 0
    unreadable: list[UUID] = []
    while rows := await db.fetch(select, len(header), header, last):
        last = rows[-1]["id"]
        renewed: list[tuple[UUID, bytes, bytes]] = []
        for row in rows:
            bound = {"tenant_id": row["tenant_id"], "row_id": row["id"], "column": column.name}
            try:
                plaintext = ring.open(row["secret"], **bound)
            except Undecryptable:
                unreadable.append(row["id"])
                continue
            renewed.append((row["id"], row["secret"], ring.seal(plaintext, **bound)))
        if renewed:
            tag = await db.execute(update, *(list(values) for values in zip(*renewed, strict=True)))
            sealed += int(tag.rpartition(" ")[2])
    return Rotated(column, sealed, unreadable)


def report(rotated: Sequence[Rotated]) -> str:
    """What happened, for the operator: one line a column that had something to seal, then what is lost."""
    lines = [f"{each.column}: {each.sealed} sealed with the new key" for each in rotated if each.sealed] or [
        "Everything is sealed with the first key already."
    ]
    for each in rotated:
        if each.unreadable:
            shown = ", ".join(str(row) for row in each.unreadable[:5])
            more = f" and {len(each.unreadable) - 5} more" if len(each.unreadable) > 5 else ""
            lines.append(f"{each.column}: no key in ENCRYPTION_KEYS opens {shown}{more}")
    return "\n".join(lines)
