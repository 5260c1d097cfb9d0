"""What follows from an error of a user's PostgreSQL.

What the server says is shown where it speaks of names and types, which the user needs to put it right; values
of rows, addresses and users are not.
"""

from __future__ import annotations

import ssl

import asyncpg

from common.errors import BlockedAddress, Consequence, PlatformError
from common.models import POSTGRESQL
from common.secrets.redaction import hide_secrets
from executor.sync.postgresql.limits import AnswerTooLarge

_BY_STATE = {
    "28000": (
        Consequence.REAUTH,
        "it refuses this user from here: give the user access, or connect it again",
    ),
    "28P01": (Consequence.REAUTH, "it refuses the password: connect it again"),
    "3D000": (Consequence.INVALID, "there is no such database"),
    "42501": (Consequence.PERM, "the user lacks a permission"),
    "25006": (Consequence.TRANSIENT, "it takes no writes for now"),
    "42701": (Consequence.TRANSIENT, "another session is creating the table"),
    "42P06": (Consequence.TRANSIENT, "another session is creating the table"),
    "42P07": (Consequence.TRANSIENT, "another session is creating the table"),
    "53100": (Consequence.TRANSIENT, "its disk is full"),
    "53300": (Consequence.TRANSIENT, "it has too many connections"),
    "55P03": (Consequence.TRANSIENT, "the table is locked by another session"),
    "57014": (Consequence.TRANSIENT, "a statement took too long"),
}
_BY_CLASS = {
    "08": (Consequence.TRANSIENT, "the connection broke off"),
    "0A": (Consequence.INVALID, "it does not support this"),
    "21": (Consequence.INVALID, "the table does not take these rows"),
    "22": (Consequence.INVALID, "the table does not take these values"),
    "23": (Consequence.INVALID, "a constraint of the table does not take these rows"),
    "3F": (Consequence.INVALID, "there is no such schema"),
    "40": (Consequence.TRANSIENT, "another session was writing the same rows"),
    "42": (Consequence.INVALID, "the table is not as it must be"),
    "53": (Consequence.TRANSIENT, "it has run out of resources"),
    "57": (Consequence.TRANSIENT, "it is starting or stopping"),
    "58": (Consequence.TRANSIENT, "it has trouble with its system"),
    "XX": (Consequence.TRANSIENT, "it has an internal error"),
}
_SAID_CLASSES = ("42", "3F", "0A")
"""Whose text names columns, types and permissions, and no values."""


class OtherProtocol(Exception):
    """What answers there is no PostgreSQL that the driver understands."""


FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # refused, reset, unresolved; ssl.SSLError and TimeoutError are among them
    BlockedAddress,
    UnicodeError,
    AnswerTooLarge,
    OtherProtocol,
)
"""What connecting and talking to a database may raise."""


def failure(error: BaseException, *, connection_id: str, secrets: tuple[str, ...] = ()) -> PlatformError:
    """The error as what follows from it. `secrets` are hidden wherever the server repeats them."""
    consequence, told, code = _meaning(error)
    said = ""
    if isinstance(error, asyncpg.PostgresError) and (code or "").startswith(_SAID_CLASSES):
        said = f" ({hide_secrets(str(error.args[0] if error.args else ''), secrets, limit=200)})"
    return PlatformError(
        f"the database cannot be written to: {told}{said}",
        consequence,
        platform=POSTGRESQL,
        code=code,
        connection_id=connection_id,
    )


def _meaning(error: BaseException) -> tuple[Consequence, str, str | None]:
    match error:
        case asyncpg.PostgresError():
            state = str(getattr(error, "sqlstate", "") or "")
            consequence, told = _BY_STATE.get(state) or _BY_CLASS.get(
                state[:2], (Consequence.TRANSIENT, "it answered with an error")
            )
            return consequence, told, state or None
        case BlockedAddress():
            return Consequence.INVALID, error.detail, "blocked_address"
        case AnswerTooLarge():
            return error.consequence, error.detail, "answer_too_large"
        case OtherProtocol():
            return Consequence.INVALID, "what answers there does not speak as PostgreSQL does", "protocol"
        case ssl.SSLCertVerificationError():
            return Consequence.INVALID, "its certificate cannot be verified", "certificate"
        case ssl.SSLError():
            return Consequence.TRANSIENT, "no secure connection came about", "tls"
        case TimeoutError():
            return Consequence.TRANSIENT, "it did not answer in time", "timeout"
        case ConnectionRefusedError():
            return Consequence.TRANSIENT, "the connection was refused", "refused"
        case UnicodeError():
            return Consequence.INVALID, "the host is not a valid name", "unresolved"
        case OSError():
            return Consequence.TRANSIENT, "it cannot be reached", "unreachable"
        case _:
            return Consequence.TRANSIENT, "the connection broke off", "connection_lost"
