"""The sandbox's Zoom behind a real socket: downloads that break off, and events that go out."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.main import SandboxServer
from sandbox.settings import Settings

DEADLINE = 10.0
SIZE = 3_000_000
TOKEN = {"authorization": "Bearer sandbox-zoom-wire"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = SandboxServer(replace(Settings(), port=listening.getsockname()[1]))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    async with httpx.AsyncClient(base_url=origin, timeout=DEADLINE, follow_redirects=True) as client:
        yield client
    server.should_exit = True
    async with asyncio.timeout(DEADLINE):
        await serving
    listening.close()


async def film(http: httpx.AsyncClient) -> str:
    """The download address of a film of `SIZE` bytes."""
    answer = await http.post(
        "/_sandbox/zoom/recordings", json={"files": [{"file_type": "MP4", "size": SIZE}]}
    )
    url: str = answer.raise_for_status().json()["recording_files"][0]["download_url"]
    return url


async def fault(http: httpx.AsyncClient, kind: str, **description: Any) -> None:
    document = {"kind": kind, "match": {"path": "/zoom/files/*"}, "times": 1, **description}
    (await http.post("/_sandbox/faults", json=document)).raise_for_status()


async def test_a_film_arrives_whole(http: httpx.AsyncClient) -> None:
    url = await film(http)
    whole = (await http.get(url, headers=TOKEN)).content
    part = await http.get(url, headers={**TOKEN, "range": f"bytes={SIZE - 5}-"})
    assert len(whole) == SIZE
    assert (part.status_code, part.content) == (206, whole[-5:])


async def test_a_head_has_the_size_and_nothing_else(http: httpx.AsyncClient) -> None:
    answer = await http.head(await film(http), headers=TOKEN)
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(SIZE), b"")


async def test_a_truncated_film_promises_more_than_it_brings(http: httpx.AsyncClient) -> None:
    url = await film(http)
    await fault(http, "truncated")
    received: list[bytes] = []

    async def download() -> None:
        async with http.stream("GET", url, headers=TOKEN) as answer:
            assert answer.headers["content-length"] == str(SIZE)
            async for piece in answer.aiter_raw():
                received.append(piece)

    with pytest.raises(httpx.RemoteProtocolError):
        await download()
    assert sum(map(len, received)) == SIZE // 2
    assert len((await http.get(url, headers=TOKEN)).content) == SIZE


async def test_a_download_may_be_reset_midway(http: httpx.AsyncClient) -> None:
    url = await film(http)
    await fault(http, "reset", stage="answer")
    with pytest.raises(httpx.TransportError):
        await http.get(url, headers=TOKEN)


async def test_a_client_that_hangs_up_midway_holds_up_nobody(http: httpx.AsyncClient) -> None:
    url = await film(http)
    async with http.stream("GET", url, headers=TOKEN) as answer:
        await anext(answer.aiter_raw())
    assert (await http.get("/zoom/v2/users/me", headers=TOKEN)).status_code == 200


async def test_a_deletion_has_no_body(http: httpx.AsyncClient) -> None:
    number = (await http.post("/_sandbox/zoom/recordings", json={})).json()["id"]
    path = f"/zoom/v2/meetings/{number}/recordings"
    answer = await http.delete(path, headers=TOKEN)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert (await http.get(path, headers=TOKEN)).status_code == 404


async def test_a_uuid_encoded_twice_survives_the_way(http: httpx.AsyncClient) -> None:
    (await http.post("/_sandbox/zoom/recordings", json={"uuid": "/a//b+c=="})).raise_for_status()
    for encoded in ("%2Fa%2F%2Fb%2Bc%3D%3D", "%252Fa%252F%252Fb%252Bc%253D%253D"):
        answer = await http.get(f"/zoom/v2/meetings/{encoded}/recordings", headers=TOKEN)
        assert answer.json()["uuid"] == "/a//b+c=="


async def test_an_event_reaches_the_sandboxs_own_sink(http: httpx.AsyncClient) -> None:
    told = await http.post(
        "/_sandbox/zoom/webhooks", json={"secret": "s", "url": f"{http.base_url}/hooks/zoom"}
    )
    assert told.json()["answer"]["status"] == 200
    (record,) = (await http.get("/_sandbox/received", params={"hook": "zoom"})).json()["messages"]
    assert record["json"]["event"] == "recording.completed"
    assert record["headers"]["x-zm-signature"].startswith("v0=")
