"""A report as it is kept with its run and sent to webhooks: JSON, with money as decimal text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from executor.reports.model.content import (
    AccountFigures,
    CampaignFigures,
    Figures,
    PageFigures,
    Pair,
    ProfileFigures,
    Report,
    Total,
    VideoList,
)
from executor.wording import numbers
from platforms.advertising.figures import ZERO
from platforms.advertising.metrics import METRICS, Unit
from platforms.calls.periods import Days

_COUNTS = ("impressions", "clicks", "reach")
MOST_VIDEOS = 20
"""Videos of a creator that are kept one by one."""


def summary(report: Report) -> str:
    """One line: `3 ad accounts, 2 pages: spend 1,234.50 EUR (+12 %)`."""
    parts = [
        _counted(len(report.accounts), "ad account"),
        _counted(len(report.campaigns), "campaign"),
        _counted(len(report.pages), "page"),
        _counted(len(_creators(report)), "profile"),
    ]
    told = ", ".join(filter(None, parts)) + _headline(report)
    if report.omissions:
        told += f"; {len(report.omissions)} could not be read"
    return told


def _headline(report: Report) -> str:
    """The figure that stands for all."""
    if report.accounts:
        return ": spend " + ", ".join(_spend(total) for total in report.totals)
    views = [page.values["views"] for page in report.pages if "views" in page.values]
    if views:
        return ": " + _sum(views, "view")
    followers = [each.values["followers"] for each in report.profiles if "followers" in each.values]
    if followers:
        return ": " + _sum(followers, "follower")
    return ": " + _sum([each.posted for each in report.videos], "new video") if report.videos else ""


def record(report: Report) -> dict[str, Any]:
    """The report's figures, JSON-serialisable."""
    return {
        "summary": summary(report),
        "period": report.period.value,
        **_days(report.days),
        "days": report.days.count,
        "compared_with": _days(report.days.before()) if report.compares else None,
        "totals": [_total(total) for total in report.totals],
        "ad_accounts": [_account(account) for account in report.accounts] if report.tells_accounts else [],
        "campaigns": [_campaign(campaign) for campaign in report.leading_campaigns],
        "pages": [_page(page) for page in report.pages],
        "profiles": [_profile(profile) for profile in report.profiles],
        "videos": [_videos(videos) for videos in report.videos],
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


def _creators(report: Report) -> set[str]:
    return {*(each.id for each in report.profiles), *(each.profile_id for each in report.videos)}


def _counted(count: int, noun: str) -> str:
    return f"{numbers.whole(count)} {noun}{'' if count == 1 else 's'}" if count else ""


def _sum(pairs: list[Pair], noun: str) -> str:
    """`1,600 views (+14 %)`."""
    current = sum(pair.current for pair in pairs)
    previous = sum(pair.previous or 0 for pair in pairs)
    told = f"{numbers.whole(current)} {noun}{'' if current == 1 else 's'}"
    return told + _in_brackets(numbers.signed(current, previous))


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
        "previous_spend": None if total.previous is None else str(total.previous),
        "spend_change_percent": _percent(total.current, total.previous),
    }


def _account(account: AccountFigures) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "platform": account.platform,
        "currency": account.currency,
        "timezone": account.zone_name,
        **_days(account.days),
        **_compared(account.current, account.previous),
    }


def _campaign(campaign: CampaignFigures) -> dict[str, Any]:
    return {
        "id": campaign.id,
        "name": campaign.name,
        "ad_account_id": campaign.account_id,
        "ad_account_name": campaign.account_name,
        "platform": campaign.platform,
        "currency": campaign.currency,
        **_days(campaign.days),
        **_compared(campaign.current, campaign.previous),
    }


def _compared(current: Figures, previous: Figures | None) -> dict[str, Any]:
    return {
        "current": _figures(current),
        "previous": None if previous is None else _figures(previous),
        "change_percent": {
            name: _percent(current.get(name) or ZERO, None if previous is None else previous.get(name))
            for name in ("spend", *_COUNTS)
        },
    }


def _figures(figures: Figures) -> dict[str, Any]:
    """Those that every platform tells, whatever was delivered, and what else is known."""
    told: dict[str, Any] = {"spend": str(figures.spend)}
    for name in (*_COUNTS, *(each for each in figures.metrics if each not in ("spend", *_COUNTS))):
        value = figures.get(name) or ZERO
        told[name] = round(value) if METRICS[name].unit is Unit.COUNT else str(value)
    return told | {"ctr_percent": _ratio(figures.get("ctr")), "cpc": _ratio(figures.get("cpc"))}


def _page(page: PageFigures) -> dict[str, Any]:
    return {
        "id": page.id,
        "name": page.name,
        **_days(page.days),
        "metrics": {
            name: {**_pair(pair), "change_percent": _percent(pair.current, pair.previous)}
            for name, pair in page.values.items()
        },
    }


def _profile(profile: ProfileFigures) -> dict[str, Any]:
    before = profile.compared_with
    return {
        "id": profile.id,
        "name": profile.name,
        "day": str(profile.day),
        "compared_with": None if before is None else str(before),
        "totals": {name: _pair(pair) for name, pair in profile.values.items()},
    }


def _videos(videos: VideoList) -> dict[str, Any]:
    return {
        "profile_id": videos.profile_id,
        "profile_name": videos.profile_name,
        **_days(videos.days),
        "posted": _pair(videos.posted),
        "most_watched": [
            {
                "id": video.id,
                "title": video.title,
                "url": video.url,
                "posted": str(video.posted),
                "views": video.views,
                "likes": video.likes,
                "comments": video.comments,
                "shares": video.shares,
            }
            for video in videos.videos[:MOST_VIDEOS]
        ],
    }


def _pair(pair: Pair) -> dict[str, int | None]:
    return {"current": pair.current, "previous": pair.previous}


def _ratio(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:.6f}"


def _percent(current: Decimal | int, previous: Decimal | int | None) -> float | None:
    difference = numbers.change(current, previous)
    return None if difference is None else round(float(difference), 2)
