"""Why didn't it run? Every slot of a range has an answer."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from tests.factories import Team, World
from tests.support.history import add_run, add_skip

TEN_MINUTES = timedelta(minutes=10)
SLOTS = 6
"""Slots that have passed, the last of them five minutes ago."""


@pytest.fixture
def first() -> datetime:
    """The first slot, to the second, as people write them."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=55)


@pytest.fixture
async def automation(world: World, acme: Team, first: datetime) -> UUID:
    """Every ten minutes since `first`; every slot that has passed is decided."""
    (made,) = await world.automations(
        acme,
        await world.telegram(acme),
        schedule={"type": "interval", "interval_minutes": 10, "anchor": first.isoformat()},
        next_run=first + SLOTS * TEN_MINUTES,
    )
    await world.sql.execute("UPDATE automation SET created_at = $1", first - timedelta(minutes=5))
    return made


async def slots(
    api: httpx.AsyncClient, automation: UUID, first: datetime, last: datetime, **more: Any
) -> list[dict[str, Any]]:
    response = await api.get(
        f"/api/automations/{automation}/slots",
        params={"from": first.isoformat(), "to": last.isoformat(), **more},
    )
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def short(items: list[dict[str, Any]], first: datetime) -> list[tuple[int, str, str | None]]:
    return [
        (
            (datetime.fromisoformat(item["slot"]) - first) // TEN_MINUTES,
            item["state"],
            item["reason"],
        )
        for item in items
    ]


async def undecided_from(world: World, slot: datetime, status: str = "active") -> None:
    await world.sql.execute("UPDATE automation SET next_run = $1, next_slot = $1, status = $2", slot, status)


async def test_runs_reasons_and_what_is_to_come_make_one_list(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    done = await add_run(world, acme, automation, slot=first, start_lag=2.5)
    await add_run(world, acme, automation, slot=first + TEN_MINUTES, status="failed", error="no answer")
    await add_skip(world, automation, first=first + 2 * TEN_MINUTES, slots=1, reason="overlap")
    await world.sql.execute(
        "INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason, detail)"
        " VALUES ($1, $2, $3, $4, 2, 'catch_up_latest', 'no leader for 20 min')",
        new_id(),
        automation,
        first + 3 * TEN_MINUTES,
        first + 4 * TEN_MINUTES,
    )
    await add_run(world, acme, automation, slot=first + 5 * TEN_MINUTES, status="running")

    items = await slots(api, automation, first - timedelta(days=1), first + 7 * TEN_MINUTES)

    assert short(items, first) == [
        (0, "completed", None),
        (1, "failed", "platform_error"),
        (2, "skipped", "overlap"),
        (3, "skipped", "catch_up_latest"),
        (4, "skipped", "catch_up_latest"),
        (5, "running", None),
        (6, "due", None),
        (7, "due", None),
    ]
    assert (items[0]["run_id"], items[0]["lag_seconds"]) == (str(done), 2.5)
    assert items[1]["detail"] == "no answer"
    assert items[4]["detail"] == "no leader for 20 min"
    assert all(item["on_schedule"] for item in items)


async def test_a_late_run_says_that_there_was_no_leader(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    await add_run(world, acme, automation, slot=first, dispatch_lag=192, start_lag=192.5)
    await add_run(world, acme, automation, slot=first + TEN_MINUTES, dispatch_lag=30, start_lag=31)
    await world.sql.execute(
        "INSERT INTO reign (term, holder, vacant_since, acquired_at) VALUES (7, 's-2', $1, $2)",
        first - timedelta(seconds=8),
        first + timedelta(seconds=192),
    )

    late, slow = await slots(api, automation, first, first + TEN_MINUTES)

    assert (late["lag_seconds"], late["late_because"]) == (192.5, "no leader for 3 minutes 20 seconds")
    assert (slow["lag_seconds"], slow["late_because"]) == (31.0, None)


async def test_undecided_slots_are_overdue_and_say_who_leads(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await undecided_from(world, first + 5 * TEN_MINUTES)
    said = []
    for expires in (None, timedelta(seconds=60), timedelta(seconds=-60)):
        if expires is not None:
            await world.sql.execute(
                "INSERT INTO leadership (role, term, holder, acquired_at, expires_at)"
                " VALUES ('scheduler', 1, 's-1', $1, $2) ON CONFLICT (role) DO UPDATE SET expires_at = $2",
                first,
                datetime.now(UTC) + expires,
            )
        (item,) = await slots(api, automation, first + 5 * TEN_MINUTES, first + 5 * TEN_MINUTES)
        assert item["state"] == "overdue"
        said.append((item["reason"], item["detail"]))

    never, led, vacant = said
    assert never == ("no_leader", "no scheduler has ever led")
    assert led[0] == "leader_busy"
    assert f"{first:%H:%M:%S} UTC" in led[1]
    assert vacant[0] == "no_leader"
    assert "for 1 minute" in vacant[1]


async def test_passed_slots_of_a_paused_automation_read_paused(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await undecided_from(world, first + 4 * TEN_MINUTES, "paused")
    until = first + 7 * TEN_MINUTES
    await world.sql.execute("UPDATE automation SET paused_at = $1, paused_until = $2", first, until)

    items = await slots(api, automation, first + 4 * TEN_MINUTES, first + 7 * TEN_MINUTES)

    assert short(items, first) == [
        (4, "skipped", "paused"),
        (5, "skipped", "paused"),
        (6, "due", "paused"),
        (7, "due", None),
    ]
    assert f"until {until:%Y-%m-%d %H:%M:%S} UTC" in items[0]["detail"]


async def test_slots_of_a_stopped_automation_say_what_stopped_it(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await undecided_from(world, first + 5 * TEN_MINUTES, "error")
    await world.sql.execute("UPDATE automation SET status_reason = 'stopped after 3 failures in a row'")

    items = await slots(api, automation, first + 5 * TEN_MINUTES, first + 6 * TEN_MINUTES)

    assert short(items, first) == [(5, "skipped", "error"), (6, "due", "error")]
    assert {item["detail"] for item in items} == {"stopped after 3 failures in a row"}


async def test_after_the_last_slot_there_are_none(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await world.sql.execute(
        "UPDATE automation SET next_run = NULL, next_slot = NULL, status = 'stopped',"
        " status_reason = 'the schedule has no further slot'"
    )

    items = await slots(api, automation, first + 5 * TEN_MINUTES, first + 20 * TEN_MINUTES)

    assert short(items, first) == [(5, "skipped", "ended")]


async def test_a_limited_number_of_runs_limits_what_is_due(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    await world.sql.execute(
        "UPDATE automation SET fired_count = 2, schedule_config = schedule_config || '{\"max_runs\": 5}'"
    )

    ahead = await slots(api, automation, first + 6 * TEN_MINUTES, first + 20 * TEN_MINUTES)
    later = await slots(api, automation, first + 8 * TEN_MINUTES, first + 20 * TEN_MINUTES)

    assert short(ahead, first) == [(6, "due", None), (7, "due", None), (8, "due", None)]
    assert short(later, first) == [(8, "due", None)]


async def test_an_edited_schedule_leaves_its_past_in_sight(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    odd = first + timedelta(minutes=3)
    run = await add_run(world, acme, automation, slot=odd)
    await world.sql.execute(
        "INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason)"
        " VALUES ($1, $2, $3, $4, 5, 'paused')",
        new_id(),
        automation,
        first + timedelta(minutes=13),
        first + timedelta(minutes=17),
    )

    items = await slots(api, automation, first, first + 2 * TEN_MINUTES)

    assert [(item["state"], item["reason"], item["on_schedule"]) for item in items] == [
        ("completed", None, False),
        ("skipped", "paused", False),
    ]
    assert items[0]["run_id"] == str(run)
    assert items[1]["slots"] == 5
    assert datetime.fromisoformat(items[1]["last_slot"]) == first + timedelta(minutes=17)


async def test_before_its_creation_there_are_only_slots_that_were_made_up_for(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    await world.sql.execute(
        "UPDATE automation SET created_at = $1", first + 5 * TEN_MINUTES - timedelta(minutes=1)
    )
    await add_run(world, acme, automation, slot=first + 2 * TEN_MINUTES)
    await add_run(world, acme, automation, slot=first + 5 * TEN_MINUTES)

    items = await slots(api, automation, first, first + 5 * TEN_MINUTES)

    assert short(items, first) == [(2, "completed", None), (5, "completed", None)]
    assert [item["on_schedule"] for item in items] == [True, True]


async def test_excluded_slots_say_what_excludes_them(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=8)
    days = [(start + timedelta(days=number)).date().isoformat() for number in (0, 1)]
    (automation,) = await world.automations(
        acme,
        None,
        schedule={"type": "daily", "hour": 9, "exclude": {"dates": days[1:]}},
        next_run=start + timedelta(hours=9),
    )

    items = await slots(api, automation, start, start + timedelta(days=2))

    assert [(item["state"], item["reason"]) for item in items] == [("due", None), ("skipped", "excluded")]
    assert items[1]["detail"]


async def test_pages_join_without_a_gap(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    for number in range(SLOTS):
        await add_run(world, acme, automation, slot=first + number * TEN_MINUTES + timedelta(minutes=3))
    await add_skip(world, automation, first=first, slots=3, reason="paused")
    await world.sql.execute(
        "UPDATE slot_skip SET last_slot = $1, slots = $2", first + (SLOTS - 1) * TEN_MINUTES, SLOTS
    )
    wanted = await slots(api, automation, first, first + 10 * TEN_MINUTES)

    path = f"/api/automations/{automation}/slots"
    params = {"from": first.isoformat(), "to": (first + 10 * TEN_MINUTES).isoformat(), "limit": "4"}
    page = (await api.get(path, params=params)).json()
    found = list(page["items"])
    while page.get("next"):
        page = (await api.get(page["next"])).json()
        assert 0 < len(page["items"]) <= 4
        found += page["items"]

    assert found == wanted
    assert len(found) == 11 + SLOTS


async def test_a_minute_schedule_over_a_year_is_bounded(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    now = datetime.now(UTC)
    (automation,) = await world.automations(
        acme, None, schedule={"type": "cron", "expression": "* * * * *"}, next_run=now
    )
    await world.sql.execute("UPDATE automation SET created_at = $1", now - timedelta(days=400))
    minutes = 366 * 24 * 60
    last = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    await world.sql.execute(
        "INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason)"
        " VALUES ($1, $2, $3, $4, $5, 'paused')",
        new_id(),
        automation,
        last - timedelta(minutes=minutes - 1),
        last,
        minutes,
    )

    started = time.process_time()
    items = await slots(api, automation, now - timedelta(days=366), now, limit=1000)

    assert len(items) == 1000
    assert {(item["reason"], item["slots"]) for item in items} == {("paused", 1)}
    assert time.process_time() - started < 2


MORNINGS = 4


@pytest.fixture
async def good_mornings(world: World, acme: Team) -> tuple[UUID, list[datetime]]:
    """Four days on which it ran at nine, and the next one to come."""
    nine = (datetime.now(UTC) + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    (automation,) = await world.automations(
        acme, await world.telegram(acme), schedule={"type": "daily", "hour": 9}, next_run=nine
    )
    mornings = [nine - timedelta(days=day) for day in range(MORNINGS, 0, -1)]
    if mornings[-1] > datetime.now(UTC):  # before nine: the next one is today's
        mornings = [morning - timedelta(days=1) for morning in mornings]
        await undecided_from(world, nine - timedelta(days=1))
    await world.sql.execute("UPDATE automation SET created_at = $1", mornings[0] - timedelta(hours=1))
    for morning in mornings:
        await add_run(world, acme, automation, slot=morning)
    return automation, mornings


async def test_an_edit_invents_no_past(
    api: httpx.AsyncClient, good_mornings: tuple[UUID, list[datetime]]
) -> None:
    automation, mornings = good_mornings
    path = f"/api/automations/{automation}"
    for schedule in ({"type": "daily", "hour": 10}, {"type": "cron", "expression": "* * * * *"}):
        response = await api.patch(path, json={"schedule_config": schedule})
        assert response.status_code == 200, response.text
        told = await slots(api, automation, mornings[0] - timedelta(days=1), datetime.now(UTC))
        past = [item for item in told if item["state"] != "due"]
        assert [datetime.fromisoformat(item["slot"]) for item in past] == mornings
        assert {item["state"] for item in past} == {"completed"}


async def test_the_schedules_it_has_had_are_shown(
    api: httpx.AsyncClient, acme: Team, good_mornings: tuple[UUID, list[datetime]]
) -> None:
    automation, _ = good_mornings
    path = f"/api/automations/{automation}"
    for hour in (10, 11):
        await api.patch(path, json={"schedule_config": {"type": "daily", "hour": hour}})

    response = await api.get(f"{path}/schedules")

    assert response.status_code == 200, response.text
    held = response.json()["items"]
    assert [one["schedule_text"] for one in held] == [
        "Every day at 11:00 (UTC)",
        "Every day at 10:00 (UTC)",
        "Every day at 09:00 (UTC)",
    ]
    assert [one["change"] for one in held] == ["edited", "edited", "created"]
    assert [one["user_id"] for one in held[:2]] == [str(acme.user_id)] * 2
    assert held[0]["ends_at"] is None
    assert held[1]["ends_at"] == held[0]["begins_after"]
    assert held[2]["ends_at"] == held[1]["begins_after"]
    other = await api.get(f"{path}/schedules", params={"limit": 1})
    assert other.json()["next"]


async def test_an_edit_that_leaves_a_waiting_slot_in_place_leaves_its_run(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    now = datetime.now(UTC)
    slot = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    hourly = {"type": "cron", "expression": f"{slot.minute} * * * *", "jitter_seconds": 3000}
    fires = now + timedelta(minutes=10)
    (automation,) = await world.automations(acme, await world.telegram(acme), schedule=hourly, next_run=fires)
    await world.sql.execute(
        "UPDATE automation SET next_slot = $1, created_at = $2", slot, now - timedelta(days=1)
    )
    path = f"/api/automations/{automation}"

    kept = await api.patch(path, json={"schedule_config": {**hourly, "max_runs": 5}})

    assert datetime.fromisoformat(kept.json()["next_slot"]) == slot
    assert slot not in {datetime.fromisoformat(one) for one in kept.json()["moved_slots"]["removed"]}
    assert await world.sql.fetchval("SELECT count(*) FROM slot_skip") == 0

    elsewhere = {**hourly, "expression": f"{(slot.minute + 30) % 60} * * * *"}
    moved = await api.patch(path, json={"schedule_config": elsewhere})

    assert datetime.fromisoformat(moved.json()["moved_slots"]["removed"][0]) == slot
    told = await slots(api, automation, slot, slot)
    assert [(item["state"], item["reason"]) for item in told] == [("skipped", "schedule_edited")]


async def test_skipped_slots_told_together_stay_beside_a_run_for_the_first_of_them(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    # Two slots a minute apart where the schedule names one: other rules named them, so they are one item.
    await add_skip(world, automation, first=first, slots=2, reason="paused")
    await add_run(world, acme, automation, slot=first)

    told = await slots(api, automation, first, first + timedelta(minutes=1))

    assert [(item["state"], item["reason"], item["slots"]) for item in told] == [
        ("skipped", "paused", 2),
        ("completed", None, 1),
    ]
    assert {item["slot"] for item in told} == {told[0]["slot"]}


async def test_the_next_run_can_be_left_out(
    api: httpx.AsyncClient, world: World, automation: UUID, first: datetime
) -> None:
    skipped = first + SLOTS * TEN_MINUTES

    answer = await api.post(f"/api/automations/{automation}/skip-next")

    assert answer.status_code == 200, answer.text
    assert datetime.fromisoformat(answer.json()["next_run"]) == skipped + TEN_MINUTES
    told = await slots(api, automation, skipped, skipped + TEN_MINUTES)
    assert short(told, first) == [(SLOTS, "skipped", "skipped_by_request"), (SLOTS + 1, "due", None)]
    assert told[0]["detail"].startswith("skipped by ")
    await undecided_from(world, first + 5 * TEN_MINUTES)
    early = await api.post(f"/api/automations/{automation}/skip-next")
    assert early.status_code == 409, "a slot has come due and is not decided yet"
    await undecided_from(world, skipped, "stopped")
    assert (await api.post(f"/api/automations/{automation}/skip-next")).status_code == 409


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "/to"),
        ({"from": "yesterday"}, "/from"),
        ({"from": "2026-03-02T00:00:00"}, "/from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "/from"),
        ({"to": "9999-12-31T23:59:59-12:00"}, "/to"),
        ({"limit": "1001"}, "/limit"),
    ],
)
async def test_a_bad_range_is_refused(
    api: httpx.AsyncClient, automation: UUID, params: dict[str, str], name: str
) -> None:
    response = await api.get(f"/api/automations/{automation}/slots", params=params)

    assert response.status_code == 422
    assert [(fault["pointer"], fault["in"]) for fault in response.json()["errors"]] == [(name, "query")]


async def test_what_was_cleaned_up_is_called_so_and_not_missed(
    api: httpx.AsyncClient, world: World, acme: Team, automation: UUID, first: datetime
) -> None:
    kept_since = first + 2 * TEN_MINUTES
    await world.sql.execute(
        "INSERT INTO fact (name, value) VALUES ('history_kept_since', $1)", kept_since.isoformat()
    )
    await add_run(world, acme, automation, slot=first)
    found = short(await slots(api, automation, first, first + 3 * TEN_MINUTES), first)
    assert found == [
        (0, "completed", None),
        (1, "forgotten", "forgotten"),
    ]
