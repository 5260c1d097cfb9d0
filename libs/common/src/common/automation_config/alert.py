"""Configuration of `alert`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from common.automation_config.metrics import MetricName, RowLevel, did_you_mean
from common.automation_config.values import MAX_SELECTED, AdAccountId, AdvertiserId, Zone, unique
from common.strict import Flag

MAX_RULES = 50
MAX_WINDOW_DAYS = 90
MAX_REMINDER_HOURS = 24 * 30
_WINDOW = re.compile(r"today|yesterday|last_([1-9][0-9]?)_days", re.ASCII)
_MAX_LIMIT = Decimal(10) ** 15


def _window(text: str) -> str:
    match = _WINDOW.fullmatch(text)
    if match is None or int(match[1] or 1) > MAX_WINDOW_DAYS:
        raise PydanticCustomError(
            "window",
            "write today, yesterday, or last_N_days with N from 1 to {most}",
            {"most": MAX_WINDOW_DAYS},
        )
    return text


Window = Annotated[
    str,
    AfterValidator(_window),
    WithJsonSchema({"type": "string", "pattern": "^(today|yesterday|last_[1-9][0-9]?_days)$"}),
]
"""`today` so far, `yesterday`, or the last N full days."""


def _limit(value: Any) -> Decimal:
    # Text that is a number is taken too: that is how a limit reads when it has been stored.
    number = None
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = None
    if number is None or not number.is_finite() or not 0 <= number <= _MAX_LIMIT:
        raise PydanticCustomError("limit", "write a number from 0 upwards")
    return number


def _threshold(value: Any) -> Decimal | bool:
    return value if isinstance(value, bool) else _limit(value)


Limit = Annotated[
    Decimal,
    PlainValidator(_limit),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
"""A number that a metric is held against."""
Threshold = Annotated[
    Decimal | bool,
    PlainValidator(_threshold),
    PlainSerializer(lambda value: value if isinstance(value, bool) else str(value), when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}, {"type": "boolean"}]}),
]


class Comparison(StrEnum):
    """What a change is measured against: the days just before, or the same weekdays of the week before."""

    PREVIOUS_PERIOD = "previous_period"
    PREVIOUS_WEEK = "previous_week"


class ChangeLimit(BaseModel):
    """How much a metric may change, in percent of what it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    up: Limit | None = Field(None, description="Percent it may rise")
    down: Limit | None = Field(None, description="Percent it may fall; 100 is down to nothing")
    compared_with: Comparison = Field(Comparison.PREVIOUS_PERIOD, description="What it is compared with")

    @model_validator(mode="after")
    def _says_something(self) -> ChangeLimit:
        if self.up is None and self.down is None:
            raise PydanticCustomError("empty", "write up, down or both")
        return self


class AlertRule(BaseModel):
    """What is watched of one metric. Where several conditions are given, each is told by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: MetricName = Field(description="What is watched")
    min: Limit | None = Field(None, description="Tell when it is less")
    max: Limit | None = Field(None, description="Tell when it is more")
    change_percent: ChangeLimit | None = Field(None, description="Tell when it changes by more")
    no_data: Flag = Field(False, description="Tell when there is nothing of it")
    daily: Flag = Field(
        False, description="Hold each day of the window against `min` and `max`, not their sum"
    )
    level: RowLevel = Field(RowLevel.ACCOUNT, description="Watch the account, or each campaign by itself")
    window: Window | None = Field(None, description="Another window than the alert's")

    @field_validator("metric", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in set(MetricName):
            raise PydanticCustomError(
                "metric",
                "not a metric{hint}; the metrics are {known}",
                {"hint": did_you_mean(value, MetricName), "known": ", ".join(MetricName)},
            )
        return value

    @field_validator("max")
    @classmethod
    def _above_min(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        least = info.data.get("min")
        if value is not None and least is not None and value < least:
            raise PydanticCustomError("range", "must not be less than min")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> AlertRule:
        if self.min is None and self.max is None and self.change_percent is None and not self.no_data:
            raise PydanticCustomError("empty", "write at least one of min, max, change_percent, no_data")
        return self


NO_DATA = "no_data"
_THRESHOLDS: Mapping[str, tuple[MetricName, str, bool]] = {
    name: meaning
    for metric in MetricName
    for name, meaning in (
        (f"min_{metric}", (metric, "min", False)),
        (f"max_{metric}", (metric, "max", False)),
        (f"min_daily_{metric}", (metric, "min", True)),
        (f"max_daily_{metric}", (metric, "max", True)),
        (f"max_{metric}_increase_percent", (metric, "up", False)),
        (f"max_{metric}_decrease_percent", (metric, "down", False)),
    )
}
"""What each threshold's name stands for: the metric, the condition, and whether days count one by one."""


def _threshold_name(name: str) -> str:
    if name != NO_DATA and name not in _THRESHOLDS:
        raise PydanticCustomError(
            "threshold",
            "not a threshold{hint}; write min_, max_, min_daily_ or max_daily_ and a metric, "
            "max_METRIC_increase_percent, max_METRIC_decrease_percent, or no_data; the metrics are {known}",
            {"hint": did_you_mean(name, (*_THRESHOLDS, NO_DATA)), "known": ", ".join(MetricName)},
        )
    return name


ThresholdName = Annotated[str, AfterValidator(_threshold_name)]


def _rule(name: str, value: Decimal | bool) -> AlertRule | None:
    if name == NO_DATA:
        return AlertRule(metric=MetricName.IMPRESSIONS, no_data=True) if value else None
    metric, condition, daily = _THRESHOLDS[name]
    limit = Decimal(value)
    match condition:
        case "min":
            return AlertRule(metric=metric, min=limit, daily=daily)
        case "max":
            return AlertRule(metric=metric, max=limit, daily=daily)
        case "up":
            return AlertRule(metric=metric, change_percent=ChangeLimit(up=limit))
        case _:
            return AlertRule(metric=metric, change_percent=ChangeLimit(down=limit))


class AlertConfig(BaseModel):
    """Tells when a metric of an ad account passes a limit, reminds while it is past it, and tells when it is
    back."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"thresholds": {"max_daily_spend": 500, "min_ctr": 0.8, "no_data": True}},
                {
                    "rules": [
                        {"metric": "cost_per_conversion", "max": 25, "level": "campaign"},
                        {"metric": "spend", "change_percent": {"up": 50}, "window": "last_7_days"},
                    ],
                    "accounts": ["act_402210009451117"],
                    "remind_after_hours": 12,
                    "timezone": "Europe/Berlin",
                },
            ]
        },
    )

    rules: Annotated[tuple[AlertRule, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_RULES, description="What is watched, in full"
    )
    thresholds: dict[ThresholdName, Threshold] = Field(
        default_factory=dict,
        max_length=MAX_RULES,
        validate_default=True,
        description="What is watched, in short: `max_daily_spend`, `min_ctr`, `max_cpc_increase_percent`, …, "
        "each with its limit; `no_data: true` watches for accounts that deliver nothing",
    )
    window: Window | None = Field(
        None,
        description="What is looked at: `today` so far, `yesterday`, or the last full days (`last_7_days`). "
        "Without it, today for what must not be passed, and yesterday for what must be reached and for "
        "changes, since a day that is not over would look like a loss",
    )
    accounts: Annotated[tuple[AdAccountId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these Facebook ad accounts, by id; without it, all"
    )
    advertisers: Annotated[tuple[AdvertiserId, ...], AfterValidator(unique)] = Field(
        (), max_length=MAX_SELECTED, description="Only these TikTok advertisers, by id; without it, all"
    )
    remind_after_hours: Annotated[float, Field(strict=True, gt=0, le=MAX_REMINDER_HOURS)] | None = Field(
        24, description="Tell again after so long while it lasts; null never does"
    )
    tell_recovery: Flag = Field(True, description="Tell when a metric is back within its limit")
    timezone: Zone | None = Field(
        None,
        description="IANA zone for times in messages, and in which a day must have begun or ended too; "
        "without it, the schedule's for times and each account's own for days",
    )

    @field_validator("thresholds")
    @classmethod
    def _fits(cls, given: dict[str, Decimal | bool], info: ValidationInfo) -> dict[str, Decimal | bool]:
        for name, value in given.items():
            if isinstance(value, bool) != (name == NO_DATA):
                wanted = "true or false" if name == NO_DATA else "a number from 0 upwards"
                raise PydanticCustomError(
                    "threshold", "write {wanted} for {name}", {"wanted": wanted, "name": name}
                )
        if info.data.get("rules") == () and not any(_rule(name, value) for name, value in given.items()):
            raise PydanticCustomError("missing", "write at least one threshold, or one of rules")
        return given

    @property
    def watched(self) -> tuple[AlertRule, ...]:
        """Every rule, those of `thresholds` included, each once."""
        short = (_rule(name, value) for name, value in sorted(self.thresholds.items()))
        return tuple(dict.fromkeys([*filter(None, short), *self.rules]))
