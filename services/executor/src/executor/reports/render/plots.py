"""What of a report is worth a chart: spend by day in the currency of most ad accounts, else views of pages.

Pure. An account's days are counted from its own last full day, so that the bars add up to the report's total
although the last full day differs between zones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeVar

from executor.reports.model.content import CONTEXT_DAYS, PageFigures, Report
from executor.reports.render.chart import Chart, Value
from executor.wording import numbers
from platforms.advertising.figures import ZERO
from platforms.calls.periods import Days

_DAY = timedelta(days=1)

Daily = Callable[[date], Value]
T = TypeVar("T")


def plot(report: Report) -> Chart | None:
    """The chart of a report; None where nothing is to be seen, or a part of it is not known."""
    if report.accounts:
        return _spend(report)
    pages = [page for page in report.pages if "views" in page.values]
    return _views(report, pages) if pages else None


def _spend(report: Report) -> Chart | None:
    leading = report.totals[0]
    accounts = [account for account in report.accounts if account.currency == leading.currency]
    if not all(account.daily for account in accounts):
        return None
    some = len(accounts) < len(report.accounts)
    note = f"{leading.currency} · {len(accounts)} of {len(report.accounts)} ad accounts"
    return _chart(
        report,
        "Spend per day",
        note if some else leading.currency,
        [(account.days, _reader(account.daily, lambda day: day.get("spend"))) for account in accounts],
        figure=numbers.money(leading.current, leading.currency),
        change=numbers.signed(leading.current, leading.previous),
    )


def _views(report: Report, pages: Sequence[PageFigures]) -> Chart | None:
    current = sum(page.values["views"].current for page in pages)
    previous = [page.values["views"].previous for page in pages]
    known = [value for value in previous if value is not None]
    return _chart(
        report,
        "Views per day",
        f"{len(pages)} pages" if len(pages) > 1 else "",
        [(page.days, _reader(page.daily, _page_views)) for page in pages],
        figure=numbers.whole(current),
        change=numbers.signed(current, sum(known)) if len(known) == len(previous) else "",
    )


def _page_views(values: Mapping[str, int]) -> Value:
    return Decimal(values["views"]) if "views" in values else None


def _chart(
    report: Report,
    title: str,
    note: str,
    parts: Sequence[tuple[Days, Daily]],
    *,
    figure: str,
    change: str,
) -> Chart | None:
    days = report.days
    spotlight = days.count == 1
    count = CONTEXT_DAYS if spotlight else days.count
    shown = Days.ending(days.until, count)
    values = _added(parts, count, 0)
    previous = _added(parts, count, count) if report.compares and not spotlight else None
    if not any(values) and not any(previous or ()):
        return None
    compared = numbers.short_stretch(days.before())
    aside = f"{change} vs {compared}" if change else ""
    return Chart(title, note, shown, values, previous, spotlight, figure, aside)


def _added(parts: Sequence[tuple[Days, Daily]], count: int, back: int) -> list[Value]:
    """The sums of `count` days that end `back` days before each part's last; None where one is not known."""
    sums: list[Value] = []
    for index in range(count):
        ago = _DAY * (back + count - 1 - index)
        values = [value(days.until - ago) for days, value in parts]
        known = [each for each in values if each is not None]
        sums.append(sum(known, ZERO) if len(known) == len(values) else None)
    return sums


def _reader(daily: Mapping[date, T], read: Callable[[T], Value]) -> Daily:
    def value(day: date) -> Value:
        return read(daily[day]) if day in daily else None

    return value
