"""What an alert looks like to a person."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from common.automation_config.alert import Comparison
from executor.alerts.findings import Finding, Subject, Verdict
from executor.alerts.memory import Change, Event
from executor.alerts.rendering import AlertRenderer
from executor.alerts.rules import Condition, Rule, Window
from executor.alerts.wording import sentence
from platforms.advertising.metrics import METRICS, Level
from platforms.calls.periods import Days
from tests.unit.executor.reports.telegram_markup import shown

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
DAYS = Days(date(2026, 11, 21), date(2026, 11, 21))
SHOP = Subject("facebook", "act_1", "Shop <EU>", "EUR", "https://ads.example/act_1?a=1&b=2")
JPY = Subject("tiktok", "77", "Outdoor", "JPY", "https://ads.example/77")


def _rule(metric: str, condition: Condition, limit: str | None) -> Rule:
    compared = Comparison.PREVIOUS_PERIOD if condition in (Condition.UP, Condition.DOWN) else None
    number = None if limit is None else Decimal(limit)
    return Rule(metric, condition, number, Level.ACCOUNT, Window("today"), compared_with=compared)


def _event(
    change: Change,
    rule: Rule | None,
    value: str | None = None,
    *,
    previous: str | None = None,
    worst: str | None = None,
    subject: Subject = SHOP,
    reason: str | None = None,
) -> Event:
    verdict = Verdict.FINE if change is Change.RECOVERY else Verdict.BREACHED
    known = None if value is None else Decimal(value)
    before = None if previous is None else Decimal(previous)
    finding = Finding(subject, rule, verdict, known, DAYS, before, reason)
    return Event(change, finding, NOW - timedelta(hours=5), None if worst is None else Decimal(worst))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            _event(Change.BREACH, _rule("spend", Condition.MAX, "100"), "152.314"),
            "Spend 152.31 EUR is over the limit of 100.00 EUR",
        ),
        (
            _event(Change.REMINDER, _rule("cpc", Condition.MAX, "20.4"), "31", subject=JPY),
            "CPC 31 JPY is over the limit of 20 JPY",
        ),
        (
            _event(Change.BREACH, _rule("ctr", Condition.MIN, "0.8"), "0.4"),
            "CTR 0.40 % is under the limit of 0.80 %",
        ),
        (
            _event(Change.BREACH, _rule("spend", Condition.UP, "50"), "180", previous="100"),
            "Spend 180.00 EUR is +80 % on 100.00 EUR before, beyond the limit of +50 %",
        ),
        (
            _event(Change.BREACH, _rule("clicks", Condition.DOWN, "12.5"), "1500", previous="2000"),
            "Clicks 1,500 is −25 % on 2,000 before, beyond the limit of −12.5 %",
        ),
        (
            _event(Change.BREACH, _rule("impressions", Condition.NO_DATA, None), "0"),
            "Impressions: there is nothing",
        ),
        (
            _event(Change.RECOVERY, _rule("roas", Condition.MIN, "2"), "2.5", worst="0.333"),
            "ROAS 2.50 is back within the limit of 2.00; at its worst it was 0.33",
        ),
        (
            _event(Change.RECOVERY, _rule("spend", Condition.UP, "50"), "100", previous="90", worst="81"),
            "Spend 100.00 EUR is back within the limit of +50 %; at its worst it was +81 %",
        ),
        (
            _event(Change.RECOVERY, _rule("conversions", Condition.NO_DATA, None), "2.5"),
            "Conversions 2.5: there is something again",
        ),
        (
            _event(Change.BREACH, None, reason="a permission\nis missing"),
            "cannot be watched: a permission is missing",
        ),
        (_event(Change.RECOVERY, None), "can be read again"),
    ],
)
def test_a_change_is_said_in_one_sentence(event: Event, said: str) -> None:
    assert sentence(event) == said


def test_changes_are_grouped_by_account_with_a_link() -> None:
    events = [
        _event(Change.RECOVERY, _rule("ctr", Condition.MIN, "0.8"), "0.9", worst="0.5"),
        _event(Change.BREACH, _rule("spend", Condition.MAX, "100"), "152.31"),
        _event(Change.REMINDER, _rule("spend", Condition.MAX, "9000"), "12000", subject=JPY),
    ]
    renderer = AlertRenderer()
    assert (
        renderer.title("Budget", events) == "Budget: 1 limit passed, 1 limit still passed, 1 limit kept again"
    )
    text, html = renderer.write("Budget", events, ZoneInfo("Europe/Berlin"), "Europe/Berlin")
    assert text == (
        "Budget\n"
        "1 limit passed, 1 limit still passed, 1 limit kept again\n"
        "\n"
        "Shop <EU> · Facebook\n"
        "🔴 Spend 152.31 EUR is over the limit of 100.00 EUR\n"
        "     today so far, Sat 21 Nov 2026\n"
        "🟢 CTR 0.90 % is back within the limit of 0.80 %; at its worst it was 0.50 %\n"
        "     today so far, Sat 21 Nov 2026 · since 21 Nov 05:00\n"
        "https://ads.example/act_1?a=1&b=2\n"
        "\n"
        "Outdoor · TikTok\n"
        "🟠 Spend 12,000 JPY is over the limit of 9,000 JPY\n"
        "     today so far, Sat 21 Nov 2026 · since 21 Nov 05:00\n"
        "https://ads.example/77\n"
        "\n"
        "days as each account counts them · times in Europe/Berlin"
    )
    assert "<b>Shop &lt;EU&gt; · Facebook</b>" in html
    assert '<a href="https://ads.example/act_1?a=1&amp;b=2">' in html


def test_the_longest_alert_is_one_telegram_message() -> None:
    name = "𐍈" * 300
    events = [
        Event(
            change,
            Finding(
                Subject(
                    "facebook",
                    f"act_{number}",
                    name,
                    "EUR",
                    f"https://ads.example/{'9' * 90}",
                    str(line),
                    name,
                ),
                rule,
                Verdict.BREACHED,
                Decimal("123456789012.34"),
                Days(date(2026, 10, 28), date(2027, 1, 3)),
                Decimal("987654321098.76"),
                "x" * 500,
            ),
            NOW,
            Decimal("123456789012.34"),
        )
        for number in range(30)
        for line, (change, rule) in enumerate(
            [
                (Change.REMINDER, _rule("cost_per_conversion", Condition.UP, "1234567.89")),
                (Change.RECOVERY, _rule("cost_per_conversion", Condition.MAX, "123456789012.34")),
                (Change.REMINDER, None),
            ]
            * 4
        )
    ]
    zone = "America/Argentina/ComodRivadavia"
    text, html = AlertRenderer().write(name, events, ZoneInfo(zone), zone)
    for told in (text, shown(html)):
        assert 2_000 < len(told.encode("utf-16-le")) // 2 <= 4_096
        assert "more accounts" in told
        assert "… and 9 more" in told


def test_every_metric_and_condition_can_be_said() -> None:
    for metric in METRICS:
        for condition in Condition:
            limit = None if condition is Condition.NO_DATA else "3"
            for change in Change:
                event = _event(change, _rule(metric, condition, limit), "4.5", previous="2", worst="9")
                assert METRICS[metric].title in sentence(event)
