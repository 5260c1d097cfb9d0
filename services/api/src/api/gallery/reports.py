"""Templates of reports."""

from __future__ import annotations

from typing import Any

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
from common.models import Platform


def _weekly(weekday: Weekday, hour: int, timezone: str) -> dict[str, Any]:
    return {"type": "weekdays", "days": [weekday.number], "time": f"{hour:02}:00", "timezone": timezone}


class DailyNumbers(Parameters):
    """Questions of the morning report."""

    platforms: AdPlatforms = (Platform.FACEBOOK,)
    hour: Hour = 8
    timezone: TimeZone = "UTC"


def _daily_numbers(answers: DailyNumbers) -> Draft:
    return Draft(
        schedule={"type": "daily", "hour": answers.hour, "minute": 0, "timezone": answers.timezone},
        config={"period": "daily", "metric_types": ["ad_account"]},
        platforms=answers.platforms,
    )


class WeeklyNumbers(Parameters):
    """Questions of the weekly report."""

    platforms: AdPlatforms = (Platform.FACEBOOK,)
    weekday: RunsOn = Weekday.MONDAY
    hour: Hour = 9
    timezone: TimeZone = "UTC"


def _weekly_numbers(answers: WeeklyNumbers) -> Draft:
    return Draft(
        schedule=_weekly(answers.weekday, answers.hour, answers.timezone),
        config={"period": "weekly", "metric_types": ["ad_account"]},
        platforms=answers.platforms,
    )


class MonthlyReview(Parameters):
    """Questions of the monthly review."""

    platforms: AdPlatforms = (Platform.FACEBOOK,)
    hour: Hour = 9
    timezone: TimeZone = "UTC"


def _monthly_review(answers: MonthlyReview) -> Draft:
    return Draft(
        schedule={"type": "cron", "expression": f"0 {answers.hour} 1 * *", "timezone": answers.timezone},
        config={"period": "monthly", "metric_types": ["ad_account"]},
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
        platforms=(Platform.FACEBOOK,),
    )


_ADS = (Platform.FACEBOOK, Platform.TIKTOK)
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
        "weekly-numbers",
        "The week in numbers",
        "Last week by account, with the change since the week before.",
        Category.REPORTS,
        "scheduled_report",
        _ADS,
        WeeklyNumbers,
        _weekly_numbers,
    ),
    GalleryTemplate(
        "monthly-review",
        "Monthly review",
        "The last 30 days of every ad account, on the first of each month.",
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
        (Platform.FACEBOOK,),
        PageGrowth,
        _page_growth,
    ),
)
