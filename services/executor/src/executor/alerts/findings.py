"""Holding figures against rules. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from types import MappingProxyType

from executor.alerts.rules import Condition, Rule
from executor.sources.reading import storable
from platforms.advertising.figures import ZERO, AdAccount
from platforms.advertising.metrics import METRICS, Level, MetricRow
from platforms.calls.periods import Days, single_days

UNREADABLE = "unreadable"
"""In the place of a rule's key: that an account could not be read."""


class Verdict(StrEnum):
    """`unknown`: there is no value to judge; it is neither a breach nor the end of one."""

    BREACHED = "breached"
    FINE = "fine"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched: an account, one of its campaigns, or a connection that shows no accounts."""

    platform: str
    account_id: str
    account_name: str
    currency: str = ""
    url: str | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule held against one subject. Without a rule: whether the subject could be read, and `reason` why
    not. `days` are those of `value`, and `previous` what it was compared with."""

    subject: Subject
    rule: Rule | None
    verdict: Verdict
    value: Decimal | None = None
    days: Days | None = None
    previous: Decimal | None = None
    reason: str | None = None

    @property
    def key(self) -> str:
        """Says what it is about, the same in every run."""
        subject = self.subject
        rule = UNREADABLE if self.rule is None else self.rule.key
        return memory_key(subject.platform, subject.account_id, subject.campaign_id, rule)

    @property
    def measured(self) -> Decimal | None:
        """What is held against the limit: the value, or how much it changed in percent."""
        if self.rule is not None and self.rule.compared_with is not None:
            return change_percent(self.value, self.previous)
        return self.value


def memory_key(platform: str, account_id: str, campaign_id: str | None, rule: str) -> str:
    """Under this an alert remembers what it told. No part but the last holds a slash."""
    return "/".join((platform, account_id, campaign_id or "", rule))


def change_percent(value: Decimal | None, previous: Decimal | None) -> Decimal | None:
    """The change in percent; None where there is none to tell: from nothing, or from or to the unknown."""
    if value is None or not previous:
        return None
    return (value - previous) * 100 / previous


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to an account: which metrics of which periods at which level, or of each of their days."""

    level: Level
    daily: bool
    metrics: tuple[str, ...]
    periods: tuple[Days, ...]


def questions(rules: Iterable[Rule], now: datetime, zone: tzinfo, wanted_zone: tzinfo | None) -> list[Asked]:
    """What must be asked of an account to judge it by these rules: one question a level and kind."""
    grouped: dict[tuple[Level, bool], list[Rule]] = defaultdict(list)
    for rule in rules:
        grouped[rule.level, rule.by_day].append(rule)
    return [
        Asked(
            level,
            daily,
            tuple(dict.fromkeys(rule.metric for rule in group)),
            tuple(dict.fromkeys(days for rule in group for days in _periods(rule, now, zone, wanted_zone))),
        )
        for (level, daily), group in grouped.items()
    ]


def _periods(rule: Rule, now: datetime, zone: tzinfo, wanted_zone: tzinfo | None) -> Iterator[Days]:
    days = rule.window.days(now, zone, wanted_zone)
    yield days
    if rule.level is Level.CAMPAIGN and rule.condition is Condition.NO_DATA:
        yield days.before()  # says which campaigns should have delivered
    if (compared := rule.before(days)) is not None:
        yield compared


@dataclass(frozen=True, slots=True)
class Figures:
    """What an account answered, `told` being the metrics its platform has."""

    account: AdAccount
    subject: Subject
    told: Collection[str]
    rows: Mapping[tuple[Level, bool], Sequence[MetricRow]]


def judge(
    rules: Sequence[Rule],
    figures: Figures,
    now: datetime,
    wanted_zone: tzinfo | None,
    *,
    remembered: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Finding]:
    """Every rule held against the account or its campaigns.

    `remembered` are the campaigns, id to name, that something was told of, by the key of the rule: one that
    delivers no more has no row, and is judged by that.
    """
    grouped = {asked: _grouped(rows) for asked, rows in figures.rows.items()}
    found: list[Finding] = []
    for rule in rules:
        by_campaign = grouped.get((rule.level, rule.by_day), {})
        days = rule.window.days(now, figures.account.zone, wanted_zone)
        known = rule.metric in figures.told
        for subject in _subjects(rule, figures.subject, by_campaign, remembered.get(rule.key, {})):
            rows = by_campaign.get(subject.campaign_id, {})
            if not known or not _is_judged(rule, days, rows):
                found.append(Finding(subject, rule, Verdict.UNKNOWN, days=days))
            elif rule.by_day:
                found.append(_worst_day(rule, subject, days, rows))
            else:
                found.append(_whole(rule, subject, days, rows))
    return found


_Rows = Mapping[Days, MetricRow]


def _grouped(rows: Sequence[MetricRow]) -> dict[str | None, dict[Days, MetricRow]]:
    grouped: dict[str | None, dict[Days, MetricRow]] = defaultdict(dict)
    for row in rows:
        grouped[row.campaign_id][row.days] = row
    return grouped


def _subjects(
    rule: Rule, account: Subject, rows: Mapping[str | None, _Rows], remembered: Mapping[str, str]
) -> list[Subject]:
    if rule.level is Level.ACCOUNT:
        return [account]
    names = dict(remembered)
    for id_, by_days in rows.items():
        if id_ is not None:
            named = (row.campaign_name for row in by_days.values() if row.campaign_name)
            names[id_] = storable(next(named, id_))
    return [replace(account, campaign_id=id_, campaign_name=name) for id_, name in names.items()]


def _is_judged(rule: Rule, days: Days, rows: _Rows) -> bool:
    """A campaign that was switched off breaches no rule: what must be reached is expected of those
    that deliver, and silence is told of those that delivered just before."""
    if rule.level is Level.ACCOUNT:
        return True
    if rule.condition is Condition.MIN:
        return any(each.since >= days.since for each in rows)
    return rule.condition is not Condition.NO_DATA or bool(rows)


def _whole(rule: Rule, subject: Subject, days: Days, rows: _Rows) -> Finding:
    value = _value(rule.metric, days, rows)
    before = rule.before(days)
    previous = None if before is None else _value(rule.metric, before, rows)
    return Finding(subject, rule, _verdict(rule, value, previous), value, days, previous)


def _worst_day(rule: Rule, subject: Subject, days: Days, rows: _Rows) -> Finding:
    """The day that is furthest beyond the limit, or nearest to it, speaks for all."""
    values = [(_value(rule.metric, day, rows), day) for day in single_days([days])]
    known = [(value, day) for value, day in values if value is not None]
    if not known:
        return Finding(subject, rule, Verdict.UNKNOWN, days=days)
    worst = reduce(lambda one, other: one if rule.worse(one[0], other[0]) == one[0] else other, known)
    return Finding(subject, rule, _verdict(rule, worst[0], None), worst[0], worst[1])


def _value(metric: str, days: Days, rows: _Rows) -> Decimal | None:
    """The metric in `days`. Where there is no row nothing was delivered: what adds up is zero then, and what
    is per something is not known."""
    row = rows.get(days)
    if row is None:
        return ZERO if METRICS[metric].adds_up else None
    return row.metrics.get(metric)


def _verdict(rule: Rule, value: Decimal | None, previous: Decimal | None) -> Verdict:
    if rule.condition is Condition.NO_DATA:
        return Verdict.FINE if value else Verdict.BREACHED
    measured = value if rule.compared_with is None else change_percent(value, previous)
    if measured is None or rule.limit is None:
        return Verdict.UNKNOWN
    beyond = {
        Condition.MIN: measured < rule.limit,
        Condition.MAX: measured > rule.limit,
        Condition.UP: measured > rule.limit,
        Condition.DOWN: -measured > rule.limit,
    }[rule.condition]
    return Verdict.BREACHED if beyond else Verdict.FINE
