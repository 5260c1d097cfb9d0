"""Graph answers on the wire: bodies and the headers that always come along."""

import hashlib
import json
from itertools import count
from typing import Any

from sandbox.exchange import Answer, Headerlist
from sandbox.facebook.errors import GraphError

NEWEST_VERSION = 26
OLDEST_VERSION = 21
_STEADY_HEADERS: Headerlist = [
    ("vary", "Accept-Encoding"),
    ("x-fb-rlafr", "0"),
    ("cache-control", "private, no-cache, no-store, must-revalidate"),
    ("expires", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ("pragma", "no-cache"),
    ("strict-transport-security", "max-age=15552000; preload"),
    ("x-fb-rev", "1030114517"),
]
_requests = count(1)


def success(payload: Any, version: str, headers: Headerlist) -> Answer:
    """200, with an entity tag."""
    body = _encode(payload)
    mark = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
    return Answer(200, body, headers=[("etag", mark), *headers, *_common(version)])


def failure(error: GraphError, version: str, headers: Headerlist) -> Answer:
    """The error's envelope under the error's own status."""
    told = [("www-authenticate", error.www_authenticate()), *headers, *error.headers.items()]
    return Answer(error.status, _encode(error.envelope()), headers=[*told, *_common(version)])


def _encode(payload: Any) -> bytes:
    """Compact JSON with escaped slashes, as Graph writes it."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()


def _common(version: str) -> Headerlist:
    """An expired version is served by the oldest that is left, a missing one by the newest."""
    number = NEWEST_VERSION
    if version:
        number = min(max(int(version[1:].partition(".")[0]), OLDEST_VERSION), NEWEST_VERSION)
    serial = next(_requests)
    return [
        ("facebook-api-version", f"v{number}.0"),
        ("x-fb-request-id", f"A{serial:010d}"),
        ("x-fb-trace-id", f"E{serial:010x}"),
        *_STEADY_HEADERS,
    ]
