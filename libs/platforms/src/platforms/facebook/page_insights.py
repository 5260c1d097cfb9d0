"""Insights of pages: daily values by metric. Their days are those of Facebook's own zone, the Pacific one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from common.errors import Consequence, PlatformError
from platforms.advertising.figures import number
from platforms.calls.periods import Days
from platforms.facebook.figures import Page
from platforms.facebook.graph import Graph, Json, Target

ZONE_NAME = "America/Los_Angeles"
ZONE = ZoneInfo(ZONE_NAME)
MAX_DAYS = 90
"""Days one query may span."""

_DAY = timedelta(days=1)
_UNKNOWN_METRIC = "100"


@dataclass(frozen=True, slots=True)
class DailyValues:
    """A metric's values by day; a day without one is absent."""

    by_day: Mapping[date, Decimal]

    def total(self, days: Days) -> int | None:
        """The sum over `days`; None when no value is known."""
        known = [value for day, value in self.by_day.items() if days.since <= day <= days.until]
        return int(sum(known)) if known else None

    def last(self, days: Days) -> int | None:
        """The latest value within `days`, of a metric that is a level and not a flow."""
        known = [day for day in self.by_day if days.since <= day <= days.until]
        return int(self.by_day[max(known)]) if known else None


async def fetch(graph: Graph, page: Page, metrics: Sequence[str], days: Days) -> dict[str, DailyValues]:
    """The daily values of the metrics that the page has; raises PlatformError."""
    values: dict[str, dict[date, Decimal]] = {}
    for stretch in _stretches(days):
        for series in await _series(graph, page, metrics, stretch):
            name = series.get("name")
            if isinstance(name, str) and name in metrics:
                values.setdefault(name, {}).update(_daily(graph, series, stretch))
    return {name: DailyValues(by_day) for name, by_day in values.items()}


async def _series(graph: Graph, page: Page, metrics: Sequence[str], days: Days) -> list[Json]:
    """One query for all metrics, or one for each when Facebook has stopped to know one of them: a single
    retired name makes it refuse the whole query."""
    try:
        return await _ask(graph, page, metrics, days)
    except PlatformError as error:
        if error.code != _UNKNOWN_METRIC or len(metrics) == 1:
            raise
        refused = error
    answers = await asyncio.gather(*(_ask_one(graph, page, metric, days) for metric in metrics))
    if all(answer is None for answer in answers):
        raise refused
    return [series for answer in answers if answer is not None for series in answer]


async def _ask_one(graph: Graph, page: Page, metric: str, days: Days) -> list[Json] | None:
    try:
        return await _ask(graph, page, (metric,), days)
    except PlatformError as error:
        if error.code != _UNKNOWN_METRIC:
            raise
        return None


async def _ask(graph: Graph, page: Page, metrics: Sequence[str], days: Days) -> list[Json]:
    # `paging` is not followed: it leads to other days, not to more of these.
    answer = await graph.get(
        Target(f"{page.id}/insights", "{page_id}/insights", page.id),
        {
            "metric": ",".join(metrics),
            "period": "day",
            "since": str(days.since),
            "until": str(days.until + _DAY),
        },
        token=page.token,
    )
    return graph.list_in(answer)


def _stretches(days: Days) -> Iterator[Days]:
    since = days.since
    while since <= days.until:
        until = min(since + timedelta(days=MAX_DAYS - 1), days.until)
        yield Days(since, until)
        since = until + _DAY


def _daily(graph: Graph, series: Json, days: Days) -> dict[date, Decimal]:
    """The values by day. A value carries the instant its day ended, midnight in the Pacific zone."""
    daily: dict[date, Decimal] = {}
    values = series.get("values")
    for item in values if isinstance(values, list) else ():
        try:
            day = _day_ending(item["end_time"])
            value = _sum(item.get("value"))
        except (KeyError, TypeError, ValueError) as error:
            raise graph.error(
                f"page insights with an unreadable value: {error}", Consequence.INVALID
            ) from error
        if days.since <= day <= days.until:
            daily[day] = value
    return daily


def _day_ending(text: str) -> date:
    """The day that `text` is the end of. Half a day earlier is within it even on days with a clock change."""
    end = datetime.fromisoformat(text)
    if end.tzinfo is None:
        raise ValueError(f"an end without an offset: {text!r}")
    return (end.astimezone(ZONE) - timedelta(hours=12)).date()


def _sum(value: object) -> Decimal:
    """A number, or the sum of a breakdown such as `{"like": 3, "love": 1}`."""
    if isinstance(value, dict):
        return sum((number(part) for part in value.values()), Decimal(0))
    return number(value)
