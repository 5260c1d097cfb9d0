"""The guard: connections go to public addresses, and to nothing else.

It stands where the connection is made, not before it: the name is resolved once, every address is checked,
and the connection goes to a checked address. A name that changes its answer between a check and the
connection (DNS rebinding) therefore gains nothing. TLS still verifies the name of the URL, because only the
connection below it is ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import httpcore

from common.errors import BlockedAddress
from common.http.addresses import address_kind, check_host, is_allowed
from common.http.resolver import Address, DnsResolver, Resolver

MAX_ADDRESSES = 4
"""Addresses of one name that are tried before the connection has failed."""


class AddressGuard:
    """Finds where a host may be called: at public addresses, or anywhere if the operator allows the host."""

    def __init__(self, allowed_hosts: Collection[str] = (), *, resolver: Resolver | None = None) -> None:
        self._allowed_hosts = frozenset(allowed_hosts)
        self._resolver = resolver or DnsResolver()

    async def addresses(self, host: str, port: int) -> Sequence[Address]:
        """The checked addresses of `host`, best first; connect to one of them and to nothing else.

        Raises:
            BlockedAddress: the host is private, or resolves to an address that is.
            OSError, UnicodeError: the name cannot be resolved.
        """
        allowed = is_allowed(host, port, self._allowed_hosts)
        if not allowed:
            check_host(host)
        addresses = await self._resolver(host, port)
        if not allowed:
            # One bad address condemns the name: a public receiver has no reason to mix them, an attacker has.
            # The address itself is not told: it would let a tenant read our internal DNS.
            for address in addresses:
                kind = address_kind(address)
                if kind is not None:
                    raise BlockedAddress(f"{host} resolves to a {kind} address")
        return addresses[:MAX_ADDRESSES]

    async def aclose(self) -> None:
        """Close the resolver's sockets."""
        if isinstance(self._resolver, DnsResolver):
            await self._resolver.aclose()


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to the hosts the operator allows, and to nothing else."""

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        resolver: Resolver | None = None,
        connector: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._guard = AddressGuard(allowed_hosts, resolver=resolver)
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
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._guard.addresses(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        return await self._connect_any(addresses, port, timeout, local_address, list(socket_options or ()))

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

    async def aclose(self) -> None:
        """Close what names are resolved with."""
        await self._guard.aclose()

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between its own attempts."""
        await self._connector.sleep(seconds)
