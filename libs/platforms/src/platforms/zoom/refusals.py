"""What Zoom's errors ask of us: those of its sign-in, and those of its API, which have another shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from common.errors import Consequence
from platforms.calls.answers import Refusal, by_status, object_in, one_line, unreadable

_INVALID, _REAUTH, _PERM = Consequence.INVALID, Consequence.REAUTH, Consequence.PERM

OAUTH: Mapping[str, Consequence] = {
    "invalid_grant": _REAUTH,
    "invalid_client": _INVALID,
    "unauthorized_client": _INVALID,
}
OAUTH_NUMBERS: Mapping[int, Consequence] = {
    **dict.fromkeys((4733, 4734), _REAUTH),  # the code has expired, or never was one
    **dict.fromkeys((4735, 4737, 4738, 4741), _REAUTH),  # owner gone, not found, disabled, revoked
    **dict.fromkeys((4702, 4704, 4705, 4706, 4709, 4717), _INVALID),  # the app's own faults
}
"""Numbers Zoom puts into the text of a refusal, where it puts one."""
DEAD_TOKEN = "Invalid Token!"  # noqa: S105 - a vendor's sentence, not a secret
"""The reason of a refresh token that works no more, whichever `error` comes with it."""

BY_CODE: Mapping[tuple[int, int], Consequence] = {
    (401, 124): Consequence.REFRESH,
    (401, 4700): _PERM,
    (400, 200): _PERM,
    (400, 1010): _PERM,
    (400, 300): _INVALID,
    (404, 1001): Consequence.GONE,
    (404, 3001): Consequence.GONE,
    (404, 3301): Consequence.GONE,
}
MISSING_SCOPES = 4711
_NUMBER = re.compile(r"(?<!\d)4,?7\d\d(?!\d)")


def read_oauth(status: int, body: bytes) -> Mapping[str, Any] | Refusal:
    """What the token endpoint answered, or its refusal."""
    payload = object_in(body)
    if payload is None:
        return unreadable(status)
    error, reason = payload.get("error"), one_line(payload.get("reason") or payload.get("message"))
    if error is None and status < HTTPStatus.BAD_REQUEST:
        return payload
    name = error if isinstance(error, str) else ""
    return Refusal(_of_oauth(status, name, reason), name or str(status), reason or f"HTTP {status}")


def read(status: int, body: bytes) -> Mapping[str, Any] | Refusal:
    """What the API answered, or its refusal."""
    payload = object_in(body)
    if payload is None:
        return unreadable(status, body)
    if status < HTTPStatus.BAD_REQUEST:
        return payload
    number = payload.get("code")
    code = number if isinstance(number, int) and not isinstance(number, bool) else None
    return Refusal(
        consequence_of(status, code),
        str(status if code is None else code),
        one_line(payload.get("message")) or f"HTTP {status}",
    )


def consequence_of(status: int, code: int | None) -> Consequence:
    """What an error of the API asks of us, the most specific entry first."""
    if code == MISSING_SCOPES or status == HTTPStatus.FORBIDDEN:
        return _PERM
    if code is not None and (status, code) in BY_CODE:
        return BY_CODE[status, code]
    return Consequence.REFRESH if status == HTTPStatus.UNAUTHORIZED else by_status(status)


def _of_oauth(status: int, error: str, reason: str) -> Consequence:
    if DEAD_TOKEN in reason:
        return _REAUTH
    if error in OAUTH:
        return OAUTH[error]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return by_status(status)
    if number := _NUMBER.search(reason):
        return OAUTH_NUMBERS.get(int(number[0].replace(",", "")), _INVALID)
    # Any other refusal is about the app or the request, not about the person's consent.
    return _INVALID
