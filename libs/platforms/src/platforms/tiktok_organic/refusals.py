"""What the errors of TikTok's API for creators ask of us: those of its tokens, and those of its resources."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from common.errors import Consequence
from platforms.calls.answers import Refusal, by_status, object_in, one_line, unreadable

_INVALID, _REAUTH, _PERM = Consequence.INVALID, Consequence.REAUTH, Consequence.PERM

OAUTH: Mapping[str, Consequence] = {
    "invalid_grant": _REAUTH,
    "access_denied": _REAUTH,
    "invalid_client": _INVALID,
    "invalid_request": _INVALID,
    "invalid_scope": _INVALID,
    "unauthorized_client": _INVALID,
    "unsupported_grant_type": _INVALID,
    "rate_limit_exceeded": Consequence.RATE,
    "server_error": Consequence.TRANSIENT,
    "temporarily_unavailable": Consequence.TRANSIENT,
}
BY_CODE: Mapping[str, Consequence] = {
    "access_token_invalid": Consequence.REFRESH,
    "scope_not_authorized": _PERM,
    "scope_permission_missed": _PERM,
    "rate_limit_exceeded": Consequence.RATE,
    "internal_error": Consequence.TRANSIENT,
    "invalid_params": _INVALID,
    "invalid_file_upload": _INVALID,
}
_OK = "ok"


def read_oauth(status: int, body: bytes) -> Mapping[str, Any] | Refusal:
    """What the token endpoint answered, or its refusal, which the key `error` tells, not the HTTP status."""
    payload = object_in(body)
    if payload is None:
        return unreadable(status)
    error = payload.get("error")
    if error is None and status < HTTPStatus.BAD_REQUEST:
        return payload
    if not isinstance(error, str):
        return _refusal(status, error)
    return Refusal(
        OAUTH.get(error) or _unknown(status), error, one_line(payload.get("error_description")) or error
    )


def read(status: int, body: bytes) -> Mapping[str, Any] | Refusal:
    """What a resource answered, or its refusal; a success says `ok` in its `error`."""
    payload = object_in(body)
    if payload is None:
        return unreadable(status, body)
    error = payload.get("error")
    if isinstance(error, dict) and error.get("code") == _OK and status < HTTPStatus.BAD_REQUEST:
        return payload
    if error is None and status < HTTPStatus.BAD_REQUEST:
        return payload
    return _refusal(status, error)


def consequence_of(code: str, *, status: int) -> Consequence:
    """What an error of a resource asks of us."""
    if code in BY_CODE:
        return BY_CODE[code]
    return Consequence.REFRESH if status == HTTPStatus.UNAUTHORIZED else by_status(status)


def _refusal(status: int, error: object) -> Refusal:
    told = error if isinstance(error, dict) else {}
    code = told.get("code")
    name = code if isinstance(code, str) and code else str(status)
    return Refusal(consequence_of(name, status=status), name, one_line(told.get("message")) or name)


def _unknown(status: int) -> Consequence:
    """An undocumented error of the token endpoint: about the request, unless its status says more."""
    consequence = by_status(status)
    return consequence if consequence in (Consequence.TRANSIENT, Consequence.RATE) else _INVALID
