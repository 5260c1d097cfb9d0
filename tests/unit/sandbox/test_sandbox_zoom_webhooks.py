import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.loopback import NotLoopback, post
from sandbox.zoom.events import encrypted_token, signature
from tests.unit.sandbox.conftest import SandboxApp
from tests.unit.sandbox.zoom_calls import ACCOUNT_ID, add, control

SECRET = "zoomsecret"
PLAIN = "q9ibPhGeRZ6ayx5WTrXjRw"
PROOF = "9be468661fbe97b448005da1d96db96de73be61f65ba136ee8f6ec78cded814c"
"""HMAC-SHA256 of the token under the secret, as a receiver has to answer."""


class Receiver:
    """An HTTP server of an app that takes webhooks and answers as it is told."""

    def __init__(self) -> None:
        self.answer = (204, b"")
        self.silent = False
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")[1:-2]
        headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status, content = self.answer
        if not self.silent:
            told = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nX-Who: app\r\n\r\n"
            writer.write(told.encode() + content)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/zoom?tenant=1"
    async with server:
        yield made


async def send(app: SandboxApp, **description: Any) -> dict[str, Any]:
    return await control(app, "POST", "/webhooks", {"secret": SECRET, **description})


def test_signatures_are_those_of_the_vendors_description() -> None:
    body = b'{"event":"endpoint.url_validation"}'
    expected = "v0=33c1256160e593c3fac69c723bee1460be1bd4b90b36161e1d9c3b1b81a758c1"
    assert signature(SECRET, "1762300000", body) == expected
    assert encrypted_token(SECRET, PLAIN) == PROOF


async def test_an_event_arrives_signed(app: SandboxApp, receiver: Receiver) -> None:
    meeting = await add(app, topic="Kick-off")
    told = await send(app, url=receiver.url, recording=meeting["uuid"])
    ((headers, body),) = receiver.requests
    assert headers["x-zm-request-timestamp"] == str(int(app.clock.now()))
    assert headers["x-zm-signature"] == signature(SECRET, headers["x-zm-request-timestamp"], body)
    assert headers["content-type"] == "application/json; charset=utf-8"
    event = json.loads(body)
    assert (event["event"], event["event_ts"]) == ("recording.completed", int(app.clock.now()) * 1000)
    assert event["payload"]["account_id"] == ACCOUNT_ID
    shown = event["payload"]["object"]
    assert (shown["uuid"], shown["topic"], shown["on_prem"]) == (meeting["uuid"], "Kick-off", False)
    assert shown["password"] == shown["recording_play_passcode"]
    assert shown["recording_files"] == meeting["recording_files"]
    assert (told["answer"]["status"], told["answer"]["headers"]["x-who"]) == (204, "app")
    assert told["request"]["body"].encode() == body


async def test_its_token_opens_its_files_for_a_day_and_no_others(app: SandboxApp) -> None:
    mine, other = await add(app), await add(app)
    event = json.loads((await send(app, recording=mine["uuid"]))["request"]["body"])
    headers = {"authorization": f"Bearer {event['download_token']}"}

    async def kind(meeting: dict[str, Any]) -> str:
        url = meeting["recording_files"][0]["download_url"]
        answer = await app.http.get(url, headers=headers, follow_redirects=True)
        return answer.headers["content-type"].partition(";")[0]

    assert (await kind(mine), await kind(other)) == ("video/mp4", "text/html")
    app.clock.advance(86_399)
    assert await kind(mine) == "video/mp4"
    app.clock.advance(1)
    assert await kind(mine) == "text/html"


async def test_a_transcript_has_an_event_of_its_own(app: SandboxApp) -> None:
    told = await send(app, event="recording.transcript_completed", recording={"topic": "New"})
    shown = json.loads(told["request"]["body"])["payload"]["object"]
    assert shown["topic"] == "New"
    assert [file["file_type"] for file in shown["recording_files"]] == ["TRANSCRIPT"]


async def test_without_a_recording_it_is_the_newest_that_is_ready(app: SandboxApp) -> None:
    newest = await add(app)
    shown = json.loads((await send(app))["request"]["body"])["payload"]["object"]
    assert shown["uuid"] == newest["uuid"]
    by_number = json.loads((await send(app, recording=newest["id"]))["request"]["body"])
    assert by_number["payload"]["object"]["uuid"] == newest["uuid"]


async def test_a_receiver_proves_that_it_knows_the_secret(app: SandboxApp, receiver: Receiver) -> None:
    for content, valid in (
        ({"plainToken": PLAIN, "encryptedToken": PROOF}, True),
        ({"plainToken": PLAIN, "encryptedToken": PROOF[::-1]}, False),
        ([], False),
    ):
        receiver.answer = (200, json.dumps(content).encode())
        told = await send(app, url=receiver.url, event="endpoint.url_validation", plain_token=PLAIN)
        assert told["valid"] is valid
    receiver.answer = (200, b"ok")
    assert (await send(app, url=receiver.url, event="endpoint.url_validation"))["valid"] is False
    event = json.loads(receiver.requests[0][1])
    assert event["payload"] == {"plainToken": PLAIN}
    assert "download_token" not in event


async def test_a_timestamp_of_another_time(app: SandboxApp) -> None:
    told = await send(app, event="endpoint.url_validation", timestamp=1762300000)
    headers, body = told["request"]["headers"], told["request"]["body"]
    assert headers["x-zm-request-timestamp"] == "1762300000"
    assert headers["x-zm-signature"] == signature(SECRET, "1762300000", body.encode())
    assert "answer" not in told


async def test_a_receiver_that_hangs_up_is_told_of(app: SandboxApp, receiver: Receiver) -> None:
    receiver.silent = True
    told = await send(app, url=receiver.url)
    assert told["answer"]["status"] == 0
    assert told["answer"]["error"]
    (record,) = await app.received(kind="zoom_webhook")
    assert (record["event"], record["status"]) == ("recording.completed", 0)


async def test_secrets_of_events_are_not_on_record(app: SandboxApp, receiver: Receiver) -> None:
    told = await send(app, url=receiver.url)
    text = (await app.http.get("/_sandbox/received")).text
    assert SECRET not in text
    assert json.loads(told["request"]["body"])["download_token"] not in text


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/hook",
        "http://0.0.0.0:1/hook",
        "http://169.254.169.254/latest",
        "http://[2001:db8::1]/hook",
        "https://127.0.0.1/hook",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/",
        "http:///hook",
        "127.0.0.1",
    ],
)
async def test_nothing_is_sent_to_another_machine(app: SandboxApp, url: str) -> None:
    answer = await app.http.post("/_sandbox/zoom/webhooks", json={"secret": SECRET, "url": url})
    assert (answer.status_code, answer.json()["field"]) == (400, "url")
    with pytest.raises(NotLoopback):
        await post(url, {}, b"", 1.0)


@pytest.mark.parametrize(
    ("description", "field"),
    [
        ({}, "secret"),
        ({"secret": 5}, "secret"),
        ({"secret": SECRET, "event": "meeting.exploded"}, "event"),
        ({"secret": SECRET, "recording": "nobody"}, "recording"),
        ({"secret": SECRET, "recording": 5}, "recording"),
        ({"secret": SECRET, "recording": []}, "recording"),
        ({"secret": SECRET, "recording": {"topic": 5}}, "topic"),
        ({"secret": SECRET, "timestamp": -1}, "timestamp"),
        ({"secret": SECRET, "colour": "red"}, "colour"),
    ],
)
async def test_an_event_that_makes_no_sense(app: SandboxApp, description: dict[str, Any], field: str) -> None:
    answer = await app.http.post("/_sandbox/zoom/webhooks", json=description)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
