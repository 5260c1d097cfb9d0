"""Where the services' own database is, as libpq reads its address.

asyncpg knows libpq's parameters for TLS; SQLAlchemy hands everything in an address to the driver as
arguments, which refuses them. So the address is read here for both, and what cannot be followed is refused.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FOR_TLS = frozenset({
    "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
})  # fmt: skip
_OF_THE_DRIVER = _FOR_TLS | {
    "host", "port", "dbname", "user", "password", "passfile", "service", "target_session_attrs", "options",
    "application_name", "krbsrvname", "gsslib",
}  # fmt: skip
_HARMLESS = frozenset({
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout", "client_encoding", "fallback_application_name", "sslcompression", "sslsni",
})  # fmt: skip
"""Known to libpq, and set by Carillon itself or without effect."""
_ONLY = {
    "gssencmode": {"disable", "prefer"},
    "sslcertmode": {"allow"},
    "load_balance_hosts": {"disable"},
    "channel_binding": {"disable", "prefer", "require"},
    "sslnegotiation": {"postgres", "direct"},
    "sslmode": set(SSL_MODES),
}
"""Parameters of which some values only can be followed."""


def unsupported(database_url: str) -> str | None:
    """Why an address cannot be followed, in words that repeat nothing secret; None when it can. Pure."""
    try:
        parameters = parse_qsl(urlsplit(database_url).query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None if not urlsplit(database_url).query else "its parameters cannot be read"
    for name, value in parameters:
        if name in _ONLY and value not in _ONLY[name]:
            return f"{name} must be one of {', '.join(sorted(_ONLY[name]))}"
        if name not in _OF_THE_DRIVER | _HARMLESS | set(_ONLY):
            return f"the parameter {name[:40]} is not supported"
    given = dict(parameters)
    if given.get("sslrootcert") == "system" and given.get("sslmode", "verify-full") != "verify-full":
        return "sslrootcert=system needs sslmode=verify-full"
    return None


def connect_arguments(database_url: str) -> dict[str, Any]:
    """What `asyncpg.connect` and `asyncpg.create_pool` are given for an address: `dsn`, and perhaps `ssl`.

    The driver's authentication cannot bind to the channel. `channel_binding=require` is meant against a man
    in the middle, whom the server's certificate keeps out as well: it is taken for `sslmode=verify-full`.
    """
    parts = urlsplit(database_url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    binding = given.get("channel_binding")
    root = given.get("sslrootcert")
    kept = {name: value for name, value in given.items() if name in _OF_THE_DRIVER}
    arguments: dict[str, Any] = {}
    if binding == "require" or root == "system":
        kept["sslmode"] = "verify-full"
        if root in (None, "system"):
            kept.pop("sslrootcert", None)
            arguments["ssl"] = _trusting_the_system(kept)
    arguments["dsn"] = urlunsplit(parts._replace(query=urlencode(kept)))
    return arguments


def _trusting_the_system(given: dict[str, str]) -> ssl.SSLContext:
    """The machine's own store of authorities, which `SSL_CERT_FILE` can name."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if "sslcert" in given:
        context.load_cert_chain(given["sslcert"], given.get("sslkey"), given.get("sslpassword"))
    return context
