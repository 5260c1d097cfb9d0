from typing import Any

from tests.unit.sandbox.conftest import PAGE, PAGE_TOKEN, SandboxApp


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
