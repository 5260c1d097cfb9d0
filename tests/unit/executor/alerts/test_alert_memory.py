"""What is told of a finding, and what is remembered, whatever the order of things."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.alerts.findings import Finding, Subject, Verdict
from executor.alerts.memory import FORGOTTEN_AFTER, Change, Event, Memory, Policy, advance
from executor.alerts.rules import Condition, Rule, Window
from platforms.advertising.metrics import Level
from platforms.calls.periods import Days

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SATURDAY, SUNDAY = date(2026, 11, 21), date(2026, 11, 22)
NOTHING = Memory(None, {})
DAILY = Policy(timedelta(hours=24), tell_recovery=True)
SHOP = Subject("facebook", "act_1", "Shop", "EUR")
MAX = Rule("spend", Condition.MAX, Decimal(100), Level.ACCOUNT, Window("today"))
MIN = Rule("ctr", Condition.MIN, Decimal(1), Level.ACCOUNT, Window("yesterday"))


def _keeps_all(_key: str) -> bool:
    return True


def _finding(value: int | None, rule: Rule = MAX, subject: Subject = SHOP) -> Finding:
    if value is None:
        return Finding(subject, rule, Verdict.UNKNOWN)
    breached = value > 100 if rule is MAX else value < 1
    return Finding(subject, rule, Verdict.BREACHED if breached else Verdict.FINE, Decimal(value))


def _told(
    values: Sequence[int | None], policy: Policy = DAILY, *, step: timedelta = HOUR
) -> tuple[list[tuple[int, Change, int | None]], Memory]:
    """What is told of one rule whose value goes this way: which step, what, and the worst value then."""
    memory, told = NOTHING, []
    for index, value in enumerate(values):
        events, memory = advance([_finding(value)], memory, NOW + index * step, policy, keeps=_keeps_all)
        # What is remembered goes through the database between two runs.
        memory = Memory.read(json.loads(json.dumps(memory.as_state())))
        told += [(index, event.change, None if event.worst is None else int(event.worst)) for event in events]
    return told, memory


class TestOneRule:
    def test_values_within_limits_send_no_message(self) -> None:
        assert _told([50, 100, None, 0])[0] == []

    def test_a_breach_is_notified_once(self) -> None:
        assert _told([50, 120, 130, 125])[0] == [(1, Change.BREACH, 120)]

    def test_a_lasting_breach_is_repeated_after_the_interval(self) -> None:
        told, _ = _told([120, 150, 110, 115], step=timedelta(hours=12))
        assert told == [(0, Change.BREACH, 120), (2, Change.REMINDER, 150)]

    def test_a_lasting_breach_is_not_repeated_without_an_interval(self) -> None:
        told, _ = _told([120] * 10, Policy(None, tell_recovery=True), step=timedelta(hours=12))
        assert told == [(0, Change.BREACH, 120)]

    def test_recovery_is_notified_with_the_worst_value(self) -> None:
        told, memory = _told([120, 180, 130, 90, 80])
        assert told == [(0, Change.BREACH, 120), (3, Change.RECOVERY, 180)]
        assert memory.breaches == {}

    def test_recovery_is_not_notified_if_disabled(self) -> None:
        told, _ = _told([120, 90, 120], Policy(timedelta(hours=24), tell_recovery=False))
        assert told == [(0, Change.BREACH, 120), (2, Change.BREACH, 120)]

    def test_an_unknown_value_changes_no_state(self) -> None:
        told, memory = _told([120, None, None, 130])
        assert told == [(0, Change.BREACH, 120)]
        (remembered,) = memory.breaches.values()
        assert (remembered.since, remembered.worst) == (NOW, Decimal(130))

    def test_state_of_long_unknown_values_is_dropped(self) -> None:
        _, memory = _told([120, None], step=FORGOTTEN_AFTER + HOUR)
        assert memory.breaches == {}

    def test_the_worst_value_of_a_minimum_is_the_lowest(self) -> None:
        events, memory = advance([_finding(0, MIN)], NOTHING, NOW, DAILY, keeps=_keeps_all)
        assert [event.worst for event in events] == [0]
        _, memory = advance([_finding(0, MIN)], memory, NOW + HOUR, DAILY, keeps=_keeps_all)
        assert [told.worst for told in memory.breaches.values()] == [0]


class TestDayByDay:
    def _told(self, values: Sequence[tuple[date, int | None]]) -> list[tuple[int, Change]]:
        """What is told of spend so far on each of the days."""
        memory, told = NOTHING, []
        for index, (day, value) in enumerate(values):
            finding = replace(_finding(value), days=Days(day, day))
            events, memory = advance([finding], memory, NOW + index * HOUR, DAILY, keeps=_keeps_all)
            memory = Memory.read(json.loads(json.dumps(memory.as_state())))
            told += [(index, event.change) for event in events]
        return told

    def test_a_new_day_that_has_spent_little_yet_is_no_recovery(self) -> None:
        assert self._told([(SATURDAY, 120), (SUNDAY, 3), (SUNDAY, 90)]) == [(0, Change.BREACH)]

    def test_a_daily_breach_is_reported_each_day(self) -> None:
        told = self._told([(SATURDAY, 120), (SATURDAY, 130), (SUNDAY, 5), (SUNDAY, 101), (SUNDAY, 130)])
        assert told == [(0, Change.BREACH), (3, Change.BREACH)]

    def test_a_value_that_falls_within_its_day_is_a_recovery(self) -> None:
        assert self._told([(SATURDAY, 120), (SATURDAY, 80)]) == [(0, Change.BREACH), (1, Change.RECOVERY)]

    def test_an_unknown_day_is_none(self) -> None:
        told = self._told([(SATURDAY, 120), (SUNDAY, None), (SUNDAY, 120)])
        assert told == [(0, Change.BREACH), (2, Change.BREACH)]


class TestForgetting:
    def test_a_rule_that_is_no_longer_watched_is_forgotten_silently(self) -> None:
        _, memory = advance([_finding(120)], NOTHING, NOW, DAILY, keeps=_keeps_all)
        events, memory = advance([], memory, NOW + HOUR, DAILY, keeps=lambda _key: False)
        assert (events, memory.breaches) == ([], {})

    def test_a_rule_with_another_limit_is_another_rule(self) -> None:
        _, memory = advance([_finding(120)], NOTHING, NOW, DAILY, keeps=_keeps_all)
        raised = Rule("spend", Condition.MAX, Decimal(200), Level.ACCOUNT, Window("today"))
        fine = Finding(SHOP, raised, Verdict.FINE, Decimal(120))
        events, memory = advance([fine], memory, NOW + HOUR, DAILY, keeps=lambda _key: False)
        assert (events, memory.breaches) == ([], {})

    def test_state_survives_an_unreadable_account(self) -> None:
        _, memory = advance([_finding(120)], NOTHING, NOW, DAILY, keeps=_keeps_all)
        events, memory = advance([], memory, NOW + HOUR, DAILY, keeps=_keeps_all)
        assert (events, len(memory.breaches)) == ([], 1)

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"version": 7, "breaches": {"a/b//c": {"since": "2026-11-01T00:00:00+00:00"}}},
            {"version": 1, "breaches": "none"},
            {"version": 1, "breaches": {"a/b//c": {"since": "yesterday"}, "d/e//f": None}},
            {"version": 1, "as_of": "2026-11-01T00:00:00", "breaches": []},
        ],
    )
    def test_unreadable_state_counts_as_never_reported(self, state: dict[str, object]) -> None:
        assert Memory.read(state) == NOTHING


_STEPS = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 50, 100, 101, 150, 300]),
        st.sampled_from([None, 0, 50, 100, 101, 150, 300]),
        st.integers(1, 30),
    ),
    max_size=40,
)


@given(steps=_STEPS, remind=st.sampled_from([None, 6, 24]), tell_recovery=st.booleans())
def test_breaches_and_recoveries_always_alternate(
    steps: list[tuple[int | None, int | None, int]], remind: int | None, tell_recovery: bool
) -> None:
    """Of two accounts: a breach only after an end, an end or a reminder only after a breach, a reminder never
    too early, nothing twice."""
    policy = Policy(None if remind is None else timedelta(hours=remind), tell_recovery)
    outdoor = Subject("facebook", "act_2", "Outdoor", "USD")
    memory, now = NOTHING, NOW
    told: dict[str, list[tuple[datetime, Event]]] = defaultdict(list)
    breached: dict[str, bool] = defaultdict(bool)
    for one, other, hours in steps:
        now += timedelta(hours=hours)
        findings = [_finding(one), _finding(other, subject=outdoor)]
        events, memory = advance(findings, memory, now, policy, keeps=_keeps_all)
        again, same = advance(findings, memory, now, policy, keeps=_keeps_all)
        assert again == [], "told again although nothing had changed"
        assert same == memory
        for finding in findings:
            if finding.verdict is not Verdict.UNKNOWN:
                breached[finding.key] = finding.verdict is Verdict.BREACHED
        assert set(memory.breaches) == {key for key, is_so in breached.items() if is_so}
        for event in events:
            told[event.finding.key].append((now, event))
    for events_of_one in told.values():
        last: tuple[datetime, Change] | None = None
        for at, event in events_of_one:
            match event.change:
                case Change.BREACH:
                    assert last is None or not tell_recovery or last[1] is Change.RECOVERY
                    assert event.since == at
                case Change.REMINDER:
                    assert last is not None
                    assert last[1] is not Change.RECOVERY
                    assert policy.remind_after is not None
                    assert at - last[0] >= policy.remind_after
                case Change.RECOVERY:
                    assert tell_recovery
                    assert last is not None
                    assert last[1] is not Change.RECOVERY
                    assert event.since < at
            last = (at, event.change)
