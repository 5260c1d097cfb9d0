"""What a report says, whatever it will look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from common.automation_config.scheduled_report import ReportPeriod
from platforms.advertising.figures import ZERO
from platforms.calls.periods import Days

CONTEXT_DAYS = 14
"""Days a chart shows when the report is about one."""


class Subject(StrEnum):
    """What a part of a report is about."""

    AD_ACCOUNT = "ad_account"
    CAMPAIGNS = "campaigns"
    PAGE = "page"
    PROFILE = "profile"
    VIDEOS = "videos"
    CONNECTION = "connection"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Figures:
    """What ads delivered in a period, by the names of `platforms.advertising.metrics.METRICS`.

    A metric that is missing is not known. `spend` is in the account's currency; `reach` counts each person
    once, so that it cannot be added up.
    """

    metrics: Mapping[str, Decimal] = field(default_factory=dict)

    def get(self, name: str) -> Decimal | None:
        """One metric; rates are worked out, and not known where there is nothing to divide by."""
        if name in _RATES:
            part, whole, factor = _RATES[name]
            divisor = self.metrics.get(whole)
            return self.metrics.get(part, ZERO) * factor / divisor if divisor else None
        return self.metrics.get(name)

    @property
    def spend(self) -> Decimal:
        """Zero where it is not known."""
        return self.metrics.get("spend", ZERO)


_RATES = {"ctr": ("clicks", "impressions", 100), "cpc": ("spend", "clicks", 1)}


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """One ad account in the period and in the one before; `previous` is None where none is compared with.

    `zone_name` is the zone its days are counted in. `daily` is what a chart or a file was to show of it.
    """

    id: str
    name: str
    platform: str
    currency: str
    zone_name: str
    days: Days
    current: Figures
    previous: Figures | None = None
    daily: Mapping[date, Figures] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Whether it delivered anything in either period."""
        return any(
            figures.get("impressions") or figures.spend
            for figures in (self.current, self.previous)
            if figures is not None
        )


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """One campaign of an ad account in the period and in the one before."""

    id: str
    name: str
    account_id: str
    account_name: str
    platform: str
    currency: str
    zone_name: str
    days: Days
    current: Figures
    previous: Figures | None = None
    daily: Mapping[date, Figures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure in the period and in the one before; `previous` is None when it is not known."""

    current: int
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class PageFigures:
    """One page in the period and in the one before. `values` has what the page has of the metrics asked."""

    id: str
    name: str
    days: Days
    values: Mapping[str, Pair]
    daily: Mapping[date, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProfileFigures:
    """A creator's totals on `day`, and those remembered of `compared_with`, where there are any."""

    id: str
    name: str
    day: date
    values: Mapping[str, Pair]
    compared_with: date | None = None


@dataclass(frozen=True, slots=True)
class VideoFigures:
    """A video posted in the period, and what it had reached when the report was made."""

    id: str
    title: str
    url: str
    posted: date
    views: int
    likes: int
    comments: int
    shares: int


@dataclass(frozen=True, slots=True)
class VideoList:
    """The videos a creator posted in the period, the most watched first. `posted` counts them."""

    profile_id: str
    profile_name: str
    days: Days
    posted: Pair
    videos: Sequence[VideoFigures]


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
    previous: Decimal | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a scheduled report says; at least one of its parts is not empty.

    `compares` says whether there is a period before, `tells_accounts` whether the ad accounts are told one by
    one or only their totals, `asks_campaigns` whether campaigns are told, and `top_campaigns` how many of
    each currency.
    """

    name: str
    period: ReportPeriod
    accounts: Sequence[AccountFigures] = ()
    pages: Sequence[PageFigures] = ()
    omissions: Sequence[Omission] = ()
    campaigns: Sequence[CampaignFigures] = ()
    profiles: Sequence[ProfileFigures] = ()
    videos: Sequence[VideoList] = ()
    compares: bool = True
    tells_accounts: bool = True
    asks_campaigns: bool = False
    top_campaigns: int = 5

    @property
    def days(self) -> Days:
        """The period most accounts have: in different zones the last full day can differ."""
        parts = (
            [account.days for account in self.accounts]
            or [campaign.days for campaign in self.campaigns]
            or [page.days for page in self.pages]
            or [videos.days for videos in self.videos]
            or [Days(profile.day, profile.day) for profile in self.profiles]
        )
        return Counter(parts).most_common(1)[0][0]

    @property
    def platforms(self) -> list[str]:
        """Whose figures these are."""
        found = [account.platform for account in self.accounts]
        found += [campaign.platform for campaign in self.campaigns]
        found += ["facebook"] if self.pages else []
        found += ["tiktok"] if self.profiles or self.videos else []
        return sorted(set(found))

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
                sum((account.current.spend for account in accounts), ZERO),
                sum((account.previous.spend for account in accounts if account.previous), ZERO)
                if self.compares
                else None,
            )
            for currency, accounts in by_currency.items()
        ]
        return sorted(totals, key=lambda total: (-total.accounts, total.currency))

    @property
    def leading_campaigns(self) -> list[CampaignFigures]:
        """Those of each currency that cost the most, the currency of most campaigns first."""
        by_currency: dict[str, list[CampaignFigures]] = {}
        for campaign in self.campaigns:
            if campaign.current.spend > 0:
                by_currency.setdefault(campaign.currency, []).append(campaign)
        ordered = sorted(by_currency.items(), key=lambda item: (-len(item[1]), item[0]))
        return [
            campaign
            for _, campaigns in ordered
            for campaign in sorted(campaigns, key=lambda each: (-each.current.spend, each.name, each.id))[
                : self.top_campaigns
            ]
        ]
