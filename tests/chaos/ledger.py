"""A copy of every event, because the relay deletes what it has published and a broker may lose it."""

from __future__ import annotations

from typing import TypeVar

from common.events import EVENT_TYPES, Event, parse
from tests.factories import World

E = TypeVar("E", bound=Event)

_KEEP = """
CREATE TABLE announced (LIKE outbox);
CREATE FUNCTION keep_announced() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO announced SELECT NEW.*; RETURN NULL; END$$;
CREATE TRIGGER keep_announced AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep_announced();
"""


class Ledger:
    """The events of all committed transactions, in no order."""

    def __init__(self, world: World) -> None:
        self._world = world

    @classmethod
    async def kept(cls, world: World) -> Ledger:
        """Keep what is announced from now on."""
        await world.sql.execute(_KEEP)
        return cls(world)

    async def of(self, kind: type[E]) -> list[E]:
        """Those of one type."""
        rows = await self._world.sql.fetch("SELECT headers, value FROM announced")
        events = [parse(row["headers"], row["value"], *EVENT_TYPES.values()) for row in rows]
        return [event for event in events if isinstance(event, kind)]
