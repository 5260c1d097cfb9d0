"""Sandbox faults in which a vendor's response repeats the secret it was sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote

Trouble = Callable[[str, str], dict[str, Any]]
"""What befalls the calls with a token at a platform: `trouble(platform, token)`."""

_DEAD, _FORBIDDEN, _BUSY = "dead", "forbidden", "busy"
_STATUS = {_DEAD: 401, _FORBIDDEN: 403, _BUSY: 429}
_CODES: Mapping[str, Mapping[str, Any]] = {
    "facebook": {_DEAD: 190, _FORBIDDEN: 200, _BUSY: 4},
    "tiktok_business": {_DEAD: 40105, _FORBIDDEN: 40001, _BUSY: 40100},
    "tiktok_organic": {
        _DEAD: "access_token_invalid",
        _FORBIDDEN: "scope_not_authorized",
        _BUSY: "rate_limit_exceeded",
    },
    "zoom": {_DEAD: 124, _FORBIDDEN: 4711, _BUSY: 429},
    "telegram": {_DEAD: 401, _FORBIDDEN: 403, _BUSY: 429},
    "transcription": {_DEAD: "invalid_api_key", _FORBIDDEN: "forbidden", _BUSY: "rate_limit_exceeded"},
    "webhook": {_DEAD: "unauthorized", _FORBIDDEN: "forbidden", _BUSY: "slow_down"},
}
_LONG_ENOUGH = 4_000
"""Characters; wherever such a text is cut, the cut goes through a secret or close to one."""


def echo(*secrets: str) -> str:
    """A long sentence about nothing but the secrets, in clear and percent-encoded."""
    spelt = [each for secret in secrets for each in dict.fromkeys((secret, quote(secret, safe="")))]
    words = _LONG_ENOUGH // min(map(len, spelt)) + 1
    return "cannot use " + " ".join(islice(cycle(spelt), words))


def refused(platform: str, token: str) -> dict[str, Any]:
    """The token is dead, and the message names it."""
    return _told(platform, token, _DEAD)


def forbidden(platform: str, token: str) -> dict[str, Any]:
    """A permission is missing, and the message names the token."""
    return _told(platform, token, _FORBIDDEN)


def busy(platform: str, token: str) -> dict[str, Any]:
    """A limit was reached, and the message names the token whose."""
    return {**_told(platform, token, _BUSY), "headers": {"retry-after": "900"}}


def broken(platform: str, token: str) -> dict[str, Any]:
    """A page about an error, as debug modes make them, with the request's headers on it."""
    page = f"<html><title>{token}</title><pre>Authorization: Bearer {escape(echo(token))}</pre></html>"
    return _fault(platform, token, 500, page, {"content-type": "text/html"})


def moved(platform: str, token: str) -> dict[str, Any]:
    """Led elsewhere, with the token in the address."""
    location = f"https://elsewhere.example/in?access_token={quote(token)}&key={quote(token)}"
    return _fault(platform, token, 302, echo(token), {"location": location})


def nonsense(platform: str, token: str) -> dict[str, Any]:
    """A success that is none: the request's own text."""
    return _fault(platform, token, 200, echo(token), {"content-type": "text/plain"})


def misshapen(platform: str, token: str) -> dict[str, Any]:
    """An object as it must be, but for what is in it; the address of its next page holds the token."""
    body = {"data": echo(token), "code": 0, "paging": {"next": f"https://x.example/?access_token={token}"}}
    return _fault(platform, token, 200, json.dumps(body))


TROUBLES: tuple[Trouble, ...] = (refused, forbidden, busy, broken, moved, nonsense, misshapen)


def oauth_refusal(*secrets: str, error: str = "invalid_grant") -> str:
    """The body of a token endpoint's refusal, in the words of each platform at once."""
    said = echo(*secrets)
    return json.dumps(
        {
            "error": error,
            "error_description": said,
            "reason": said,
            "message": said,
            "code": 40110,
        }
    )


def _told(platform: str, token: str, what: str) -> dict[str, Any]:
    said, code = echo(token), _CODES[platform][what]
    body: dict[str, Any]
    match platform:
        case "facebook":
            body = {
                "error": {"message": said, "type": "OAuthException", "code": code, "error_user_msg": said}
            }
        case "tiktok_business":
            body = {"code": code, "message": said, "request_id": "20260101", "data": {}}
        case "tiktok_organic":
            body = {"data": {}, "error": {"code": code, "message": said, "log_id": "20260101"}}
        case "zoom":
            body = {"code": code, "message": said, "errors": [{"field": "token", "message": said}]}
        case "telegram":
            body = {"ok": False, "error_code": code, "description": f"Bad Request: {said}"}
        case _:
            body = {"error": {"code": code, "message": said}}
    # As PHP writes JSON.
    text = json.dumps(body).replace("/", "\\/")
    return _fault(platform, token, 200 if platform == "tiktok_business" else _STATUS[what], text)


def _fault(
    platform: str, token: str, status: int, body: str, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "kind": "status",
        "match": {"platform": platform, "token": token},
        "code": status,
        "body": body,
        "headers": {"content-type": "application/json", **(headers or {})},
    }
