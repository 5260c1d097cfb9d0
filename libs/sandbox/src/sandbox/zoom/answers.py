"""Answers of the REST API on the wire, with the headers that always come along."""

from itertools import count

from sandbox.exchange import Answer, Headerlist
from sandbox.world.dice import throw
from sandbox.zoom.errors import ZoomError

_CONTENT_TYPE = "application/json;charset=UTF-8"
_STEADY_HEADERS: Headerlist = [
    ("cache-control", "no-cache, no-store, must-revalidate, max-age=0"),
    ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("pragma", "no-cache"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
]
_requests = count(1)


def success(payload: object | None, headers: Headerlist) -> Answer:
    """200 with the payload, or 204 without one."""
    all_headers = [*headers, *_common()]
    if payload is None:
        return Answer(204, b"", headers=all_headers)
    answer = Answer.of_json(200, payload, all_headers)
    answer.content_type = _CONTENT_TYPE
    return answer


def failure(error: ZoomError) -> Answer:
    """The error's body under the error's own status."""
    answer = Answer.of_json(error.status, error.body(), [*error.headers, *_common()])
    answer.content_type = _CONTENT_TYPE
    return answer


def _common() -> Headerlist:
    parts = throw("zoom request", next(_requests))[:4]
    request_id = "".join(f"{int(part * 2**32):08X}" for part in parts)
    return [("x-zm-trackingid", f"v=2.0;clid=us02;rid=WEB_{request_id.lower()}"), *_STEADY_HEADERS]
