"""The slots of a schedule: the instants it names, forwards, backwards and counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from common.scheduling.grids import as_utc
from common.scheduling.kinds import Schedule


def get_next_run_time(
    schedule: Schedule, after: datetime, *, default_anchor: datetime | None = None
) -> datetime | None:
    """The first slot strictly later than `after`, in UTC, or None when there is none any more.

    Args:
        after: an aware instant.
        default_anchor: where an interval without an anchor begins, usually the automation's creation.

    Raises:
        ValueError: `after` is naive.
    """
    return schedule.grid(default_anchor).next_after(as_utc(after))


def iter_slots(
    schedule: Schedule,
    after: datetime,
    until: datetime | None = None,
    *,
    default_anchor: datetime | None = None,
) -> Iterator[datetime]:
    """The slots in (after, until], ascending; without `until`, all of them."""
    grid = schedule.grid(default_anchor)
    slot = grid.next_after(as_utc(after))
    while slot is not None and (until is None or slot <= until):
        yield slot
        slot = grid.next_after(slot)


def latest_slot_at_or_before(
    schedule: Schedule, instant: datetime, *, default_anchor: datetime | None = None
) -> datetime | None:
    """The last slot up to and including `instant`, or None when the schedule begins later."""
    return schedule.grid(default_anchor).latest_at_or_before(as_utc(instant))
