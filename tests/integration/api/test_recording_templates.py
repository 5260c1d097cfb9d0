"""Recording templates over HTTP: which recordings belong together, and what trying them out tells."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.models import S3
from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.recordings import STARTED

PATH = "/api/recording-templates"
RULES = {"keywords": ["lecture"]}
SLOW = "(?:a|a)+b"


@pytest.fixture
async def source(world: World, acme: Team) -> UUID:
    zoom = await world.connection(acme, ZOOM_USER, "sandbox-zoom-acme")
    return await recordings.source(world, acme, zoom)


def body(**changes: Any) -> dict[str, Any]:
    return {"name": "Lectures", "matching_rules": RULES, **changes}


async def test_a_template_is_made_read_and_changed(api: httpx.AsyncClient, source: UUID) -> None:
    rules = {"exact_matches": ["Weekly"], "patterns": ["^Course \\d+"], "source_ids": [1, str(source)]}
    made = await api.post(PATH, json=body(matching_rules=rules, processing={"transcription": False}))

    assert made.status_code == 201
    template = made.json()
    assert made.headers["location"] == f"{PATH}/{template['id']}"
    assert (template["number"], template["is_active"]) == (1, True)
    assert template["matching_rules"] == {"keywords": [], **rules}
    assert (template["processing"]["skip_transcription"], template["processing"]["upload"][0]["type"]) == (
        True,
        "store",
    )
    changed = (await api.patch(f"{PATH}/{template['id']}", json={"is_active": False, "name": "Old"})).json()
    assert (changed["name"], changed["is_active"]) == ("Old", False)
    assert changed["matching_rules"] == template["matching_rules"]
    replaced = (await api.patch(f"{PATH}/{template['id']}", json={"matching_rules": RULES})).json()
    assert replaced["matching_rules"]["exact_matches"] == []
    assert [each["id"] for each in (await api.get(PATH, params={"is_active": False})).json()["items"]] == [
        template["id"]
    ]


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"matching_rules": {"patterns": ["ok", "("]}}, ["/matching_rules/patterns/1"]),
        ({"matching_rules": {"keywords": ["a", "a"]}}, ["/matching_rules/keywords"]),
        ({"matching_rules": {"words": ["a"]}}, ["/matching_rules/words"]),
        ({"matching_rules": {"source_ids": [1, 99]}}, ["/matching_rules/source_ids/1"]),
        ({"matching_rules": {"source_ids": [str(new_id())]}}, ["/matching_rules/source_ids/0"]),
        (
            {"processing": {"upload": [{"type": "store", "prefix": "../x"}]}},
            ["/processing/upload/0/prefix"],
        ),
        (
            {
                "processing": {
                    "upload": [
                        {"type": "store"},
                        {"type": "s3", "connection_id": str(new_id())},
                        {"type": "webhook", "destination_id": str(new_id())},
                    ]
                }
            },
            ["/processing/upload/1/connection_id", "/processing/upload/2/destination_id"],
        ),
        ({"processing": {"file_types": ["video", "video"]}}, ["/processing/file_types"]),
    ],
)
async def test_what_cannot_be_is_refused_by_field(
    api: httpx.AsyncClient,
    world: World,
    acme: Team,
    source: UUID,
    changes: dict[str, Any],
    pointers: list[str],
) -> None:
    kept = await recordings.template(world, acme, RULES)

    created = await api.post(PATH, json=body(**changes))
    patched = await api.patch(f"{PATH}/{kept}", json=changes)

    for refused in (created, patched):
        assert refused.status_code == 422
        assert [fault["pointer"] for fault in refused.json()["errors"]] == pointers
    assert await world.sql.fetchval("SELECT count(*) FROM recording_template") == 1


async def test_targets_are_the_teams_own_and_of_their_kind(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team
) -> None:
    async def answer(bucket: UUID, hook: UUID) -> httpx.Response:
        upload = [
            {"type": "s3", "connection_id": str(bucket)},
            {"type": "webhook", "destination_id": str(hook)},
        ]
        return await api.post(PATH, json=body(processing={"upload": upload}))

    async def of(team: Team) -> tuple[UUID, UUID]:
        bucket = await world.connection(team, S3, credentials="{}")
        return bucket, await world.webhook(team, "https://example.com/hook")

    assert (await answer(*await of(acme))).status_code == 201
    theirs = await answer(*await of(globex))
    other = await answer(
        await world.connection(acme, ZOOM_USER, "sandbox-zoom-1"), await world.telegram(acme)
    )
    for refused in (theirs, other):
        assert [fault["pointer"] for fault in refused.json()["errors"]] == [
            "/processing/upload/0/connection_id",
            "/processing/upload/1/destination_id",
        ]


async def test_another_teams_source_is_like_none(api: httpx.AsyncClient, world: World, globex: Team) -> None:
    zoom = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex")
    theirs = await recordings.source(world, globex, zoom, number=7)

    for path in (PATH, f"{PATH}/preview"):
        given = body() if path == PATH else {}
        foreign, missing = [
            await api.post(path, json={**given, "matching_rules": {"source_ids": ids}})
            for ids in ([7, str(theirs)], [8, str(new_id())])
        ]
        assert (foreign.status_code, missing.status_code) == (422, 422)
        assert foreign.json()["errors"] == missing.json()["errors"]


@pytest.mark.parametrize("spelling", ["number", "text", "id", "capitals"])
async def test_a_template_that_jobs_name_stays(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team, spelling: str
) -> None:
    template = await recordings.template(world, acme, RULES, number=12)
    reference = {"number": 12, "text": "12", "id": str(template), "capitals": str(template).upper()}[spelling]
    for team in (acme, globex):
        [job] = await world.automations(
            team, None, kind="recording_sync", config={"template_ids": [11, reference]}
        )
    [mine] = await world.sql.fetch(
        "UPDATE automation SET name = 'Nightly' WHERE tenant_id = $1 RETURNING id", acme.tenant_id
    )

    refused = await api.delete(f"{PATH}/{template}")

    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        f"Recording jobs name it: “Nightly” ({mine['id']}). Take it out of them first."
    )
    await world.sql.execute("DELETE FROM automation WHERE id = $1", mine["id"])
    assert (await api.delete(f"{PATH}/{template}")).status_code == 204
    assert job != mine["id"]


async def test_rules_are_tried_on_the_last_recordings(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    for n, topic in enumerate(("Lecture 3", "Course 12: Lecture", "Stand-up")):
        await recordings.recording(
            world, acme, source, topic=topic, started_at=STARTED + timedelta(hours=n), external_id=str(n)
        )
    await recordings.template(world, acme, {"patterns": ["^Course"]}, number=7, name="Courses")
    await recordings.template(world, acme, {}, number=8, is_active=False)

    told = (
        await api.post(
            f"{PATH}/preview", json={"matching_rules": RULES, "template_ids": [8, 7, "99", "nonsense"]}
        )
    ).json()

    assert (told["looked_at"], told["matched"], told["taken_before"]) == (3, 2, 1)
    assert [(each["topic"], each["matched_by"]) for each in told["recordings"]] == [
        ("Stand-up", None),
        ("Course 12: Lecture", {"rule": "keywords", "text": "lecture"}),
        ("Lecture 3", {"rule": "keywords", "text": "lecture"}),
    ]
    taken = [each["taken_by"] and each["taken_by"]["name"] for each in told["recordings"]]
    assert taken == [None, "Courses", None]
    assert told["not_in_order"] == {
        "8": "it is not active",
        "99": "there is no such template",
        "nonsense": "there is no such template",
    }
    assert await world.sql.fetchval("SELECT count(*) FROM recording_template") == 2


async def test_only_those_before_it_in_the_order_take_first(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    await recordings.recording(world, acme, source, topic="Lecture")
    first = await recordings.template(world, acme, RULES, number=1)
    tried = await recordings.template(world, acme, {"exact_matches": ["LECTURE"]}, number=2)
    last = await recordings.template(world, acme, RULES, number=3)

    async def taken_by(*order: UUID | int) -> list[Any]:
        ids = [each if isinstance(each, int) else str(each) for each in order]
        told = (await api.post(f"{PATH}/{tried}/preview", json={"template_ids": ids})).json()
        assert told["matched"] == 1
        return [each["taken_by"] and each["taken_by"]["number"] for each in told["recordings"]]

    assert await taken_by() == [None]
    assert await taken_by(2, first) == [None]
    assert await taken_by(last, tried, first) == [3]
    assert (await api.post(f"{PATH}/{tried}/preview")).json()["matched"] == 1


async def test_a_preview_looks_at_fifty_of_the_sources_that_are_named(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team, source: UUID
) -> None:
    zoom = (await world.row("recording_source", source))["connection_id"]
    quiet = await recordings.source(world, acme, zoom, number=2, name="Lee", external_user="lee")
    await recordings.recording(world, acme, quiet, topic="Lecture", started_at=STARTED - timedelta(days=9))
    for n in range(55):
        await recordings.recording(world, acme, source, started_at=STARTED + timedelta(minutes=n))
    theirs = await world.connection(globex, ZOOM_USER, "sandbox-zoom-globex")
    await recordings.recording(world, globex, await recordings.source(world, globex, theirs), topic="Lecture")

    everything = (await api.post(f"{PATH}/preview", json={"matching_rules": RULES})).json()
    narrowed = (await api.post(f"{PATH}/preview", json={"matching_rules": {"source_ids": [2]}})).json()

    assert (everything["looked_at"], everything["matched"]) == (50, 0)
    assert everything["recordings"][0]["source_name"] == "Dana"
    assert (narrowed["looked_at"], narrowed["matched"]) == (1, 1)
    assert narrowed["recordings"][0]["matched_by"] == {"rule": "source_ids", "text": ""}


async def test_a_pattern_that_backtracks_is_named_and_takes_nobodys_time(
    api: httpx.AsyncClient, world: World, acme: Team, source: UUID
) -> None:
    await recordings.recording(world, acme, source, topic="a" * 40)
    stored = await recordings.template(world, acme, {"patterns": [SLOW]}, number=5)
    started = time.monotonic()

    own = await api.post(f"{PATH}/preview", json={"matching_rules": {"patterns": ["x", SLOW]}})
    saved = await api.post(f"{PATH}/{stored}/preview")
    order = await api.post(
        f"{PATH}/preview", json={"matching_rules": {"patterns": ["^a"]}, "template_ids": [5]}
    )

    assert time.monotonic() - started < 10
    places = [
        (answer.status_code, [fault["pointer"] for fault in answer.json()["errors"]])
        for answer in (own, saved, order)
    ]
    assert places == [
        (422, ["/matching_rules/patterns/1"]),
        (422, ["/matching_rules/patterns/0"]),
        (422, ["/template_ids"]),
    ]
    assert "takes too long" in own.json()["errors"][0]["detail"]


async def test_stored_rules_that_cannot_be_read_are_a_conflict(
    api: httpx.AsyncClient, world: World, acme: Team
) -> None:
    broken = await recordings.template(world, acme, {"patterns": ["("]})

    assert (await api.get(f"{PATH}/{broken}")).status_code == 200
    assert (await api.post(f"{PATH}/{broken}/preview")).status_code == 409
