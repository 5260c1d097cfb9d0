"""What an address of the services' database may ask for, and what is refused in one line."""

from __future__ import annotations

import pytest

from common.database.address import connect_arguments, unsupported

BASE = "postgresql://ada:hunter2@db.example:5432/carillon"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?sslmode=require",
        "?sslmode=verify-full&sslrootcert=system",
        "?sslmode=require&channel_binding=require",
        "?sslmode=verify-ca&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&sslpassword=x&sslcrl=/crl.pem",
        "?sslnegotiation=direct&sslmode=require&ssl_min_protocol_version=TLSv1.3",
        "?options=-c%20search_path%3Dx&application_name=a&connect_timeout=3&gssencmode=disable",
    ],
)
def test_what_libpq_means_is_followed(query: str) -> None:
    assert unsupported(BASE + query) is None


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?sslmod=require", "the parameter sslmod is not supported"),
        (
            "?sslmode=required",
            "sslmode must be one of allow, disable, prefer, require, verify-ca, verify-full",
        ),
        ("?gssencmode=require", "gssencmode must be one of disable, prefer"),
        ("?sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        ("?require_auth=none", "the parameter require_auth is not supported"),
        ("?hunter3", "its parameters cannot be read"),
    ],
)
def test_what_cannot_be_followed_is_said_in_one_line(query: str, reason: str) -> None:
    assert unsupported(BASE + query) == reason


def test_the_driver_is_given_no_parameter_it_would_send_to_the_server() -> None:
    given = connect_arguments(f"{BASE}?sslmode=require&connect_timeout=3&gssencmode=prefer&keepalives=1")
    assert given == {"dsn": f"{BASE}?sslmode=require"}
