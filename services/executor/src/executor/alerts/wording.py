"""How an alert says what it found."""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal

from executor.alerts.findings import Finding, Subject
from executor.alerts.memory import Change, Event
from executor.alerts.rules import Condition, Rule
from executor.wording import numbers
from executor.wording.names import shown
from platforms.advertising.metrics import METRICS, Unit
from platforms.calls.periods import Days
from platforms.registry import title_of

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_REASON = 80


def amount(metric: str, value: Decimal, currency: str) -> str:
    """A metric's value with its unit: `152.31 EUR`, `1,204`, `0.42 %`, `3.10`."""
    match METRICS[metric].unit:
        case Unit.MONEY:
            return numbers.money(value, currency)
        case Unit.COUNT:
            return (
                numbers.whole(int(value)) if value == value.to_integral_value() else f"{value.normalize():f}"
            )
        case Unit.PERCENT:
            return numbers.percent(value)
        case Unit.RATIO:
            return numbers.amount(value, "")


def sentence(event: Event) -> str:
    """What happened, on one line: `Spend 152.31 EUR is over the limit of 100.00 EUR`."""
    finding = event.finding
    if finding.rule is None:
        if event.change is Change.RECOVERY:
            return "can be read again"
        return f"cannot be watched: {shown(finding.reason or 'it could not be read', _MAX_REASON)}"
    if event.change is Change.RECOVERY:
        return _recovered(finding.rule, finding, event.worst)
    return _breached(finding.rule, finding)


def _breached(rule: Rule, finding: Finding) -> str:
    title = METRICS[rule.metric].title
    currency = finding.subject.currency
    value = None if finding.value is None else amount(rule.metric, finding.value, currency)
    limit = _limit(rule, currency)
    match rule.condition:
        case Condition.MAX:
            return f"{title} {value} is over the limit of {limit}"
        case Condition.MIN:
            return f"{title} {value} is under the limit of {limit}"
        case Condition.UP | Condition.DOWN:
            previous = "" if finding.previous is None else amount(rule.metric, finding.previous, currency)
            change = _percent(finding.measured)
            return f"{title} {value} is {change} on {previous} before, beyond the limit of {limit}"
        case Condition.NO_DATA:
            return f"{title}: there is nothing"


def _recovered(rule: Rule, finding: Finding, worst: Decimal | None) -> str:
    title = METRICS[rule.metric].title
    currency = finding.subject.currency
    value = "" if finding.value is None else f" {amount(rule.metric, finding.value, currency)}"
    if rule.condition is Condition.NO_DATA:
        return f"{title}{value}: there is something again"
    told = f"{title}{value} is back within the limit of {_limit(rule, currency)}"
    if worst is None:
        return told
    was = _percent(worst) if rule.compared_with is not None else amount(rule.metric, worst, currency)
    return f"{told}; at its worst it was {was}"


def _limit(rule: Rule, currency: str) -> str:
    if rule.limit is None:
        return ""
    match rule.condition:
        case Condition.UP:
            return f"+{_plain(rule.limit)} %"
        case Condition.DOWN:
            return f"−{_plain(rule.limit)} %"
        case _:
            return amount(rule.metric, rule.limit, currency)


def _percent(value: Decimal | None) -> str:
    if value is None:
        return ""
    size = numbers.whole(int(abs(value).to_integral_value()))
    return f"{'+' if value >= 0 else '−'}{size} %"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def when(event: Event, zone: tzinfo) -> str:
    """The days of the value, and since when it lasts: `today so far, Tue 4 Nov 2026 · since 4 Nov 14:00`."""
    finding = event.finding
    parts = [] if finding.rule is None or finding.days is None else [_days(finding.rule, finding.days)]
    if event.change is not Change.BREACH:
        parts.append(f"since {moment(event.since, zone)}")
    return " · ".join(parts)


def _days(rule: Rule, days: Days) -> str:
    stretch = numbers.stretch(days)
    return f"today so far, {stretch}" if rule.window.is_today else stretch


def moment(instant: datetime, zone: tzinfo) -> str:
    """`4 Nov 14:00`."""
    local = instant.astimezone(zone)
    return f"{local.day} {_MONTHS[local.month - 1]} {local:%H:%M}"


def about(subject: Subject) -> str:
    """`Shop · Facebook`."""
    return f"{shown(subject.account_name)} · {title_of(subject.platform)}"


def headline(events: list[Event]) -> str:
    """`2 limits passed, 1 still passed, 1 back within limits, 1 account cannot be watched`."""
    rules = [event for event in events if event.finding.rule is not None]
    blind = [event for event in events if event.finding.rule is None]
    counts = [
        (_counted([e for e in rules if e.change is Change.BREACH], "limit"), "passed"),
        (_counted([e for e in rules if e.change is Change.REMINDER], "limit"), "still passed"),
        (_counted([e for e in rules if e.change is Change.RECOVERY], "limit"), "kept again"),
        (_counted([e for e in blind if e.change is not Change.RECOVERY], "account"), "cannot be watched"),
        (_counted([e for e in blind if e.change is Change.RECOVERY], "account"), "can be watched again"),
    ]
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _counted(events: list[Event], noun: str) -> str:
    return f"{len(events)} {noun}{'' if len(events) == 1 else 's'}" if events else ""
