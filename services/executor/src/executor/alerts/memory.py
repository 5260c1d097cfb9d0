"""What an alert has told, and what of it is news. Pure.

A breach is told once, told again after a while as long as it lasts, and its end is told. What cannot be
judged this time is left as it was: a platform's silence is neither a breach nor its end. What is looked at
day by day restarts with each day: that a new day has spent little yet is no recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from executor.alerts.findings import Finding, Verdict

FORGOTTEN_AFTER = timedelta(days=30)
"""What could not be judged for so long is forgotten: its end will never be seen."""
_VERSION = 1


class Change(StrEnum):
    """What is told of a finding."""

    BREACH = "breach"
    REMINDER = "reminder"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Told:
    """One breach that was told. `worst` is the value furthest beyond the limit, `seen` when it was judged
    last, `name` the campaign's, `day` the day it happened on where the day is not over."""

    since: datetime
    last_told: datetime
    seen: datetime
    worst: Decimal | None = None
    name: str | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known to be past its limit, by the finding's key, as it was at `as_of`."""

    as_of: datetime | None
    breaches: Mapping[str, Told]

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Memory:
        """From what a run left; what cannot be read was never told."""
        breaches = {}
        stored = state.get("breaches")
        if state.get("version") == _VERSION and isinstance(stored, Mapping):
            breaches = {str(key): told for key, entry in stored.items() if (told := _told(entry))}
        return cls(_instant(state.get("as_of")), breaches)

    def as_state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "version": _VERSION,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "breaches": {
                key: {
                    "since": told.since.isoformat(),
                    "last_told": told.last_told.isoformat(),
                    "seen": told.seen.isoformat(),
                    "worst": None if told.worst is None else str(told.worst),
                    "name": told.name,
                    "day": None if told.day is None else told.day.isoformat(),
                }
                for key, told in self.breaches.items()
            },
        }

    def campaigns(self, platform: str, account_id: str) -> dict[str, dict[str, str]]:
        """The campaigns of an account that something was told of: id to name, by the key of the rule."""
        found: dict[str, dict[str, str]] = {}
        for key, told in self.breaches.items():
            of, account, campaign, rule = key.split("/", 3)
            if (of, account) == (platform, account_id) and campaign:
                found.setdefault(rule, {})[campaign] = told.name or campaign
        return found


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell. `since` is when the breach was first seen, `worst` the value furthest beyond."""

    change: Change
    finding: Finding
    since: datetime
    worst: Decimal | None


@dataclass(frozen=True, slots=True)
class Policy:
    """When to tell again (None: never), and whether to tell the end."""

    remind_after: timedelta | None
    tell_recovery: bool


def advance(
    findings: Iterable[Finding],
    memory: Memory,
    now: datetime,
    policy: Policy,
    *,
    keeps: Callable[[str], bool],
) -> tuple[list[Event], Memory]:
    """What is news at `now`, and what is to be remembered.

    `keeps` says of a key that has no finding this time whether it is still watched, though it could not be
    looked at; all others are forgotten.
    """
    events: list[Event] = []
    breaches: dict[str, Told] = {}
    judged: set[str] = set()
    for finding in findings:
        judged.add(finding.key)
        told = memory.breaches.get(finding.key)
        event, after = _step(finding, told, now, policy)
        if event is not None:
            events.append(event)
        if after is not None:
            breaches[finding.key] = after
    for key, told in memory.breaches.items():
        if key not in judged and keeps(key) and not _is_stale(told, now):
            breaches[key] = told
    return events, Memory(now, breaches)


def _step(
    finding: Finding, told: Told | None, now: datetime, policy: Policy
) -> tuple[Event | None, Told | None]:
    day = _day_that_goes_on(finding)
    if told is not None and day is not None and told.day is not None and told.day < day:
        told = None
    if finding.verdict is Verdict.UNKNOWN:
        return None, None if told is None or _is_stale(told, now) else told
    if finding.verdict is Verdict.FINE:
        if told is None or not policy.tell_recovery:
            return None, None
        return Event(Change.RECOVERY, finding, told.since, told.worst), None
    name = finding.subject.campaign_name
    if told is None:
        first = Told(now, now, now, finding.measured, name, day)
        return Event(Change.BREACH, finding, now, finding.measured), first
    after = replace(told, seen=now, worst=_worse(finding, told.worst), name=name)
    if policy.remind_after is None or now - told.last_told < policy.remind_after:
        return None, after
    return Event(Change.REMINDER, finding, told.since, after.worst), replace(after, last_told=now)


def _day_that_goes_on(finding: Finding) -> date | None:
    if finding.rule is None or finding.days is None or not finding.rule.window.is_today:
        return None
    return finding.days.until


def _worse(finding: Finding, worst: Decimal | None) -> Decimal | None:
    measured = finding.measured
    if worst is None or measured is None or finding.rule is None:
        return worst if measured is None else measured
    return finding.rule.worse(worst, measured)


def _is_stale(told: Told, now: datetime) -> bool:
    return now - told.seen > FORGOTTEN_AFTER


def _told(entry: Any) -> Told | None:
    if not isinstance(entry, Mapping):
        return None
    since, last_told, seen = (_instant(entry.get(name)) for name in ("since", "last_told", "seen"))
    if since is None or last_told is None or seen is None:
        return None
    name = entry.get("name")
    return Told(
        since,
        last_told,
        seen,
        _number(entry.get("worst")),
        name if isinstance(name, str) else None,
        _date(entry.get("day")),
    )


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _instant(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _number(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return None
