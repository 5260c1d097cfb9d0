"""What an alert watches, one condition each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from common.automation_config.alert import AlertRule, Comparison
from executor.sources.reading import latest_day
from platforms.advertising.metrics import Level
from platforms.calls.periods import Days

_WEEK = 7


class Condition(StrEnum):
    """What makes a breach."""

    MIN = "min"
    MAX = "max"
    UP = "up"
    DOWN = "down"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Window:
    """The days that are looked at: `today` so far, `yesterday`, or `last_N_days`, full ones."""

    name: str

    @property
    def is_today(self) -> bool:
        """Whether it is a day that is not over."""
        return self.name == "today"

    @property
    def length(self) -> int:
        """How many days."""
        return int(self.name.split("_")[1]) if self.name.startswith("last_") else 1

    def days(self, now: datetime, zone: tzinfo, wanted_zone: tzinfo | None) -> Days:
        """Its days at `now` for an account that counts them in `zone`."""
        return Days.ending(latest_day(now, zone, wanted_zone, full=not self.is_today), self.length)


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on one metric. `limit` is None for `no_data`."""

    metric: str
    condition: Condition
    limit: Decimal | None
    level: Level
    window: Window
    daily: bool = False
    compared_with: Comparison | None = None

    @property
    def key(self) -> str:
        """Says which rule it is. A rule with another limit is another rule: what was told of the old one is
        no news about the new one."""
        parts = [self.metric, self.condition.value, self.level.value, self.window.name]
        if self.limit is not None:
            parts.append(f"{self.limit.normalize():f}")
        if self.daily:
            parts.append("daily")
        if self.compared_with is not None:
            parts.append(self.compared_with.value)
        return ".".join(parts)

    @property
    def by_day(self) -> bool:
        """Whether it looks at single days of a longer window."""
        return self.daily and self.window.length > 1

    def before(self, days: Days) -> Days | None:
        """What `days` are compared with."""
        match self.compared_with:
            case None:
                return None
            case Comparison.PREVIOUS_PERIOD:
                return days.before()
            case Comparison.PREVIOUS_WEEK:
                back = timedelta(days=-(-days.count // _WEEK) * _WEEK)
                return Days(days.since - back, days.until - back)

    def worse(self, one: Decimal, other: Decimal) -> Decimal:
        """The one of two values that is further beyond the limit."""
        return max(one, other) if self.condition in (Condition.MAX, Condition.UP) else min(one, other)


def expand(watched: Sequence[AlertRule], window: str | None) -> list[Rule]:
    """Every condition of the rules as a rule of its own, each once."""
    return list(dict.fromkeys(rule for each in watched for rule in _conditions(each, window)))


def _conditions(rule: AlertRule, window: str | None) -> list[Rule]:
    def of(condition: Condition, limit: Decimal | None, compared_with: Comparison | None = None) -> Rule:
        # A limit that must not be passed is of use while the day goes on. Everything else would see a loss in
        # a day that is not over.
        usual = "today" if condition is Condition.MAX else "yesterday"
        return Rule(
            rule.metric.value,
            condition,
            limit,
            Level(rule.level.value),
            Window(rule.window or window or usual),
            daily=rule.daily and condition in (Condition.MIN, Condition.MAX),
            compared_with=compared_with,
        )

    found = []
    if rule.min is not None:
        found.append(of(Condition.MIN, rule.min))
    if rule.max is not None:
        found.append(of(Condition.MAX, rule.max))
    change = rule.change_percent
    if change is not None and change.up is not None:
        found.append(of(Condition.UP, change.up, change.compared_with))
    if change is not None and change.down is not None:
        found.append(of(Condition.DOWN, change.down, change.compared_with))
    if rule.no_data:
        found.append(of(Condition.NO_DATA, None))
    return found
