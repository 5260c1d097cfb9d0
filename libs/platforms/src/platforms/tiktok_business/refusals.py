"""What the errors of TikTok's Business API ask of us: a code in the body, nearly always under HTTP 200."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from common.errors import Consequence
from platforms.calls.answers import UNREADABLE, Refusal, by_status, object_in, one_line, unreadable

PARTIAL = 20001
OK = frozenset({0, PARTIAL})
"""All of what was asked for, and a part of it."""

_T, _INVALID, _PERM = Consequence.TRANSIENT, Consequence.INVALID, Consequence.PERM
BY_CODE: Mapping[int, Consequence] = {
    **dict.fromkeys((40016, 40100, 40132, 40133), Consequence.RATE),
    **dict.fromkeys((40201, 40202, 40902, 40903, 40913, 50000, 50002, 60001), _T),
    40011: Consequence.SPLIT,
    40102: Consequence.REFRESH,  # of a creator; an advertiser's token cannot be renewed
    **dict.fromkeys((40103, 40105, 40106, 40107, 40110, 40114, 40119, 40120), Consequence.REAUTH),
    **dict.fromkeys((40001, 40003, 40113, 40118, 40124, 40125, 40130, 40131, 41000), _PERM),
    **dict.fromkeys((40007, 40300, 40301, 40302), Consequence.GONE),
    **dict.fromkeys((40000, 40002, 40006, 40008, 40009, 40010, 40013, 40014, 40050, 40051), _INVALID),
    **dict.fromkeys((40101, 40104, 40108, 40115, 40116, 40117, 40200, 40400, 40700), _INVALID),
    **dict.fromkeys((41001, 41002), _INVALID),
}
BY_RANGE: Mapping[range, Consequence] = {range(51000, 52000): _T}


def read(status: int, body: bytes, *, of_creator: bool = False) -> Mapping[str, Any] | Refusal:
    """The envelope of a success, or the refusal; by default as advertisers' tokens have it."""
    payload = object_in(body)
    if payload is None:
        return unreadable(status, body)
    code = payload.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        if status < HTTPStatus.BAD_REQUEST:
            return Refusal(_INVALID, UNREADABLE, f"HTTP {status} without TikTok's envelope")
        return Refusal(by_status(status), str(status), f"HTTP {status} without a reason")
    if code in OK and status < HTTPStatus.BAD_REQUEST:
        return payload
    return Refusal(
        consequence_of(code, status=status, of_creator=of_creator),
        str(code),
        one_line(payload.get("message")) or f"error {code}",
    )


def consequence_of(code: int, *, status: int = 200, of_creator: bool = False) -> Consequence:
    """What an error asks of us. Only creators' tokens can be renewed; 40105 is worth trying so, once."""
    if code == 40102 and not of_creator:
        return Consequence.REAUTH
    if code == 40105 and of_creator:
        return Consequence.REFRESH
    if code in BY_CODE:
        return BY_CODE[code]
    for codes, consequence in BY_RANGE.items():
        if code in codes:
            return consequence
    renewable = of_creator and status == HTTPStatus.UNAUTHORIZED
    return Consequence.REFRESH if renewable else by_status(status)
