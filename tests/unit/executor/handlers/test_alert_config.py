"""What an alert's configuration takes, and what it says of what it does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from common.automation_config.alert import AlertConfig, AlertRule
from common.automation_config.metrics import MetricName, RowLevel
from platforms.advertising.metrics import METRICS, Level

SPEND = {"metric": "spend", "max": 5}


def _watched(**given: Any) -> tuple[AlertRule, ...]:
    return AlertConfig.model_validate(given).watched


def test_the_names_are_those_of_the_platform_clients() -> None:
    assert {name.value for name in MetricName} == set(METRICS)
    assert {level.value for level in RowLevel} == {level.value for level in Level}


@pytest.mark.parametrize(
    ("threshold", "rule"),
    [
        ({"max_daily_spend": 500}, {"metric": "spend", "max": 500, "daily": True}),
        ({"max_spend": "0.5"}, {"metric": "spend", "max": 0.5}),
        ({"min_ctr": 0.8}, {"metric": "ctr", "min": 0.8}),
        ({"min_daily_conversions": 3}, {"metric": "conversions", "min": 3, "daily": True}),
        ({"max_cpc_increase_percent": 40}, {"metric": "cpc", "change_percent": {"up": 40}}),
        ({"max_reach_decrease_percent": 40}, {"metric": "reach", "change_percent": {"down": 40}}),
        ({"no_data": True}, {"metric": "impressions", "no_data": True}),
    ],
)
def test_a_threshold_is_short_for_a_rule(threshold: dict[str, Any], rule: dict[str, Any]) -> None:
    assert _watched(thresholds=threshold) == (AlertRule.model_validate(rule),)


def test_duplicate_rules_are_watched_once() -> None:
    assert len(_watched(thresholds={"max_spend": 5}, rules=[SPEND, {"metric": "ctr", "min": 1}])) == 2


def test_a_limit_is_the_number_that_was_written() -> None:
    (rule,) = _watched(thresholds={"max_cpc": 0.1})
    assert rule.max == Decimal("0.1")


@pytest.mark.parametrize(
    ("given", "where", "told"),
    [
        ({}, ("thresholds",), "at least one threshold"),
        ({"thresholds": {"no_data": False}}, ("thresholds",), "at least one threshold"),
        (
            {"thresholds": {"max_daily_spnd": 5}},
            ("thresholds", "max_daily_spnd", "[key]"),
            "did you mean max_daily_spend",
        ),
        ({"thresholds": {"spend": 5}}, ("thresholds", "spend", "[key]"), "max_METRIC_increase_percent"),
        ({"thresholds": {"max_spend": -1}}, ("thresholds", "max_spend"), "from 0 upwards"),
        ({"thresholds": {"max_spend": "much"}}, ("thresholds", "max_spend"), "from 0 upwards"),
        ({"thresholds": {"max_spend": float("nan")}}, ("thresholds", "max_spend"), "from 0 upwards"),
        ({"thresholds": {"max_spend": True}}, ("thresholds",), "a number from 0 upwards for max_spend"),
        ({"thresholds": {"no_data": 1}}, ("thresholds",), "true or false for no_data"),
        ({"rules": [{"metric": "spnd", "max": 1}]}, ("rules", 0, "metric"), "did you mean spend"),
        ({"rules": [{"metric": "qwertz", "max": 1}]}, ("rules", 0, "metric"), "the metrics are spend"),
        ({"rules": [{"metric": "spend"}]}, ("rules", 0), "at least one of min, max"),
        ({"rules": [{"metric": "ctr", "min": 2, "max": 1}]}, ("rules", 0, "max"), "less than min"),
        (
            {"rules": [{"metric": "ctr", "change_percent": {}}]},
            ("rules", 0, "change_percent"),
            "up, down or both",
        ),
        ({"rules": [{**SPEND, "level": "ad"}]}, ("rules", 0, "level"), "'account' or 'campaign'"),
        ({"rules": [{**SPEND, "window": "last_91_days"}]}, ("rules", 0, "window"), "from 1 to 90"),
        ({"rules": [SPEND], "window": "this_week"}, ("window",), "today, yesterday"),
        ({"rules": [SPEND], "remind_after_hours": 0}, ("remind_after_hours",), "greater than 0"),
        ({"rules": [SPEND], "remind_after_hours": True}, ("remind_after_hours",), "valid number"),
        ({"rules": [SPEND], "timezone": "Europe/Berln"}, ("timezone",), "write Europe/Berlin"),
        ({"rules": [SPEND], "accounts": ["x"]}, ("accounts", 0), "act_123 or 123"),
        ({"rules": [SPEND], "advertisers": ["act_1"]}, ("advertisers", 0), "digits"),
        ({"rules": [SPEND], "recipients": []}, ("recipients",), "not permitted"),
    ],
)
def test_a_mistake_is_reported_with_the_valid_form(
    given: dict[str, Any], where: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        AlertConfig.model_validate(given)
    (fault,) = refused.value.errors()
    assert fault["loc"] == where
    assert told in fault["msg"]


def test_reminders_can_be_switched_off() -> None:
    assert (
        AlertConfig.model_validate({"rules": [SPEND], "remind_after_hours": None}).remind_after_hours is None
    )
