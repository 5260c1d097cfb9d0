"""Templates of alerts."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.gallery.base import AdPlatforms, Category, Draft, GalleryTemplate, Hour, Parameters, TimeZone
from common.strict import Number, WholeNumber
from platforms.facebook import PLATFORM as FACEBOOK
from platforms.tiktok_business import PLATFORM as TIKTOK

_ADS = (FACEBOOK, TIKTOK)
_TYPE = "alert"


class BudgetGuard(Parameters):
    """Questions of the budget guard."""

    max_daily_spend: Number = Field(gt=0, description="Most an account may spend a day, in its own currency")
    platforms: AdPlatforms = (FACEBOOK,)
    every_minutes: WholeNumber = Field(default=30, ge=5, le=720, description="How often it looks, in minutes")


def _budget_guard(answers: BudgetGuard) -> Draft:
    return Draft(
        schedule={"type": "interval", "interval_minutes": answers.every_minutes},
        config={"thresholds": {"max_daily_spend": answers.max_daily_spend}, "window": "today"},
        platforms=answers.platforms,
        # Of several looks that were missed, the latest sees all there is.
        policy={"catch_up": "latest"},
    )


class Mornings(Parameters):
    """When the day before is looked at."""

    platforms: AdPlatforms = (FACEBOOK,)
    hour: Hour = 7
    timezone: TimeZone = "UTC"


def _each_morning(answers: Mornings, config: dict[str, Any]) -> Draft:
    return Draft(
        schedule={"type": "daily", "hour": answers.hour, "minute": 0, "timezone": answers.timezone},
        config={**config, "timezone": answers.timezone},
        platforms=answers.platforms,
    )


class ClickRateWatch(Mornings):
    """Questions of the watch on click rates."""

    min_ctr: Number = Field(default=0.8, gt=0, le=100, description="Least click rate, in percent")
    days: WholeNumber = Field(default=3, ge=1, le=30, description="Full days that are looked at together")


def _click_rate_watch(answers: ClickRateWatch) -> Draft:
    return _each_morning(
        answers,
        {"thresholds": {"min_ctr": answers.min_ctr}, "window": f"last_{answers.days}_days"},
    )


class SilentAccount(Mornings):
    """Questions of the watch on accounts that stopped."""


def _silent_account(answers: SilentAccount) -> Draft:
    return _each_morning(answers, {"thresholds": {"no_data": True}, "window": "yesterday"})


class ConversionCost(Mornings):
    """Questions of the watch on the cost of conversions."""

    max_cost: Number = Field(gt=0, description="Most a conversion may cost, in the account's own currency")
    days: WholeNumber = Field(default=7, ge=1, le=30, description="Full days that are looked at together")


def _conversion_cost(answers: ConversionCost) -> Draft:
    rule = {"metric": "cost_per_conversion", "max": answers.max_cost, "level": "campaign"}
    return _each_morning(answers, {"rules": [rule], "window": f"last_{answers.days}_days"})


class SpendJump(Mornings):
    """Questions of the watch on sudden changes."""

    percent: Number = Field(default=40, gt=0, le=1000, description="Change of spend that is told, in percent")


def _spend_jump(answers: SpendJump) -> Draft:
    change = {"up": answers.percent, "down": min(answers.percent, 100), "compared_with": "previous_week"}
    return _each_morning(answers, {"rules": [{"metric": "spend", "change_percent": change}]})


ALERTS = (
    GalleryTemplate(
        "budget-guard",
        "Budget guard",
        "Tells at once when an account spends more in a day than it may, and again when it is back within.",
        Category.ALERTS,
        _TYPE,
        _ADS,
        BudgetGuard,
        _budget_guard,
    ),
    GalleryTemplate(
        "click-rate-watch",
        "Click rate watch",
        "Tells when the click rate of the last days falls below what you expect.",
        Category.ALERTS,
        _TYPE,
        _ADS,
        ClickRateWatch,
        _click_rate_watch,
    ),
    GalleryTemplate(
        "silent-account",
        "Nothing was delivered",
        "Tells in the morning which accounts showed no ads at all the day before.",
        Category.ALERTS,
        _TYPE,
        _ADS,
        SilentAccount,
        _silent_account,
    ),
    GalleryTemplate(
        "conversion-cost",
        "Cost of conversions",
        "Watches every campaign, and tells when its conversions cost more than they are worth.",
        Category.ALERTS,
        _TYPE,
        _ADS,
        ConversionCost,
        _conversion_cost,
    ),
    GalleryTemplate(
        "spend-jump",
        "Sudden change of spend",
        "Compares yesterday's spend with the same weekday a week before, and tells when it jumped.",
        Category.ALERTS,
        _TYPE,
        _ADS,
        SpendJump,
        _spend_jump,
    ),
)
