"""A report as a person reads it on a phone, with Telegram's tags or without any."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from common.automation_config.scheduled_report import ReportPeriod
from executor.reports.model.content import Report, Subject
from executor.reports.render import blocks
from executor.wording import numbers
from executor.wording.names import shown
from platforms.registry import title_of

LONGEST = 4_096
"""UTF-16 units of a Telegram message, which every report keeps within."""
_HEADLINES = {
    ReportPeriod.DAILY: "Daily report",
    ReportPeriod.WEEKLY: "Weekly report",
    ReportPeriod.MONTHLY: "Monthly report",
}
_SUBJECTS = {
    Subject.AD_ACCOUNT: "Ad account",
    Subject.CAMPAIGNS: "Campaigns of",
    Subject.PAGE: "Page",
    Subject.PROFILE: "Profile",
    Subject.VIDEOS: "Videos of",
    Subject.CONNECTION: "Connection",
    Subject.FILE: "In the file",
}
_MAX_REASON = 80
_TAG = re.compile(r"<[^<>]+>")


@dataclass(frozen=True, slots=True)
class _Measure:
    """How much of each kind a report tells one by one; the rest is counted."""

    accounts: int
    idle: int
    campaigns: int
    pages: int
    creators: int
    videos: int
    omissions: int


_MEASURES = (
    _Measure(accounts=8, idle=5, campaigns=100, pages=5, creators=5, videos=5, omissions=3),
    _Measure(accounts=6, idle=5, campaigns=20, pages=4, creators=3, videos=5, omissions=3),
    _Measure(accounts=5, idle=4, campaigns=10, pages=3, creators=2, videos=4, omissions=3),
    _Measure(accounts=4, idle=3, campaigns=5, pages=2, creators=2, videos=3, omissions=2),
    _Measure(accounts=2, idle=2, campaigns=3, pages=1, creators=1, videos=2, omissions=2),
    _Measure(accounts=1, idle=1, campaigns=1, pages=1, creators=1, videos=1, omissions=1),
)
"""From the fullest to the shortest; the first that fits is taken."""


class ReportRenderer:
    """Renders reports; compiles its templates once."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("executor.reports.render"),
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
        return self._fitting(report)[0]

    def text(self, report: Report) -> str:
        """The same without markup."""
        return self._fitting(report)[1]

    def _fitting(self, report: Report) -> tuple[str, str]:
        """Both forms, which tell the same, as full as fits into one message."""
        markup = text = ""
        for measure in _MEASURES:
            view = _view(report, measure)
            markup, text = self._html.render(view).strip(), self._text.render(view).strip()
            if max(_units(html.unescape(_TAG.sub("", markup))), _units(text)) <= LONGEST:
                break
        return markup, text


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _view(report: Report, most: _Measure) -> dict[str, object]:
    told = report.accounts if report.tells_accounts else ()
    delivering = sorted(
        (account for account in told if account.delivered),
        key=lambda account: (account.currency, -account.current.spend, account.name),
    )
    idle = [shown(account.name) for account in told if not account.delivered]
    campaigns = report.leading_campaigns
    spending = sum(campaign.current.spend > 0 for campaign in report.campaigns)
    names_account = len({campaign.account_id for campaign in campaigns}) > 1
    has_totals = len(report.accounts) > 1 or not report.tells_accounts
    return {
        "name": shown(report.name),
        "headline": _HEADLINES[report.period],
        "period": numbers.stretch(report.days),
        "compared": numbers.stretch(report.days.before()) if report.compares else "",
        "totals": [blocks.total(total) for total in report.totals] if has_totals else [],
        "accounts": [blocks.account(account, report) for account in delivering[: most.accounts]],
        "more_accounts": blocks.more(len(delivering) - most.accounts, "ad account"),
        "idle": _listed(idle, most.idle),
        "campaigns": [
            blocks.campaign(rank, campaign, names_account=names_account)
            for rank, campaign in enumerate(campaigns[: most.campaigns], 1)
        ],
        "more_campaigns": blocks.more(spending - min(len(campaigns), most.campaigns), "campaign"),
        "no_campaigns": report.asks_campaigns and not campaigns,
        "pages": [blocks.page(page, report.days) for page in report.pages[: most.pages]],
        "more_pages": blocks.more(len(report.pages) - most.pages, "page"),
        "profiles": [blocks.profile(profile) for profile in report.profiles[: most.creators]],
        "more_profiles": blocks.more(len(report.profiles) - most.creators, "profile"),
        "videos": [blocks.ranking(videos, most.videos) for videos in report.videos[: most.creators]],
        "more_videos": blocks.more(len(report.videos) - most.creators, "profile"),
        "omissions": [
            f"{_SUBJECTS[omission.subject]} {shown(omission.name)}: {shown(omission.reason, _MAX_REASON)}"
            for omission in report.omissions[: most.omissions]
        ],
        "more_omissions": blocks.more(len(report.omissions) - most.omissions, "part"),
        "source": _source(report),
    }


def _listed(names: Sequence[str], most: int) -> str:
    listed = ", ".join(names[:most])
    return f"{listed}, … ({len(names) - most} more)" if len(names) > most else listed


def _source(report: Report) -> str:
    zones = list(dict.fromkeys(account.zone_name for account in report.accounts))
    parts = []
    if zones:
        parts.append(f"{shown(zones[0])} time" if len(zones) == 1 else "each ad account's own time")
    if report.pages:
        parts.append("Pacific time for pages" if zones else "Pacific time")
    source = f"Source: {', '.join(title_of(platform) for platform in report.platforms)}"
    return f"{source} · days in {', '.join(parts)}" if parts else source
