"""Cursors and the addresses of neighbouring pages."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from sandbox.facebook.errors import GraphError, invalid_parameter
from sandbox.facebook.request import GraphRequest

DEFAULT_LIMIT = 25
MAX_LIMIT = 5_000

T = TypeVar("T")


def encode_cursor(value: str) -> str:
    """An opaque, URL-safe cursor; padding is spelled ZD."""
    return base64.urlsafe_b64encode(value.encode()).decode().replace("=", "ZD")


def decode_cursor(cursor: str) -> str:
    """What `encode_cursor` hid; raises code 100."""
    text = cursor
    padding = 0
    while text.endswith("ZD") and padding < 2:
        text = text[:-2]
        padding += 1
    try:
        return base64.urlsafe_b64decode(text + "=" * padding).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise GraphError(100, "(#100) Invalid cursors values") from None


def page_limit(request: GraphRequest) -> int:
    """The wanted page size, at most `MAX_LIMIT`; raises code 100."""
    limit = request.integer("limit", DEFAULT_LIMIT)
    if limit < 1:
        raise invalid_parameter("Param limit must be greater than or equal to 1")
    return min(limit, MAX_LIMIT)


def page_url(request: GraphRequest, changes: dict[str, str | None]) -> str:
    """The request's own address with some parameters changed or (None) dropped.

    As on the real platform it carries the access token.
    """
    params = {name: value for name, value in request.params.items() if name not in changes}
    if request.token:
        params = {"access_token": request.token, **params}
    params.update((name, value) for name, value in changes.items() if value is not None)
    return f"{request.url(request.path)}?{urlencode(params, quote_via=quote, safe='_-.')}"


def paginate(
    request: GraphRequest,
    items: Sequence[T],
    render: Callable[[T], Any],
    key: Callable[[T], str] | None = None,
) -> dict[str, Any]:
    """One page of ``items``. ``key`` names an item within its cursor; without it that is its position."""
    limit = page_limit(request)

    def position(cursor: str) -> int:
        wanted = decode_cursor(cursor)
        if key is not None:
            for index, item in enumerate(items):
                if key(item) == wanted:
                    return index
        elif wanted.isdigit() and int(wanted) < len(items):
            return int(wanted)
        raise GraphError(100, "(#100) Invalid cursors values")

    def cursor_of(index: int) -> str:
        return encode_cursor(str(index) if key is None else key(items[index]))

    start = 0
    stop = min(limit, len(items))
    if after := request.params.get("after"):
        start = position(after) + 1
        stop = min(start + limit, len(items))
    elif before := request.params.get("before"):
        stop = position(before)
        start = max(stop - limit, 0)
    if start >= stop:
        return {"data": []}
    first, last = cursor_of(start), cursor_of(stop - 1)
    paging: dict[str, Any] = {"cursors": {"before": first, "after": last}}
    if stop < len(items):
        paging["next"] = page_url(request, {"after": last, "before": None, "limit": str(limit)})
    if start > 0:
        paging["previous"] = page_url(request, {"before": first, "after": None, "limit": str(limit)})
    return {"data": [render(item) for item in items[start:stop]], "paging": paging}
