"""The console's pages of recordings, their sources and templates, without any script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from common.events import RecordingProcessingRequested
from common.models import S3
from common.recordings.store import RecordingStore
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.console_browser import Person
from tests.support.outbox import Announcements

NASTY = "<script>alert(1)</script>\"'&"
Client = Callable[[Team | None], httpx.AsyncClient]


@pytest.fixture
async def person(client_of: Client, acme: Team) -> Person:
    somebody = Person(client_of(None))
    await somebody.sign_in(acme)
    return somebody


@pytest.fixture
async def zoom(world: World, acme: Team) -> UUID:
    return await world.connection(acme, ZOOM_USER, "sandbox-zoom-acme", name="Dana's Zoom")


@pytest.fixture
async def source(world: World, acme: Team, zoom: UUID) -> UUID:
    return await recordings.source(world, acme, zoom)


async def test_pages_show_what_others_wrote_without_obeying_it(
    person: Person, world: World, acme: Team, source: UUID
) -> None:
    rules = {"exact_matches": [NASTY], "keywords": [NASTY], "patterns": ["a<b>"], "source_ids": [1]}
    template = await recordings.template(world, acme, rules, {"upload": []}, name=NASTY, description=NASTY)
    recording = await recordings.recording(
        world,
        acme,
        source,
        topic=NASTY,
        host=NASTY,
        template_id=template,
        status="FAILED",
        error_code=NASTY,
        error_message=NASTY,
        artifacts={"transcript_note": NASTY},
        processing={"auto_upload": False},
    )
    await world.sql.execute(
        "UPDATE recording_source SET name = $1, external_user = $1, last_error = $1", NASTY
    )
    await world.sql.execute("UPDATE connection SET name = $1", NASTY)
    for path in (
        "/recordings",
        f"/recordings?q=script&source={source}&template={template}&status=FAILED",
        f"/recordings/{recording}",
        "/recordings/sources",
        "/recordings/sources/new",
        f"/recordings/sources/{source}",
        "/recordings/templates",
        "/recordings/templates/new",
        f"/recordings/templates/{template}",
    ):
        page = await person.open(path)
        assert page.status == 200, path
        assert page.inline == [], path
        assert "alert(1)</script>" not in page.source, path
        assert [tag for tag, _ in page.tags if tag == "h1"] == ["h1"], path
        labelled = {given.get("for") for tag, given in page.tags if tag == "label"}
        for tag, given in page.tags:
            typed = tag == "input" and given.get("type", "text") in ("text", "search")
            if tag in ("select", "textarea") or typed:
                assert given.get("id") in labelled or "aria-label" in given, (path, given)


async def test_another_teams_recordings_are_not_there(
    client_of: Client, world: World, acme: Team, globex: Team, source: UUID
) -> None:
    template = await recordings.template(world, acme, {})
    recording = await recordings.recording(world, acme, source)
    stranger = Person(client_of(None))
    front = await stranger.sign_in(globex)
    token = front.form("/sign-out").fields["form_token"]

    for path in (f"{recording}", f"{recording}/transcript", f"sources/{source}", f"templates/{template}"):
        assert (await stranger.open(f"/recordings/{path}")).status == 404, path
    for path in (
        *(f"{recording}/{action}" for action in ("process", "skip", "delete")),
        *(f"sources/{source}{action}" for action in ("", "/enable", "/disable", "/delete")),
        *(f"templates/{template}{action}" for action in ("", "/delete")),
    ):
        page = await stranger.send(f"/recordings/{path}", {"form_token": token})
        assert page.status == 404, path
    assert "No recordings yet" in (await stranger.open("/recordings")).text
    assert (await world.row("recording", recording))["status"] == "INITIALIZED"


async def test_forms_of_another_session_are_refused(
    person: Person, world: World, acme: Team, source: UUID
) -> None:
    recording = await recordings.recording(world, acme, source)

    page = await person.send(f"/recordings/{recording}/process", {"form_token": "made up"})

    assert page.status == 403
    assert (await world.row("recording", recording))["available_at"] is None


async def test_a_first_source_is_made_enabled_and_deleted(person: Person, world: World, zoom: UUID) -> None:
    empty = await person.open("/recordings")
    assert "/recordings/sources/new" in empty.links
    form = (await person.open("/recordings/sources/new")).form("/recordings/sources/new")
    refused = await person.submit(form, name="", connection_id="", external_user="two words")
    assert refused.status == 422
    assert "3 things need another look" in refused.text

    made = await person.submit(form, name="Dana", connection_id=str(zoom))

    assert person.path == "/recordings/sources"
    assert "Dana is source 1" in made.text
    row = await world.sql.fetchrow("SELECT * FROM recording_source")
    assert row is not None
    assert (row["external_user"], row["connection_id"]) == ("me", zoom)
    base = f"/recordings/sources/{row['id']}"
    await person.submit(made.form(f"{base}/disable"))
    assert (await world.row("recording_source", row["id"]))["status"] == "disabled"
    page = await person.open(base)
    assert f"/hooks/zoom/{zoom}" in page.text
    assert "are not believed" in page.text
    await person.submit(page.form(base), name="Dana Meyer", external_user="dana@acme.example")
    assert (await world.row("recording_source", row["id"]))["name"] == "Dana Meyer"
    unsure = await person.submit(page.form(f"{base}/delete"), name="dana")
    assert "Type the source's name" in unsure.text
    gone = await person.submit(page.form(f"{base}/delete"), name="Dana Meyer")
    assert "Dana Meyer and its recordings are deleted" in gone.text
    assert await world.sql.fetchval("SELECT count(*) FROM recording_source") == 0


async def test_a_refusal_to_delete_says_why(person: Person, world: World, acme: Team, source: UUID) -> None:
    template = await recordings.template(world, acme, {"source_ids": [1]}, name="Lectures")
    await world.automations(acme, None, kind="recording_sync", config={"template_ids": [1]})
    await recordings.recording(world, acme, source, available_at=datetime.now(UTC))

    form = (await person.open(f"/recordings/sources/{source}")).form(f"/recordings/sources/{source}/delete")
    named = await person.submit(form, name="Dana")
    page = await person.open(f"/recordings/templates/{template}")
    by_job = await person.submit(page.form(f"/recordings/templates/{template}/delete"))

    assert "Templates name it: “Lectures” (number 1)" in named.text
    assert "Recording jobs name it: “recording_sync 1”" in by_job.text
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 1


async def test_a_template_is_tried_before_it_is_made(
    person: Person, world: World, acme: Team, source: UUID
) -> None:
    await recordings.recording(world, acme, source, topic="Lecture 3")
    await recordings.recording(world, acme, source, topic="Stand-up")
    bucket = await world.connection(acme, S3, credentials="{}", name="Archive")
    hook = await world.webhook(acme, "https://acme.example/hook")
    form = (await person.open("/recordings/templates/new")).form("/recordings/templates/new")

    looked = await person.submit(form, keywords="Lecture\n\n  seminar ", look="1")
    assert "1 of the last 2 recordings" in looked.text
    assert await world.sql.fetchval("SELECT count(*) FROM recording_template") == 0
    again = looked.form("/recordings/templates/new")
    assert again.fields["keywords"] == ["Lecture\n\n  seminar "]
    refused = await person.submit(again, name="", patterns="(", prefix="../up")
    assert refused.status == 422
    assert "3 things need another look" in refused.text

    told = await person.submit(
        again,
        name="Lectures",
        patterns="^Course \\d+:",
        source_ids=["1"],
        file_types=["video", "transcript"],
        language="de",
        auto_upload="",
        buckets=[str(bucket)],
        webhooks=[str(hook)],
        **{f"prefix__{bucket}": "{year}"},
    )

    assert "Lectures is template 1" in told.text
    [row] = await world.sql.fetch("SELECT * FROM recording_template")
    assert row["matching_rules"] == {
        "exact_matches": [],
        "keywords": ["Lecture", "seminar"],
        "patterns": ["^Course \\d+:"],
        "source_ids": [1],
    }
    processing = row["processing"]
    assert (processing["auto_upload"], processing["auto_process"], processing["skip_transcription"]) == (
        False,
        True,
        False,
    )
    assert processing["file_types"] == ["video", "transcript"]
    assert processing["transcription"]["language"] == "de"
    assert processing["upload"] == [
        {"type": "store", "prefix": "{date}/{topic}"},
        {"type": "s3", "connection_id": str(bucket), "prefix": "{year}"},
        {"type": "webhook", "destination_id": str(hook)},
    ]


async def test_changing_a_template_keeps_what_the_form_does_not_show(
    person: Person, world: World, acme: Team, source: UUID
) -> None:
    processing = {
        "auto_process": False,
        "transcription": {"model": "whisper-1", "language": "de"},
        "upload": [{"type": "store", "prefix": "a"}, {"type": "store", "prefix": "b"}],
    }
    rules = {"patterns": ["^Course"], "source_ids": [str(source)]}
    template = await recordings.template(world, acme, rules, processing, name="Lectures")
    path = f"/recordings/templates/{template}"

    form = (await person.open(path)).form(path)
    assert "upload_json" in form.fields
    await person.submit(form, language="en")

    row = await world.row("recording_template", template)
    assert row["processing"]["auto_process"] is False
    assert row["processing"]["transcription"] == {"model": "whisper-1", "language": "en", "prompt": None}
    assert row["processing"]["upload"] == processing["upload"]
    assert row["matching_rules"]["source_ids"] == [1]
    broken = await person.submit(form, upload_json="{")
    assert broken.status == 422


async def test_the_part_a_script_asks_for(person: Person, world: World, acme: Team, source: UUID) -> None:
    await recordings.recording(world, acme, source, topic="Lecture 3")
    form = (await person.open("/recordings/templates/new")).form("/recordings/templates/new")

    async def preview(**entered: str) -> str:
        form.action = "/recordings/templates/preview"
        return (await person.submit(form, **entered)).text

    assert "1 of the last 1 recording" in await preview(keywords="lecture")
    assert "as soon as there is a rule" in await preview()
    assert "not a regular expression" in await preview(patterns="(")


async def test_recordings_are_found_by_what_is_asked(
    person: Person, world: World, acme: Team, source: UUID
) -> None:
    template = await recordings.template(world, acme, {}, name="Lectures")
    await recordings.recording(
        world, acme, source, topic="Lecture 3", template_id=template, status="UPLOADED"
    )
    for n in range(41):
        await recordings.recording(
            world, acme, source, topic=f"Call {n}", started_at=recordings.STARTED + timedelta(minutes=n)
        )

    everything = await person.open("/recordings")
    assert "All 42" in everything.text
    older = next(link for link in everything.links if "cursor=" in link)
    assert "Lecture 3" in (await person.open(f"/recordings{older}")).text
    for query in (f"template={template}", "q=lect", "status=UPLOADED", f"q=lect&source={source}"):
        page = await person.open(f"/recordings?{query}")
        assert "Lecture 3" in page.text, query
        assert "Call 1" not in page.text, query
    for query in ("q=nothing+of+it", "source=nonsense&q=nothing"):
        assert "None of your recordings fits" in (await person.open(f"/recordings?{query}")).text
    assert (await person.open("/recordings?status=odd")).status == 404


async def test_a_recording_is_processed_skipped_and_deleted(
    person: Person, world: World, acme: Team, source: UUID
) -> None:
    announced = Announcements(world.sql)
    template = await recordings.template(
        world, acme, {}, {"file_types": ["audio"]}, name="Lectures", number=12
    )
    first, second = [await recordings.recording(world, acme, source) for _ in range(2)]

    page = await person.open(f"/recordings/{first}")
    forms = [form for form in page.forms if form.action == f"/recordings/{first}/process"]
    told = await person.submit(forms[-1], template_id="12", transcript="")

    assert "It is on its way" in told.text
    row = await world.row("recording", first)
    assert (row["template_id"], row["processing"]["skip_transcription"]) == (template, True)
    assert (row["processing"]["auto_upload"], row["processing"]["file_types"]) == (True, ["audio"])
    assert len(await announced.of(RecordingProcessingRequested)) == 1
    again = await person.submit(forms[0])
    assert "being processed already" in again.text
    assert "delete" not in {form.action.rpartition("/")[2] for form in again.forms}
    other = await person.open(f"/recordings/{second}")
    skipped = await person.submit(other.form(f"/recordings/{second}/skip"))
    assert "Skipped by a member of the team" in skipped.text
    await person.submit(other.form(f"/recordings/{second}/delete"))
    assert person.path == "/recordings"
    assert await world.sql.fetchval("SELECT count(*) FROM recording") == 1


async def test_a_small_transcript_is_on_the_page_and_a_file_behind_it(
    app: FastAPI, person: Person, world: World, acme: Team, source: UUID, tmp_path: Path
) -> None:
    recording = await recordings.recording(world, acme, source, status="UPLOADED")
    path = f"{acme.tenant_id}/recordings/{recording}/t"

    def stored(extension: str) -> dict[str, Any]:
        return {"path": f"{path}.{extension}", "bytes": 40, "sha256": "0" * 64}

    await world.sql.execute(
        "UPDATE recording SET artifacts = $1",
        {"transcripts": {"f": {"source": "platform", "vtt": stored("vtt"), "text": stored("txt")}}},
    )
    without = await person.open(f"/recordings/{recording}")
    store = RecordingStore.open(tmp_path.as_uri())
    await store.put_bytes(f"{path}.txt", f"Dana: {NASTY}".encode())
    app.state.collaborators = replace(app.state.collaborators, store=store)

    page = await person.open(f"/recordings/{recording}")
    file = await person.client.get(f"/recordings/{recording}/transcript")

    assert "40 Bytes of text" in without.text
    assert f"Dana: {NASTY}" in page.text
    assert "alert(1)</script>" not in page.source
    assert file.headers["content-type"] == "text/plain; charset=utf-8"
    assert file.headers["content-disposition"].startswith('attachment; filename="2026-11-03_1240_transcript_')
