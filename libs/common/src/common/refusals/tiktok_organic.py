"""What the refusals of TikTok's organic API ask of us: one table from its words to consequences.

Its resources tell errors as an object under their own HTTP status, and success as an error named "ok". Its
token endpoints tell them as RFC 6749 has it, at times with HTTP 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from common.errors import Consequence
from common.refusals.http import UNREADABLE, by_status, of_unreadable

OK = "ok"
BY_CODE: Mapping[str, Consequence] = {
    "access_token_invalid": Consequence.REFRESH,
    "scope_not_authorized": Consequence.PERM,
    "scope_permission_missed": Consequence.PERM,
    "rate_limit_exceeded": Consequence.RATE,
    "internal_error": Consequence.TRANSIENT,
    "invalid_params": Consequence.INVALID,
    "invalid_file_upload": Consequence.INVALID,
}
BY_OAUTH_ERROR: Mapping[str, Consequence] = {
    "invalid_grant": Consequence.REAUTH,
    "access_denied": Consequence.REAUTH,
    "invalid_client": Consequence.INVALID,
    "invalid_request": Consequence.INVALID,
    "invalid_scope": Consequence.INVALID,
    "unauthorized_client": Consequence.INVALID,
    "unsupported_grant_type": Consequence.INVALID,
    "unsupported_response_type": Consequence.INVALID,
    "rate_limit_exceeded": Consequence.RATE,
    "server_error": Consequence.TRANSIENT,
    "temporarily_unavailable": Consequence.TRANSIENT,
}
WINDOW_SECONDS = 60.0
"""How long a limit lasts at most: calls are counted over a sliding minute, and no header tells."""

_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class OrganicFault:
    """An error as TikTok tells it, its message unchanged."""

    consequence: Consequence
    code: str
    message: str
    log_id: str | None = None


def read(status: int, body: bytes) -> Mapping[str, Any] | OrganicFault:
    """The JSON object an answer carries, or the error: by its body first, then by its HTTP status."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        detail = f"HTTP {status} with a body that is not JSON"
        return OrganicFault(of_unreadable(status, body), UNREADABLE, detail)
    if not isinstance(payload, dict):
        return _unnamed(status)
    error = payload.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        if code == OK and status < HTTPStatus.BAD_REQUEST:
            return payload
        if not isinstance(code, str) or code in (OK, ""):
            return _unnamed(status)
        consequence = BY_CODE.get(code) or _of_status(status)
        return OrganicFault(consequence, code, _text(error.get("message")), _id(error.get("log_id")))
    if isinstance(error, str) and error:
        consequence = BY_OAUTH_ERROR.get(error) or by_status(status)
        return OrganicFault(
            consequence, error, _text(payload.get("error_description")), _id(payload.get("log_id"))
        )
    return _unnamed(status) if status >= HTTPStatus.BAD_REQUEST else payload


def _of_status(status: int) -> Consequence:
    return by_status(status, unauthorized=Consequence.REFRESH)


def _unnamed(status: int) -> OrganicFault:
    return OrganicFault(_of_status(status), UNREADABLE, f"HTTP {status} without a reason")


def _text(value: object) -> str:
    return _SPACE.sub(" ", value).strip() if isinstance(value, str) else ""


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
