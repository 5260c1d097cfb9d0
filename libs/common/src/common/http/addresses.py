"""Which addresses may be called. Pure: no name is resolved here.

The tables follow IANA's special-purpose registries (RFC 6890 and its updates). `ipaddress.is_global` is not
used: what it answers for the tunnelling prefixes differs between patch releases of Python.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from common.errors import BlockedAddress

MAX_URL = 2_048
"""Longest URL accepted, in characters."""

_IPV4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_IPV6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")

# Names that never lead to the public Internet: RFC 6761, RFC 6762, RFC 8375 and ICANN's `internal`.
_PRIVATE_SUFFIXES = ("localhost", "local", "internal", "home.arpa", "localdomain", "lan", "intranet", "corp")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


def address_kind(address: IPv4Address | IPv6Address) -> str | None:
    """What makes `address` one that must not be called, in a word or two; None for a public address."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _IPV4 if address in network), None)
    if address.scope_id is not None:
        return "zoned"
    kind = next((kind for network, kind in _IPV6 if address in network), None)
    if kind is None and address not in _GLOBAL_UNICAST:
        return "reserved"
    return kind


def is_allowed(host: str, port: int, allowed_hosts: Collection[str]) -> bool:
    """Whether the operator lets `host` through whatever its address is.

    Entries are `host` for every port or `host:port` for one, lower case, an IPv6 address in brackets; they
    match the host as the URL spells it, not the address behind it.
    """
    name = _normal(host)
    spelled = f"[{name}]" if ":" in name else name
    return spelled in allowed_hosts or f"{spelled}:{port}" in allowed_hosts


def check_host(host: str) -> None:
    """Refuse a host that cannot be public, going by its spelling alone. Raises BlockedAddress."""
    name = _normal(host)
    if ":" in name:
        try:
            kind = address_kind(IPv6Address(name))
        except AddressValueError:
            raise BlockedAddress("the host is not a valid IPv6 address") from None
        if kind is not None:
            raise BlockedAddress(f"the host is a {kind} address")
        return
    labels = name.split(".")
    # As browsers decide it: a host whose last label is a number is an IPv4 address or nothing. Only the four
    # decimal numbers are let through: system resolvers read 0x7f.1, 2130706433 and 010.0.0.1 each their way.
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            address = ip_address(name)
        except ValueError:
            raise BlockedAddress("an IPv4 address must be written as four decimal numbers") from None
        kind = address_kind(address)
        if kind is not None:
            raise BlockedAddress(f"the host is a {kind} address")
        return
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BlockedAddress("the host is not a valid name")
    if len(labels) == 1 or any(name == suffix or name.endswith("." + suffix) for suffix in _PRIVATE_SUFFIXES):
        raise BlockedAddress("the host is a name of a private network")


def check_url(url: str | httpx.URL, allowed_hosts: Collection[str] = ()) -> None:
    """Refuse a URL that must not be called, without asking DNS. Raises BlockedAddress.

    Only http and https, no credentials, no zone id; any port from 1 to 65535, because receivers listen where
    they like and it is the address that decides whether they are ours. A name that passes here can still
    resolve to a private address: that is decided for every connection, by the client.
    """
    if isinstance(url, str):
        if len(url) > MAX_URL:
            raise BlockedAddress(f"the URL is longer than {MAX_URL} characters")
        if not url.isprintable() or " " in url or "\\" in url:
            raise BlockedAddress("the URL contains characters that do not belong in one")
        try:
            url = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise BlockedAddress("this is not a valid URL") from None
    if url.scheme not in ("http", "https"):
        raise BlockedAddress("only http and https URLs can be called")
    if url.userinfo:
        raise BlockedAddress("the URL must not contain a user name or a password")
    host = url.raw_host.decode("ascii")
    if not host:
        raise BlockedAddress("the URL names no host")
    port = port_of(url)
    if not 1 <= port <= 65_535:
        raise BlockedAddress("the port must be between 1 and 65535")
    if not is_allowed(host, port, allowed_hosts):
        check_host(host)


def port_of(url: httpx.URL) -> int:
    """The port a URL leads to, the scheme's own when it names none."""
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def _normal(host: str) -> str:
    name = host.lower().strip("[]").removesuffix(".")
    if ":" not in name:
        return name
    try:
        return IPv6Address(name).compressed
    except AddressValueError:
        return name
