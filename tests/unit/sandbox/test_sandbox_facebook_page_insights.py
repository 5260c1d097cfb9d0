from typing import Any

import pytest

from tests.unit.sandbox.conftest import PAGE, PAGE_TOKEN, TOKEN, SandboxApp


async def series(app: SandboxApp, **params: str) -> list[dict[str, Any]]:
    answer = await app.graph(f"{PAGE}/insights", PAGE_TOKEN, **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_days_end_at_midnight_pacific_also_across_the_clock_change(app: SandboxApp) -> None:
    (views,) = await series(
        app, metric="page_media_view", period="day", since="2026-10-30", until="2026-11-03"
    )
    assert [value["end_time"] for value in views["values"]] == [
        "2026-10-31T07:00:00+0000",
        "2026-11-01T07:00:00+0000",
        "2026-11-02T08:00:00+0000",
        "2026-11-03T08:00:00+0000",
    ]
    assert views["id"] == f"{PAGE}/insights/page_media_view/day"
    assert all(isinstance(value["value"], int) for value in views["values"])


async def test_a_day_shows_once_it_has_ended(app: SandboxApp) -> None:
    (views,) = await series(
        app, metric="page_media_view", period="day", since="2026-11-19", until="2026-11-25"
    )
    assert views["values"][-1]["end_time"] == "2026-11-21T08:00:00+0000"
    app.clock.advance(20 * 3600)
    (views,) = await series(
        app, metric="page_media_view", period="day", since="2026-11-19", until="2026-11-25"
    )
    assert views["values"][-1]["end_time"] == "2026-11-22T08:00:00+0000"


async def test_a_metric_may_stand_in_the_path(app: SandboxApp) -> None:
    answer = await app.graph(f"{PAGE}/insights/page_follows", PAGE_TOKEN, period="day")
    assert [row["name"] for row in answer.json()["data"]] == ["page_follows"]


async def test_without_a_period_every_period_comes(app: SandboxApp) -> None:
    rows = await series(app, metric="page_media_view")
    assert [row["period"] for row in rows] == ["day", "week", "days_28"]
    day, week, month = (row["values"][-1]["value"] for row in rows)
    assert day < week < month


async def test_a_week_is_the_sum_of_its_days_but_people_count_once(app: SandboxApp) -> None:
    window = {"since": "2026-11-08", "until": "2026-11-15"}
    metrics = "page_post_engagements,page_total_media_view_unique"
    days = {row["name"]: row for row in await series(app, metric=metrics, period="day", **window)}
    weeks = {row["name"]: row for row in await series(app, metric=metrics, period="week", **window)}
    summed = {name: sum(value["value"] for value in row["values"]) for name, row in days.items()}
    assert weeks["page_post_engagements"]["values"][-1]["value"] == summed["page_post_engagements"]
    people = weeks["page_total_media_view_unique"]["values"][-1]["value"]
    assert people < summed["page_total_media_view_unique"]


async def test_reactions_are_an_object(app: SandboxApp) -> None:
    (row,) = await series(app, metric="page_actions_post_reactions_total", period="day")
    assert set(row["values"][0]["value"]) <= {"like", "love", "wow", "haha", "sorry", "anger"}


@pytest.mark.parametrize("dead", ["page_impressions", "page_fans", "page_engaged_users", "page_never_was"])
async def test_one_dead_metric_fails_the_whole_call(app: SandboxApp, dead: str) -> None:
    answer = await app.graph(f"{PAGE}/insights", PAGE_TOKEN, metric=f"page_media_view,{dead}", period="day")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == (100, "(#100) The value must be a valid insights metric")


async def test_paging_moves_the_window(app: SandboxApp) -> None:
    answer = await app.graph(
        f"{PAGE}/insights",
        PAGE_TOKEN,
        metric="page_media_view",
        period="day",
        since="2026-11-08",
        until="2026-11-12",
    )
    earlier = (await app.http.get(answer.json()["paging"]["previous"])).json()
    ends = [value["end_time"][:10] for value in earlier["data"][0]["values"]]
    assert ends == ["2026-11-05", "2026-11-06", "2026-11-07", "2026-11-08"]
    later = (await app.http.get(earlier["paging"]["next"])).json()
    assert later["data"] == answer.json()["data"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"period": "day"}, 3001),
        ({"metric": "page_media_view", "period": "fortnight"}, 100),
        ({"metric": "page_media_view", "since": "2026-05-01", "until": "2026-11-01"}, 100),
        ({"metric": "page_media_view", "since": "2024-09-01", "until": "2024-09-10"}, 100),
        ({"metric": "page_media_view", "since": "2026-11-05", "until": "2026-11-05"}, 100),
        ({"metric": "page_media_view", "since": "soon"}, 100),
    ],
)
async def test_bad_parameters(app: SandboxApp, params: dict[str, str], code: int) -> None:
    error = await app.error(f"{PAGE}/insights", PAGE_TOKEN, **params)
    assert error["code"] == code


async def test_it_takes_the_pages_own_token(app: SandboxApp) -> None:
    error = await app.error(f"{PAGE}/insights", TOKEN, metric="page_media_view")
    assert error["code"] == 190
    error = await app.error(f"{PAGE}/insights", "sandbox-page-106480015221466-test", metric="page_media_view")
    assert error["code"] == 200
