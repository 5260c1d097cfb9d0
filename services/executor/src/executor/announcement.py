"""Telling the API what this executor can do, so that it can check new automations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.database.pool import ConnectionPool
from executor.handlers.base import Handler

_ANNOUNCE = """
INSERT INTO automation_type (type, title, config_schema)
SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
ON CONFLICT (type) DO UPDATE
   SET title = excluded.title, config_schema = excluded.config_schema, announced_at = now()
"""


async def announce(pool: ConnectionPool, handlers: Mapping[str, Handler[Any]]) -> None:
    """Record each handler's type and configuration schema."""
    # Sorted: two executors that start together lock the rows in the same order.
    found = sorted(handlers.values(), key=lambda handler: handler.name)
    await pool.execute(
        _ANNOUNCE,
        [handler.name for handler in found],
        [handler.title for handler in found],
        [handler.config.model_json_schema() for handler in found],
    )
