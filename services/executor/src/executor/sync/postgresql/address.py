"""Where a user's database is, read from its DSN.

Nothing in a DSN may reach into this machine: no socket, no file of keys or certificates, no service file, no
environment. What we do not know is refused rather than left out: it may have been meant to protect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlsplit

from common.errors import Consequence, PlatformError
from common.models import POSTGRESQL

DEFAULT_PORT = 5_432
_HARMLESS = frozenset({"application_name", "connect_timeout", "target_session_attrs", "pgbouncer"})
"""Known, and of no consequence here."""


class Tls(Enum):
    """`sslmode`, as libpq means it. `allow` is taken for `prefer`, which asks for more."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


_MODES = {**{mode.value: mode for mode in Tls}, "allow": Tls.PREFER}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Who connects to what."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    tls: Tls = Tls.PREFER
    options: str | None = None


def parse_dsn(dsn: str, *, connection_id: str | None = None) -> DatabaseAddress:
    """`postgresql://user:password@host:port/database?sslmode=…`.

    Raises:
        PlatformError: INVALID, without repeating any part of the DSN but the names of its parameters.
    """

    def invalid(detail: str) -> PlatformError:
        return PlatformError(
            f"the connection's address cannot be used: {detail}",
            Consequence.INVALID,
            platform=POSTGRESQL,
            code="dsn",
            connection_id=connection_id,
        )

    try:
        parts = urlsplit(dsn.strip())
        port = parts.port
    except ValueError:
        # From None: the error's text holds what was to be the port, which a password with a slash may be.
        raise invalid("its host or port cannot be read") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise invalid("it must begin with postgresql://")
    if not parts.hostname or "," in parts.netloc.rpartition("@")[2]:
        raise invalid("it must name one host; sockets of this machine are not used")
    if not parts.username:
        raise invalid("it must name a user")
    host = unquote(parts.hostname)
    if host.startswith(("/", "@")):
        raise invalid("it must name one host; sockets of this machine are not used")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    mode = parameters.pop("sslmode", "prefer")
    if mode not in _MODES:
        raise invalid(f"sslmode must be one of {', '.join(_MODES)}")
    tls = _MODES[mode]
    if parameters.pop("sslrootcert", "system") != "system":
        raise invalid("sslrootcert can only be system: files of this machine are not read")
    if parameters.pop("channel_binding", "prefer") == "require":
        # Against a man in the middle: what our driver's authentication cannot prove, the certificate
        # can.
        tls = Tls.VERIFY_FULL
    options = parameters.pop("options", None)
    unknown = sorted(set(parameters) - _HARMLESS)
    if unknown:
        raise invalid(f"these parameters are not known: {', '.join(name[:40] for name in unknown)}")
    user = unquote(parts.username)
    return DatabaseAddress(
        host=host,
        port=port or DEFAULT_PORT,
        database=unquote(parts.path.removeprefix("/")) or user,
        user=user,
        password=unquote(parts.password or ""),
        tls=tls,
        options=options,
    )
