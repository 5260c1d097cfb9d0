"""Figures held against rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.automation_config.alert import AlertRule
from executor.alerts.findings import Figures, Finding, Subject, Verdict, judge, questions
from executor.alerts.rules import Condition, Rule, Window, expand
from platforms.advertising.metrics import METRICS, Level, MetricRow
from platforms.calls.periods import Days
from tests.support.fake_ads import ad_account

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
TODAY = date(2026, 11, 21)
YESTERDAY = Days(date(2026, 11, 20), date(2026, 11, 20))
WEEK = Days(date(2026, 11, 14), date(2026, 11, 20))


def _rules(window: str | None = None, **rule: Any) -> list[Rule]:
    return expand([AlertRule.model_validate(rule)], window)


def _row(days: Days, campaign: str | None = None, **metrics: int | float) -> MetricRow:
    values = {name: Decimal(str(value)) for name, value in metrics.items()}
    return MetricRow("act_1", days, values, campaign, campaign and f"Campaign {campaign}")


def _judge(
    rules: Sequence[Rule],
    *rows: MetricRow,
    daily: bool = False,
    told: Sequence[str] = tuple(METRICS),
    remembered: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Finding]:
    account = ad_account()
    figures = Figures(
        account,
        Subject("facebook", account.id, account.name, account.currency),
        told,
        {(rules[0].level, daily): rows},
    )
    return judge(rules, figures, NOW, None, remembered=remembered or {})


class TestWindows:
    @pytest.mark.parametrize(
        ("name", "days"),
        [
            ("today", Days(TODAY, TODAY)),
            ("yesterday", YESTERDAY),
            ("last_1_days", YESTERDAY),
            ("last_7_days", WEEK),
        ],
    )
    def test_they_end_with_the_last_full_day_unless_they_are_today(self, name: str, days: Days) -> None:
        assert Window(name).days(NOW, ZoneInfo("UTC"), None) == days

    def test_days_are_the_accounts_own(self) -> None:
        early = datetime(2026, 11, 21, 4, tzinfo=UTC)
        new_york, berlin = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
        assert Window("today").days(early, new_york, None).until == date(2026, 11, 20)
        assert Window("today").days(early, berlin, None).until == TODAY
        assert Window("today").days(early, berlin, new_york).until == date(2026, 11, 20)

    def test_upper_limits_watch_today_and_other_rules_full_days(self) -> None:
        rules = _rules(metric="spend", min=1, max=5, change_percent={"up": 1, "down": 1}, no_data=True)
        assert {rule.condition: rule.window.name for rule in rules} == {
            Condition.MIN: "yesterday",
            Condition.MAX: "today",
            Condition.UP: "yesterday",
            Condition.DOWN: "yesterday",
            Condition.NO_DATA: "yesterday",
        }
        assert {rule.window.name for rule in _rules("last_3_days", metric="spend", min=1, max=5)} == {
            "last_3_days"
        }

    def test_a_week_before_is_of_the_same_weekdays(self) -> None:
        (rule,) = _rules(metric="spend", change_percent={"up": 1, "compared_with": "previous_week"})
        assert rule.before(YESTERDAY) == Days(date(2026, 11, 13), date(2026, 11, 13))
        ten = Days.ending(YESTERDAY.until, 10)
        before = rule.before(ten)
        assert before is not None
        assert (before.count, before.until) == (10, YESTERDAY.until - timedelta(days=14))


class TestConditions:
    @pytest.mark.parametrize(
        ("rule", "value", "verdict"),
        [
            ({"max": 100}, 100, Verdict.FINE),
            ({"max": 100}, 100.01, Verdict.BREACHED),
            ({"min": 100}, 100, Verdict.FINE),
            ({"min": 100}, 99.99, Verdict.BREACHED),
            ({"max": 0}, 0, Verdict.FINE),
            ({"no_data": True}, 0, Verdict.BREACHED),
            ({"no_data": True}, 1, Verdict.FINE),
        ],
    )
    def test_a_limit_may_be_reached_and_not_passed(
        self, rule: dict[str, Any], value: float, verdict: Verdict
    ) -> None:
        (finding,) = _judge(_rules("yesterday", metric="spend", **rule), _row(YESTERDAY, spend=value))
        assert finding.verdict is verdict

    @pytest.mark.parametrize("rule", [{"max": 0}, {"min": 5}, {"change_percent": {"up": 1}}])
    def test_an_unknown_value_is_no_breach(self, rule: dict[str, Any]) -> None:
        (finding,) = _judge(_rules("yesterday", metric="cpc", **rule), _row(YESTERDAY, spend=3))
        assert finding.verdict is Verdict.UNKNOWN

    def test_an_unknown_value_counts_as_no_data(self) -> None:
        (finding,) = _judge(_rules(metric="cpc", no_data=True), _row(YESTERDAY, spend=3))
        assert finding.verdict is Verdict.BREACHED

    def test_a_metric_the_platform_lacks_is_not_reported_missing(self) -> None:
        (finding,) = _judge(_rules(metric="likes", no_data=True), _row(YESTERDAY), told=("spend",))
        assert finding.verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize(
        ("limits", "previous", "current", "verdicts"),
        [
            ({"up": 50, "down": 50}, 100, 150, [Verdict.FINE, Verdict.FINE]),
            ({"up": 50, "down": 50}, 100, 151, [Verdict.BREACHED, Verdict.FINE]),
            ({"up": 50, "down": 50}, 100, 49, [Verdict.FINE, Verdict.BREACHED]),
            ({"down": 99}, 100, 0, [Verdict.BREACHED]),
            ({"up": 50}, 0, 1000, [Verdict.UNKNOWN]),
        ],
    )
    def test_a_change_is_a_percentage_of_the_earlier_value(
        self, limits: dict[str, int], previous: int, current: int, verdicts: list[Verdict]
    ) -> None:
        found = _judge(
            _rules(metric="spend", change_percent=limits),
            _row(YESTERDAY, spend=current),
            _row(YESTERDAY.before(), spend=previous),
        )
        assert [finding.verdict for finding in found] == verdicts

    def test_the_worst_day_speaks_for_all(self) -> None:
        days = [_row(Days(day, day), spend=10 + day.day) for day in (WEEK.since, WEEK.until)]
        rules = _rules("last_7_days", metric="spend", min=1, max=20, daily=True)
        low, high = _judge(rules, *days, daily=True)
        assert (high.verdict, high.value, high.days) == (Verdict.BREACHED, Decimal(30), YESTERDAY)
        # A day without a row is one on which nothing was delivered.
        assert (low.verdict, low.value) == (Verdict.BREACHED, Decimal(0))


class TestCampaigns:
    def test_each_is_judged_by_itself(self) -> None:
        found = _judge(
            _rules("yesterday", metric="spend", max=10, level="campaign"),
            _row(YESTERDAY, "a", spend=11),
            _row(YESTERDAY, "b", spend=9),
        )
        assert {finding.subject.campaign_id: finding.verdict for finding in found} == {
            "a": Verdict.BREACHED,
            "b": Verdict.FINE,
        }

    def test_a_stopped_campaign_is_notified_once(self) -> None:
        rules = _rules(metric="impressions", no_data=True, level="campaign")
        (stopped,) = _judge(rules, _row(YESTERDAY.before(), "a", impressions=5))
        assert stopped.verdict is Verdict.BREACHED
        (gone,) = _judge(rules, remembered={rules[0].key: {"a": "Campaign a"}})
        assert (gone.verdict, gone.subject.campaign_name) == (Verdict.UNKNOWN, "Campaign a")

    def test_one_that_stopped_is_past_no_limit(self) -> None:
        (rule,) = rules = _rules("yesterday", metric="spend", max=10, level="campaign")
        (finding,) = _judge(rules, remembered={rule.key: {"a": "Spring"}})
        assert (finding.verdict, finding.value) == (Verdict.FINE, Decimal(0))

    def test_one_that_stopped_need_not_reach_anything(self) -> None:
        rules = _rules("yesterday", metric="spend", min=10, level="campaign")
        (finding,) = _judge(rules, _row(YESTERDAY.before(), "a", spend=50))
        assert finding.verdict is Verdict.UNKNOWN


def test_an_account_is_asked_once_for_each_level_and_kind() -> None:
    rules = [
        *_rules(metric="spend", max=1),
        *_rules(metric="ctr", min=1),
        *_rules(metric="cpc", change_percent={"up": 5}),
        *_rules(metric="spend", max=1, level="campaign"),
        *_rules(metric="reach", min=1, daily=True, window="last_7_days"),
    ]
    asked = {(each.level, each.daily): each for each in questions(rules, NOW, ZoneInfo("UTC"), None)}
    assert set(asked) == {(Level.ACCOUNT, False), (Level.CAMPAIGN, False), (Level.ACCOUNT, True)}
    whole = asked[Level.ACCOUNT, False]
    assert whole.metrics == ("spend", "ctr", "cpc")
    assert whole.periods == (Days(TODAY, TODAY), YESTERDAY, YESTERDAY.before())
    assert asked[Level.ACCOUNT, True].periods == (WEEK,)
