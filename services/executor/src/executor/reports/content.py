"""What a report says, before anybody decides how it looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from common.automation_config.scheduled_report import ReportPeriod
from executor.platforms.figures import AdFigures, Days


class Subject(StrEnum):
    """What a part of a report is about."""

    AD_ACCOUNT = "ad_account"
    PAGE = "page"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """One ad account in the period and in the one before. `zone_name` is the zone its days are counted in."""

    id: str
    name: str
    currency: str
    zone_name: str
    days: Days
    current: AdFigures
    previous: AdFigures

    @property
    def delivered(self) -> bool:
        """Whether it delivered anything in either period."""
        return any(figures.impressions or figures.spend for figures in (self.current, self.previous))


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure in the period and in the one before; `previous` is None when it is not known."""

    current: int
    previous: int | None


@dataclass(frozen=True, slots=True)
class PageFigures:
    """One page in the period and in the one before. `values` has what the page has of the metrics asked."""

    id: str
    name: str
    days: Days
    values: Mapping[str, Pair]


@dataclass(frozen=True, slots=True)
class Omission:
    """A part that could not be read, and why. `code` is the platform's."""

    subject: Subject
    id: str
    name: str
    reason: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """Spend of all ad accounts of one currency."""

    currency: str
    accounts: int
    current: Decimal
    previous: Decimal


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a scheduled report says; at least one account or page is in it."""

    name: str
    period: ReportPeriod
    accounts: Sequence[AccountFigures]
    pages: Sequence[PageFigures]
    omissions: Sequence[Omission]

    @property
    def days(self) -> Days:
        """The period most accounts have: in different zones the last full day can differ."""
        parts = [account.days for account in self.accounts] or [page.days for page in self.pages]
        return Counter(parts).most_common(1)[0][0]

    @property
    def totals(self) -> list[Total]:
        """Spend by currency, the currency of most accounts first."""
        by_currency: dict[str, list[AccountFigures]] = {}
        for account in self.accounts:
            by_currency.setdefault(account.currency, []).append(account)
        totals = [
            Total(
                currency,
                len(accounts),
                sum((account.current.spend for account in accounts), Decimal(0)),
                sum((account.previous.spend for account in accounts), Decimal(0)),
            )
            for currency, accounts in by_currency.items()
        ]
        return sorted(totals, key=lambda total: (-total.accounts, total.currency))
