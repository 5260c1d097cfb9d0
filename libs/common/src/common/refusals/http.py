"""What an answer asks of us when its body does not say: by its HTTP status, and by how the body begins."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from common.errors import Consequence

UNREADABLE = "unreadable"
"""The code of an answer whose body is not what its platform writes."""

_BY_STATUS: Mapping[int, Consequence] = {
    HTTPStatus.FORBIDDEN: Consequence.PERM,
    HTTPStatus.NOT_FOUND: Consequence.GONE,
    HTTPStatus.REQUEST_TIMEOUT: Consequence.TRANSIENT,
    HTTPStatus.TOO_MANY_REQUESTS: Consequence.RATE,
}
_DOWN = b"Service Unavailable"
_LOOKED_AT = 2048


def by_status(status: int, *, unauthorized: Consequence = Consequence.REAUTH) -> Consequence:
    """What an HTTP status asks of us; `unauthorized` is what 401 means where the token can be renewed."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Consequence.TRANSIENT
    if status == HTTPStatus.UNAUTHORIZED:
        return unauthorized
    return _BY_STATUS.get(status, Consequence.INVALID)


def of_unreadable(status: int, body: bytes) -> Consequence:
    """What a body that is no JSON asks of us.

    It is INVALID unless its status says more; but a success that was cut short, or that is a proxy's "Service
    Unavailable", is worth another try.
    """
    consequence = by_status(status)
    if consequence in (Consequence.TRANSIENT, Consequence.RATE):
        return consequence
    start = body[:_LOOKED_AT].lstrip()
    is_cut_short = not start or start[:1] in b"{[" or _DOWN in start
    if status < HTTPStatus.MULTIPLE_CHOICES and is_cut_short:
        return Consequence.TRANSIENT
    # Whoever answered was not the platform, so that a status such as 404 says nothing about the object.
    return Consequence.INVALID
