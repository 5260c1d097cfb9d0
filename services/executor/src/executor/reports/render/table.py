"""A report as a table for spreadsheets: RFC 4180, one row a day for each ad account, campaign and page. Pure.

Dates are ISO 8601 and numbers have decimal points, whatever a reader's locale. The file begins with a byte
order mark, without which Excel takes UTF-8 for something else.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from executor.reports.model.content import CampaignFigures, Figures, Report
from platforms.advertising.metrics import METRICS, Unit
from platforms.calls.periods import Days, single_days

COLUMNS = (
    "date",
    "level",  # account, campaign, page, profile or video
    "platform",
    "account_id",  # of the ad account, page or profile
    "account_name",
    "item_id",  # of the campaign or video
    "item_name",
    "timezone",  # the zone of the date, where the ad account has its own
    "currency",
    "spend",
    "impressions",
    "reach",
    "clicks",
    "ctr_percent",
    "cpc",
    "conversions",
    "video_views",
    "views",  # of a page on the day, of a video so far
    "engagements",
    "new_follows",
    "follows",  # of a page or profile, as a total
    "likes",
    "comments",
    "shares",
)
"""The columns, in their order; new ones are added at the end. What a level does not have is empty."""
MOST_ROWS = 10_000
MOST_BYTES = 1_500_000
"""What is more is cut, the campaigns that cost least first."""

_TEXT = frozenset({"account_id", "account_name", "item_id", "item_name", "timezone", "currency"})
"""Columns of what others chose, where a figure may well begin with a minus."""
_METRICS = ("spend", "impressions", "reach", "clicks", "conversions", "video_views")
_FORMULA = tuple("=+-@＝＋－＠")
_AFTER_SEMICOLON = re.compile(r"""(;["'\s]*)(?=[=+\-@＝＋－＠])""")
"""Where spreadsheets that separate cells by semicolons, as in most of Europe, would see a formula begin.

Quotes do not help there: in the middle of a cell a quote is a character like any other. Tabs, the third
separator in use, never stand in a cell.
"""
_MARK = codecs.BOM_UTF8

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The file's bytes, how many rows are in it, and how many there would have been."""

    content: bytes
    rows: int
    all_rows: int

    @property
    def is_whole(self) -> bool:
        """Nothing was cut."""
        return self.rows == self.all_rows

    @property
    def cut(self) -> str:
        """What a reader should know of it."""
        return f"holds {self.rows:,} of {self.all_rows:,} rows; the campaigns that cost least are left out"


def table(report: Report) -> Table:
    """The report's figures."""
    lines = _Lines([])
    writer = csv.DictWriter(lines, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in _rows(report):
        writer.writerow({name: harmless(cell) if name in _TEXT else cell for name, cell in row.items()})
    kept: list[bytes] = []
    size = 0
    for line in lines.written[: MOST_ROWS + 1]:
        size += len(line)
        if size > MOST_BYTES:
            break
        kept.append(line)
    return Table(_MARK + b"".join(kept), len(kept) - 1, len(lines.written) - 1)


@dataclass(frozen=True, slots=True)
class _Lines:
    """A file of lines, each with its size in bytes."""

    written: list[bytes]

    def write(self, line: str) -> None:
        """One row, which may be of several lines."""
        self.written.append(line.encode("utf-8", "replace"))


def harmless(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula, on one line."""
    line = " ".join(text.replace("\x00", "").split())
    line = _AFTER_SEMICOLON.sub(r"\1'", line)
    return f"'{line}" if line.startswith(_FORMULA) else line


def _rows(report: Report) -> Iterator[Row]:
    for account in report.accounts if report.tells_accounts else ():
        known = {
            "level": "account",
            "platform": account.platform,
            "account_id": account.id,
            "account_name": account.name,
            "timezone": account.zone_name,
            "currency": account.currency,
        }
        yield from _daily(known, account.days, account.daily)
    for page in report.pages:
        known = {
            "level": "page",
            "platform": "facebook",
            "account_id": page.id,
            "account_name": page.name,
        }
        for day in _each(page.days):
            if day in page.daily:
                values = {name: str(value) for name, value in page.daily[day].items()}
                yield {"date": str(day), **known, **values}
    for profile in report.profiles:
        totals = {name: str(pair.current) for name, pair in profile.values.items()}
        yield {
            "date": str(profile.day),
            "level": "profile",
            "platform": "tiktok",
            "account_id": profile.id,
            "account_name": profile.name,
            "follows": totals.get("followers", ""),
            "likes": totals.get("likes", ""),
        }
    for videos in report.videos:
        for video in videos.videos:
            yield {
                "date": str(video.posted),
                "level": "video",
                "platform": "tiktok",
                "account_id": videos.profile_id,
                "account_name": videos.profile_name,
                "item_id": video.id,
                "item_name": video.title,
                "views": str(video.views),
                "likes": str(video.likes),
                "comments": str(video.comments),
                "shares": str(video.shares),
            }
    for campaign in sorted(report.campaigns, key=lambda each: (each.currency, -each.current.spend, each.id)):
        yield from _daily(_of_campaign(campaign), campaign.days, campaign.daily)


def _of_campaign(campaign: CampaignFigures) -> Row:
    return {
        "level": "campaign",
        "platform": campaign.platform,
        "account_id": campaign.account_id,
        "account_name": campaign.account_name,
        "item_id": campaign.id,
        "item_name": campaign.name,
        "timezone": campaign.zone_name,
        "currency": campaign.currency,
    }


def _daily(known: Row, days: Days, daily: Mapping[date, Figures]) -> Iterator[Row]:
    for day in _each(days):
        if (figures := daily.get(day)) is not None:
            yield {"date": str(day), **known, **_figures(figures)}


def _each(days: Days) -> Iterator[date]:
    return (each.since for each in single_days([days]))


def _figures(figures: Figures) -> Row:
    cells = {name: _cell(name, figures.get(name)) for name in _METRICS}
    rates = {"ctr_percent": figures.get("ctr"), "cpc": figures.get("cpc")}
    return cells | {name: "" if value is None else f"{value:.6f}" for name, value in rates.items()}


def _cell(name: str, value: Decimal | None) -> str:
    if value is None:
        return ""
    return str(round(value)) if METRICS[name].unit is Unit.COUNT else f"{value:f}"
