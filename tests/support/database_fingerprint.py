"""A fingerprint of a database's contents, to detect any change."""

from __future__ import annotations

import asyncpg

_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1
"""


_ROWS = "SELECT md5(coalesce(string_agg(t.xmin::text || t::text, '' ORDER BY t::text), '')) FROM {table} t"


async def fingerprint(db: asyncpg.Connection[asyncpg.Record], *tables: str) -> dict[str, str]:
    """Each table's rows with the transactions that wrote them; of every table unless some are named."""
    names = tables or tuple(row["relname"] for row in await db.fetch(_TABLES))
    return {name: str(await db.fetchval(_ROWS.format(table=name))) for name in names}
