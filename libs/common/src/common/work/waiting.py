"""What waits in PostgreSQL for a place, as far as a process remembers it.

Only ids are remembered, and only so many: PostgreSQL is the queue, and the truth. What another process claims
meanwhile is found claimed; what was not remembered is looked for when the items before it have gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from common.work.places import Flows, Places

EACH = 100
"""Items remembered of each line."""
ALL = 10_000
"""Items remembered of all lines."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item to claim; `traceparent` is the trace context of its event."""

    id: UUID
    flows: Flows = ()
    traceparent: str | None = None


class WaitingLines:
    """Items that wait for a place: one line for those of the same flows, served in turn."""

    def __init__(self) -> None:
        self._lines: dict[Flows, deque[Waiting]] = {}
        self._ids: set[UUID] = set()
        self._cut: set[Flows] = set()
        """Lines of which more waits in PostgreSQL than is remembered."""
        self.has_run_out = False
        """A line that was cut has come to its end: the rest of it is to be looked for."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def has_more(self) -> bool:
        """Whether something waits, remembered here or only in PostgreSQL."""
        return bool(self._ids) or self.has_run_out

    def add(self, items: Iterable[Waiting], *, is_part: bool = False) -> None:
        """Let items wait at the end of their lines. `is_part`: more of these flows may wait in PostgreSQL."""
        for item in items:
            line = self._lines.get(item.flows)
            if item.id in self._ids:
                continue
            if line is None:
                if len(self._ids) >= ALL:
                    # A sweep finds it when it has waited for too long.
                    continue
                line = self._lines[item.flows] = deque()
            if is_part or len(line) >= EACH:
                self._cut.add(item.flows)
            if len(line) < EACH and len(self._ids) < ALL:
                line.append(item)
                self._ids.add(item.id)

    def admit(self, places: Places) -> list[Waiting]:
        """Take places for as many as there is room for, one of each line after the other."""
        admitted: list[Waiting] = []
        is_moving = True
        while is_moving:
            is_moving = False
            for flows in list(self._lines):
                if not places.free:
                    return admitted
                if places.take(flows):
                    is_moving = True
                    admitted.append(self._first(flows))
        return admitted

    def held_back(self, places: Places) -> list[UUID]:
        """Flows that may take no more places for now, and whose next items are remembered."""
        flows = {flow for line in self._lines for flow in line}
        return [flow.id for flow in flows if not places.has_room_for((flow,))]

    def _first(self, flows: Flows) -> Waiting:
        # Put in again behind the other lines, so that each of them is served before it.
        line = self._lines.pop(flows)
        item = line.popleft()
        self._ids.discard(item.id)
        if line:
            self._lines[flows] = line
        elif flows in self._cut:
            self._cut.discard(flows)
            self.has_run_out = True
        return item
