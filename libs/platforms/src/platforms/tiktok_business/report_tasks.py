"""Reports that are made while one waits, for what is too much to be answered at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence

from common.errors import Consequence
from platforms.calls.api import Json
from platforms.tiktok_business.client import Business

POLL_SECONDS = (2.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 30.0, 30.0)
"""Pauses between looks at a task, less in all than a run may take."""

_PENDING = ("QUEUING", "PROCESSING")

Sleep = Callable[[float], Awaitable[object]]


async def fetch(
    business: Business, advertiser: str, params: Mapping[str, object], *, sleep: Sleep
) -> list[Json]:
    """The rows of a report as the synchronous one would give them; raises PlatformError."""
    # Titles are translated unless that is switched off: the columns could not be told apart by API names.
    asked = {**params, "enable_report_title_translation": False}
    started = await business.post("report/task/create/", asked, advertiser=advertiser)
    task = started.get("task_id")
    if not isinstance(task, str) or not task:
        raise business.error("a report was asked for and has no id", Consequence.INVALID)
    named = {"advertiser_id": advertiser, "task_id": task}
    await _until_done(business, advertiser, named, sleep)
    text = await business.download("report/task/download/", named, advertiser=advertiser)
    return _rows(business, text, _names(params, "dimensions"), _names(params, "metrics"))


async def _until_done(business: Business, advertiser: str, named: Mapping[str, str], sleep: Sleep) -> None:
    for pause in POLL_SECONDS:
        await sleep(pause)
        state = await business.get("report/task/check/", named, advertiser=advertiser)
        status = state.get("status")
        if status == "SUCCESS":
            return
        if status not in _PENDING:
            raise business.error(f"the report failed: {status}", Consequence.TRANSIENT)
    raise business.error("the report took too long", Consequence.TRANSIENT)


def _rows(business: Business, text: str, dimensions: Sequence[str], metrics: Sequence[str]) -> list[Json]:
    table = csv.DictReader(io.StringIO(text))
    if missing := {*dimensions, *metrics} - set(table.fieldnames or ()):
        raise business.error(f"a report without {', '.join(sorted(missing))}", Consequence.INVALID)
    return [
        {
            "dimensions": {name: line[name] for name in dimensions},
            "metrics": {name: line[name] for name in metrics},
        }
        for line in table
    ]


def _names(params: Mapping[str, object], member: str) -> list[str]:
    names = params[member]
    return [str(name) for name in names] if isinstance(names, list) else []
