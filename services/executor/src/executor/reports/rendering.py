"""A report as a person reads it on a phone, with Telegram's tags or without any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from common.automation_config.scheduled_report import ReportPeriod
from executor.platforms.figures import Days
from executor.reports import numbers
from executor.reports.content import AccountFigures, PageFigures, Report, Subject, Total
from executor.reports.names import shown

MAX_ACCOUNTS = 8
MAX_PAGES = 5
MAX_IDLE = 5
MAX_OMISSIONS = 3
"""With these a report stays within the 4,096 characters of a Telegram message."""

PAGE_LABELS = {
    "views": "Views",
    "engagements": "Engagements",
    "new_follows": "New follows",
    "follows": "Follows",
}
_HEADLINES = {
    ReportPeriod.DAILY: "Daily report",
    ReportPeriod.WEEKLY: "Weekly report",
    ReportPeriod.MONTHLY: "Monthly report",
}
_MAX_REASON = 80


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    value: str
    change: str


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    aside: str
    lines: Sequence[_Line]

    @property
    def aligned(self) -> str:
        """The lines as columns for a fixed-width face."""
        label = max(len(line.label) for line in self.lines)
        value = max(len(line.value) for line in self.lines)
        return "\n".join(
            f"{line.label:<{label}}  {line.value:>{value}}  {line.change}".rstrip() for line in self.lines
        )


class ReportRenderer:
    """Renders reports; compiles its templates once."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("executor.reports"),
            autoescape=select_autoescape(enabled_extensions=("html.j2",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._html = environment.get_template("report.html.j2")
        self._text = environment.get_template("report.txt.j2")

    def title(self, report: Report) -> str:
        """One line that names the report and its period."""
        return f"{shown(report.name)}: {numbers.stretch(report.days)}"

    def html(self, report: Report) -> str:
        """With the tags Telegram accepts, everything else escaped."""
        return self._html.render(_view(report)).strip()

    def text(self, report: Report) -> str:
        """The same without markup."""
        return self._text.render(_view(report)).strip()


def _view(report: Report) -> dict[str, object]:
    delivering = sorted(
        (account for account in report.accounts if account.delivered),
        key=lambda account: (account.currency, -account.current.spend, account.name),
    )
    idle = [shown(account.name) for account in report.accounts if not account.delivered]
    return {
        "name": shown(report.name),
        "headline": _HEADLINES[report.period],
        "period": numbers.stretch(report.days),
        "compared": numbers.stretch(report.days.before()),
        "totals": [_total(total) for total in report.totals] if len(report.accounts) > 1 else [],
        "accounts": [_account(account, report.days) for account in delivering[:MAX_ACCOUNTS]],
        "more_accounts": _more(len(delivering) - MAX_ACCOUNTS, "ad account"),
        "idle": _listed(idle),
        "pages": [_page(page, report.days) for page in report.pages[:MAX_PAGES]],
        "more_pages": _more(len(report.pages) - MAX_PAGES, "page"),
        "omissions": [
            f"{_SUBJECTS[omission.subject]} {shown(omission.name)}: {shown(omission.reason, _MAX_REASON)}"
            for omission in report.omissions[:MAX_OMISSIONS]
        ],
        "more_omissions": _more(len(report.omissions) - MAX_OMISSIONS, "part"),
        "source": _source(report),
    }


_SUBJECTS = {
    Subject.AD_ACCOUNT: "Ad account",
    Subject.PAGE: "Page",
    Subject.CONNECTION: "Connection",
}


def _total(total: Total) -> str:
    spent = numbers.money(total.current, total.currency)
    return f"{spent}  {numbers.arrow(total.current, total.previous)}".rstrip()


def _account(account: AccountFigures, headline: Days) -> _Block:
    now, then, currency = account.current, account.previous, account.currency
    lines = [
        _Line("Spend", numbers.amount(now.spend, currency), numbers.arrow(now.spend, then.spend)),
        _Line(
            "Impressions", numbers.whole(now.impressions), numbers.arrow(now.impressions, then.impressions)
        ),
        _Line("Reach", numbers.whole(now.reach), numbers.arrow(now.reach, then.reach)),
        _Line("Clicks", numbers.whole(now.clicks), numbers.arrow(now.clicks, then.clicks)),
    ]
    if now.ctr is not None:
        lines.append(_Line("CTR", numbers.percent(now.ctr), numbers.arrow(now.ctr, then.ctr)))
    if now.cpc is not None:
        lines.append(_Line("CPC", numbers.amount(now.cpc, currency), numbers.arrow(now.cpc, then.cpc)))
    return _Block(shown(account.name), _aside(currency, account.days, headline), lines)


def _page(page: PageFigures, headline: Days) -> _Block:
    lines = [
        _Line(PAGE_LABELS[metric], numbers.whole(pair.current), numbers.arrow(pair.current, pair.previous))
        for metric, pair in page.values.items()
    ]
    return _Block(shown(page.name), _aside("", page.days, headline), lines)


def _aside(currency: str, days: Days, headline: Days) -> str:
    """What stands beside a name: the currency, and the period where it is not the report's."""
    period = "" if days == headline else numbers.stretch(days)
    return " · ".join(filter(None, (currency, period)))


def _more(count: int, noun: str) -> str:
    return f"… and {count} more {noun}{'' if count == 1 else 's'}" if count > 0 else ""


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MAX_IDLE])
    return f"{listed}, … ({len(names) - MAX_IDLE} more)" if len(names) > MAX_IDLE else listed


def _source(report: Report) -> str:
    zones = list(dict.fromkeys(account.zone_name for account in report.accounts))
    parts = []
    if zones:
        parts.append(f"{zones[0]} time" if len(zones) == 1 else "each ad account's own time")
    if report.pages:
        parts.append("Pacific time for pages" if zones else "Pacific time")
    return f"Source: Facebook · days in {', '.join(parts)}"
