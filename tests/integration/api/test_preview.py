"""Trying a schedule out: what it means, what may surprise, and nonsense refused at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.schedules.collisions import Neighbour, worst_collision
from common.ids import new_id
from common.scheduling import Slot
from tests.factories import Team, World
from tests.support.history import add_run

PATH = "/api/schedules/preview"


async def look_ahead(api: httpx.AsyncClient, schedule: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"schedule": schedule, **more})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def codes(preview: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in preview["warnings"]}


async def test_the_days_around_a_change_of_the_clocks(api: httpx.AsyncClient) -> None:
    preview = await look_ahead(
        api,
        {"type": "cron", "expression": "30 2 * * *", "timezone": "Europe/Berlin"},
        **{"from": "2026-03-28T00:00:00Z", "count": 3},
    )

    assert preview["description"] == "Every day at 02:30 (Europe/Berlin)"
    assert (preview["cron"], preview["timezone"]) == ("30 2 * * *", "Europe/Berlin")
    assert [(run["at"], run["local"]) for run in preview["next_runs"]] == [
        ("2026-03-28T01:30:00Z", "2026-03-28T02:30:00+01:00"),
        ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
        ("2026-03-30T00:30:00Z", "2026-03-30T02:30:00+02:00"),
    ]
    assert codes(preview) == {"dst_gap", "dst_overlap"}
    assert preview["collisions"] == 0


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ({"type": "daily", "hour": 9, "minute": 30}, "30 9 * * *"),
        ({"type": "interval", "interval_minutes": 45}, None),
    ],
)
async def test_cron_is_told_where_it_can_say_the_same(
    api: httpx.AsyncClient, schedule: dict[str, Any], cron: str | None
) -> None:
    preview = await look_ahead(api, schedule)

    assert preview["cron"] == cron
    assert len(preview["next_runs"]) == 10


@pytest.mark.parametrize(
    ("schedule", "pointer", "says"),
    [
        ({"type": "cron", "expression": "61 * * * *"}, "/schedule/expression", "minute '61'"),
        ({"type": "cron", "expression": "0 0 30 2 *"}, "/schedule/expression", "never comes"),
        ({"type": "daily", "hour": 9, "timezone": "Mars/Base"}, "/schedule/timezone", "IANA"),
        ({"type": "cron", "expression": "1," * 5000}, "/schedule/expression", "too many"),
        ({"type": "sometimes"}, "/schedule/type", "write one of"),
        ({}, "/schedule/type", "missing"),
        ({"type": "daily", "hour": 24}, "/schedule/hour", "at most 23"),
    ],
)
async def test_nonsense_is_refused_at_once(
    api: httpx.AsyncClient, schedule: dict[str, Any], pointer: str, says: str
) -> None:
    started = time.process_time()
    response = await api.post(PATH, json={"schedule": schedule})
    elapsed = time.process_time() - started

    assert response.status_code == 422
    (fault,) = response.json()["errors"]
    assert fault["pointer"] == pointer
    assert says in fault["detail"]
    assert elapsed < 0.5


async def test_what_never_runs_again_says_so(api: httpx.AsyncClient) -> None:
    preview = await look_ahead(api, {"type": "once", "at": "2020-01-01T00:00:00Z"})

    assert preview["next_runs"] == []
    assert codes(preview) == {"never_fires"}


async def test_the_quota_is_told_beforehand(api: httpx.AsyncClient, world: World, acme: Team) -> None:
    (automation,) = await world.automations(acme, None)
    often = {"type": "cron", "expression": "*/5 * * * *"}
    await world.sql.execute("UPDATE tenant SET quota = '{\"min_interval_minutes\": 15}' WHERE name = 'Acme'")
    for known in ({}, {"automation_id": str(automation)}):
        (warning,) = [
            one for one in (await look_ahead(api, often, **known))["warnings"] if one["code"] == "quota"
        ]
        assert "*/15 * * * * would fit" in warning["message"]

    await world.sql.execute("UPDATE tenant SET quota = '{\"max_automations\": 1}' WHERE name = 'Acme'")
    assert "quota" in codes(await look_ahead(api, often))
    assert "quota" not in codes(await look_ahead(api, often, automation_id=str(automation)))


async def test_automations_due_in_the_same_minute_are_counted(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team
) -> None:
    nine = {"type": "daily", "hour": 9}
    mine = (await world.automations(acme, None, 4, schedule=nine))[0]
    await world.automations(acme, None, 2, schedule={"type": "daily", "hour": 10})
    await world.automations(acme, None, schedule={"type": "weekly", "weekday": 0, "hour": 9})
    await world.automations(globex, None, 5, schedule=nine)

    preview = await look_ahead(api, nine)
    own = await look_ahead(api, nine, automation_id=str(mine))
    other = await look_ahead(api, {"type": "daily", "hour": 9, "minute": 1})

    assert (preview["collisions"], own["collisions"], other["collisions"]) == (5, 4, 0)
    assert "collisions" not in codes(own), "four others are no crowd"
    (warning,) = [one for one in preview["warnings"] if one["code"] == "collisions"]
    assert datetime.fromisoformat(warning["at"]).weekday() == 0


async def test_runs_that_take_longer_than_their_interval_are_told(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    (automation,) = await world.automations(acme, None)
    for minutes in (20, 25, 30):
        await add_run(world, acme, automation, slot=datetime.now(UTC) - timedelta(hours=minutes))
    await world.sql.execute("UPDATE automation_run SET completed_at = started_at + interval '25 minutes'")
    known = {"automation_id": str(automation)}
    often = {"type": "cron", "expression": "*/10 * * * *", "timezone": "UTC"}

    preview = await look_ahead(api, often, **known)

    (warning,) = [one for one in preview["warnings"] if one["code"] == "runs_overlap"]
    assert "took 25 minutes" in warning["message"]
    hourly = await look_ahead(api, {**often, "expression": "0 * * * *"}, **known)
    assert "runs_overlap" not in codes(hourly)


async def test_a_thousand_exclusions_cost_little(api: httpx.AsyncClient) -> None:
    days = [(datetime.now(UTC) + timedelta(days=day)).date().isoformat() for day in range(1_000)]
    schedule = {
        "type": "cron",
        "expression": "* * * * *",
        "timezone": "Europe/Berlin",
        "exclude": {"dates": days},
    }

    started = time.process_time()
    preview = await look_ahead(api, schedule, count=50)

    assert time.process_time() - started < 0.2, "reading a thousand dates included"
    assert len(preview["next_runs"]) == 50


async def test_an_automations_own_age_and_runs_count(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    (automation,) = await world.automations(acme, None)
    created = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)
    await world.sql.execute("UPDATE automation SET created_at = $1, fired_count = 3", created)

    preview = await look_ahead(
        api, {"type": "interval", "interval_minutes": 60, "max_runs": 5}, automation_id=str(automation)
    )

    assert len(preview["next_runs"]) == 2
    assert datetime.fromisoformat(preview["next_runs"][0]["at"]).minute == 7


async def test_another_teams_automation_is_like_none(
    api: httpx.AsyncClient, world: World, globex: Team
) -> None:
    (theirs,) = await world.automations(globex, None)
    refused = [
        await api.post(
            PATH, json={"schedule": {"type": "daily", "hour": 9}, "automation_id": str(identifier)}
        )
        for identifier in (theirs, new_id())
    ]

    assert [response.status_code for response in refused] == [422, 422]
    assert refused[0].json()["errors"] == refused[1].json()["errors"]


def test_the_cost_of_collisions_is_bounded() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    slots = [Slot(start + timedelta(days=day), start + timedelta(days=day)) for day in range(10)]
    neighbours = [
        Neighbour(
            UUID(int=number),
            {"type": "cron", "expression": f"{number % 60} {number % 24} * * 1-5", "timezone": "Asia/Tokyo"},
            start,
        )
        for number in range(200)
    ]

    started = time.process_time()
    worst_collision(slots, neighbours)

    assert time.process_time() - started < 1
