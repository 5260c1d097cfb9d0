from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.settings import Settings
from sandbox.world.isobmff import film
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app

PATH = "/transcription/v1/audio/transcriptions"
KEY = {"authorization": "Bearer sk-test"}
SUPPORTED = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")


async def transcribe(
    app: SandboxApp, content: bytes = b"sound", name: str = "a.mp3", key: str = "sk-test", **form: str
) -> httpx.Response:
    return await app.http.post(
        PATH,
        files={"file": (name, content)},
        data={"model": "whisper-1", "response_format": "vtt", **form},
        headers={"authorization": f"Bearer {key}"},
    )


def error(answer: httpx.Response) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()["error"]
    assert document.keys() == {"message", "type", "param", "code"}
    return document


async def test_the_same_file_always_says_the_same(app: SandboxApp) -> None:
    first, again, other = [(await transcribe(app, it)).text for it in (b"a" * 99, b"a" * 99, b"b" * 99)]
    assert first.startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "authorization", ["", "Bearer ", "Basic abc", "Bearer invalid-1", "Bearer revoked-x"]
)
async def test_a_key_is_needed(app: SandboxApp, authorization: str) -> None:
    answer = await app.http.post(
        PATH, files={"file": ("a.mp3", b"x")}, data={"model": "m"}, headers={"authorization": authorization}
    )
    assert answer.status_code == 401
    assert error(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize("extension", SUPPORTED)
async def test_formats_that_are_heard(app: SandboxApp, extension: str) -> None:
    assert (await transcribe(app, b"x" * 100, f"a.{extension.upper()}")).status_code == 200


@pytest.mark.parametrize(
    ("files", "form"),
    [
        ({}, {"model": "whisper-1"}),
        ({"file": ("a.mp3", b"x")}, {}),
        ({"file": ("a.txt", b"x")}, {"model": "whisper-1"}),
        ({"file": ("a.mp3", b"")}, {"model": "whisper-1"}),
        ({"file": ("a.mp3", b"x")}, {"model": "whisper-1", "response_format": "poem"}),
    ],
)
async def test_a_request_that_makes_no_sense(
    app: SandboxApp, files: dict[str, tuple[str, bytes]], form: dict[str, str]
) -> None:
    answer = await app.http.post(PATH, files=files or None, data=form, headers=KEY)
    assert answer.status_code == 400
    assert error(answer)["type"] == "invalid_request_error"


async def test_a_body_that_does_not_parse(app: SandboxApp) -> None:
    headers = {**KEY, "content-type": "multipart/form-data"}
    answer = await app.http.post(PATH, content=b"x", headers=headers)
    assert answer.status_code == 400
    assert "multipart" in error(answer)["message"]


async def test_a_file_that_is_too_large() -> None:
    app = sandbox_app(replace(Settings(), transcription_max_bytes=1_000))
    async with app.http:
        assert (await transcribe(app, b"x" * 1_000)).status_code == 200
        answer = await transcribe(app, b"x" * 1_001)
    assert answer.status_code == 413
    assert error(answer)["message"] == "Maximum content size limit (1000) exceeded (1001 bytes read)"


async def test_faults_have_the_services_words(app: SandboxApp) -> None:
    await app.fault("rate_limit", retry_after=7, times=1)
    limited = await transcribe(app)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    assert error(limited)["code"] == "rate_limit_exceeded"
    await app.fault("server_error", match={"platform": "transcription"}, times=1)
    broken = await transcribe(app)
    assert (broken.status_code, error(broken)["type"]) == (500, "server_error")
    await app.fault("expired_token", match={"token": "sk-test"}, times=1)
    assert error(await transcribe(app))["code"] == "invalid_api_key"
    await app.fault("code", code="insufficient_quota", status=429, message="No money.", times=1)
    poor = await transcribe(app)
    assert (poor.status_code, error(poor)) == (
        429,
        {
            "message": "No money.",
            "type": "invalid_request_error",
            "param": None,
            "code": "insufficient_quota",
        },
    )
    assert (await transcribe(app)).status_code == 200


async def test_another_path_or_method(app: SandboxApp) -> None:
    assert (await app.http.get(PATH, headers=KEY)).status_code == 404
    assert (await app.http.post("/transcription/v1/audio/speech", headers=KEY)).status_code == 404


async def test_what_was_asked_is_on_record_without_the_key_and_the_sound(app: SandboxApp) -> None:
    await transcribe(app, film(), "a.mp4", key="sk-very-secret", response_format="vtt")
    (record,) = await app.received(kind="transcription")
    assert (record["file"], record["size"], record["status"]) == ("a.mp4", len(film()), 200)
    assert record["params"] == {"model": "whisper-1", "response_format": "vtt"}
    assert "sk-very-secret" not in str(record)
    stats = (await app.http.get("/_sandbox/stats")).json()["platforms"]["transcription"]
    assert stats == {PATH: {"200": 1}}
