"""A report as it is kept with its run and sent to webhooks: JSON, with money as decimal text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from executor.platforms.figures import AdFigures, Days
from executor.reports import numbers
from executor.reports.content import AccountFigures, PageFigures, Report, Total

_COUNTS = ("impressions", "clicks", "reach")


def summary(report: Report) -> str:
    """One line: `3 ad accounts, 2 pages: spend 1,234.50 EUR (+12 %)`."""
    parts = [_counted(len(report.accounts), "ad account"), _counted(len(report.pages), "page")]
    told = ", ".join(filter(None, parts))
    if report.accounts:
        told += ": spend " + ", ".join(_spend(total) for total in report.totals)
    else:
        views = [page.values["views"] for page in report.pages if "views" in page.values]
        if views:
            current = sum(pair.current for pair in views)
            previous = sum(pair.previous or 0 for pair in views)
            told += f": {numbers.whole(current)} views" + _in_brackets(numbers.signed(current, previous))
    if report.omissions:
        told += f"; {len(report.omissions)} could not be read"
    return told


def record(report: Report) -> dict[str, Any]:
    """The report's figures, JSON-serialisable."""
    return {
        "summary": summary(report),
        "period": report.period.value,
        **_days(report.days),
        "days": report.days.count,
        "compared_with": _days(report.days.before()),
        "totals": [_total(total) for total in report.totals],
        "ad_accounts": [_account(account) for account in report.accounts],
        "pages": [_page(page) for page in report.pages],
        "partial": bool(report.omissions),
        "omitted": [
            {
                "subject": omission.subject.value,
                "id": omission.id,
                "name": omission.name,
                "reason": omission.reason,
                "code": omission.code,
            }
            for omission in report.omissions
        ],
    }


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}" if count else ""


def _spend(total: Total) -> str:
    spent = numbers.money(total.current, total.currency)
    return spent + _in_brackets(numbers.signed(total.current, total.previous))


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _days(days: Days) -> dict[str, str]:
    return {"since": str(days.since), "until": str(days.until)}


def _total(total: Total) -> dict[str, Any]:
    return {
        "currency": total.currency,
        "ad_accounts": total.accounts,
        "spend": str(total.current),
        "previous_spend": str(total.previous),
        "spend_change_percent": _percent(total.current, total.previous),
    }


def _account(account: AccountFigures) -> dict[str, Any]:
    current, previous = account.current, account.previous
    return {
        "id": account.id,
        "name": account.name,
        "currency": account.currency,
        "timezone": account.zone_name,
        **_days(account.days),
        "current": _figures(current),
        "previous": _figures(previous),
        "change_percent": {
            "spend": _percent(current.spend, previous.spend),
            **{name: _percent(getattr(current, name), getattr(previous, name)) for name in _COUNTS},
        },
    }


def _figures(figures: AdFigures) -> dict[str, Any]:
    return {
        "spend": str(figures.spend),
        **{name: getattr(figures, name) for name in _COUNTS},
        "ctr_percent": _ratio(figures.ctr),
        "cpc": _ratio(figures.cpc),
    }


def _page(page: PageFigures) -> dict[str, Any]:
    return {
        "id": page.id,
        "name": page.name,
        **_days(page.days),
        "metrics": {
            name: {
                "current": pair.current,
                "previous": pair.previous,
                "change_percent": _percent(pair.current, pair.previous),
            }
            for name, pair in page.values.items()
        },
    }


def _ratio(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:.6f}"


def _percent(current: Decimal | int, previous: Decimal | int | None) -> float | None:
    difference = numbers.change(current, previous)
    return None if difference is None else round(float(difference), 2)
