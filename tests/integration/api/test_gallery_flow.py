"""From the gallery to an automation that runs, by the API and by the console."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from tests.factories import Team, World
from tests.support.console_browser import Person

Client = Callable[[Team | None], httpx.AsyncClient]


@pytest.fixture
async def chat(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


@pytest.fixture
async def person(client_of: Client, acme: Team) -> Person:
    """Somebody of Acme's, signed in."""
    somebody = Person(client_of(None))
    await somebody.sign_in(acme)
    return somebody


async def test_the_list_says_what_each_asks(api: httpx.AsyncClient) -> None:
    listed = (await api.get("/api/automation-templates")).json()
    assert len(listed) >= 8
    guard = next(each for each in listed if each["id"] == "budget-guard")
    assert guard["parameters_schema"]["required"] == ["max_daily_spend"]
    assert (await api.get("/api/automation-templates/budget-guard")).json() == guard
    assert (await api.get("/api/automation-templates/no-such")).status_code == 404


async def test_an_automation_of_a_template_is_like_any_other(
    api: httpx.AsyncClient, world: World, acme: Team, chat: UUID
) -> None:
    made = await api.post(
        "/api/automations/from-template",
        json={
            "template": "budget-guard",
            "destination_id": str(chat),
            "name": "Spend of the spring sale",
            "parameters": {"max_daily_spend": 500, "every_minutes": 15},
        },
    )
    assert made.status_code == 201, made.text
    automation = made.json()
    assert made.headers["location"] == f"/api/automations/{automation['id']}"
    assert automation["type"] == "alert"
    assert automation["schedule_text"] == "Every 15 minutes"
    assert automation["next_run"] is not None
    read = (await api.get(made.headers["location"])).json()
    assert read["automation_config"]["thresholds"] == {"max_daily_spend": 500}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"template": "no-such"}, "/template"),
        ({"parameters": {"max_daily_spend": -1}}, "/parameters/max_daily_spend"),
        ({"parameters": {"max_daily_spend": 5, "every_minutes": 1}}, "/parameters/every_minutes"),
        ({"destination_id": "01900000-0000-7000-8000-000000000000"}, "/destination_id"),
    ],
)
async def test_a_wrong_answer_is_named_and_nothing_is_made(
    api: httpx.AsyncClient, world: World, chat: UUID, change: dict[str, object], pointer: str
) -> None:
    wanted = {
        "template": "budget-guard",
        "destination_id": str(chat),
        "parameters": {"max_daily_spend": 500},
        **change,
    }
    refused = await api.post("/api/automations/from-template", json=wanted)
    assert refused.status_code == 422, refused.text
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 0


async def test_another_teams_destination_is_refused(
    stranger: httpx.AsyncClient, world: World, chat: UUID
) -> None:
    wanted = {"template": "page-growth", "destination_id": str(chat)}
    refused = await stranger.post("/api/automations/from-template", json=wanted)
    assert refused.status_code == 422
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 0


async def test_the_team_limit_holds_for_templates_too(
    api: httpx.AsyncClient, world: World, chat: UUID
) -> None:
    await world.sql.execute("""UPDATE tenant SET quota = '{"max_automations": 0}'""")
    wanted = {"template": "page-growth", "destination_id": str(chat)}
    refused = await api.post("/api/automations/from-template", json=wanted)
    assert refused.status_code == 403, refused.text


async def test_in_the_console_from_the_card_to_the_automation(
    person: Person, world: World, chat: UUID
) -> None:
    shown = await person.open("/automations/templates")
    assert "/automations/templates/daily-ad-report" in shown.links
    page = await person.open("/automations/templates/daily-ad-report")
    form = page.form("/automations/templates/daily-ad-report")
    answers = {"destination_id": str(chat), "config__timezone": "Europe/Berlin"}
    refused = await person.submit(form, **answers, config__hour="25")
    assert refused.status == 422
    assert 'id="fault-config.hour"' in refused.source
    assert 'value="Europe/Berlin"' in refused.source, "what was entered is kept"
    made = await person.submit(form, **answers, config__hour="8")
    assert made.status == 200, made.text
    [row] = await world.sql.fetch("SELECT * FROM automation")
    assert person.path == f"/automations/{row['id']}"
    assert row["schedule_config"]["hour"] == 8
    assert row["platforms"] == ["facebook"]
