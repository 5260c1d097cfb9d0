"""The table rows are kept in: how it must be, what is missing of it, and what fills it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

KEY = ("platform", "account_id", "level", "campaign_id", "day")
"""What makes a row: repeated, it takes the place of the one before."""
_COLUMNS: Mapping[str, str] = {
    "platform": "text NOT NULL",
    "account_id": "text NOT NULL",
    "account_name": "text",
    "currency": "text",
    "level": "text NOT NULL",
    "campaign_id": "text NOT NULL DEFAULT ''",
    "campaign_name": "text",
    "day": "date NOT NULL",
}
_SYNCED_AT = "synced_at"

SCHEMA_EXISTS = "SELECT to_regnamespace(quote_ident($1)) IS NOT NULL"
COLUMNS_OF = """
SELECT a.attname FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""
UNIQUE_KEYS_OF = """
SELECT array_agg(a.attname::text) FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
 WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indisvalid
   AND i.indpred IS NULL AND i.indexprs IS NULL
 GROUP BY i.indexrelid
"""


@dataclass(frozen=True, slots=True)
class Present:
    """What the database has."""

    schema: bool
    columns: AbstractSet[str]
    unique_keys: Sequence[AbstractSet[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ours in a user's database, for these metrics."""

    schema: str
    name: str
    metrics: tuple[str, ...]

    @classmethod
    def named(cls, table: str, metrics: Sequence[str]) -> Table:
        """From `schema.table`; without a schema it is in `public`."""
        schema, _, name = table.rpartition(".")
        return cls(schema or "public", name, tuple(metrics))

    @property
    def sql(self) -> str:
        """Its name, quoted."""
        return f"{_quoted(self.schema)}.{_quoted(self.name)}"

    @property
    def columns(self) -> dict[str, str]:
        """Every column with its type."""
        metrics = dict.fromkeys(self.metrics, "numeric")
        return {**_COLUMNS, **metrics, _SYNCED_AT: "timestamptz NOT NULL DEFAULT now()"}

    def missing(self, present: Present) -> list[str]:
        """The statements that make what is missing, in order; none when nothing is."""
        if not present.columns:
            columns = ",\n".join(f"    {_quoted(name)} {kind}" for name, kind in self.columns.items())
            schema = [] if present.schema else [f"CREATE SCHEMA {_quoted(self.schema)}"]
            return [*schema, f"CREATE TABLE {self.sql} (\n{columns},\n    PRIMARY KEY ({_list(KEY)})\n)"]
        statements = [
            f"ALTER TABLE {self.sql} ADD COLUMN {_quoted(name)} {kind}"
            for name, kind in self.columns.items()
            if name not in present.columns
        ]
        if not any(key == set(KEY) for key in present.unique_keys):
            statements.append(f"CREATE UNIQUE INDEX ON {self.sql} ({_list(KEY)})")
        return statements

    @property
    def upsert(self) -> str:
        """Takes a chunk's JSON and the instant of the sync; one statement for all its rows."""
        given = [*_COLUMNS, *self.metrics]
        kinds = {**_COLUMNS, **dict.fromkeys(self.metrics, "numeric")}
        record = ", ".join(f"{_quoted(name)} {kinds[name].split()[0]}" for name in given)
        changed = ", ".join(
            f"{_quoted(name)} = excluded.{_quoted(name)}" for name in (*given, _SYNCED_AT) if name not in KEY
        )
        return (
            f"INSERT INTO {self.sql} ({_list((*given, _SYNCED_AT))})\n"
            f"SELECT {_list(given)}, $2 FROM jsonb_to_recordset($1::text::jsonb -> 'rows') AS r ({record})\n"
            f"ON CONFLICT ({_list(KEY)}) DO UPDATE SET {changed}"
        )

    @property
    def sweep(self) -> str:
        """Removes the rows of those days which the platform has restated out of existence. Takes platforms,
        accounts, first and last days, a level and the instant of the sync."""
        return (
            f"DELETE FROM {self.sql} t\n"
            " USING unnest($1::text[], $2::text[], $3::date[], $4::date[])\n"
            "       AS w (platform, account_id, since, until)\n"
            " WHERE t.platform = w.platform AND t.account_id = w.account_id AND t.level = $5\n"
            "   AND t.day BETWEEN w.since AND w.until AND t.synced_at < $6"
        )


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))
