"""Posting to a program on this machine, and nowhere else."""

import asyncio
import http.client
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_LARGEST_ANSWER = 64 * 1024


class NotLoopback(Exception):
    """The address is not one of this machine, or none that can be posted to."""


class NoAnswer(Exception):
    """No answer came in time, or it was not HTTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver said; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def post(url: str, headers: dict[str, str], body: bytes, seconds: float) -> Reply:
    """POST to an http address of this machine. Follows no redirects; raises `NotLoopback` or `NoAnswer`."""
    parts = urlsplit(url)
    try:
        port = parts.port or 80
    except ValueError:
        raise NotLoopback("the port is none") from None
    if parts.scheme != "http" or not parts.hostname:
        raise NotLoopback("an address that begins with http:// is needed")
    address = await _resolve(parts.hostname, port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"host": parts.netloc.rpartition("@")[2], **headers}
    return await asyncio.to_thread(_post, address, port, target, headers, body, seconds)


async def _resolve(host: str, port: int) -> str:
    """The numeric address of ``host``: the one that is connected to, so that no second look-up can differ."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise NotLoopback("no host has that name") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise NotLoopback("only addresses of this machine may be posted to")
    return addresses[0]


def _post(
    address: str, port: int, target: str, headers: dict[str, str], body: bytes, seconds: float
) -> Reply:
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        content = answer.read(_LARGEST_ANSWER)
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None
    finally:
        connection.close()
