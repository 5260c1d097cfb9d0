"""The console's pages: what they show, and what their forms do, without any script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from common.ids import new_id
from tests.factories import BOT_TOKEN, Team, World
from tests.support.console_browser import Person
from tests.support.history import TRACE_ID, add_delivery, add_run, add_skip

NASTY = "<script>alert(1)</script>\"'&"
Client = Callable[[Team | None], httpx.AsyncClient]


@pytest.fixture
async def person(client_of: Client, acme: Team) -> Person:
    """Somebody of Acme's, signed in."""
    somebody = Person(client_of(None))
    await somebody.sign_in(acme)
    return somebody


@pytest.fixture
async def chat(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


@pytest.fixture
async def automation(world: World, acme: Team, chat: UUID) -> UUID:
    (made,) = await world.automations(acme, chat)
    return made


@contextmanager
def counted_queries(app: FastAPI) -> Iterator[list[str]]:
    """The statements of the block."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = app.state.collaborators.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def everything(world: World, acme: Team, chat: UUID, automation: UUID) -> dict[str, UUID]:
    """One of each, with a name that would act if it were not escaped."""
    run = await add_run(
        world,
        acme,
        automation,
        error=NASTY,
        logs=[{"at": "2026-01-01T00:00:00+00:00", "level": NASTY, "event": NASTY, "field": [NASTY]}, {}],
        result={"summary": NASTY},
    )
    delivery = await add_delivery(world, acme, chat, run, message=message(NASTY), error=NASTY)
    connection = await world.facebook(acme)
    await add_skip(world, automation, first=datetime.now(UTC) - timedelta(hours=2), reason=NASTY)
    for table in ("automation", "destination", "connection"):
        await world.sql.execute(f"UPDATE {table} SET name = $1, status_reason = $1", NASTY)
    await world.sql.execute(
        "UPDATE connection SET external_name = $1, problem = $1, scopes = $2, accounts = $3",
        NASTY,
        [NASTY],
        [{"id": NASTY, "name": NASTY, "type": NASTY, "currency": NASTY, "timezone": NASTY}],
    )
    await world.token_refresh(connection, error_message=NASTY)
    await world.sql.execute(
        "UPDATE automation SET automation_config = $1, status = 'error'", {"period": NASTY, "days": [NASTY]}
    )
    return {
        "automations": automation,
        "runs": run,
        "destinations": chat,
        "deliveries": delivery,
        "connections": connection,
    }


def message(html: str) -> dict[str, Any]:
    return {"type": "report.completed", "title": "Report", "text": "plain", "html": html, "data": {}}


LISTS = ("/", "/automations", "/runs", "/destinations", "/connections", "/docs", "/sign-in")
FORMS = ("/automations/new", "/destinations/new", "/destinations/new?type=webhook", "/connections/new")


async def test_no_page_holds_script_style_or_markup_of_others(
    person: Person, everything: dict[str, UUID]
) -> None:
    pages = [*LISTS, *FORMS, *(f"/{kind}/{row}" for kind, row in everything.items())]
    pages += [f"/automations/{everything['automations']}{more}" for more in ("?tab=why", "/edit")]
    pages += [f"/{kind}/{everything[kind]}/edit" for kind in ("destinations", "connections")]
    for path in pages:
        page = await person.open(path)
        assert page.status == 200, path
        assert page.inline == [], path
        assert "alert(1)</script>" not in page.source, path
        labelled = {given.get("for") for tag, given in page.tags if tag == "label"}
        for tag, given in page.tags:
            if tag in ("select", "textarea") or (
                tag == "input" and given.get("type") in ("text", "password")
            ):
                assert given.get("id") in labelled or "aria-label" in given, (path, given)
        headings = [tag for tag, _ in page.tags if tag == "h1"]
        assert headings == ["h1"], path


async def test_another_teams_things_are_not_there(
    client_of: Client, globex: Team, everything: dict[str, UUID]
) -> None:
    stranger = Person(client_of(None))
    front = await stranger.sign_in(globex)
    assert NASTY not in front.text
    token = front.form("/sign-out").fields["form_token"]
    for kind, row in everything.items():
        page = await stranger.open(f"/{kind}/{row}")
        assert page.status == 404, kind
        assert "There is nothing here" in page.text
    for path in (
        "automations/{}/run",
        "automations/{}/resume",
        "automations/{}/delete",
        "automations/{}/edit",
    ):
        page = await stranger.send(f"/{path.format(everything['automations'])}", {"form_token": token})
        assert page.status == 404, path
    for path in ("destinations/{}/test", "destinations/{}/enable", "destinations/{}/delete"):
        page = await stranger.send(f"/{path.format(everything['destinations'])}", {"form_token": token})
        assert page.status == 404, path


async def test_an_address_that_names_nothing_is_a_friendly_page(person: Person) -> None:
    for path in (
        "/nowhere",
        f"/runs/{new_id()}",
        "/runs/not-an-id",
        "/runs?cursor=nonsense",
        "/runs?status=odd",
    ):
        page = await person.open(path)
        assert page.status == 404 or path.startswith("/runs?")
        assert "/" in page.links
        assert "Traceback" not in page.source


async def test_a_defect_is_a_friendly_page_with_what_to_quote(
    person: Person, world: World, everything: dict[str, UUID]
) -> None:
    await world.sql.execute("ALTER TABLE slot_skip RENAME TO elsewhere")
    page = await person.open(f"/automations/{everything['automations']}?tab=why")
    assert page.status == 500
    assert "went wrong on our side" in page.text
    assert "slot_skip" not in page.source


async def test_the_overview_puts_what_needs_somebody_first_with_its_one_action(
    person: Person, world: World, acme: Team, chat: UUID
) -> None:
    stopped, paused, _fine = await world.automations(acme, chat, 3)
    await world.sql.execute(
        "UPDATE automation SET status = 'error', status_reason = 'failed 5 times' WHERE id = $1", stopped
    )
    await world.sql.execute("UPDATE automation SET status = 'paused' WHERE id = $1", paused)
    hook = await world.webhook(acme, "https://acme.example/hook")
    await world.sql.execute(
        "UPDATE destination SET status = 'disabled', status_reason = 'answered 410' WHERE id = $1", hook
    )
    connection = await world.facebook(acme)
    await world.sql.execute("UPDATE connection SET status = 'reauth_required'")
    lost = await add_delivery(world, acme, chat, None, status="failed", error="kicked from the group")
    page = await person.open("/")
    order = [
        page.text.index(words)
        for words in ("Failed 5 times", "new token", "Answered 410", "Kicked", "is paused")
    ]
    assert order == sorted(order)
    assert f"/connections/{connection}" in page.links
    assert f"/deliveries/{lost}" in page.links
    assert page.form(f"/destinations/{hook}/enable").buttons == ["Enable"]
    await person.submit(page.form(f"/automations/{stopped}/resume"))
    assert person.path == "/"
    assert (await world.row("automation", stopped))["status"] == "active"


async def test_the_overview_counts_the_last_day(
    person: Person, world: World, acme: Team, automation: UUID
) -> None:
    now = datetime.now(UTC)
    for lag in (0.1, 0.2, 0.3):
        await add_run(world, acme, automation, slot=now - timedelta(minutes=5, seconds=lag), start_lag=lag)
    await add_run(world, acme, automation, slot=now - timedelta(minutes=9), start_lag=0.2, status="failed")
    await add_run(world, acme, automation, slot=now - timedelta(hours=25), start_lag=900)
    page = await person.open("/")
    assert "Runs 24 h 4" in page.text
    assert "Succeeded 24 h 75 %" in page.text
    assert "slot → start 200 ms" in page.text


async def test_pages_ask_a_handful_of_queries_however_much_there_is(
    app: FastAPI, person: Person, world: World, acme: Team, chat: UUID
) -> None:
    made = await world.automations(acme, chat, 30)
    for index, each in enumerate(made):
        await add_run(world, acme, each, slot=datetime.now(UTC) - timedelta(minutes=index + 1))
    for path, most in (
        ("/", 8),
        ("/automations", 5),
        (f"/automations/{made[0]}", 6),
        ("/runs", 3),
        ("/destinations", 4),
    ):
        with counted_queries(app) as statements:
            page = await person.open(path)
        assert page.status == 200
        assert len(statements) <= most, (path, statements)


async def test_automations_are_found_by_name_and_state(
    person: Person, world: World, acme: Team, chat: UUID
) -> None:
    first, second = await world.automations(acme, chat, 2)
    await world.sql.execute("UPDATE automation SET name = '100% Morning' WHERE id = $1", first)
    await world.sql.execute(
        "UPDATE automation SET name = '1000 Evening', status = 'paused' WHERE id = $1", second
    )
    for query, shown, hidden in (
        ("?q=100%25", first, second),
        ("?q=evening", second, first),
        ("?status=paused", second, first),
    ):
        page = await person.open(f"/automations{query}")
        assert f"/automations/{shown}" in page.links
        assert f"/automations/{hidden}" not in page.links
    assert "None of your automations fits" in (await person.open("/automations?q=%00nothing")).text


async def test_an_empty_team_is_led_to_its_first_automation(person: Person) -> None:
    page = await person.open("/automations")
    assert "/automations/new" in page.links
    assert "Nothing rings yet" in page.text


async def test_the_strip_tells_outcomes_by_shape_and_words(
    person: Person, world: World, acme: Team, automation: UUID
) -> None:
    await add_run(world, acme, automation, slot=datetime.now(UTC) - timedelta(hours=2))
    await add_run(world, acme, automation, slot=datetime.now(UTC) - timedelta(hours=1), status="failed")
    page = await person.open("/automations")
    assert "Last 2 runs: 1 failed" in page.text
    assert "Failed ·" in page.text
    assert page.source.count('class="sign"') == 1


async def test_buttons_run_pause_and_resume(person: Person, world: World, automation: UUID) -> None:
    page = await person.open("/automations")
    page = await person.submit(page.form(f"/automations/{automation}/run"))
    assert person.path.startswith("/runs/")
    assert "Run queued" in page.text
    run = await world.row("automation_run", UUID(person.path.removeprefix("/runs/")))
    assert (run["trigger"], run["status"]) == ("manual", "queued")
    assert "Run queued" not in (await person.open(person.path)).text, "it is said once"

    page = await person.open("/automations")
    page = await person.submit(page.form(f"/automations/{automation}/pause"))
    assert person.path == "/automations"
    assert (await world.row("automation", automation))["status"] == "paused"
    await person.submit(page.form(f"/automations/{automation}/resume"))
    assert (await world.row("automation", automation))["status"] == "active"


async def test_a_dry_run_is_asked_for_on_the_page(person: Person, world: World, automation: UUID) -> None:
    page = await person.open(f"/automations/{automation}")
    dry = next(form for form in page.forms if form.buttons == ["Dry run"])
    await person.submit(dry)
    run = await world.row("automation_run", UUID(person.path.removeprefix("/runs/")))
    assert run["trigger"] == "dry_run"


async def test_a_stopped_automation_says_why_and_its_first_button_resumes_it(
    person: Person, world: World, automation: UUID
) -> None:
    await world.sql.execute(
        "UPDATE automation SET status = 'error', status_reason = 'failed 5 times in a row'"
    )
    page = await person.open(f"/automations/{automation}")
    assert "Failed 5 times in a row" in page.text
    of_page = [form for form in page.forms if form.action != "/sign-out"]
    assert (of_page[0].action, of_page[0].buttons) == (f"/automations/{automation}/resume", ["Resume"])


async def test_a_run_cannot_be_resumed_twice_into_trouble(
    person: Person, world: World, automation: UUID
) -> None:
    page = await person.open(f"/automations/{automation}")
    pause = page.form(f"/automations/{automation}/pause")
    await person.submit(pause)
    page = await person.submit(pause)
    assert page.status == 200
    await world.sql.execute("UPDATE automation SET status = 'stopped'")
    page = await person.submit(pause)
    assert page.status == 409
    assert "only an active one can be paused" in page.text


async def test_why_it_did_not_run_is_told_slot_by_slot(
    person: Person, world: World, acme: Team, chat: UUID
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    (automation,) = await world.automations(
        acme,
        chat,
        schedule={"type": "hours", "hours": 1, "timezone": "UTC"},
        next_run=hour + timedelta(hours=1),
    )
    await world.sql.execute("UPDATE automation SET created_at = now() - interval '1 day'")
    await add_run(world, acme, automation, slot=hour - timedelta(hours=2))
    await add_skip(world, automation, first=hour - timedelta(hours=1))
    page = await person.open(f"/automations/{automation}?tab=why")
    assert "The run before it was still going" in page.text
    assert "started 200 ms after" in page.text
    earlier = (hour - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    page = await person.open(f"/automations/{automation}?tab=why&at={earlier}")
    assert "started 200 ms after" in page.text
    for nonsense in ("x", "9999-12-31T23:59", "0001-01-01T00:00"):
        assert (await person.open(f"/automations/{automation}?tab=why&at={nonsense}")).status == 200


async def test_runs_are_paged_by_cursor(person: Person, world: World, acme: Team, automation: UUID) -> None:
    ids = {
        await add_run(world, acme, automation, slot=datetime.now(UTC) - timedelta(minutes=index + 1))
        for index in range(30)
    }
    seen: list[str] = []
    path = f"/automations/{automation}"
    while path:
        page = await person.open(path)
        seen += [link for link in page.links if link.startswith("/runs/")]
        older = [link for link in page.links if "cursor=" in link]
        path = f"/automations/{automation}{older[0]}" if older else ""
    assert sorted(seen) == sorted(f"/runs/{row}" for row in ids)


async def test_a_run_shows_its_way_its_log_and_the_message_as_delivered(
    person: Person, world: World, acme: Team, chat: UUID, automation: UUID
) -> None:
    run = await add_run(
        world,
        acme,
        automation,
        slot=datetime.now(UTC) - timedelta(minutes=3),
        logs=[{"at": "2026-01-01T00:00:00.123456+00:00", "level": "warning", "event": "account left out"}],
        result={"summary": "2 accounts"},
    )
    html = (
        "<b>Total</b> <script>alert(1)</script><img src=x onerror=alert(1)>"
        '<a href="javascript:alert(1)">bad</a><a href="https://example.com/">good</a>'
        '<i style="color:red" onclick="alert(1)">i</i>'
    )
    await add_delivery(world, acme, chat, run, message=message(html))
    page = await person.open(f"/runs/{run}")
    for label in ("Slot", "+50 ms Dispatched", "+150 ms Started", "+2.0 s Completed", "Delivered"):
        assert label in page.text
    assert "account left out" in page.text
    assert TRACE_ID in page.text
    assert "<b>Total</b>" in page.source
    assert page.inline == []
    assert "alert" not in page.source
    assert "https://example.com/" in page.links
    assert not [link for link in page.links if link.startswith("javascript:")]


async def test_an_unfinished_run_can_be_cancelled(
    person: Person, world: World, acme: Team, automation: UUID
) -> None:
    run = await add_run(world, acme, automation, status="queued")
    page = await person.open(f"/runs/{run}")
    page = await person.submit(page.form(f"/runs/{run}/cancel"))
    assert "cancelled" in page.text
    assert (await world.row("automation_run", run))["status"] == "cancelled"


async def test_an_automation_is_made_with_the_form_alone(
    person: Person, world: World, acme: Team, chat: UUID
) -> None:
    page = await person.open("/automations/new")
    page = await person.submit(
        page.form("/automations/new"),
        name="Every morning",
        destination_id=str(chat),
        platforms=["facebook"],
        schedule__kind="weekdays",
        schedule__days=["0", "4"],
        schedule__time="07:30",
        schedule__timezone="Europe/Berlin",
        config__period="weekly",
        policy__pause_on_failure_after="3",
    )
    assert "Every morning is set up" in page.text
    assert "Every Monday and Friday at 07:30 (Europe/Berlin)" in page.text
    row = await world.row("automation", UUID(person.path.removeprefix("/automations/")))
    schedule = {"type": "weekdays", "days": [0, 4], "time": "07:30", "timezone": "Europe/Berlin"}
    assert row["schedule_config"] == schedule
    assert row["automation_config"]["period"] == "weekly"
    assert row["policy"]["pause_on_failure_after"] == 3
    assert row["platforms"] == ["facebook"]
    assert row["next_run"] is not None


async def test_faults_stand_next_to_their_fields_and_what_was_entered_is_kept(
    person: Person, world: World, chat: UUID
) -> None:
    page = await person.open("/automations/new")
    page = await person.submit(
        page.form("/automations/new"),
        name="Kept",
        destination_id=str(chat),
        schedule__kind="cron",
        schedule__expression="61 * * * *",
        schedule__timezone="Mars/Olympus",
        config__days="900",
        config__accounts="not an id",
    )
    assert page.status == 422
    described = {given["id"] for tag, given in page.tags if tag == "p" and "id" in given}
    for name in ("schedule.expression", "schedule.timezone", "config.days", "config.accounts"):
        given = next(given for tag, given in page.tags if given.get("name") == name)
        assert given.get("aria-invalid") == "true", name
        assert f"fault-{name}" in described
        assert f"fault-{name}" in given["aria-describedby"].split()
    form = page.form("/automations/new")
    assert form.fields["name"] == ["Kept"]
    assert form.fields["schedule.expression"] == ["61 * * * *"]
    assert form.fields["schedule.kind"] == ["cron"]
    assert form.fields["config.days"] == ["900"]
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 0


async def test_a_form_left_empty_says_what_is_missing(person: Person, world: World) -> None:
    page = await person.open("/automations/new")
    page = await person.submit(page.form("/automations/new"))
    assert page.status == 422
    assert "Fill this in." in page.text
    assert "Choose one of the list." in page.text


async def test_editing_keeps_what_the_form_does_not_show(
    person: Person, world: World, acme: Team, chat: UUID
) -> None:
    schedule = {"type": "daily", "hour": 9, "minute": 0, "timezone": "UTC", "jitter_seconds": 60}
    (automation,) = await world.automations(acme, chat, schedule=schedule)
    policy = {"retry": {"base_seconds": 30.0}, "timeout_seconds": 90.0, "expires_after": "PT6H"}
    await world.sql.execute("UPDATE automation SET policy = $1", policy)
    page = await person.open(f"/automations/{automation}/edit")
    form = page.form(f"/automations/{automation}/edit")
    assert json.loads(form.fields["schedule.json"][0]) == schedule
    page = await person.submit(form, name="Renamed")
    assert "Your changes are saved" in page.text
    row = await world.row("automation", automation)
    assert row["name"] == "Renamed"
    assert row["schedule_config"] == schedule
    assert row["policy"] == policy


async def test_an_edit_of_somebody_else_in_between_is_not_overwritten(
    person: Person, world: World, automation: UUID
) -> None:
    form = (await person.open(f"/automations/{automation}/edit")).form(f"/automations/{automation}/edit")
    await world.sql.execute("UPDATE automation SET version = version + 1, name = 'Theirs'")
    page = await person.submit(form, name="Mine")
    assert page.status == 422
    assert "read it again" in page.text
    assert (await world.row("automation", automation))["name"] == "Theirs"


async def test_the_next_runs_are_shown_while_a_schedule_is_written(person: Person) -> None:
    form = (await person.open("/automations/new")).form("/automations/new")
    page = await person.submit(form, schedule__timezone="Europe/Berlin", look="1")
    assert "Every day at 09:00 (Europe/Berlin)" in page.text
    part = await person.send("/automations/preview", {**form.fields, "schedule.time": "10:15"})
    assert "Every day at 10:15 (UTC)" in part.text
    assert part.text.count("10:15") >= 6
    part = await person.send("/automations/preview", {**form.fields, "schedule.time": "later"})
    assert part.status == 200
    assert "once the schedule is complete" in part.text


async def test_deleting_wants_the_name(person: Person, world: World, automation: UUID) -> None:
    form = (await person.open(f"/automations/{automation}")).form(f"/automations/{automation}/delete")
    page = await person.submit(form, name="something else")
    assert "Type the automation" in page.text
    name = (await world.row("automation", automation))["name"]
    await person.submit(form, name=name)
    assert person.path == "/automations"
    assert await world.sql.fetchval("SELECT count(*) FROM automation") == 0


async def test_a_webhooks_secret_is_shown_once_and_then_never(person: Person, world: World) -> None:
    page = await person.open("/destinations/new?type=webhook")
    form = page.form("/destinations/new")
    page = await person.submit(form, name="Warehouse", url="https://example.com/hook")
    (secret,) = [word for word in page.text.split() if word.startswith("whsec_")]
    assert secret not in (await person.open(person.path)).source
    row = await world.sql.fetchrow("SELECT * FROM destination")
    assert row is not None
    assert (row["name"], row["config"]) == ("Warehouse", {"url": "https://example.com/hook"})


async def test_a_destinations_faults_are_shown_and_its_secret_is_not_repeated(
    person: Person, world: World
) -> None:
    page = await person.open("/destinations/new")
    form = page.form("/destinations/new")
    page = await person.submit(form, name="", chat_id="nobody", bot_token="not-a-token", quiet_from="22:00")
    assert page.status == 422
    assert "not-a-token" not in page.source
    invalid = {given.get("name") for _, given in page.tags if given.get("aria-invalid") == "true"}
    assert {"name", "bot_token", "chat_id", "quiet_to"} <= invalid
    page = await person.open("/destinations/new?type=webhook")
    page = await person.submit(page.form("/destinations/new"), name="Inside", url="http://169.254.169.254/")
    assert page.status == 422
    assert {"url"} == {given.get("name") for _, given in page.tags if given.get("aria-invalid") == "true"}
    assert await world.sql.fetchval("SELECT count(*) FROM destination") == 0


async def test_a_chat_is_set_up_with_quiet_hours_tested_and_changed(person: Person, world: World) -> None:
    page = await person.open("/destinations/new")
    page = await person.submit(
        page.form("/destinations/new"),
        name="Team",
        chat_id="-1001234567890",
        bot_token=BOT_TOKEN,
        quiet_from="22:00",
        quiet_to="07:00",
        quiet_timezone="Europe/Berlin",
    )
    home = person.path
    assert BOT_TOKEN not in page.source
    row = await world.sql.fetchrow("SELECT * FROM destination")
    assert row is not None
    assert row["config"] == {"chat_id": -1001234567890}
    assert (row["quiet_hours"]["from"], row["quiet_hours"]["to"]) == ("22:00", "07:00")
    page = await person.submit(page.form(f"{home}/test"))
    assert person.path.startswith("/deliveries/")
    assert "A test message is on its way" in page.text
    assert await world.sql.fetchval("SELECT count(*) FROM delivery") == 1
    page = await person.open(f"{home}/edit")
    await person.submit(page.form(f"{home}/edit"), quiet_from="", quiet_to="")
    changed = await world.sql.fetchrow("SELECT * FROM destination")
    assert changed is not None
    assert changed["quiet_hours"] is None
    assert changed["secret_sealed"] == row["secret_sealed"]


async def test_a_new_token_ends_the_need_for_one(person: Person, world: World, acme: Team) -> None:
    connection = await world.facebook(acme)
    await world.sql.execute("UPDATE connection SET status = 'reauth_required', status_reason = 'expired'")
    page = await person.open(f"/connections/{connection}")
    assert "It must be connected again. Expired." in page.text
    edit = f"/connections/{connection}/edit"
    page = await person.submit((await person.open(edit)).form(edit), token="fresh-token")
    assert "has a new token" in page.text
    assert "fresh-token" not in page.source
    row = await world.row("connection", connection)
    assert (row["status"], row["status_reason"]) == ("active", None)


async def test_an_account_is_connected_with_a_pasted_token(person: Person, world: World) -> None:
    page = await person.open("/connections/new?kind=zoom_user")
    page = await person.submit(page.form("/connections/new"), name="Courses")
    assert page.status == 422
    page = await person.submit(page.form("/connections/new"), token="pasted", scopes="a, b")
    assert "Courses is connected" in page.text
    row = await world.sql.fetchrow("SELECT * FROM connection")
    assert row is not None
    assert (row["platform"], row["scopes"]) == ("zoom", ["a", "b"])


async def test_the_reference_names_every_operation_and_problem(person: Person, app: FastAPI) -> None:
    page = await person.open("/docs")
    for path in app.openapi()["paths"]:
        assert path in page.text
    anchors = {given["id"] for _, given in page.tags if "id" in given}
    assert {"validation-failed", "not-authenticated", "internal-server-error"} <= anchors


async def test_two_people_press_the_same_button_at_once(
    client_of: Client, acme: Team, world: World, automation: UUID
) -> None:
    people = [Person(client_of(None)) for _ in range(2)]
    forms = []
    for each in people:
        await each.sign_in(acme)
        forms.append((await each.open(f"/automations/{automation}")).form(f"/automations/{automation}/pause"))
    pages = await asyncio.gather(*(each.submit(form) for each, form in zip(people, forms, strict=True)))
    assert [page.status for page in pages] == [200, 200]
    assert (await world.row("automation", automation))["status"] == "paused"
