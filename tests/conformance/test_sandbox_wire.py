"""The sandbox behind a real socket: what an HTTP client sees when a connection goes wrong."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.main import SandboxServer
from sandbox.settings import Settings

BOT = "/bot123456:" + "A" * 35
DEADLINE = 10.0


class Running:
    """A sandbox served on a port of its own."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.server = SandboxServer(replace(Settings(), port=self.port))
        self._serving = asyncio.create_task(self.server.serve(sockets=[self._socket]))
        self.http = httpx.AsyncClient(base_url=self.origin, timeout=DEADLINE)

    async def stop(self) -> None:
        self.server.should_exit = True
        async with asyncio.timeout(DEADLINE):
            await self._serving
        await self.http.aclose()
        self._socket.close()

    async def fault(self, kind: str, **description: Any) -> None:
        (await self.http.post("/_sandbox/faults", json={"kind": kind, **description})).raise_for_status()

    async def send(self, text: str = "x") -> httpx.Response:
        return await self.http.post(f"{BOT}/sendMessage", json={"chat_id": 1, "text": text})

    async def delivered(self) -> int:
        answer = await self.http.get("/_sandbox/received/count", params={"kind": "telegram"})
        number: int = answer.json()["count"]
        return number

    async def raw(self, request: bytes) -> tuple[bytes, bool]:
        """What came back on a bare connection, and whether it ended in a reset."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = b""
        try:
            writer.write(request)
            async with asyncio.timeout(DEADLINE):
                while part := await reader.read(65536):
                    received += part
        except ConnectionResetError:
            return received, True
        finally:
            writer.close()
        return received, False


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    made = Running()
    yield made
    await made.stop()


def message(text: str = "x") -> bytes:
    body = f'{{"chat_id":1,"text":"{text}"}}'.encode()
    head = (
        f"POST {BOT}/sendMessage HTTP/1.1\r\nhost: sandbox\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def test_a_reset_is_a_real_one_and_the_message_is_lost(running: Running) -> None:
    await running.fault("reset", times=1)
    assert await running.raw(message()) == (b"", True)
    assert await running.delivered() == 0
    assert (await running.send()).status_code == 200


async def test_a_reset_midway_through_the_answer_leaves_the_message_delivered(running: Running) -> None:
    await running.fault("reset", stage="answer", times=1)
    received, was_reset = await running.raw(message())
    assert was_reset
    assert b'"ok":true,"result"' not in received or not received.endswith(b"}")
    assert await running.delivered() == 1


async def test_clients_see_a_reset_as_a_failed_read(running: Running) -> None:
    await running.fault("reset", times=1)
    with pytest.raises(httpx.ReadError):
        await running.send()


async def test_a_truncated_answer_promises_more_than_it_brings(running: Running) -> None:
    await running.fault("truncated", times=1)
    received, was_reset = await running.raw(message("a text of some length"))
    head, _, body = received.partition(b"\r\n\r\n")
    promised = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert not was_reset
    assert len(body) == promised // 2
    assert head.startswith(b"HTTP/1.1 200 OK")
    await running.fault("truncated", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await running.send()
    assert await running.delivered() == 2


async def test_a_slow_answer_holds_up_nobody_else(running: Running) -> None:
    await running.fault("slow", seconds=DEADLINE, match={"chat": "1"}, times=1)
    slow = asyncio.create_task(running.send())
    struck = {"kind": "fault", "at_least": "1", "wait": str(DEADLINE / 2)}
    assert (await running.http.get("/_sandbox/received/count", params=struck)).json()["count"] == 1
    async with asyncio.timeout(DEADLINE / 2):
        assert (await running.send()).status_code == 200
    assert not slow.done()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_a_connection_is_used_again_after_an_error(running: Running) -> None:
    await running.fault("server_error", times=1)
    received, _ = await running.raw(
        message() + message().replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    )
    assert received.count(b"HTTP/1.1 ") == 2
    assert received.startswith(b"HTTP/1.1 500")
    assert b"HTTP/1.1 200 OK" in received


async def test_next_leads_to_the_port_that_was_asked(running: Running) -> None:
    params = {"access_token": "sandbox-fb-wire", "limit": "1"}
    first = (await running.http.get("/v26.0/me/adaccounts", params=params)).json()
    assert first["paging"]["next"].startswith(f"{running.origin}/v26.0/")
    second = (await running.http.get(first["paging"]["next"])).json()
    assert second["data"][0]["id"] != first["data"][0]["id"]


async def test_a_burst_arrives_whole_and_in_order(running: Running) -> None:
    async def talk(speaker: int) -> None:
        for number in range(speaker, 300, 10):
            assert (await running.send(f"n{number}")).status_code == 200

    await asyncio.gather(*(talk(speaker) for speaker in range(10)))
    answer = await running.http.get("/_sandbox/received", params={"kind": "telegram", "limit": 1000})
    records = answer.json()["messages"]
    assert {record["text"] for record in records} == {f"n{number}" for number in range(300)}
    assert [record["message_id"] for record in records] == list(range(1, 301))


async def test_a_hang_up_before_the_end_of_the_request_has_no_effect(running: Running) -> None:
    whole = message()
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(whole[:-5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await running.send()).status_code == 200
    assert await running.delivered() == 1


async def test_stopping_lets_long_polls_go_at_once() -> None:
    running = Running()
    poll = asyncio.create_task(
        running.http.get("/_sandbox/received", params={"after": 1, "wait": 60}, timeout=70)
    )
    assert (await running.http.get("/healthz")).status_code == 200
    await running.stop()
    async with asyncio.timeout(DEADLINE):
        answer = await poll
    assert answer.json()["messages"] == []
