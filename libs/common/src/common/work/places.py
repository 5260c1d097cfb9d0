"""How much a process does at once, and how much of it for one team or one destination.

A lane may use at most its share, so that a flood of backfills leaves room for a person's click. A flow may
take a further place only while it has fewer than its weight times those that are free: one that wants all
gets most of them, and the next one still finds some free.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias
from uuid import UUID

from common.errors import CarillonError
from common.models import Lane

SHARES: Mapping[Lane, float] = {Lane.HIGH: 1.0, Lane.NORMAL: 0.9, Lane.LOW: 0.5}

TEAM = 3.0
"""The weight of a team: alone it may use about three places of four."""
DESTINATION = 0.25
"""The weight of a destination: one that does not answer may use about one place of five."""


class Stopping(CarillonError):
    """The process takes no more work."""


class Flow(NamedTuple):
    """What shares places with others of its kind: the work of one team, or for one destination."""

    id: UUID
    weight: float


Flows: TypeAlias = tuple[Flow, ...]
"""All that an item counts for."""


def team(tenant_id: UUID) -> Flow:
    """The flow of a team's work."""
    return Flow(tenant_id, TEAM)


def destination(destination_id: UUID) -> Flow:
    """The flow of the deliveries to one destination."""
    return Flow(destination_id, DESTINATION)


class Places:
    """Places that are taken one by one, each for the flows of its item."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self.is_closed = False
        self._used_by: Counter[UUID] = Counter()

    @property
    def free(self) -> int:
        """Places that are free now, before any flow's own limit."""
        return max(0, self.total - self.used)

    def has_room_for(self, flows: Flows) -> bool:
        """Whether one more item of these flows may take a place now."""
        free = 0 if self.is_closed else self.free
        return free > 0 and all(self._used_by[flow.id] < max(1.0, flow.weight * free) for flow in flows)

    def take(self, flows: Flows) -> bool:
        """Take a place where there is room; returns whether there was. None once closed."""
        if not self.has_room_for(flows):
            return False
        self.overdraw(flows)
        return True

    def overdraw(self, flows: Flows) -> None:
        """Take a place whether there is room or not, for work that has begun already."""
        self.used += 1
        self._used_by.update(flow.id for flow in flows)

    def release(self, flows: Flows) -> None:
        """Give the place of an item of these flows back."""
        self.used -= 1
        for flow in flows:
            self._used_by[flow.id] -= 1
            if not self._used_by[flow.id]:
                del self._used_by[flow.id]

    def close(self) -> None:
        """Hand out nothing more."""
        self.is_closed = True


class LanePlaces(Places):
    """One lane's share of the places that all lanes have in common."""

    def __init__(self, lane: Lane, total: int, ceiling: int, lanes: Mapping[Lane, LanePlaces]) -> None:
        super().__init__(total)
        self.lane = lane
        self._ceiling = ceiling
        self._lanes = lanes

    @property
    def free(self) -> int:
        """Places this lane could take now."""
        used = sum(places.used for places in self._lanes.values())
        return max(0, min(self.total - used, self._ceiling - self.used))


def lanes(total: int, shares: Mapping[Lane, float] = SHARES) -> Mapping[Lane, LanePlaces]:
    """`total` places for all lanes, each with its ceiling, the most urgent lane first."""
    shared: dict[Lane, LanePlaces] = {}
    for lane, share in shares.items():
        shared[lane] = LanePlaces(lane, total, max(1, math.floor(total * share)), shared)
    return shared
