"""What a scheduled report's configuration takes, and what it says of what it does not."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from common.automation_config import BUILT_IN
from common.automation_config.scheduled_report import MetricType, ScheduledReportConfig
from executor.reports.gather.scope import PLATFORMS_WITH


@pytest.mark.parametrize(("period", "days"), [("daily", 1), ("weekly", 7), ("monthly", 30)])
def test_the_period_sets_the_days(period: str, days: int) -> None:
    assert ScheduledReportConfig.model_validate({"period": period}).days == days
    assert ScheduledReportConfig.model_validate({"period": period, "days": None}).days == days
    assert ScheduledReportConfig.model_validate({"period": period, "days": 3}).days == 3


def test_an_ad_account_can_be_named_by_its_number() -> None:
    assert ScheduledReportConfig.model_validate({"accounts": ["17", "act_18"]}).accounts == (
        "act_17",
        "act_18",
    )


def test_configurations_stored_by_older_versions_keep_their_meaning() -> None:
    stored = {"period": "daily", "days": 1, "metric_types": ["ad_account", "pages"], "format": "html"}
    config = ScheduledReportConfig.model_validate(stored)
    assert config.metric_types == (MetricType.AD_ACCOUNT, MetricType.PAGES)
    assert (config.compare, config.chart, config.attachments, config.advertisers) == (True, True, (), ())
    assert ScheduledReportConfig().metric_types is None


def test_every_metric_type_is_of_some_platform() -> None:
    assert set(PLATFORMS_WITH) == set(MetricType)
    assert all(PLATFORMS_WITH.values())


@pytest.mark.parametrize(
    ("given", "where", "told"),
    [
        ({"period": "hourly"}, ("period",), "'daily', 'weekly' or 'monthly'"),
        ({"period": ["daily"]}, ("period",), "'daily', 'weekly' or 'monthly'"),
        ({"days": 0}, ("days",), "greater than or equal to 1"),
        ({"days": 91}, ("days",), "less than or equal to 90"),
        ({"days": "7"}, ("days",), "valid integer"),
        ({"days": True}, ("days",), "valid integer"),
        (
            {"metric_types": []},
            ("metric_types",),
            "at least one of ad_account, pages, campaigns, profile, videos",
        ),
        ({"metric_types": ["pages", "pages"]}, ("metric_types",), "write pages only once"),
        (
            {"metric_types": ["clicks"]},
            ("metric_types", 0),
            "'ad_account', 'pages', 'campaigns', 'profile' or 'videos'",
        ),
        ({"format": "pdf"}, ("format",), "'text' or 'html'"),
        ({"timezone": "Europe/Berln"}, ("timezone",), "write Europe/Berlin"),
        ({"accounts": ["act_1", "1"]}, ("accounts",), "write act_1 only once"),
        ({"accounts": ["../1"]}, ("accounts", 0), "act_123 or 123"),
        ({"accounts": ["act_1\n"]}, ("accounts", 0), "act_123 or 123"),
        ({"accounts": ["١٢"]}, ("accounts", 0), "act_123 or 123"),
        ({"pages": ["me"]}, ("pages", 0), "digits"),
        ({"advertisers": ["act_1"]}, ("advertisers", 0), "digits"),
        ({"advertisers": ["7", "7"]}, ("advertisers",), "write 7 only once"),
        ({"compare": "yes"}, ("compare",), "valid boolean"),
        ({"chart": 1}, ("chart",), "valid boolean"),
        ({"top_campaigns": 0}, ("top_campaigns",), "greater than or equal to 1"),
        ({"top_campaigns": 21}, ("top_campaigns",), "less than or equal to 20"),
        ({"attachments": ["pdf"]}, ("attachments", 0), "'csv'"),
        ({"attachments": ["csv", "csv"]}, ("attachments",), "write csv only once"),
        ({"recipients": ["x"]}, ("recipients",), "not permitted"),
    ],
)
def test_a_mistake_is_reported_with_the_valid_form(
    given: dict[str, Any], where: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        ScheduledReportConfig.model_validate(given)
    (fault,) = refused.value.errors()
    assert fault["loc"] == where
    assert told in fault["msg"]


@pytest.mark.parametrize("given", [None, [], "daily", 7])
def test_a_configuration_that_is_no_object_is_rejected(given: object) -> None:
    with pytest.raises(ValidationError):
        ScheduledReportConfig.model_validate(given)


@pytest.mark.parametrize("model", BUILT_IN.values())
def test_the_examples_are_valid_for_the_model_and_its_schema(model: Any) -> None:
    schema = model.model_json_schema()
    assert schema["examples"]
    for example in schema["examples"]:
        jsonschema.validate(example, schema)
        given = model.model_validate(example)
        assert model.model_validate(given.model_dump(mode="json")) == given
