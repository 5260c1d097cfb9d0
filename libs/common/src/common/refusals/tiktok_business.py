"""What the refusals of TikTok's Business API ask of us: one table from its codes to consequences.

Nearly every refusal comes with HTTP 200, so that the code in the body decides. Limits have neither a header
nor a time: which one was reached, and so how long it lasts, is in the words of the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from common.errors import Consequence
from common.refusals.http import UNREADABLE, by_status, of_unreadable

_T, _RATE, _PERM, _GONE = Consequence.TRANSIENT, Consequence.RATE, Consequence.PERM, Consequence.GONE
_INVALID, _REAUTH, _REFRESH = Consequence.INVALID, Consequence.REAUTH, Consequence.REFRESH

OK = 0
PARTIAL = 20001
BY_CODE: Mapping[int, Consequence] = {
    **dict.fromkeys((40016, 40100, 40132, 40133), _RATE),
    **dict.fromkeys((40201, 40202, 40902, 40903, 40913, 50000, 50002, 60001), _T),
    40011: Consequence.SPLIT,  # too many ids
    40102: _REFRESH,  # the access token has expired; advertisers' tokens cannot be renewed, see below
    **dict.fromkeys((40103, 40105, 40106, 40107, 40110, 40114, 40119, 40120), _REAUTH),
    **dict.fromkeys((40001, 40003, 40113, 40118, 40124, 40125, 40130, 40131, 41000), _PERM),
    **dict.fromkeys((40007, 40300, 40301, 40302), _GONE),
    **dict.fromkeys((40000, 40002, 40006, 40008, 40009, 40010, 40013, 40014, 40050, 40051), _INVALID),
    **dict.fromkeys((40101, 40104, 40108, 40115, 40116, 40117, 40200, 40400, 40700), _INVALID),
    **dict.fromkeys((41001, 41002), _INVALID),
}
BY_RANGE: Mapping[range, Consequence] = {range(51000, 52000): _T}
OF_RENEWABLE: Mapping[int, Consequence] = {40105: _REFRESH}
OF_LASTING: Mapping[int, Consequence] = {40102: _REAUTH}
"""Where creators' tokens, which can be renewed, and advertisers', which cannot, part from the table."""
APP_WIDE = frozenset({40016, 40100})
"""Codes of limits that the whole app has reached, not one advertiser."""
NOT_READY = "40201"

_LIMIT = re.compile(r"\bQP[SMD]\b")
_SPACE = re.compile(r"\s+")
_UNNAMED_WAIT = 60.0


class Limit(StrEnum):
    """The limits of calls: per second, per minute (five minutes' penalty), per day (until 00:00 UTC)."""

    SECOND = "QPS"
    MINUTE = "QPM"
    DAY = "QPD"


@dataclass(frozen=True, slots=True)
class BusinessAnswer:
    """The data of an answer. `partial`: TikTok did only some of what was asked."""

    data: Mapping[str, Any]
    partial: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class BusinessFault:
    """An error as TikTok tells it, its message unchanged. `limit` is the one reached, where it is named."""

    consequence: Consequence
    code: str
    message: str
    request_id: str | None = None
    app_wide: bool = False
    limit: Limit | None = None


def read(status: int, body: bytes, *, renewable: bool = False) -> BusinessAnswer | BusinessFault:
    """The data an answer carries, or the error: by the code in its body first, then by its HTTP status.

    `renewable`: it was asked with a creator's token, which can be renewed.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        detail = f"HTTP {status} with a body that is not JSON"
        return BusinessFault(of_unreadable(status, body), UNREADABLE, detail)
    code = payload.get("code") if isinstance(payload, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        detail = f"HTTP {status} without TikTok's envelope"
        return BusinessFault(_of_status(status, renewable=renewable), UNREADABLE, detail)
    told = payload.get("request_id")
    request_id = told if isinstance(told, str) else None
    if code in (OK, PARTIAL):
        data = payload.get("data")
        return BusinessAnswer(data if isinstance(data, dict) else {}, code == PARTIAL, request_id)
    raw = payload.get("message")
    message = _SPACE.sub(" ", raw).strip() if isinstance(raw, str) else ""
    consequence = consequence_of(code, renewable=renewable, status=status)
    named = _LIMIT.search(message) if consequence is _RATE else None
    return BusinessFault(
        consequence,
        str(code),
        message,
        request_id,
        code in APP_WIDE,
        Limit(named.group()) if named else None,
    )


def consequence_of(code: int, *, renewable: bool = False, status: int = HTTPStatus.OK) -> Consequence:
    """What an error asks of us, the most specific entry first."""
    own = OF_RENEWABLE if renewable else OF_LASTING
    if code in own:
        return own[code]
    if code in BY_CODE:
        return BY_CODE[code]
    for codes, consequence in BY_RANGE.items():
        if code in codes:
            return consequence
    return _of_status(status, renewable=renewable)


def seconds_to_wait(limit: Limit | None, now: datetime) -> float:
    """How long a reached limit lasts; a minute where it was not named."""
    if limit is Limit.SECOND:
        return 1.0
    if limit is Limit.MINUTE:
        return 300.0
    if limit is Limit.DAY:
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (today + timedelta(days=1) - now).total_seconds()
    return _UNNAMED_WAIT


def _of_status(status: int, *, renewable: bool) -> Consequence:
    return by_status(status, unauthorized=_REFRESH if renewable else _REAUTH)
