"""What Facebook's usage headers say."""

from __future__ import annotations

import json

import pytest

from platforms.calls.usage import Usage
from platforms.facebook.usage import app_usage, object_usage, seconds_to_wait


def _use_case(**entry: object) -> dict[str, str]:
    return {"x-business-use-case-usage": json.dumps({"act_1": [{"type": "ads_insights", **entry}]})}


def test_the_fullest_of_the_apps_figures_counts() -> None:
    assert app_usage({"x-app-usage": '{"call_count":28,"total_cputime":25,"total_time":91}'}) == Usage(91)
    assert app_usage(
        {
            "x-app-usage": '{"call_count":28}',
            "x-fb-ads-insights-throttle": '{"app_id_util_pct":33.5,"acc_id_util_pct":80}',
        }
    ) == Usage(33.5)


@pytest.mark.parametrize(
    ("headers", "usage"),
    [
        ({"x-ad-account-usage": '{"acc_id_util_pct":9.67,"reset_time_duration":100}'}, Usage(9.67, 100)),
        ({"x-ad-account-usage": '{"acc_id_util_pct":0}'}, Usage(0)),
        ({"x-page-usage": '{"call_count":12,"total_cputime":40,"total_time":3}'}, Usage(40)),
        ({"x-fb-ads-insights-throttle": '{"app_id_util_pct":99,"acc_id_util_pct":80}'}, Usage(80)),
        (_use_case(call_count=42, total_time=15, estimated_time_to_regain_access=0), Usage(42)),
        (_use_case(call_count=100, estimated_time_to_regain_access=7), Usage(100, 420)),
    ],
)
def test_the_usage_of_an_account_or_page(headers: dict[str, str], usage: Usage) -> None:
    assert object_usage(headers) == usage


def test_several_use_cases_are_all_looked_at() -> None:
    entries = {
        "1": [{"call_count": 10}, {"call_count": 97, "estimated_time_to_regain_access": 3}],
        "2": [{"call_count": 50}],
    }
    assert object_usage({"x-business-use-case-usage": json.dumps(entries)}) == Usage(97, 180)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "nonsense",
        "[]",
        "7",
        "null",
        '{"1":7}',
        '{"1":[7]}',
        '{"1":[{"call_count":"full"}]}',
        '{"1":null}',
    ],
)
def test_an_unreadable_header_says_nothing(raw: str) -> None:
    usage = object_usage({"x-business-use-case-usage": raw})
    assert usage is None or usage.percent == 0
    assert app_usage({"x-app-usage": raw}) is None
    assert seconds_to_wait({"x-business-use-case-usage": raw}) == 60


def test_without_headers_nothing_is_known() -> None:
    assert app_usage({}) is None
    assert object_usage({}) is None


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(0, 60), (0.5, 60), (1, 60), (7, 420), (60, 3600), (1440, 3600)]
)
def test_the_wait_is_in_minutes_from_one_to_sixty(minutes: float, seconds: float) -> None:
    assert seconds_to_wait(_use_case(estimated_time_to_regain_access=minutes)) == seconds


def test_the_longest_wait_counts() -> None:
    entries = {"1": [{"estimated_time_to_regain_access": 2}, {"estimated_time_to_regain_access": 9}]}
    assert seconds_to_wait({"x-business-use-case-usage": json.dumps(entries)}) == 540
