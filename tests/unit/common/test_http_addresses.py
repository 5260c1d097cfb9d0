"""Which URLs and addresses may be called."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BlockedAddress
from common.http import check_url
from common.http.addresses import MAX_URL, address_kind

PRIVATE_V4 = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
PRIVATE_V6 = [
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80e::200e",
]


@pytest.mark.parametrize("address", PRIVATE_V4 + PRIVATE_V6)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert address_kind(ip_address(address)) is not None
    with pytest.raises(BlockedAddress):
        check_url(f"https://{host}/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_let_through(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert address_kind(ip_address(address)) is None
    check_url(f"https://{host}/hook")


@given(st.integers(0, 2**32 - 1))
def test_every_ipv4_in_ipv6_encoding_is_refused(number: int) -> None:
    inner = IPv4Address(number)
    for carrier in (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address(number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    ):
        assert address_kind(carrier) is not None, (inner, carrier)


@given(st.integers(0, 2**32 - 1))
def test_what_python_calls_private_is_never_public(number: int) -> None:
    address = IPv4Address(number)
    if address.is_private or address.is_multicast or address.is_reserved:
        assert address_kind(address) is not None


@pytest.mark.parametrize(
    "host",
    [
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "010.0.0.1",
        "8.8",
        "8.8.8.8.8",
        "0x08080808",
        "256.256.256.256",
        "127.0.0.0x1",
        "127.0.0.1.",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ],
)
def test_an_ipv4_address_is_four_decimal_numbers_or_refused(host: str) -> None:
    with pytest.raises(BlockedAddress):
        check_url(f"http://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "api.localhost",
        "postgres",
        "printer.local",
        "metadata.google.internal",
        "router.home.arpa",
        "a..example.com",
        "-a.example.com",
        "exa%6dple.com",
        "a" * 64 + ".example.com",
        ".".join(["a" * 60] * 5),
    ],
)
def test_private_and_invalid_host_names_are_refused(host: str) -> None:
    with pytest.raises(BlockedAddress):
        check_url(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com:70/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com\\@10.0.0.1/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:http/",
        "https://exam ple.com/",
        "https://example.com/\r\nHost: other",
        "https://example.com/\x00",
        "https://[fe80::1%25eth0]/",
        "https://[2606:4700:4700::1111%25eth0]/",
        "https://[::1/",
        "https://[1.2.3.4]/",
        "https://example.com/" + "a" * MAX_URL,
    ],
)
def test_urls_that_no_webhook_needs_are_refused(url: str) -> None:
    with pytest.raises(BlockedAddress):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com./hook",
        "http://EXAMPLE.com:8080/hook?key=value",
        "https://hooks.example.co.uk:65535/a/b",
        "https://xn--bcher-kva.example/",
        "https://bücher.example/",
        "https://127.0.0.1.example.com/",
    ],
)
def test_ordinary_urls_are_allowed_on_any_port(url: str) -> None:
    check_url(url)


def test_the_operator_lets_single_hosts_through() -> None:
    allowed = frozenset({"localhost:8090", "10.1.2.3", "[::1]:9000", "receiver"})
    for url in (
        "http://localhost:8090/hooks/a",
        "http://LOCALHOST.:8090/",
        "http://10.1.2.3/",
        "https://10.1.2.3:444/",
        "http://[::1]:9000/",
        "http://[0:0::1]:9000/",
        "http://receiver:1234/",
    ):
        check_url(url, allowed)
    for url in (
        "http://localhost/",
        "http://localhost:8091/",
        "http://127.0.0.1:8090/",
        "http://10.1.2.4/",
        "http://0xa.1.2.3/",
        "http://[::1]/",
        "ftp://receiver/",
        "http://user@receiver/",
    ):
        with pytest.raises(BlockedAddress):
            check_url(url, allowed)


def test_an_address_that_needs_a_zone_is_not_public() -> None:
    assert address_kind(ip_address("2606:4700:4700::1111%eth0")) == "zoned"


def test_the_refusal_does_not_repeat_the_url() -> None:
    with pytest.raises(BlockedAddress) as refused:
        check_url("https://10.0.0.1/services/T000/B000/very-secret-part")
    assert "secret" not in str(refused.value)
    assert refused.value.permanent
