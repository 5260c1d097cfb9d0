"""What is said: reading WebVTT, sending a file in a form, and what an endpoint's refusals ask of us."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx
import pytest

from common.errors import BlockedAddress, Consequence
from common.recordings.settings import TranscriptionSettings
from executor.recordings.steps.multipart import FileForm
from executor.recordings.steps.transcription_api import (
    Endpoint,
    Sound,
    SpeechToText,
    TranscriptionFailed,
    refusal,
)
from executor.recordings.steps.webvtt import is_vtt, spoken_text
from tests.support.fake_receiver import Handler, client_of

KEY = "sk-proj-0123456789abcdef"


@pytest.mark.parametrize(
    ("vtt", "text"),
    [
        ("WEBVTT\n\n00:00.000 --> 00:01.000\nHello\nthere\n", "Hello\nthere\n"),
        (
            "\ufeffWEBVTT - x\r\n\r\n1\r\n00:00.000 --> 00:01.000 align:end\r\n<v Dana>Hi &amp; bye</v>\r\n",
            "Hi & bye\n",
        ),
        ("WEBVTT\n\nNOTE 00:00 --> is no cue\nnot said\n\nSTYLE\n::cue {}\n", ""),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\nOne\n\n00:01.000 --> 00:02.000\nOne\nTwo\n", "One\nTwo\n"),
        ("WEBVTT\n\nchapter\n00:00.000 --> 00:01.000\n<00:00.500><c.x>Word</c>\n", "Word\n"),
        ("WEBVTT", ""),
        ("", ""),
    ],
    ids=["plain", "windows and voices", "notes and styles", "scrolling", "named cues", "empty", "nothing"],
)
def test_the_words_of_a_transcript(vtt: str, text: str) -> None:
    assert spoken_text(vtt) == text


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("WEBVTT", True),
        ("WEBVTT\n", True),
        ("\ufeffWEBVTT x", True),
        ("WEBVTTX", False),
        ('{"text": "x"}', False),
    ],
)
def test_how_webvtt_is_told(text: str, yes: bool) -> None:
    assert is_vtt(text) is yes


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100):
        yield content[start : start + 100]


async def test_a_multipart_form_has_its_declared_length() -> None:
    content = bytes(range(256)) * 10
    form = FileForm({"model": "m", "prompt": "Grüße\r\nan alle"}, "file", "a.m4a", "audio/mp4", len(content))
    sent = b"".join([piece async for piece in form.stream(pieces(content))])
    assert len(sent) == form.length
    message = BytesParser(policy=HTTP).parsebytes(
        f"content-type: {form.content_type}\r\n\r\n".encode() + sent
    )
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    assert set(parts) == {"model", "prompt", "file"}
    assert parts["file"].get_filename() == "a.m4a"
    assert parts["file"].get_content_type() == "audio/mp4"


def speech(http: httpx.AsyncClient, **more: Any) -> SpeechToText:
    given: dict[str, Any] = {"model": "whisper-1", "max_bytes": 1000, "timeout": 5.0, "key": KEY}
    return SpeechToText(http, Endpoint("https://speech.example/openai/", **{**given, **more}))


async def ask(handler: Handler, size: int = 500, **more: Any) -> str:
    async with client_of(handler) as http:
        sound = Sound("recording.m4a", "audio/mp4", size)
        return await speech(http, **more).transcribe(sound, pieces(bytes(size)), TranscriptionSettings())


async def failure(handler: Handler, **more: Any) -> TranscriptionFailed:
    with pytest.raises(TranscriptionFailed) as caught:
        await ask(handler, **more)
    return caught.value


async def test_the_request_is_openais() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, text="WEBVTT\n")

    assert await ask(handler) == "WEBVTT\n"
    [request] = seen
    assert str(request.url) == "https://speech.example/openai/v1/audio/transcriptions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-length"] == str(len(request.content))
    assert "transfer-encoding" not in request.headers


async def test_without_a_key_none_is_sent() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, text="WEBVTT\n")

    assert await ask(handler, key=None)


async def test_a_file_that_is_too_large_is_not_sent() -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("it was sent")

    error = await failure(handler, size=1001)
    assert (error.consequence, error.code) == (Consequence.SPLIT, "too_large")


async def test_a_response_without_a_transcript_is_rejected() -> None:
    error = await failure(lambda _: httpx.Response(200, json={"text": "Hello"}))
    assert (error.consequence, error.code) == (Consequence.INVALID, "not_vtt")


async def test_a_missing_response_is_retried_and_a_blocked_address_is_not() -> None:
    def away(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow")

    def blocked(_request: httpx.Request) -> httpx.Response:
        raise BlockedAddress("the host is a private address")

    assert (await failure(away)).consequence is Consequence.TRANSIENT
    error = await failure(blocked)
    assert error.consequence is Consequence.INVALID
    assert "OUTBOUND_ALLOWED_HOSTS" in error.detail


@pytest.mark.parametrize(
    ("status", "code", "consequence"),
    [
        (401, "invalid_api_key", Consequence.INVALID),
        (403, None, Consequence.INVALID),
        (400, "unsupported_language", Consequence.INVALID),
        (404, None, Consequence.INVALID),
        (413, None, Consequence.SPLIT),
        (429, "rate_limit_exceeded", Consequence.RATE),
        (429, "insufficient_quota", Consequence.BLOCKED),
        (500, None, Consequence.TRANSIENT),
        (503, None, Consequence.TRANSIENT),
    ],
)
def test_refusals_by_openais_table(status: int, code: str | None, consequence: Consequence) -> None:
    body = json.dumps({"error": {"message": f"No, {KEY}", "type": "x", "param": None, "code": code}}).encode()
    error = refusal(status, body, retry_after=7.0, key=KEY)
    assert (error.consequence, error.code, error.retry_after) == (consequence, code or str(status), 7.0)
    assert KEY not in error.detail


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"error": "no"}', b'{"error": [1]}', b"[1]", b'{"error": {"code": 7}}']
)
def test_refusals_of_any_shape_are_read(body: bytes) -> None:
    assert refusal(400, body, retry_after=None).consequence is Consequence.INVALID
