"""What an answer says, whoever gave it: the object it carries, or the refusal it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from common.errors import Consequence

UNREADABLE = "unreadable"
"""Code of an answer that is not what the platform speaks: cut short, or somebody else's page."""

_SPACE = re.compile(r"\s+")
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


def unreadable(status: int) -> Refusal:
    """The refusal an answer is that nobody can read; worth another try unless its status says otherwise."""
    consequence = by_status(status)
    if status < HTTPStatus.MULTIPLE_CHOICES:
        consequence = Consequence.TRANSIENT
    elif consequence not in (Consequence.TRANSIENT, Consequence.RATE):
        # Whoever answered was not the platform, so that the status says nothing about the account.
        consequence = Consequence.INVALID
    return Refusal(consequence, UNREADABLE, f"HTTP {status} with a body that is not what was asked for")


def one_line(value: object) -> str:
    """A vendor's text on one line; empty for what is no text."""
    return _SPACE.sub(" ", value).strip() if isinstance(value, str) else ""
