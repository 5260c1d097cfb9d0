"""Names are resolved beside any number of names whose servers never answer."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from common.errors import BlockedAddress
from common.http import create_client
from common.http import resolver as resolving
from common.http.resolver import DnsResolver
from tests.support.polling import eventually

PUBLIC = "93.184.215.14"
A, AAAA = 1, 28


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Answers for `good.*` and `inside.*`, knows nothing of `unknown.*`, and is silent about the rest."""

    asked: Counter[str] = field(default_factory=Counter)
    addresses: dict[str, str] = field(default_factory=lambda: {"good": PUBLIC, "inside": "10.0.0.7"})
    port: int = 0

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 1
        kind = struct.unpack("!H", data[end : end + 2])[0]
        first = data[13 : 13 + data[12]].decode()
        self.asked[first] += 1
        if first not in self.addresses and first != "unknown":
            return
        answers = b""
        if kind == A and first in self.addresses:
            address = ip_address(self.addresses[first]).packed
            answers = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, len(address)) + address
        status = 3 if first == "unknown" else 0
        header = struct.pack(
            "!HHHHHH", struct.unpack("!H", data[:2])[0], 0x8180 | status, 1, bool(answers), 0, 0
        )
        self._transport.sendto(header + data[12 : end + 4] + answers, sender)


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[NameServer, DnsResolver]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    resolver = DnsResolver(name_servers=[f"127.0.0.1:{server.port}"])
    try:
        yield server, resolver
    finally:
        await resolver.aclose()
        transport.close()


async def test_good_names_are_resolved_while_hundreds_hang() -> None:
    async with name_server() as (server, resolver):
        threads = threading.active_count()
        hanging = [asyncio.create_task(resolver(f"hang{number}.example.com", 443)) for number in range(300)]
        await eventually(lambda: len(server.asked) == 300, within=10)
        begun = time.monotonic()
        for _ in range(20):
            assert [str(address) for address in await resolver("good.example.com", 443)] == [PUBLIC]
        assert time.monotonic() - begun < 2
        assert threading.active_count() <= threads + 1
        outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(outcome, socket.gaierror) for outcome in outcomes)


async def test_a_name_without_an_answer_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "DEADLINE", 0.5)
    async with name_server() as (_, resolver):
        begun = time.monotonic()
        with pytest.raises(OSError, match="no name server answered in time"):
            await resolver("hang.example.com", 443)
        assert 0.4 < time.monotonic() - begun < 3


@pytest.mark.parametrize("name", ["unknown", "hang"])
async def test_what_could_not_be_resolved_fails_at_once_for_a_while(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "DEADLINE", 0.5)
    now = 1_000.0
    async with name_server() as (server, _):
        resolver = DnsResolver(name_servers=[f"127.0.0.1:{server.port}"], clock=lambda: now)
        for _ in range(3):
            with pytest.raises(OSError):
                await resolver(f"{name}.example.com", 443)
        asked = server.asked[name]
        now += resolving.REMEMBERED_SECONDS + 1
        server.addresses[name] = PUBLIC
        if name == "unknown":
            server.addresses.pop(name)
            with pytest.raises(OSError):
                await resolver(f"{name}.example.com", 443)
        else:
            assert await resolver(f"{name}.example.com", 443)
        assert server.asked[name] > asked
        await resolver.aclose()


async def test_the_guard_checks_what_was_resolved() -> None:
    async with name_server() as (_, resolver), create_client(resolver=resolver) as http:
        with pytest.raises(BlockedAddress):
            await http.get("http://inside.example.com/")
        with pytest.raises(httpx.ConnectError, match="cannot be resolved"):
            await http.get("http://unknown.example.com/")


async def test_names_and_addresses_of_this_machine_need_no_name_server() -> None:
    resolver = DnsResolver()
    assert {str(address) for address in await resolver("localhost", 80)} & {"127.0.0.1", "::1"}
    assert [str(address) for address in await resolver("2001:db8::1", 80)] == ["2001:db8::1"]
    with pytest.raises(UnicodeError):
        await resolver("a" * 64 + ".example.com", 80)
    await resolver.aclose()
