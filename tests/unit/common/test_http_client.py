"""The guard at the connection, without a network: names and connections are made up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx
import pytest

from common.errors import BlockedAddress, Consequence
from common.http import ResponseTooLarge, create_client
from common.http.client import GuardedTransport
from common.http.guard import GuardedBackend
from common.http.resolver import Address

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Names:
    """A resolver whose every lookup takes the next of the prepared answers, and then repeats the last."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append((host, port))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [ip_address(address) for address in answer]


class Stream(httpcore.AsyncNetworkStream):
    """A connection that answers whatever is written."""

    def __init__(self, response: bytes, connections: Connections) -> None:
        self._response = response
        self._connections = connections

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        chunk, self._response = self._response[:max_bytes], self._response[max_bytes:]
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._connections.written.append(buffer)

    async def aclose(self) -> None:
        self._connections.closed += 1

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        assert ssl_context.check_hostname
        assert ssl_context.verify_mode is ssl.CERT_REQUIRED
        self._connections.tls_names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


class Connections(httpcore.AsyncNetworkBackend):
    """Where connections would go; addresses in `dead` do not answer."""

    def __init__(self, response: bytes = OK, dead: Iterable[str] = ()) -> None:
        self.response = response
        self.dead = frozenset(dead)
        self.made: list[tuple[str, int]] = []
        self.timeouts: list[float | None] = []
        self.tls_names: list[str | None] = []
        self.written: list[bytes] = []
        self.closed = 0

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.made.append((host, port))
        self.timeouts.append(timeout)
        if host in self.dead:
            raise httpcore.ConnectError("refused")
        return Stream(self.response, self)


def client(
    names: Names, connections: Connections, *, allowed: Iterable[str] = (), max_body: int = 1_000
) -> httpx.AsyncClient:
    hosts = frozenset(allowed)
    transport = GuardedTransport(
        GuardedBackend(hosts, resolver=names, connector=connections),
        limits=httpx.Limits(max_keepalive_connections=0),
        ssl_context=httpx.create_ssl_context(),
        allowed_hosts=hosts,
        max_body=max_body,
    )
    return httpx.AsyncClient(transport=transport, timeout=5.0)


async def test_the_connection_goes_to_the_checked_address_and_tls_to_the_name() -> None:
    names, connections = Names(["93.184.215.14"]), Connections()
    async with client(names, connections) as http:
        answer = await http.get("https://hooks.example.com:8443/path")
    assert answer.text == "ok"
    assert names.asked == [("hooks.example.com", 8443)]
    assert connections.made == [("93.184.215.14", 8443)]
    assert connections.tls_names == ["hooks.example.com"]
    assert b"Host: hooks.example.com:8443\r\n" in b"".join(connections.written)


async def test_a_rebinding_name_is_resolved_once_per_connection() -> None:
    names, connections = Names(["93.184.215.14"], ["127.0.0.1"]), Connections()
    async with client(names, connections) as http:
        await http.get("http://rebinding.example.com/")
        assert len(names.asked) == 1
        with pytest.raises(BlockedAddress):
            await http.get("http://rebinding.example.com/")
    assert connections.made == [("93.184.215.14", 80)]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["93.184.215.14", "192.168.0.1"],
        ["2606:4700:4700::1111", "fd00::1"],
    ],
)
async def test_a_name_with_a_private_address_is_refused_before_connecting(addresses: list[str]) -> None:
    connections = Connections()
    async with client(Names(addresses), connections) as http:
        with pytest.raises(BlockedAddress) as refused:
            await http.get("http://innocent.example.com/secret-path")
    assert connections.made == []
    detail = str(refused.value)
    assert "innocent.example.com" in detail
    assert "secret-path" not in detail
    assert not any(address in detail for address in addresses)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5432/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
        "http://localhost/",
        "http://postgres:5432/",
        "http://user:password@example.com/",
        "ftp://example.com/",
    ],
)
async def test_urls_refused_by_their_text_need_no_lookup(url: str) -> None:
    names, connections = Names(["93.184.215.14"]), Connections()
    async with client(names, connections) as http:
        with pytest.raises(BlockedAddress):
            await http.get(url)
    assert names.asked == []
    assert connections.made == []


async def test_the_backend_refuses_odd_spellings_by_itself() -> None:
    backend = GuardedBackend(resolver=Names(["93.184.215.14"]), connector=Connections())
    for host in ("0x7f.1", "localhost", "::1", "10.0.0.1"):
        with pytest.raises(BlockedAddress):
            await backend.connect_tcp(host, 80)
    with pytest.raises(BlockedAddress):
        await backend.connect_unix_socket("/run/docker.sock")


async def test_every_hop_of_a_redirect_passes_the_guard() -> None:
    connections = Connections(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    )
    async with client(Names(["93.184.215.14"]), connections) as http:
        with pytest.raises(BlockedAddress):
            await http.get("http://example.com/", follow_redirects=True)
    assert connections.made == [("93.184.215.14", 80)]


async def test_hosts_the_operator_allows_may_have_private_addresses() -> None:
    names, connections = Names(["10.0.0.5"]), Connections()
    async with client(names, connections, allowed=["receiver:8080"]) as http:
        assert (await http.get("http://receiver:8080/")).text == "ok"
        with pytest.raises(BlockedAddress):
            await http.get("http://receiver:8081/")
    assert connections.made == [("10.0.0.5", 8080)]


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    names = Names(["2606:4700:4700::1111", "93.184.215.14"])
    connections = Connections(dead=["2606:4700:4700::1111"])
    async with client(names, connections) as http:
        assert (await http.get("http://example.com/")).status_code == 200
    assert connections.made == [("2606:4700:4700::1111", 80), ("93.184.215.14", 80)]
    first, second = connections.timeouts
    assert first is not None
    assert second is not None
    assert 2.0 < first <= 2.5 < second <= 5.0


async def test_the_number_of_tried_addresses_is_limited() -> None:
    addresses = [f"93.184.215.{number}" for number in range(20)]
    connections = Connections(dead=addresses)
    async with client(Names(addresses), connections) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("http://example.com/")
    assert len(connections.made) == 4


@pytest.mark.parametrize("fault", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_that_does_not_resolve_is_a_connection_error(fault: Exception) -> None:
    async with client(Names(fault), Connections()) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("http://missing.example.com/")


async def test_a_name_that_resolves_to_nothing_is_a_connection_error() -> None:
    async with client(Names([]), Connections()) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("http://empty.example.com/")


async def test_a_lookup_that_takes_too_long_is_a_connect_timeout() -> None:
    async def never(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    backend = GuardedBackend(resolver=never, connector=Connections())
    with pytest.raises(httpcore.ConnectTimeout):
        await backend.connect_tcp("slow.example.com", 80, timeout=0.01)


@pytest.mark.parametrize(
    "head", [b"content-length: 5000\r\n", b"transfer-encoding: chunked\r\n"], ids=["length", "chunked"]
)
async def test_a_response_over_the_cap_is_cut_off(head: bytes) -> None:
    body = b"x" * 5000 if b"length" in head else b"%x\r\n" % 5000 + b"x" * 5000 + b"\r\n0\r\n\r\n"
    connections = Connections(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
    async with client(Names(["93.184.215.14"]), connections) as http:
        with pytest.raises(ResponseTooLarge) as refused:
            await http.get("http://example.com/")
        assert refused.value.consequence is Consequence.SPLIT
        raised = await http.get("http://example.com/", extensions={"max_body": 5000})
        assert len(raised.content) == 5000
    assert connections.closed >= 1


async def test_a_broken_response_raises_an_httpx_error() -> None:
    async with client(Names(["93.184.215.14"]), Connections(b"SSH-2.0-OpenSSH_9.9\r\n")) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("http://example.com/")
    short = Connections(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort")
    async with client(Names(["93.184.215.14"]), short) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("http://example.com/")


async def test_the_client_keeps_no_cookies_follows_nothing_and_ignores_proxies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://10.0.0.1:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://10.0.0.1:3128")
    async with create_client(user_agent="Carillon-Test") as http:
        request = http.build_request("GET", "https://example.com/")
        answer = httpx.Response(200, headers={"set-cookie": "a=b"}, request=request)
        http.cookies.extract_cookies(answer)
        assert not http.cookies.jar
        assert not http.follow_redirects
        assert request.headers["user-agent"] == "Carillon-Test"
        with pytest.raises(BlockedAddress):
            await http.get("https://localhost/")
