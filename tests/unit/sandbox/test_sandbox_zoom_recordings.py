from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app
from tests.unit.sandbox.zoom_calls import (
    ACCOUNT_ID,
    PERSON,
    WHOLE_ACCOUNT,
    add,
    api,
    control,
    ok,
    once,
    refused,
    twice,
)

TODAY = "2026-11-21"
MONTH = {"from": "2026-10-22", "to": TODAY}


async def all_pages(app: SandboxApp, path: str, token: str = PERSON, **params: str) -> list[dict[str, Any]]:
    """Every recording of a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await ok(app, path, token, **params, next_page_token=cursor)
        found += page["meetings"]
        cursor = page["next_page_token"]
        if not cursor:
            assert len(found) == page["total_records"]
            return found


async def one(app: SandboxApp, uuid: str, token: str = PERSON, **params: str) -> dict[str, Any]:
    return await ok(app, f"meetings/{twice(uuid)}/recordings", token, **params)


async def test_a_recording_looks_like_the_platforms(app: SandboxApp) -> None:
    found = await all_pages(app, "users/me/recordings", **MONTH)
    meeting = next(it for it in found if len(it["recording_files"]) >= 3)
    assert meeting["account_id"] == ACCOUNT_ID
    assert meeting["host_email"] == "dana.demo@brightpath.example"
    assert isinstance(meeting["id"], int)
    assert 10**10 <= meeting["id"] < 10**11
    assert meeting["type"] in (2, 8)
    assert meeting["duration"] >= 15
    assert datetime.fromisoformat(meeting["start_time"]).tzinfo is not None
    assert meeting["total_size"] == sum(file.get("file_size", 0) for file in meeting["recording_files"])
    assert meeting["recording_count"] == len(meeting["recording_files"])
    film, sound, *_ = meeting["recording_files"]
    assert (film["file_type"], film["file_extension"], film["status"]) == ("MP4", "MP4", "completed")
    assert film["recording_type"] == "shared_screen_with_speaker_view"
    assert film["meeting_id"] == meeting["uuid"]
    assert (sound["file_type"], sound["recording_type"]) == ("M4A", "audio_only")
    assert film["download_url"].startswith("http://graph.test/zoom/rec/download/")


async def test_lists_hold_every_kind_of_file(app: SandboxApp) -> None:
    await control(app, "PUT", "/users/me", {"recordings": 200, "days": 29})
    found = await all_pages(app, "users/me/recordings", **MONTH, page_size="300")
    kinds = {(file["file_type"], file["file_extension"]) for it in found for file in it["recording_files"]}
    assert kinds == {
        ("MP4", "MP4"),
        ("M4A", "M4A"),
        ("TRANSCRIPT", "VTT"),
        ("CHAT", "TXT"),
        ("TIMELINE", "JSON"),
    }
    blank = [it for it in found if it["duration"] == 0]
    assert 0 < len(blank) < 40
    assert {it["total_size"] == 0 for it in blank} == {True, False}
    timelines = [file for it in found for file in it["recording_files"] if file["file_type"] == "TIMELINE"]
    assert all("id" not in file and "file_size" not in file for file in timelines)


async def test_the_same_seed_has_the_same_recordings(app: SandboxApp) -> None:
    again = sandbox_app(Settings())
    other = sandbox_app(Settings(seed=2))
    async with again.http, other.http:
        first, second, third = [await ok(it, "users/me/recordings", **MONTH) for it in (app, again, other)]
    assert first["meetings"] == second["meetings"]
    assert first["meetings"] != third["meetings"]


async def test_without_days_it_is_yesterday_and_today(app: SandboxApp) -> None:
    page = await ok(app, "users/me/recordings")
    assert (page["from"], page["to"], page["page_size"], page["page_count"]) == ("2026-11-20", TODAY, 30, 1)
    assert page["next_page_token"] == ""
    assert 1 <= page["total_records"] <= 2


async def test_only_what_begins_within_the_days_is_listed_newest_first(app: SandboxApp) -> None:
    days = {"from": "2026-11-03", "to": "2026-11-09"}
    found = await all_pages(app, "users/me/recordings", **days)
    starts = [it["start_time"] for it in found]
    assert [start[:10] for start in starts] == [f"2026-11-{day:02d}" for day in range(9, 2, -1)]
    assert starts == sorted(starts, reverse=True)


@pytest.mark.parametrize("size", ["1", "7", "100", "300"])
async def test_pages_hold_everything_once_and_are_full(app: SandboxApp, size: str) -> None:
    await app.http.put("/_sandbox/limits", json={"zoom_medium_per_second": 0})
    await control(app, "PUT", "/users/me", {"recordings": 100, "days": 29})
    for minute in range(3):
        await add(app, topic="extra", start_time=f"2026-11-10T10:0{minute}:00Z")
    found = await all_pages(app, "users/me/recordings", **MONTH, page_size=size)
    assert len({it["uuid"] for it in found}) == len(found) == 103
    first = await ok(app, "users/me/recordings", **MONTH, page_size=size)
    assert len(first["meetings"]) == min(int(size), 103)
    assert first["page_count"] == -(-103 // int(size))


async def test_a_setting_switches_the_cut_and_the_headers_off() -> None:
    app = sandbox_app(Settings(zoom_clamp=False, zoom_rate_headers=False))
    async with app.http:
        answer = await api(app, "users/me/recordings", **{"from": "2026-01-01", "to": "2026-03-31"})
    assert answer.json()["from"] == "2026-01-01"
    assert "x-ratelimit-category" not in answer.headers


async def test_a_uuid_is_found_however_it_is_encoded(app: SandboxApp) -> None:
    await control(app, "PUT", "/users/me", {"recordings": 24, "days": 10})
    found = await all_pages(app, "users/me/recordings", **MONTH)
    slashed = [it["uuid"] for it in found if it["uuid"].startswith("/") or "//" in it["uuid"]]
    assert len(slashed) >= 6
    for uuid in slashed:
        for encoded in (once(uuid), twice(uuid)):
            assert (await ok(app, f"meetings/{encoded}/recordings"))["uuid"] == uuid
    await control(app, "PUT", "", {"strict_uuids": True})
    for it in found:
        uuid = it["uuid"]
        assert (await one(app, uuid))["uuid"] == uuid
        status = (await api(app, f"meetings/{once(uuid)}/recordings")).status_code
        assert status == (404 if uuid in slashed else 200)


async def test_a_meetings_number_leads_to_its_latest_recording(app: SandboxApp) -> None:
    found = await all_pages(app, "users/me/recordings", **MONTH)
    newest: dict[int, str] = {}
    for it in found:
        newest.setdefault(it["id"], it["uuid"])
    assert len(newest) < len(found)
    for number, uuid in newest.items():
        assert (await ok(app, f"meetings/{number}/recordings"))["uuid"] == uuid
    listed = await all_pages(app, "users/me/recordings", **MONTH, meeting_id=str(found[0]["id"]))
    assert [it["uuid"] for it in listed] == [it["uuid"] for it in found if it["id"] == found[0]["id"]]


async def test_an_app_of_one_person_does_not_see_the_others(app: SandboxApp) -> None:
    theirs = await add(app, user="mateo.ruiz@brightpath.example")
    path = f"meetings/{twice(theirs['uuid'])}/recordings"
    assert await refused(app, path) == (404, 3301)
    assert (await ok(app, path, WHOLE_ACCOUNT))["uuid"] == theirs["uuid"]


async def test_a_recording_is_processed_for_a_while(app: SandboxApp) -> None:
    started = datetime(2026, 11, 21, 11, 30, tzinfo=UTC)
    await add(app, topic="Now", start_time=started.isoformat(), duration=30)
    listed = (await ok(app, "users/me/recordings"))["meetings"][0]
    assert (listed["topic"], listed["recording_count"], listed["total_size"]) == ("Now", 0, 0)
    (file,) = listed["recording_files"]
    assert (file["file_type"], file["recording_end"], file["file_size"]) == ("", "", 0)
    assert file["status"] == "processing"
    assert "download_url" not in file

    async def kinds() -> list[str]:
        return [file["file_type"] for file in (await one(app, listed["uuid"]))["recording_files"]]

    app.clock.advance(600)
    assert await kinds() == ["MP4", "M4A"]
    app.clock.advance(600)
    assert await kinds() == ["MP4", "M4A", "TRANSCRIPT"]


async def test_what_has_not_begun_is_not_listed(app: SandboxApp) -> None:
    later = await add(app, start_time="2026-11-21T13:00:00Z")
    before = await ok(app, "users/me/recordings")
    assert await refused(app, f"meetings/{twice(later['uuid'])}/recordings") == (404, 3301)
    app.clock.advance(3_600)
    after = await ok(app, "users/me/recordings")
    assert after["total_records"] > before["total_records"]
    assert later["uuid"] in [it["uuid"] for it in after["meetings"]]


async def test_trash_holds_what_was_moved_there(app: SandboxApp) -> None:
    found = await all_pages(app, "users/me/recordings", **MONTH)
    trashed, deleted = found[3]["uuid"], found[5]["uuid"]
    for uuid, action in ((trashed, {}), (deleted, {"action": "delete"})):
        answer = await api(app, f"meetings/{twice(uuid)}/recordings", method="DELETE", **action)
        assert (answer.status_code, answer.content) == (204, b"")
        assert await refused(app, f"meetings/{twice(uuid)}/recordings") == (404, 3301)
    left = await all_pages(app, "users/me/recordings", **MONTH)
    assert [it["uuid"] for it in left] == [it["uuid"] for it in found if it["uuid"] not in (trashed, deleted)]
    (in_trash,) = await all_pages(app, "users/me/recordings", **MONTH, trash="true")
    assert (in_trash["uuid"], in_trash["deleted_time"]) == (trashed, "2026-11-21T12:00:00Z")
    again = await api(app, f"meetings/{twice(trashed)}/recordings", method="DELETE")
    assert again.json()["code"] == 3301
    assert await refused(app, f"meetings/{twice(trashed)}/recordings", "unscoped-1") == (400, 4711)


async def test_an_action_there_is_none_of_deletes_nothing(app: SandboxApp) -> None:
    uuid = (await add(app))["uuid"]
    answer = await api(app, f"meetings/{twice(uuid)}/recordings", method="DELETE", action="burn")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "action")
    assert (await one(app, uuid))["uuid"] == uuid


async def test_an_added_recording_is_as_described(app: SandboxApp) -> None:
    made = await add(
        app,
        topic="Guest lecture",
        start_time="2026-11-20T09:00:00+01:00",
        duration=45,
        meeting_id=987654321,
        uuid="/abc//def==",
        files=[
            {"file_type": "MP4", "size": 1_000_000},
            {"file_type": "TRANSCRIPT", "text": "WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\nHello\n"},
        ],
    )
    assert (made["start_time"], made["duration"]) == ("2026-11-20T08:00:00Z", 45)
    listed = await all_pages(app, "users/me/recordings")
    assert made in listed
    assert [file["file_size"] for file in made["recording_files"]] == [1_000_000, 46]
    assert (await ok(app, "meetings/987654321/recordings"))["uuid"] == "/abc//def=="
    assert (await one(app, "/abc//def=="))["topic"] == "Guest lecture"


@pytest.mark.parametrize(
    ("description", "field"),
    [
        ({"user": "nobody"}, "user"),
        ({"start_time": "today"}, "start_time"),
        ({"start_time": "2026-11-20T09:00:00"}, "start_time"),
        ({"start_time": "9999-12-31T23:00:00Z"}, "start_time"),
        ({"duration": -1}, "duration"),
        ({"topic": 5}, "topic"),
        ({"files": "MP4"}, "files"),
        ({"files": [{"file_type": "AVI"}]}, "file_type"),
        ({"files": [{"size": -1}]}, "size"),
        ({"files": [{"colour": "red"}]}, "colour"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_recording_that_cannot_be(app: SandboxApp, description: dict[str, Any], field: str) -> None:
    answer = await app.http.post("/_sandbox/zoom/recordings", json=description)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert (await ok(app, "users/me/recordings"))["meetings"] == (
        await ok(app, "users/me/recordings", **{"to": TODAY})
    )["meetings"]


async def test_added_recordings_have_numbers_of_their_own(app: SandboxApp) -> None:
    first, second = await add(app), await add(app)
    assert first["id"] != second["id"]
    for made in (first, second):
        path = f"meetings/{made['id']}/recordings"
        assert (await ok(app, path))["uuid"] == made["uuid"]
        assert (await api(app, path, method="DELETE")).status_code == 204
        assert await refused(app, path) == (404, 3001)


async def test_a_blank_and_a_processing_recording_can_be_added(app: SandboxApp) -> None:
    blank = await add(app, duration=0.2, files=[{"file_type": "MP4", "size": 0}])
    assert (blank["duration"], blank["total_size"]) == (0, 0)
    stuck = await add(app, files=[{"file_type": "MP4", "status": "processing"}])
    app.clock.advance(10 * 86_400)
    assert (await one(app, stuck["uuid"]))["recording_files"][0]["status"] == "processing"


async def test_forty_people_with_ten_thousand_recordings(app: SandboxApp) -> None:
    told = await control(app, "PUT", "/users", {"count": 40, "recordings": 250, "days": 30})
    assert len(told["users"]) == 40
    await app.http.put("/_sandbox/limits", json={"zoom_medium_per_second": 0})
    seen = set()
    for person in told["users"]:
        found = await all_pages(
            app, f"users/{person['id']}/recordings", WHOLE_ACCOUNT, **MONTH, page_size="300"
        )
        assert len(found) == 250
        assert all(it["recording_files"][0]["status"] == "completed" for it in found)
        seen |= {it["uuid"] for it in found}
    assert len(seen) == 10_000


async def test_a_share_may_be_all_or_nothing(app: SandboxApp) -> None:
    await control(app, "PUT", "/users/me", {"recordings": 20, "days": 5, "blank": 0, "transcripts": 1})
    found = await all_pages(app, "users/me/recordings", **MONTH)
    kinds = [{file["file_type"] for file in it["recording_files"]} for it in found]
    assert all("TRANSCRIPT" in present for present in kinds)
    await control(app, "PUT", "/users/me", {"recordings": 0})
    assert (await ok(app, "users/me/recordings", **MONTH))["meetings"] == []


async def test_a_plan_follows_the_clock(app: SandboxApp) -> None:
    app.clock.advance(timedelta(days=100).total_seconds())
    await control(app, "PUT", "/users/me", {"recordings": 10, "days": 5})
    today = app.clock.instant().date()
    span = {"from": str(today - timedelta(days=6)), "to": str(today)}
    assert (await ok(app, "users/me/recordings", **span))["total_records"] == 10


@pytest.mark.parametrize(
    ("path", "document", "field"),
    [
        ("/users/nobody", {"recordings": 1}, "id"),
        ("/users/me", {}, "recordings"),
        ("/users/me", {"recordings": -1}, "recordings"),
        ("/users/me", {"recordings": True}, "recordings"),
        ("/users/me", {"recordings": 1, "days": 0}, "days"),
        ("/users/me", {"recordings": 1, "blank": 2}, "blank"),
        ("/users/me", {"recordings": 1, "colour": "red"}, "colour"),
        ("/users", {"count": 0}, "count"),
        ("", {"clamp": "no"}, "clamp"),
        ("", {"download_refusal": 500}, "download_refusal"),
        ("", {"size_difference": "37"}, "size_difference"),
        ("", {"clamp": False, "colour": "red"}, "colour"),
    ],
)
async def test_a_setting_that_makes_no_sense(
    app: SandboxApp, path: str, document: dict[str, Any], field: str
) -> None:
    before = (await app.http.get("/_sandbox/zoom")).json()
    answer = await app.http.put(f"/_sandbox/zoom{path}", json=document)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert (await app.http.get("/_sandbox/zoom")).json() == before


async def test_a_reset_forgets_everything(app: SandboxApp) -> None:
    before = await all_pages(app, "users/me/recordings", **MONTH)
    await control(app, "PUT", "/users", {"count": 9, "recordings": 3})
    await control(app, "PUT", "", {"clamp": False})
    await add(app)
    await app.http.post("/_sandbox/reset")
    assert await all_pages(app, "users/me/recordings", **MONTH) == before
    told = (await app.http.get("/_sandbox/zoom")).json()
    assert (told["users"], told["habits"]["clamp"]) == (5, True)
