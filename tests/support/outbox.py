"""The events that wait in the outbox, read as a consumer would read them."""

from __future__ import annotations

from typing import TypeVar

import asyncpg

from common.events import EVENT_TYPES, Event, EventRecord, parse

E = TypeVar("E", bound=Event)


class Announcements:
    """The outbox of one database."""

    def __init__(self, db: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = db

    async def records(self) -> list[EventRecord]:
        """Every row in the order it would be published."""
        rows = await self._connection.fetch("SELECT topic, key, headers, value FROM outbox ORDER BY id")
        return [EventRecord(row["topic"], row["key"], row["headers"], row["value"]) for row in rows]

    async def all(self) -> list[Event]:
        """Every event; reading it proves that a consumer can."""
        return [parse(record.headers, record.value, *EVENT_TYPES.values()) for record in await self.records()]

    async def of(self, kind: type[E]) -> list[E]:
        """Those of one type."""
        return [event for event in await self.all() if isinstance(event, kind)]

    async def clear(self) -> None:
        """As if all had been published."""
        await self._connection.execute("DELETE FROM outbox")
