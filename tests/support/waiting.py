"""Items to claim, as their events would name them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from common.work.waiting import Waiting


def waiting(*ids: UUID) -> list[Waiting]:
    """Items without a flow: they count for no team until they are claimed."""
    return [Waiting(each) for each in ids]


def waiting_with(traceparents: Mapping[UUID, str | None]) -> list[Waiting]:
    """The same with the trace contexts of their events."""
    return [Waiting(each, traceparent=traceparent) for each, traceparent in traceparents.items()]
