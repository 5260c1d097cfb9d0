"""What Facebook's errors ask of us: one table from its codes to consequences.

Facebook has no Retry-After; how long to wait comes from the usage headers, see `usage`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from common.errors import Consequence

_T, _RATE, _SPLIT = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT
_INVALID, _PERM, _GONE, _REAUTH = Consequence.INVALID, Consequence.PERM, Consequence.GONE, Consequence.REAUTH

BY_SUBCODE: Mapping[tuple[int, int], Consequence] = {
    (1, 99): _SPLIT,  # "An unknown error occurred": the query was too big
    (2, 1504038): _SPLIT,  # timed out
    (2, 1504041): _INVALID,  # combination of breakdowns
    (2, 1504042): _INVALID,  # custom metrics
    (2, 1504043): _T,
    (2, 1504044): _T,
    (-2, 2490547): _T,  # report generation failed
    (100, 33): _GONE,  # the object is missing, or hidden from this token
    (100, 1487534): _SPLIT,  # too much data for one call
    (100, 1504018): _SPLIT,  # timed out
}
BY_CODE: Mapping[int, Consequence] = {
    1: _T,
    2: _T,
    3: _PERM,
    4: _RATE,  # app
    10: _PERM,
    17: _RATE,  # ad account
    32: _RATE,  # page
    33: _GONE,
    100: _INVALID,
    102: _REAUTH,
    104: _T,
    190: _REAUTH,
    341: _RATE,
    368: Consequence.BLOCKED,
    506: _INVALID,
    613: _RATE,
    803: _GONE,
    960: _T,
    2500: _INVALID,
    2601: _INVALID,
    2635: _INVALID,  # the API's version is no longer served
    2642: _T,  # the cursor of a list has expired: the next attempt begins the list again
    2650: _T,
    3001: _INVALID,
    3018: _INVALID,  # beyond 37 months
    **dict.fromkeys((80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008, 80009, 80014), _RATE),
}
BY_RANGE: Mapping[range, Consequence] = {range(200, 300): _PERM}
_BY_STATUS: Mapping[int, Consequence] = {
    HTTPStatus.UNAUTHORIZED: _REAUTH,
    HTTPStatus.FORBIDDEN: _PERM,
    HTTPStatus.NOT_FOUND: _GONE,
    HTTPStatus.REQUEST_TIMEOUT: _T,
    HTTPStatus.TOO_MANY_REQUESTS: _RATE,
}
RETIRED_VERSION = "2635"
APP_WIDE = frozenset({4, 341})
"""Codes of limits that the whole app has reached, not one account or page."""

_ASKS_FOR_LESS = "reduce the amount of data"
_NO_TOKEN = "active access token must be used"  # noqa: S105 - a vendor's sentence, not a secret
_DOWN = b"Service Unavailable"
_UNREADABLE = "unreadable"
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class GraphFault:
    """An error as Facebook tells it, its message unchanged: that can hold a token. `code` is `code` or
    `code/subcode`."""

    consequence: Consequence
    code: str
    message: str
    app_wide: bool = False
    trace: str | None = None


def read(status: int, body: bytes) -> Mapping[str, Any] | GraphFault:
    """The JSON object an answer carries, or the error: by its body first, then by its HTTP status.

    Facebook also tells errors with status 200. An answer that is no JSON is INVALID unless its status says
    more; but a success that was cut short, or that is a proxy's "Service Unavailable", is worth another try.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        start = body[:2048].lstrip()
        return _unreadable(status, cut_short=not start or start[:1] in b"{[" or _DOWN in start)
    if not isinstance(payload, dict):
        return _unreadable(status, cut_short=False)
    error = payload.get("error")
    if isinstance(error, dict):
        return _from_envelope(status, error)
    if error is not None or payload.get("success") is False or status >= HTTPStatus.BAD_REQUEST:
        return GraphFault(_by_status(status), str(status), f"HTTP {status} without a reason")
    return payload


def consequence_of(
    code: int, subcode: int | None, *, message: str = "", is_transient: bool = False, status: int = 400
) -> Consequence:
    """What an error asks of us, the most specific entry first."""
    if subcode is not None and (code, subcode) in BY_SUBCODE:
        return BY_SUBCODE[code, subcode]
    if code == 1 and _ASKS_FOR_LESS in message:
        return _SPLIT
    if code == 2500 and _NO_TOKEN in message:
        return _REAUTH
    if code in BY_CODE:
        return BY_CODE[code]
    for codes, consequence in BY_RANGE.items():
        if code in codes:
            return consequence
    return _T if is_transient else _by_status(status)


def _from_envelope(status: int, error: Mapping[str, Any]) -> GraphFault:
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    raw = error.get("message")
    message = _SPACE.sub(" ", raw).strip() if isinstance(raw, str) else ""
    trace = error.get("fbtrace_id")
    if code is None:
        return GraphFault(_by_status(status), str(status), message)
    return GraphFault(
        consequence_of(
            code, subcode, message=message, is_transient=error.get("is_transient") is True, status=status
        ),
        f"{code}/{subcode}" if subcode is not None else str(code),
        message,
        code in APP_WIDE,
        trace if isinstance(trace, str) else None,
    )


def _unreadable(status: int, *, cut_short: bool) -> GraphFault:
    consequence = _by_status(status)
    if status < HTTPStatus.MULTIPLE_CHOICES and cut_short:
        consequence = _T
    elif consequence not in (_T, _RATE):
        # A proxy answered and not Facebook, so a status such as 404 says nothing about the object.
        consequence = _INVALID
    return GraphFault(consequence, _UNREADABLE, f"HTTP {status} with a body that is not Graph JSON")


def _by_status(status: int) -> Consequence:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _T
    return _BY_STATUS.get(status, _INVALID)


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value, re.ASCII) else None
