"""What becomes of slots that have come due: each is decided about once, with a run or a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from common.scheduling import (
    DueDecision,
    OverlapAction,
    SchedulePolicy,
    SkipReason,
    Slot,
    Unfinished,
    decide_due,
    decide_overlap,
    parse_schedule,
    pass_over,
    plan,
)

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
HOURLY = {"type": "cron", "expression": "0 * * * *", "timezone": "Europe/Berlin"}
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ANCHOR = START - 10 * DAY


def decide(
    raw: dict[str, Any], now: datetime, policy: dict[str, Any] | None = None, **more: Any
) -> DueDecision:
    return decide_due(parse_schedule(raw), SchedulePolicy.model_validate(policy or {}), START, now, **more)


def skipped(decision: DueDecision) -> list[tuple[datetime, datetime, int, SkipReason]]:
    return [(found.first, found.last, found.count, found.reason) for found in decision.skipped]


def ran(decision: DueDecision) -> list[datetime]:
    return [run.slot.nominal for run in decision.runs]


def actions(decision: DueDecision) -> list[OverlapAction]:
    return [run.action for run in decision.runs]


def test_nothing_is_decided_before_the_first_slot() -> None:
    decision = decide(HOURLY, START - MINUTE)
    assert (decision.runs, decision.skipped, decision.next_run) == ((), (), START)


def test_a_slot_runs_when_it_comes_due() -> None:
    decision = decide(HOURLY, START)
    assert ran(decision) == [START]
    assert (decision.skipped, decision.next_run, decision.fire_at) == ((), START + HOUR, START + HOUR)


def test_after_an_outage_the_latest_slot_runs_and_the_others_are_one_range() -> None:
    decision = decide(HOURLY, START + 5 * HOUR + MINUTE)
    assert ran(decision) == [START + 5 * HOUR]
    assert skipped(decision) == [(START, START + 4 * HOUR, 5, SkipReason.CATCH_UP_LATEST)]


def test_a_day_of_minutes_is_decided_as_one_range_and_fast() -> None:
    minutes = {"type": "cron", "expression": "* * * * *", "timezone": "Europe/Berlin"}
    begin = perf_counter()
    decision = decide(minutes, START + DAY)
    assert perf_counter() - begin < 0.05
    assert ran(decision) == [START + DAY]
    assert skipped(decision) == [(START, START + DAY - MINUTE, 1440, SkipReason.CATCH_UP_LATEST)]


def test_all_missed_slots_run_in_turn_within_the_limit() -> None:
    decision = decide(HOURLY, START + 5 * HOUR, {"catch_up": "all"}, limit=4)
    assert ran(decision) == [START + hour * HOUR for hour in range(4)]
    assert (decision.skipped, decision.next_run) == ((), START + 4 * HOUR)
    rest = decide_due(
        parse_schedule(HOURLY), SchedulePolicy(catch_up="all"), START + 4 * HOUR, START + 5 * HOUR, limit=4
    )
    assert ran(rest) == [START + 4 * HOUR, START + 5 * HOUR]
    assert rest.next_run == START + 6 * HOUR


def test_none_runs_only_what_is_on_time() -> None:
    late = decide(HOURLY, START + 5 * HOUR + 10 * MINUTE, {"catch_up": "none"})
    assert ran(late) == []
    assert skipped(late) == [(START, START + 5 * HOUR, 6, SkipReason.CATCH_UP_NONE)]
    on_time = decide(HOURLY, START + 5 * HOUR + MINUTE, {"catch_up": "none"})
    assert ran(on_time) == [START + 5 * HOUR]
    assert skipped(on_time) == [(START, START + 4 * HOUR, 5, SkipReason.CATCH_UP_NONE)]


def test_the_window_and_the_expiry_bound_what_is_made_up_for() -> None:
    decision = decide(
        HOURLY,
        START + 10 * HOUR,
        {"catch_up": "all", "catch_up_window": "PT6H", "expires_after": 4 * 3600},
    )
    assert skipped(decision) == [
        (START, START + 3 * HOUR, 4, SkipReason.CATCH_UP_WINDOW),
        (START + 4 * HOUR, START + 5 * HOUR, 2, SkipReason.EXPIRED),
    ]
    assert ran(decision) == [START + hour * HOUR for hour in range(6, 11)]


def test_a_slot_exactly_as_old_as_the_bound_still_runs() -> None:
    assert ran(decide(HOURLY, START + HOUR - MINUTE, {"expires_after": 59 * 60})) == [START]
    assert ran(decide(HOURLY, START + HOUR - MINUTE, {"expires_after": 58 * 60})) == []


def test_excluded_slots_are_named_as_such_and_the_latest_other_runs() -> None:
    sunday = {"exclude": {"dates": ["2026-03-29"]}}
    decision = decide(HOURLY | sunday, START + 14 * HOUR)
    assert ran(decision) == [datetime(2026, 3, 28, 22, tzinfo=UTC)]
    assert skipped(decision) == [
        (START, START + 9 * HOUR, 10, SkipReason.CATCH_UP_LATEST),
        (START + 11 * HOUR, START + 14 * HOUR, 4, SkipReason.EXCLUDED),
    ]
    assert decision.skipped[-1].detail == "excluded date 2026-03-29"


def test_an_excluded_day_ends_when_the_local_clock_says() -> None:
    midnight = datetime(2026, 3, 29, 22, tzinfo=UTC)  # of a day with 23 hours
    decision = decide(HOURLY | {"exclude": {"dates": ["2026-03-29"]}}, midnight)
    assert ran(decision) == [midnight]
    assert skipped(decision) == [
        (START, START + 10 * HOUR, 11, SkipReason.CATCH_UP_LATEST),
        (START + 11 * HOUR, START + 33 * HOUR, 23, SkipReason.EXCLUDED),
    ]


def test_after_its_last_run_a_schedule_has_ended() -> None:
    last = decide(HOURLY | {"max_runs": 3}, START + 5 * HOUR, {"catch_up": "all"}, run_count=1)
    assert ran(last) == [START, START + HOUR]
    assert skipped(last) == [(START + 2 * HOUR, START + 5 * HOUR, 4, SkipReason.ENDED)]
    assert last.next_run is last.fire_at is None
    over = decide(HOURLY | {"max_runs": 3}, START + 5 * HOUR, run_count=3)
    assert (ran(over), over.next_run) == ([], None)
    assert skipped(over) == [(START, START + 5 * HOUR, 6, SkipReason.ENDED)]


def test_at_its_end_a_schedule_has_no_next_run() -> None:
    decision = decide(HOURLY | {"end_at": (START + HOUR).isoformat()}, START + 5 * HOUR)
    assert (ran(decision), decision.next_run) == ([START + HOUR], None)


MINUTELY = {"type": "interval", "interval_minutes": 1, "anchor": START.isoformat()}
BUSY = Unfinished(running=1)


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all", "cancel_running"])
def test_all_means_all_whatever_the_overlap_policy(overlap: str) -> None:
    policy = {"catch_up": "all", "overlap": overlap}
    idle = decide(HOURLY, START + 3 * HOUR, policy)
    assert actions(idle) == [OverlapAction.START] + 3 * [OverlapAction.QUEUE]
    assert idle.skipped == ()
    late = decide(HOURLY, START + 3 * HOUR + 5 * MINUTE, policy, unfinished=BUSY)
    assert actions(late) == 4 * [OverlapAction.QUEUE]
    assert late.skipped == ()


def test_what_is_missed_waits_its_turn_and_what_is_on_time_overlaps() -> None:
    decision = decide(HOURLY, START + 3 * HOUR, {"catch_up": "all"}, unfinished=BUSY)
    assert ran(decision) == [START, START + HOUR, START + 2 * HOUR]
    assert skipped(decision) == [(START + 3 * HOUR, START + 3 * HOUR, 1, SkipReason.OVERLAP)]


def test_of_several_on_time_none_runs_the_newest() -> None:
    decision = decide(MINUTELY, START + MINUTE, {"catch_up": "none"})
    assert ran(decision) == [START + MINUTE]
    assert skipped(decision) == [(START, START, 1, SkipReason.CATCH_UP_NONE)]


def test_a_run_that_overlap_lets_go_does_not_count() -> None:
    limited = HOURLY | {"max_runs": 1}
    refused = decide(limited, START, unfinished=BUSY)
    assert (refused.runs, refused.next_run) == ((), START + HOUR)
    assert skipped(refused) == [(START, START, 1, SkipReason.OVERLAP)]
    three = decide(HOURLY | {"max_runs": 3}, START + 5 * HOUR, {"catch_up": "all"})
    assert ran(three) == [START, START + HOUR, START + 2 * HOUR]
    assert skipped(three) == [(START + 3 * HOUR, START + 5 * HOUR, 3, SkipReason.ENDED)]


def test_the_only_slot_of_a_schedule_waits_for_the_run_it_meets() -> None:
    once = {"type": "once", "at": START.isoformat()}
    assert actions(decide(once, START, unfinished=BUSY)) == [OverlapAction.QUEUE]
    busier = decide(once, START, {"overlap": "queue_one"}, unfinished=Unfinished(1, 1))
    assert actions(busier) == [OverlapAction.QUEUE]


def test_a_slot_with_a_run_gets_neither_another_nor_a_reason() -> None:
    taken = [START + HOUR, START + 4 * HOUR]
    decision = decide(HOURLY, START + 5 * HOUR, {"catch_up": "all"}, taken=taken)
    assert ran(decision) == [START + hour * HOUR for hour in (0, 2, 3, 5)]
    latest = decide(HOURLY, START + 4 * HOUR, taken=taken)
    assert ran(latest) == []
    assert skipped(latest) == [
        (START, START, 1, SkipReason.CATCH_UP_LATEST),
        (START + 2 * HOUR, START + 3 * HOUR, 2, SkipReason.CATCH_UP_LATEST),
    ]


def test_what_a_pause_passes_over_counts_for_nothing() -> None:
    schedule = parse_schedule(HOURLY | {"max_runs": 1})
    decision = pass_over(schedule, START, START + 2 * HOUR, SkipReason.PAUSED, taken=[START + HOUR])
    assert (decision.runs, decision.next_run) == ((), START + 3 * HOUR)
    assert skipped(decision) == [
        (START, START, 1, SkipReason.PAUSED),
        (START + 2 * HOUR, START + 2 * HOUR, 1, SkipReason.PAUSED),
    ]


def test_a_jittered_slot_waits_for_its_start() -> None:
    raw = HOURLY | {"jitter_seconds": 3000}
    slot = next(iter(plan(parse_schedule(raw), START - MINUTE, automation_id="a")))
    assert slot.nominal == START < slot.fire_at
    early = decide(raw, slot.fire_at - timedelta(seconds=1), automation_id="a")
    assert (early.runs, early.next_run, early.fire_at) == ((), START, slot.fire_at)
    assert ran(decide(raw, slot.fire_at, automation_id="a")) == [START]


def test_a_clock_that_jumps_back_repeats_nothing() -> None:
    decision = decide(HOURLY, START + 2 * HOUR)
    assert decision.next_run is not None
    for now in (START + HOUR, START + 2 * HOUR):
        again = decide_due(parse_schedule(HOURLY), SchedulePolicy(), decision.next_run, now)
        assert (again.runs, again.skipped, again.next_run) == ((), (), decision.next_run)


def test_a_slot_that_an_earlier_tz_database_named_is_decided_about_too() -> None:
    decision = decide_due(parse_schedule(HOURLY), SchedulePolicy(), START + MINUTE, START + 30 * MINUTE)
    assert (ran(decision), decision.next_run) == ([START + MINUTE], START + HOUR)
    early = decide_due(parse_schedule(HOURLY), SchedulePolicy(), START + MINUTE, START)
    assert (early.runs, early.next_run, early.fire_at) == ((), START + MINUTE, START + MINUTE)


@pytest.mark.parametrize("field", ["catch_up_window", "expires_after"])
def test_a_duration_must_be_one(field: str) -> None:
    with pytest.raises(ValidationError, match="longer than nothing"):
        SchedulePolicy.model_validate({field: 0})


@pytest.mark.parametrize(
    ("overlap", "running", "queued", "action"),
    [
        ("skip", 0, 0, OverlapAction.START),
        ("skip", 1, 0, OverlapAction.SKIP),
        ("queue_one", 1, 0, OverlapAction.QUEUE),
        ("queue_one", 1, 1, OverlapAction.SKIP),
        ("queue_one", 0, 1, OverlapAction.SKIP),
        ("queue_all", 1, 7, OverlapAction.QUEUE),
        ("cancel_running", 1, 0, OverlapAction.REPLACE),
        ("allow", 5, 0, OverlapAction.START),
    ],
)
def test_what_becomes_of_a_run_that_would_overlap(
    overlap: Any, running: int, queued: int, action: OverlapAction
) -> None:
    assert decide_overlap(overlap, running=running, queued=queued) is action


RAW_SCHEDULES: list[dict[str, Any]] = [
    HOURLY,
    HOURLY | {"jitter_seconds": 1800},
    HOURLY | {"max_runs": 7},
    {"type": "cron", "expression": "*/5 2-4 * * *", "timezone": "Europe/Berlin"},
    {
        "type": "cron",
        "expression": "0,10,20,30 2,3 * * *",
        "timezone": "Europe/Berlin",
        "dst_overlap": "both",
    },
    {"type": "interval", "interval_minutes": 17, "anchor": "2026-03-28T13:01:02Z", "jitter_seconds": 600},
    {"type": "interval", "interval_minutes": 11, "exclude": {"weekdays": [6], "dates": ["2026-03-31"]}},
    HOURLY | {"jitter_seconds": 3000, "exclude": {"dates": ["2026-03-29", "2026-03-31"]}},
    {"type": "daily", "timezone": "Europe/Berlin", "window": {"from": "01:30", "to": "03:30"}},
    {
        "type": "cron",
        "expression": "0 */8 * * *",
        "exclude": {"weekdays": [0, 3], "policy": "next_working_day"},
        "max_runs": 9,
    },
    {"type": "daily", "hour": 9, "end_at": "2026-04-01T00:00:00Z", "exclude": {"weekdays": [6]}},
    {"type": "once", "at": "2026-03-29T00:00:00Z"},
]

POLICIES = st.builds(
    SchedulePolicy,
    catch_up=st.sampled_from(["all", "latest", "none"]),
    catch_up_window=st.none() | st.timedeltas(MINUTE, 2 * DAY),
    expires_after=st.none() | st.timedeltas(MINUTE, 2 * DAY),
)


@cache
def month_of_slots(index: int) -> dict[datetime, Slot]:
    """What the plan of one of the schedules says about a month, by slot."""
    until = START + timedelta(days=30)
    schedule = parse_schedule(RAW_SCHEDULES[index])
    found = plan(schedule, START, until, automation_id="a", default_anchor=ANCHOR)
    return {slot.nominal: slot for slot in found}


@settings(deadline=None, max_examples=200)
@given(
    index=st.integers(0, len(RAW_SCHEDULES) - 1),
    policy=POLICIES,
    steps=st.lists(st.integers(-2 * 3600, 20 * 3600) | st.integers(0, 120), min_size=1, max_size=25),
    limit=st.integers(1, 30),
    grace=st.timedeltas(timedelta(0), 10 * MINUTE),
)
def test_every_slot_becomes_a_run_or_a_reason_exactly_once(
    index: int, policy: SchedulePolicy, steps: list[int], limit: int, grace: timedelta
) -> None:
    """The clock runs, jumps ahead by hours and back; what was decided is compared with the plain list of
    slots."""
    schedule = parse_schedule(RAW_SCHEDULES[index])
    planned = month_of_slots(index)
    everything = list(planned)
    cursor = everything[0] if everything else None
    now = latest_now = START
    runs: list[datetime] = []
    reasons: dict[datetime, SkipReason] = {}
    for step in steps:
        now += timedelta(seconds=step)
        latest_now = max(now, latest_now)
        while cursor is not None:
            decision = decide_due(
                schedule,
                policy,
                cursor,
                now,
                automation_id="a",
                default_anchor=ANCHOR,
                run_count=len(runs),
                limit=limit,
                grace=grace,
            )
            for run in decision.runs:
                slot = run.slot
                assert slot == planned[slot.nominal]
                assert slot.excluded is None
                assert slot.fire_at <= now
                assert slot.nominal not in reasons
                runs.append(slot.nominal)
            assert len(decision.runs) <= limit
            for found in decision.skipped:
                covered = [slot for slot in everything if found.first <= slot <= found.last]
                assert len(covered) == found.count
                assert (covered[0], covered[-1]) == (found.first, found.last)
                assert not reasons.keys() & set(covered)
                reasons |= dict.fromkeys(covered, found.reason)
                excluded = {planned[slot].excluded for slot in covered}
                assert excluded == {found.detail}
                assert (found.reason is SkipReason.EXCLUDED) is (found.detail is not None)
            assert decision.next_run is None or decision.next_run >= cursor
            progressed = decision.next_run != cursor
            cursor = decision.next_run
            if cursor is not None:
                assert decision.fire_at == planned[cursor].fire_at
            if not progressed:
                break
    assert runs == sorted(set(runs))
    assert not reasons.keys() & set(runs)
    decided = sorted([*runs, *reasons])
    assert decided == everything[: len(decided)]
    if cursor is not None:
        assert decided == list(takewhile(lambda slot: slot < cursor, everything))
        assert planned[cursor].fire_at > latest_now
    if schedule.max_runs is not None:
        assert len(runs) <= schedule.max_runs
    if policy.catch_up == "all" and policy.catch_up_window is policy.expires_after is None:
        assert set(reasons.values()) <= {SkipReason.EXCLUDED, SkipReason.ENDED}
