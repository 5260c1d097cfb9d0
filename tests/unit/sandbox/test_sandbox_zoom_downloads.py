import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.unit.sandbox.conftest import SandboxApp
from tests.unit.sandbox.zoom_calls import (
    PERSON,
    WHOLE_ACCOUNT,
    add,
    api,
    control,
    ok,
    signed_in,
    twice,
)

LARGE = 20_000_000


def boxes(content: bytes, start: int = 0, stop: int | None = None) -> Iterator[tuple[str, int, int]]:
    """Kind, first and last byte of what a box of ISO base media holds."""
    stop = len(content) if stop is None else stop
    while start < stop:
        size, kind = struct.unpack(">I4s", content[start : start + 8])
        assert 8 <= size <= stop - start
        yield kind.decode(), start + 8, start + size
        start += size


async def fetch(app: SandboxApp, url: str, token: str = PERSON, **headers: str) -> httpx.Response:
    """The file behind a download address, as a client that follows redirects with its header."""
    given = {"authorization": f"Bearer {token}", **headers} if token else headers
    return await app.http.get(url, headers=given, follow_redirects=True)


def urls(meeting: dict[str, Any]) -> dict[str, str]:
    return {file["file_type"]: file["download_url"] for file in meeting["recording_files"]}


async def test_a_download_leads_to_the_file(app: SandboxApp) -> None:
    film = (await add(app))["recording_files"][0]
    first = await app.http.get(film["download_url"], headers={"authorization": f"Bearer {PERSON}"})
    assert (first.status_code, first.content) == (302, b"")
    assert first.headers["location"].startswith("http://graph.test/zoom/files/")
    file = await app.http.get(first.headers["location"])
    assert (file.status_code, file.headers["content-type"]) == (200, "video/mp4")
    assert file.headers["content-disposition"].startswith("attachment; filename=")
    assert int(file.headers["content-length"]) == len(file.content) == film["file_size"]


async def test_every_file_has_the_size_it_is_listed_with(app: SandboxApp) -> None:
    await control(app, "PUT", "/users/me", {"recordings": 30, "days": 9, "blank": 0.3})
    days = {"from": "2026-11-10", "to": "2026-11-21"}
    seen = set()
    for meeting in (await ok(app, "users/me/recordings", **days))["meetings"]:
        for file in meeting["recording_files"]:
            answer = await fetch(app, file["download_url"])
            assert answer.status_code == 200
            assert len(answer.content) == file.get("file_size", len(answer.content))
            seen.add((file["file_type"], answer.headers["content-type"]))
    assert {("MP4", "video/mp4"), ("M4A", "audio/mp4"), ("TRANSCRIPT", "text/vtt")} <= seen


@pytest.mark.parametrize(("kind", "tracks"), [("MP4", ["vide", "soun"]), ("M4A", ["soun"])])
async def test_films_and_sounds_are_real(app: SandboxApp, kind: str, tracks: list[str]) -> None:
    content = (await fetch(app, urls(await add(app))[kind])).content
    top = {name: (start, stop) for name, start, stop in boxes(content)}
    assert list(top) == ["ftyp", "moov", "mdat", "free"]
    handlers = []
    for name, start, stop in boxes(content, *top["moov"]):
        if name == "trak":
            inner = {kind: (low, high) for kind, low, high in boxes(content, start, stop)}
            media = {kind: (low, high) for kind, low, high in boxes(content, *inner["mdia"])}
            low, _ = media["hdlr"]
            handlers.append(content[low + 8 : low + 12].decode())
            info = {kind: (low, high) for kind, low, high in boxes(content, *media["minf"])}
            table = {kind: (low, high) for kind, low, high in boxes(content, *info["stbl"])}
            (offset,) = struct.unpack(">I", content[table["stco"][0] + 8 : table["stco"][0] + 12])
            size, count = struct.unpack(">II", content[table["stsz"][0] + 4 : table["stsz"][0] + 12])
            assert top["mdat"][0] <= offset
            assert offset + size * count <= top["mdat"][1]
    assert handlers == tracks


async def test_a_transcript_is_webvtt_and_always_the_same(app: SandboxApp) -> None:
    meeting = await add(app, duration=30)
    text = (await fetch(app, urls(meeting)["TRANSCRIPT"])).text
    assert text.startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:02:15.000\n")
    assert text == (await fetch(app, urls(meeting)["TRANSCRIPT"])).text
    assert text != (await fetch(app, urls(await add(app))["TRANSCRIPT"])).text


async def test_two_films_of_one_size_differ(app: SandboxApp) -> None:
    first, second = [(await fetch(app, urls(await add(app))["MP4"])).content for _ in range(2)]
    assert len(first) == len(second)
    assert first != second


async def test_a_large_file_is_streamed(app: SandboxApp) -> None:
    url = urls(await add(app, files=[{"file_type": "MP4", "size": LARGE}]))["MP4"]
    headers = {"authorization": f"Bearer {PERSON}"}
    async with app.http.stream("GET", url, headers=headers, follow_redirects=True) as answer:
        received = 0
        async for piece in answer.aiter_raw():
            received += len(piece)
    assert received == LARGE == int(answer.headers["content-length"])


async def test_files_may_be_larger_than_the_list_says(app: SandboxApp) -> None:
    uuid = (await add(app))["uuid"]
    await control(app, "PUT", "", {"size_difference": 37})
    film = (await ok(app, f"meetings/{twice(uuid)}/recordings"))["recording_files"][0]
    answer = await fetch(app, film["download_url"])
    assert len(answer.content) == int(answer.headers["content-length"]) == film["file_size"] + 37


async def test_nothing_can_be_downloaded_of_an_empty_file(app: SandboxApp) -> None:
    url = urls(await add(app, files=[{"file_type": "MP4", "size": 0}]))["MP4"]
    answer = await fetch(app, url)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "wanted", ["bytes=100-199", "bytes=1790-70000", "bytes=500-", "bytes=-77", "bytes=0-0"]
)
async def test_a_stretch_of_a_file(app: SandboxApp, wanted: str) -> None:
    url = urls(await add(app, files=[{"file_type": "MP4", "size": 200_001}]))["MP4"]
    whole = (await fetch(app, url)).content
    answer = await fetch(app, url, range=wanted)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start = int(first) if first else len(whole) - int(last)
    stop = int(last) + 1 if first and last else len(whole)
    assert answer.status_code == 206
    assert answer.content == whole[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


async def test_a_stretch_beyond_the_end(app: SandboxApp) -> None:
    url = urls(await add(app))["MP4"]
    answer = await fetch(app, url, range="bytes=99999999-")
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */65536")
    assert (await fetch(app, url, range="bytes=-0")).status_code == 416
    for no_range in ("lines=1-2", "bytes=5-4", "bytes=-", "bytes=" + "9" * 5_000 + "-", "bytes=1-2,4-5"):
        assert (await fetch(app, url, range=no_range)).status_code == 200


async def test_who_may_download(app: SandboxApp) -> None:
    mine = await add(app)
    theirs = await add(app, user="mateo.ruiz@brightpath.example")
    unable = await signed_in(app, scope="user:read:user")
    pass_for_mine = (
        await ok(app, f"meetings/{twice(mine['uuid'])}/recordings", include_fields="download_access_token")
    )["download_access_token"]
    for meeting, token, may in (
        (mine, PERSON, True),
        (mine, WHOLE_ACCOUNT, True),
        (mine, pass_for_mine, True),
        (mine, unable["access_token"], False),
        (mine, "expired-1", False),
        (mine, "", False),
        (theirs, PERSON, False),
        (theirs, WHOLE_ACCOUNT, True),
        (theirs, pass_for_mine, False),
    ):
        by_header = await fetch(app, urls(meeting)["MP4"], token)
        by_address = await app.http.get(
            urls(meeting)["MP4"], params={"access_token": token}, follow_redirects=True
        )
        for answer in (by_header, by_address):
            assert answer.status_code == 200
            assert answer.headers["content-type"] == ("video/mp4" if may else "text/html; charset=utf-8")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_may_also_be_an_error(app: SandboxApp, status: int) -> None:
    await control(app, "PUT", "", {"download_refusal": status})
    answer = await fetch(app, urls(await add(app))["MP4"], "revoked-1")
    assert answer.status_code == status
    assert answer.json()["code"] == (124 if status == 401 else 200)


async def test_a_download_token_lives_as_long_as_asked(app: SandboxApp) -> None:
    meeting = await add(app)
    path = f"meetings/{twice(meeting['uuid'])}/recordings"
    plain = await ok(app, path)
    assert "download_access_token" not in plain
    assert (plain["password"], plain["participant_audio_files"]) == (plain["recording_play_passcode"], [])
    token = (await ok(app, path, include_fields="download_access_token", ttl="60"))["download_access_token"]
    app.clock.advance(59)
    assert (await fetch(app, urls(meeting)["MP4"], token)).headers["content-type"] == "video/mp4"
    app.clock.advance(1)
    assert (await fetch(app, urls(meeting)["MP4"], token)).headers["content-type"].startswith("text/html")
    for ttl in ("604801", "-1", "soon"):
        assert (await api(app, path, ttl=ttl)).json()["errors"][0]["field"] == "ttl"


async def test_the_address_of_a_file_is_signed_and_short_lived(app: SandboxApp) -> None:
    meeting = await add(app)
    film, sound = urls(meeting)["MP4"], urls(meeting)["M4A"]
    headers = {"authorization": f"Bearer {PERSON}"}
    link, other = [(await app.http.get(it, headers=headers)).headers["location"] for it in (film, sound)]
    swapped = f"{other.partition('?')[0]}?{link.partition('?')[2]}"
    assert (await app.http.get(swapped)).status_code == 403
    assert (await app.http.get(link.partition("?")[0])).status_code == 403
    app.clock.advance(599)
    assert (await app.http.get(link)).status_code == 200
    app.clock.advance(1)
    assert (await app.http.get(link)).status_code == 403


async def test_files_there_are_none_of(app: SandboxApp) -> None:
    for name in ("x", "%FF", "MC54", "OTk5Lng"):
        answer = await fetch(app, f"/zoom/rec/download/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, 3301)
    meeting = await add(app)
    await api(app, f"meetings/{twice(meeting['uuid'])}/recordings", method="DELETE")
    assert (await fetch(app, urls(meeting)["MP4"])).status_code == 404
    assert (await app.http.post(urls(meeting)["MP4"])).json()["code"] == 2300


async def test_faults_strike_downloads_too(app: SandboxApp) -> None:
    url = urls(await add(app))["MP4"]
    await app.fault("html", status=200, match={"path": "/zoom/files/*"}, times=1)
    assert (await fetch(app, url)).headers["content-type"].startswith("text/html")
    await app.fault("expired_token", match={"path": "/zoom/rec/*"}, times=1)
    assert "Sign In" in (await fetch(app, url)).text
    await app.fault("rate_limit", match={"path": "/zoom/rec/*"}, times=1)
    assert (await fetch(app, url)).status_code == 429
    await app.fault("server_error", match={"path": "/zoom/files/*"}, times=1)
    assert (await fetch(app, url)).status_code == 500
    assert (await fetch(app, url)).headers["content-type"] == "video/mp4"
    stats = (await app.http.get("/_sandbox/stats")).json()["platforms"]["zoom"]
    assert stats["/zoom/rec/download/{file}"] == {"200": 1, "302": 3, "429": 1}
    assert stats["/zoom/files/{file}"] == {"200": 2, "500": 1}


async def test_signatures_of_addresses_are_not_on_record(app: SandboxApp) -> None:
    url = urls(await add(app))["MP4"]
    link = (await app.http.get(url, params={"access_token": PERSON})).headers["location"]
    await app.http.get(link)
    text = (await app.http.get("/_sandbox/received")).text
    assert link.partition("Signature=")[2] not in text
    assert PERSON not in text
