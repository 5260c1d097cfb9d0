"""Parsing a platform's response: the object it carries, or the refusal it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from common.errors import Consequence

UNREADABLE = "unreadable"
"""Code of a response in another format than the platform's: truncated, or a proxy's page."""

_SPACE = re.compile(r"\s+")
_DOWN = b"Service Unavailable"
_LOOKED_AT = 2048
_BY_STATUS: Mapping[int, Consequence] = {
    HTTPStatus.UNAUTHORIZED: Consequence.REAUTH,
    HTTPStatus.FORBIDDEN: Consequence.PERM,
    HTTPStatus.NOT_FOUND: Consequence.GONE,
    HTTPStatus.REQUEST_TIMEOUT: Consequence.TRANSIENT,
    HTTPStatus.TOO_MANY_REQUESTS: Consequence.RATE,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as a platform tells it, its message unchanged: that can hold a token."""

    consequence: Consequence
    code: str
    message: str


def by_status(status: int) -> Consequence:
    """What an HTTP status asks of us where the platform says no more."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Consequence.TRANSIENT
    return _BY_STATUS.get(status, Consequence.INVALID)


def object_in(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object a body holds; None for anything else."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def unreadable(status: int, body: bytes = b"") -> Refusal:
    """The refusal for an unreadable response: INVALID unless its status says more.

    But a success without a body, that was cut short, or that is a proxy's "Service Unavailable", is worth
    another try.
    """
    consequence = by_status(status)
    if consequence not in (Consequence.TRANSIENT, Consequence.RATE):
        start = body[:_LOOKED_AT].lstrip()
        is_cut_short = not start or start[:1] in b"{[" or _DOWN in start
        # The response is not the platform's, so its status says nothing about the account.
        is_worth_a_try = status < HTTPStatus.MULTIPLE_CHOICES and is_cut_short
        consequence = Consequence.TRANSIENT if is_worth_a_try else Consequence.INVALID
    return Refusal(consequence, UNREADABLE, f"HTTP {status} with a body that is not what was asked for")


def one_line(value: object) -> str:
    """A vendor's text on one line; empty for what is no text."""
    return _SPACE.sub(" ", value).strip() if isinstance(value, str) else ""
