"""How close together a schedule's slots come, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from common.scheduling.instants import as_utc, to_instant, to_seconds
from common.scheduling.kinds import Hours, Interval, Kind, Schedule, WallClockKind
from common.scheduling.parsing import FieldError, ScheduleError, as_schedule
from common.scheduling.wall_clock import WallClock
from common.scheduling.words import duration_words
from common.scheduling.zones import zone

A_YEAR = timedelta(days=366)
_A_DAY = timedelta(days=1)
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Gap:
    """Two neighbouring slots."""

    first: datetime
    second: datetime

    @property
    def length(self) -> timedelta:
        """The time that elapses between them."""
        return self.second - self.first


class TooFrequent(ScheduleError):
    """The schedule's runs come closer together than is allowed."""

    def __init__(self, error: FieldError, gap: Gap, minimum: timedelta) -> None:
        super().__init__([error])
        self.gap = gap
        self.minimum = minimum


def smallest_gap(
    schedule: Schedule,
    now: datetime,
    horizon: timedelta = A_YEAR,
    *,
    default_anchor: datetime | None = None,
) -> Gap | None:
    """The two closest slots between `now` and the horizon, or None when there are not two.

    Exclusions are left aside. Whole days without a change of the clocks are looked at as one, so a year costs
    some milliseconds however often the schedule runs.
    """
    first, last = as_utc(now), as_utc(now) + horizon
    if schedule.start_at is not None:
        first = max(first, schedule.start_at)
    if schedule.end_at is not None:
        last = min(last, schedule.end_at)
    if isinstance(schedule, WallClockKind):
        closest = _closest(schedule.clock(), to_seconds(first), to_seconds(last))
        return None if closest is None else Gap(to_instant(closest[0]), to_instant(closest[1]))
    grid = schedule.slots(default_anchor)
    one = grid.next_after(first - timedelta(microseconds=1))
    other = None if one is None else grid.next_after(one)
    return None if one is None or other is None or other > last else Gap(one, other)


def validate_min_interval(
    schedule: Schedule | Mapping[str, Any],
    minimum: timedelta,
    now: datetime,
    *,
    default_anchor: datetime | None = None,
) -> None:
    """Refuse a schedule whose runs come closer together than `minimum` at any time within the next year.

    A limit of a day or more allows for the day that a change of the clocks makes shorter.

    Raises:
        TooFrequent: they do; the message says when, and what would fit.
    """
    schedule = as_schedule(schedule)
    gap = smallest_gap(schedule, now, default_anchor=default_anchor)
    if gap is None:
        return
    allowed = minimum
    if minimum >= _A_DAY:
        allowed -= _longest_jump(schedule, gap)
    if gap.length < allowed:
        path, instead = _what_fits(schedule, minimum)
        message = (
            f"two runs come {duration_words(gap.length)} apart ({gap.first:%Y-%m-%d %H:%M} and "
            f"{gap.second:%Y-%m-%d %H:%M} UTC); at least {duration_words(minimum)} are required; {instead}"
        )
        raise TooFrequent(FieldError(path, message), gap, minimum)


def _closest(clock: WallClock, start: int, end: int) -> tuple[int, int] | None:
    """The closest two slots in [start, end]."""
    times = clock.rule.times
    tightest = min(pairwise(times), key=lambda pair: pair[1] - pair[0], default=None)
    best: tuple[int, int] | None = None
    before: int | None = None
    slot = clock.next_after(start - 1)
    while slot is not None and slot <= end:
        if before is not None and (best is None or slot - before < best[1] - best[0]):
            best = (before, slot)
            if slot - before <= 60:
                break
        before = slot
        stretch = clock.zone.stretch(slot)
        midnight = (slot + stretch.offset) // _DAY * _DAY
        last = midnight + times[-1] * 60 - stretch.offset
        begins_day = slot + stretch.offset == midnight + times[0] * 60
        if begins_day and tightest is not None and last < stretch.end and last <= end:
            low, high = (midnight + minute * 60 - stretch.offset for minute in tightest)
            if best is None or high - low < best[1] - best[0]:
                best = (low, high)
            before = last
        slot = clock.next_after(before)
    return best


def _longest_jump(schedule: Kind, gap: Gap) -> timedelta:
    where = zone(schedule.timezone)
    jump = where.offset(to_seconds(gap.second)) - where.offset(to_seconds(gap.first))
    return timedelta(seconds=max(0, jump))


def _what_fits(schedule: Schedule, minimum: timedelta) -> tuple[str, str]:
    minutes = -(-minimum // timedelta(minutes=1))
    hours = -(-minutes // 60)
    if isinstance(schedule, Interval):
        return "interval_minutes", f"write {minutes} or more"
    if isinstance(schedule, Hours):
        fitting = next((step for step in (1, 2, 3, 4, 6, 8, 12, 24) if step >= hours), None)
        return "hours", f"write {fitting}" if fitting else f"write an interval of {minutes} minutes"
    path = "expression" if schedule.type == "cron" else ""
    for step in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30):
        if step >= minutes:
            return path, f"*/{step} * * * * would fit"
    for step in (1, 2, 3, 4, 6, 8, 12):
        if step >= hours:
            return path, f"0 */{step} * * * would fit"
    return path, f"an interval of {minutes} minutes would fit"
