"""The figures of one Facebook page, from its daily values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

from executor.reports.model.content import PageFigures, Pair
from platforms.calls.periods import Days
from platforms.facebook.figures import Page
from platforms.facebook.page_insights import DailyValues

PAGE_METRICS = {
    "views": "page_media_view",
    "engagements": "page_post_engagements",
    "new_follows": "page_daily_follows_unique",
    "follows": "page_follows",
}
LATE_DAYS = 2
"""Days by which Facebook may be late with a page's figures."""
_LEVELS = frozenset({"follows"})
"""Metrics whose latest value counts; of the others the days are added up."""


def asked_days(wanted: Days, *, compares: bool, at_least: int = 1) -> Days:
    """The days to ask for: those wanted, those before, and what takes their place when Facebook is late."""
    count = max(wanted.count * (2 if compares else 1), at_least)
    return Days.ending(wanted.until, count + LATE_DAYS)


def page_figures(
    page: Page, daily: Mapping[str, DailyValues], wanted: Days, *, compares: bool
) -> PageFigures | None:
    """What the daily values say of the page; None when they are too old or too few to say anything."""
    days = _known(daily.values(), wanted)
    if days is None:
        return None
    values = dict(_pairs(daily, days, compares))
    if not values:
        return None
    return PageFigures(page.id, page.name, days, values, _by_day(daily))


def _known(series: Iterable[DailyValues], wanted: Days) -> Days | None:
    """As many days as wanted, up to the last with figures: a day not counted yet would look like a loss."""
    known = [day for values in series for day in values.by_day if day <= wanted.until]
    if not known or wanted.until - max(known) > timedelta(days=LATE_DAYS):
        return None
    return Days.ending(max(known), wanted.count)


def _pairs(daily: Mapping[str, DailyValues], days: Days, compares: bool) -> Iterator[tuple[str, Pair]]:
    for name, metric in PAGE_METRICS.items():
        values = daily.get(metric)
        if values is None:
            continue
        read = values.last if name in _LEVELS else values.total
        current = read(days)
        if current is not None:
            yield name, Pair(current, read(days.before()) if compares else None)


def _by_day(daily: Mapping[str, DailyValues]) -> dict[date, dict[str, int]]:
    by_day: dict[date, dict[str, int]] = {}
    for name, metric in PAGE_METRICS.items():
        for day, value in daily[metric].by_day.items() if metric in daily else ():
            by_day.setdefault(day, {})[name] = int(value)
    return dict(sorted(by_day.items()))
