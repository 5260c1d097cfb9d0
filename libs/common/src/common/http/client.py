"""The client every service calls out with, and the guard its connections pass.

The guard stands where the connection is made, not before it: the name is resolved once, every address is
checked, and the connection goes to a checked address. A name that changes its answer between a check and
the connection (DNS rebinding) therefore gains nothing. TLS still verifies the name of the URL, and redirects,
when a caller follows them, pass the guard at every hop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import zip_longest
from typing import Any

import httpcore
import httpx

from common.errors import BlockedAddress, Consequence, RemoteError
from common.http.addresses import address_kind, check_host, check_url, is_allowed

DEFAULT_TIMEOUT = httpx.Timeout(15.0, connect=5.0)
# A receiver that closes an idle connection just when it is used again makes the outcome unknown: idle
# connections are given up before most servers do so.
DEFAULT_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=4.0)
DEFAULT_MAX_BODY = 32 * 1024 * 1024
MAX_ADDRESSES = 4
"""Addresses of one name that are tried before the connection has failed."""

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Finds the addresses of a name, best first. Raises OSError when there are none."""


class ResponseTooLarge(RemoteError):
    """The answer's body exceeds what this client reads. Less must be asked for."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is larger than {limit} bytes", Consequence.SPLIT)


class SystemResolver:
    """The system's resolver, on threads of its own.

    A lookup cannot be interrupted: names whose servers never answer would otherwise use up the few threads of
    the event loop's default executor, and stop every other lookup with them.
    """

    def __init__(self, threads: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of `host`, families alternating so that a broken one costs one attempt, not all."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        addresses = list(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))
        preferred = [address for address in addresses if address.version == addresses[0].version]
        others = [address for address in addresses if address.version != addresses[0].version]
        pairs = zip_longest(preferred, others)
        return [address for pair in pairs for address in pair if address is not None]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to the hosts the operator allows, and to nothing else."""

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        resolver: Resolver | None = None,
        connector: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allowed_hosts = frozenset(allowed_hosts)
        self._resolver = resolver or SystemResolver()
        self._connector = connector or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect to what was checked. Raises BlockedAddress."""
        allowed = is_allowed(host, port, self._allowed_hosts)
        if not allowed:
            check_host(host)
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolver(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        if not allowed:
            # One bad address condemns the name: a public receiver has no reason to mix them, an attacker has.
            # The address itself is not told: it would let a tenant read our internal DNS.
            for address in addresses:
                kind = address_kind(address)
                if kind is not None:
                    raise BlockedAddress(f"{host} resolves to a {kind} address")
        return await self._connect_any(
            addresses[:MAX_ADDRESSES], port, timeout, local_address, list(socket_options or ())
        )

    async def _connect_any(
        self,
        addresses: Sequence[Address],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[Any],
    ) -> httpcore.AsyncNetworkStream:
        clock = asyncio.get_running_loop().time
        deadline = None if timeout is None else clock() + timeout
        failure: Exception | None = None
        for index, address in enumerate(addresses):
            # Each address gets an equal share of the time that is left.
            share = None if deadline is None else max(0.0, deadline - clock()) / (len(addresses) - index)
            try:
                return await self._connector.connect_tcp(
                    str(address),
                    port,
                    timeout=share,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the name has no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: a socket in the file system is ours."""
        raise BlockedAddress("sockets of this machine cannot be called")

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between its own attempts."""
        await self._connector.sleep(seconds)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """httpcore's errors as httpx's, which have the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


class _CappedStream(httpx.AsyncByteStream):
    """A body as it comes over the wire, cut off with an error at `limit` bytes."""

    def __init__(self, response: httpcore.Response, limit: int) -> None:
        self._response = response
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        with _httpx_errors():
            async for chunk in self._response.aiter_stream():
                received += len(chunk)
                if received > self._limit:
                    raise ResponseTooLarge(self._limit)
                yield chunk

    async def aclose(self) -> None:
        with _httpx_errors():
            await self._response.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpcore's pool behind a network backend of our own, which httpx's transport does not let us choose.

    The request extension `max_body` overrides the client's own for one request, in bytes.
    """

    def __init__(
        self,
        backend: httpcore.AsyncNetworkBackend,
        *,
        limits: httpx.Limits,
        ssl_context: ssl.SSLContext,
        allowed_hosts: Collection[str] | None,
        max_body: int,
    ) -> None:
        self._allowed_hosts = allowed_hosts
        self._max_body = max_body
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises BlockedAddress, httpx.TransportError, ResponseTooLarge."""
        if self._allowed_hosts is not None:
            check_url(request.url, self._allowed_hosts)
        sent = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        limit = int(request.extensions.get("max_body", self._max_body))
        with _httpx_errors():
            received = await self._pool.handle_async_request(sent)
        return httpx.Response(
            received.status,
            headers=received.headers,
            stream=_CappedStream(received, limit),
            extensions=received.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        with _httpx_errors():
            await self._pool.aclose()


def create_client(
    *,
    timeout: httpx.Timeout | float = DEFAULT_TIMEOUT,
    limits: httpx.Limits = DEFAULT_LIMITS,
    allowed_hosts: Collection[str] = (),
    user_agent: str = "Carillon",
    guard: bool = True,
    max_body: int = DEFAULT_MAX_BODY,
    ssl_context: ssl.SSLContext | None = None,
    resolver: Resolver | None = None,
) -> httpx.AsyncClient:
    """A client for calls to other people's services; close it with `aclose`.

    It follows no redirect and keeps no cookie, since one client serves every tenant. Proxies named in the
    environment are ignored: a proxy would resolve names where the guard does not see it. Certificates are
    checked against the default trust store; `SSL_CERT_FILE` names another.

    Args:
        timeout: for each step of a request, in seconds; not for the request as a whole.
        limits: of the connection pool.
        allowed_hosts: `OUTBOUND_ALLOWED_HOSTS`, let through although their addresses are private.
        user_agent: sent with every request.
        guard: False lets every address through. For tools a person runs; no service does so.
        max_body: bytes of an answer, as they come over the wire, beyond which ResponseTooLarge is raised.
        ssl_context: another trust store.
        resolver: another way to resolve names.
    """
    backend = GuardedBackend(allowed_hosts, resolver=resolver) if guard else httpcore.AnyIOBackend()
    transport = GuardedTransport(
        backend,
        limits=limits,
        ssl_context=ssl_context or httpx.create_ssl_context(),
        allowed_hosts=frozenset(allowed_hosts) if guard else None,
        max_body=max_body,
    )
    return httpx.AsyncClient(
        transport=transport,
        timeout=timeout,
        headers={"user-agent": user_agent},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
        trust_env=False,
    )
