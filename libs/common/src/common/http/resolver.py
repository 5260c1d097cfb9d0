"""Names to addresses, without a thread for each name.

The system's resolver blocks a thread until its servers answer. Names whose servers never answer are cheap to
have, and 40 of them used up every thread: no other team's name could be resolved. c-ares (through aiodns)
waits for any number of names at once.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import zip_longest
from typing import Any

import aiodns

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Finds the addresses of a name, best first. Raises OSError when there are none."""

DEADLINE = 5.0
"""Seconds a name may take, all tries included."""
REMEMBERED_SECONDS = 5.0
"""For how long a name that could not be resolved is not asked for again."""
_MOST_REMEMBERED = 2_048
_TRY_SECONDS = 1.5
_TRIES = 3


class DnsResolver:
    """Asks the name servers of this machine, after its file of hosts.

    A name that could not be resolved fails at once for a while, so that a retry does not wait for silent
    servers again. Names that were resolved are not remembered: their owners say for how long they hold, and
    the caches of name servers keep to that.
    """

    def __init__(
        self, *, name_servers: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`name_servers`, as `address:port`, instead of the machine's."""
        self._name_servers = name_servers
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._asking: tuple[asyncio.AbstractEventLoop, aiodns.DNSResolver] | None = None

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of `host`, families alternating so that a broken one costs one attempt, not all.

        Raises OSError, and UnicodeError for what cannot be a name.
        """
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        name = host.encode("idna").decode("ascii").lower()
        self._refuse_what_failed(name)
        try:
            async with asyncio.timeout(DEADLINE):
                found = await self._resolver().getaddrinfo(name, port=port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise self._remember(name, "no name server answered in time") from None
        except aiodns.error.DNSError as error:
            raise self._remember(name, str(error.args[-1])) from None
        addresses = list(dict.fromkeys(ip_address(node.addr[0].decode()) for node in found.nodes))
        preferred = [address for address in addresses if address.version == addresses[0].version]
        others = [address for address in addresses if address.version != addresses[0].version]
        pairs = zip_longest(preferred, others)
        return [address for pair in pairs for address in pair if address is not None]

    async def aclose(self) -> None:
        """Give up what is being asked for, and close the sockets."""
        if self._asking is not None:
            _, resolver = self._asking
            self._asking = None
            await resolver.close()

    def _resolver(self) -> aiodns.DNSResolver:
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking[0] is not loop:
            options: dict[str, Any] = {"timeout": _TRY_SECONDS, "tries": _TRIES}
            if self._name_servers:
                options["nameservers"] = self._name_servers
            self._asking = (loop, aiodns.DNSResolver(loop=loop, **options))
        return self._asking[1]

    def _refuse_what_failed(self, name: str) -> None:
        until, reason = self._failed.get(name, (0.0, ""))
        if self._clock() < until:
            raise socket.gaierror(socket.EAI_NONAME, reason)

    def _remember(self, name: str, reason: str) -> OSError:
        self._failed[name] = (self._clock() + REMEMBERED_SECONDS, reason)
        self._failed.move_to_end(name)
        while len(self._failed) > _MOST_REMEMBERED:
            self._failed.popitem(last=False)
        return socket.gaierror(socket.EAI_NONAME, reason)
