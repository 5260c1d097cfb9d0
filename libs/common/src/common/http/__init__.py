"""Outbound HTTP: one client for every service, with timeouts, a cap on answers and an SSRF guard."""

from common.http.addresses import check_url, port_of
from common.http.client import DEFAULT_LIMITS, DEFAULT_TIMEOUT, RECEIVER, ResponseTooLarge, create_client
from common.http.guard import AddressGuard
from common.http.resolver import Address
from common.http.retry_after import bounded_wait, parse_retry_after

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_TIMEOUT",
    "RECEIVER",
    "Address",
    "AddressGuard",
    "ResponseTooLarge",
    "bounded_wait",
    "check_url",
    "create_client",
    "parse_retry_after",
    "port_of",
]
