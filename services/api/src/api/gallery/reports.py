"""Templates of reports."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.gallery.base import (
    AdPlatforms,
    Category,
    Draft,
    GalleryTemplate,
    Hour,
    Parameters,
    RunsOn,
    TimeZone,
    Weekday,
)
from common.strict import Flag
from platforms.facebook import PLATFORM as FACEBOOK
from platforms.tiktok_business import PLATFORM as TIKTOK


def _weekly(weekday: Weekday, hour: int, timezone: str) -> dict[str, Any]:
    return {"type": "weekdays", "days": [weekday.number], "time": f"{hour:02}:00", "timezone": timezone}


class DailyNumbers(Parameters):
    """Questions of the morning report."""

    platforms: AdPlatforms = (FACEBOOK,)
    hour: Hour = 8
    timezone: TimeZone = "UTC"
    chart: Flag = Field(default=True, description="Send a small chart along where the chat can show one")


def _daily_numbers(answers: DailyNumbers) -> Draft:
    return Draft(
        schedule={"type": "daily", "hour": answers.hour, "minute": 0, "timezone": answers.timezone},
        config={"period": "daily", "metric_types": ["ad_account"], "chart": answers.chart},
        platforms=answers.platforms,
    )


class WeeklyCampaigns(Parameters):
    """Questions of the weekly report."""

    platforms: AdPlatforms = (FACEBOOK,)
    weekday: RunsOn = Weekday.MONDAY
    hour: Hour = 9
    timezone: TimeZone = "UTC"
    spreadsheet: Flag = Field(default=True, description="Attach the figures as CSV")


def _weekly_campaigns(answers: WeeklyCampaigns) -> Draft:
    return Draft(
        schedule=_weekly(answers.weekday, answers.hour, answers.timezone),
        config={
            "period": "weekly",
            "metric_types": ["ad_account", "campaigns"],
            "attachments": ["csv"] if answers.spreadsheet else [],
        },
        platforms=answers.platforms,
    )


class MonthlyReview(Parameters):
    """Questions of the monthly review."""

    platforms: AdPlatforms = (FACEBOOK,)
    hour: Hour = 9
    timezone: TimeZone = "UTC"


def _monthly_review(answers: MonthlyReview) -> Draft:
    return Draft(
        schedule={"type": "cron", "expression": f"0 {answers.hour} 1 * *", "timezone": answers.timezone},
        config={"period": "monthly", "metric_types": ["ad_account", "campaigns"], "attachments": ["csv"]},
        platforms=answers.platforms,
    )


class PageGrowth(Parameters):
    """Questions of the report on pages."""

    weekday: RunsOn = Weekday.MONDAY
    hour: Hour = 9
    timezone: TimeZone = "UTC"


def _page_growth(answers: PageGrowth) -> Draft:
    return Draft(
        schedule=_weekly(answers.weekday, answers.hour, answers.timezone),
        config={"period": "weekly", "metric_types": ["pages"]},
        platforms=(FACEBOOK,),
    )


class CreatorWeek(Parameters):
    """Questions of the report on a TikTok profile."""

    weekday: RunsOn = Weekday.MONDAY
    hour: Hour = 9
    timezone: TimeZone = "UTC"


def _creator_week(answers: CreatorWeek) -> Draft:
    return Draft(
        schedule=_weekly(answers.weekday, answers.hour, answers.timezone),
        config={"period": "weekly", "metric_types": ["profile", "videos"]},
        platforms=(TIKTOK,),
    )


_ADS = (FACEBOOK, TIKTOK)
REPORTS = (
    GalleryTemplate(
        "daily-ad-report",
        "Morning numbers",
        "Yesterday's spend, clicks and reach of every ad account against the day before, each morning.",
        Category.REPORTS,
        "scheduled_report",
        _ADS,
        DailyNumbers,
        _daily_numbers,
    ),
    GalleryTemplate(
        "weekly-campaigns",
        "The week's campaigns",
        "Last week by account and by campaign, with the change since the week before, and a spreadsheet.",
        Category.REPORTS,
        "scheduled_report",
        _ADS,
        WeeklyCampaigns,
        _weekly_campaigns,
    ),
    GalleryTemplate(
        "monthly-review",
        "Monthly review",
        "The last 30 days on the first of each month: accounts, campaigns, and a spreadsheet for the client.",
        Category.REPORTS,
        "scheduled_report",
        _ADS,
        MonthlyReview,
        _monthly_review,
    ),
    GalleryTemplate(
        "page-growth",
        "Page growth",
        "Views, engagement and new follows of your Facebook pages, once a week.",
        Category.REPORTS,
        "scheduled_report",
        (FACEBOOK,),
        PageGrowth,
        _page_growth,
    ),
    GalleryTemplate(
        "creator-week",
        "The creator's week",
        "Followers, likes and the best videos of a TikTok profile, once a week.",
        Category.REPORTS,
        "scheduled_report",
        (TIKTOK,),
        CreatorWeek,
        _creator_week,
    ),
)
