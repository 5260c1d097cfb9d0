"""Insights of ad objects: asked synchronously, then for less at a time, then as an asynchronous report."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from common.errors import Consequence, PlatformError
from platforms.calls.periods import Days
from platforms.facebook.graph import SMALLEST_PAGE, Graph, Json, Target

Sleep = Callable[[float], Awaitable[object]]
POLL_SECONDS = (5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 30.0, 30.0)
"""Pauses between looks at an asynchronous report, less in all than a run may take."""

_ROWS_PER_PAGE = 500
_CAMPAIGN = "campaign"
# Deleted and archived campaigns are left out unless they are asked for, although the account's own total has
# them: their days would go missing from what was read before.
_OF_EVERY_STATUS = json.dumps(
    [
        {
            "field": "campaign.effective_status",
            "operator": "IN",
            "value": ["ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"],
        }
    ],
    separators=(",", ":"),
)
_NOT_THERE = "100/33"


@dataclass(frozen=True, slots=True)
class InsightsQuery:
    """What to ask of an ad account's insights.

    Attributes:
        account: `act_…`.
        ranges: stretches of days, each of which gives its own rows.
        level: `account`, `campaign`, `adset` or `ad`: what a row is about.
        daily: a row for each day instead of one for each range.
    """

    account: str
    ranges: tuple[Days, ...]
    fields: tuple[str, ...]
    level: str = "account"
    daily: bool = False

    @property
    def page_size(self) -> int:
        """Rows asked for at a time; a query of a few rows cannot be made smaller by it."""
        return SMALLEST_PAGE if self.level == "account" and not self.daily else _ROWS_PER_PAGE

    def smaller(self) -> tuple[InsightsQuery, ...]:
        """Queries that together give the same rows; none when there is no smaller one.

        The days of a range are parted only where rows are daily: people reached in two weeks are not the sum
        of those reached in each.
        """
        if len(self.ranges) > 1:
            return tuple(replace(self, ranges=(days,)) for days in self.ranges)
        if self.daily and self.ranges[0].count > 1:
            return tuple(replace(self, ranges=(days,)) for days in self.ranges[0].halves())
        return ()

    def params(self) -> dict[str, str]:
        """The query as Graph parameters."""
        ranges = [{"since": str(days.since), "until": str(days.until)} for days in self.ranges]
        params = {"level": self.level, "fields": ",".join(self.fields)}
        if self.level == _CAMPAIGN:
            params["filtering"] = _OF_EVERY_STATUS
        if len(ranges) == 1:
            params["time_range"] = json.dumps(ranges[0], separators=(",", ":"))
            if self.daily:
                params["time_increment"] = "1"
        else:
            params["time_ranges"] = json.dumps(ranges, separators=(",", ":"))
        return params


async def fetch(graph: Graph, query: InsightsQuery, *, sleep: Sleep = asyncio.sleep) -> list[Json]:
    """The rows of `query`; raises PlatformError."""
    target = Target(f"{query.account}/insights", "{ad_account_id}/insights", query.account)
    # Several ranges exclude `time_increment`, so that daily rows are asked for range by range.
    if query.daily and len(query.ranges) > 1:
        return await _fetch_each(graph, query.smaller(), sleep)
    try:
        return [row async for row in graph.rows(target, query.params(), limit=query.page_size)]
    except PlatformError as error:
        if error.consequence is not Consequence.SPLIT:
            raise
    parts = query.smaller()
    if parts:
        return await _fetch_each(graph, parts, sleep)
    return await _fetch_as_report(graph, query, sleep)


async def _fetch_each(graph: Graph, parts: Sequence[InsightsQuery], sleep: Sleep) -> list[Json]:
    return [row for part in parts for row in await fetch(graph, part, sleep=sleep)]


async def _fetch_as_report(graph: Graph, query: InsightsQuery, sleep: Sleep) -> list[Json]:
    account = query.account
    started = await graph.post(
        Target(f"{account}/insights", "{ad_account_id}/insights", account), query.params()
    )
    report = started.get("report_run_id")
    if not isinstance(report, str) or not report.isdigit():
        raise graph.error("a report was asked for and has no id", Consequence.INVALID)
    await _until_completed(graph, Target(report, "{report_run_id}", account), sleep)
    rows = Target(f"{report}/insights", "{report_run_id}/insights", account)
    return [row async for row in graph.rows(rows, {}, limit=_ROWS_PER_PAGE)]


async def _until_completed(graph: Graph, target: Target, sleep: Sleep) -> None:
    fields = {"fields": "async_status,async_percent_completion,error_code,error_message"}
    for pause in POLL_SECONDS:
        await sleep(pause)
        try:
            state = await graph.get(target, fields)
        except PlatformError as error:
            # A report that was just made may not be found for a moment.
            if error.code != _NOT_THERE:
                raise
            continue
        status = state.get("async_status")
        # "Job Completed" is told a moment before the rows can be read.
        if status == "Job Completed" and state.get("async_percent_completion") == 100:
            return
        if status in ("Job Failed", "Job Skipped"):
            reason = state.get("error_message") or status
            raise graph.error(f"the report failed: {reason}", Consequence.TRANSIENT)
    raise graph.error("the report took too long", Consequence.TRANSIENT)
