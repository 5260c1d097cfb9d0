"""What Toy's errors ask of us. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import Consequence
from platforms.calls.answers import Refusal, by_status, object_in, unreadable

BY_CODE: Mapping[str, Consequence] = {
    "dead_token": Consequence.REAUTH,
    "too_many_calls": Consequence.RATE,
}


def read(status: int, body: bytes) -> Mapping[str, Any] | Refusal:
    """What Toy answered, or its refusal."""
    payload = object_in(body)
    if payload is None:
        return unreadable(status, body)
    code = payload.get("error")
    if code is None and status < 400:
        return payload
    return Refusal(BY_CODE.get(str(code)) or by_status(status), str(code), f"Toy says {code}")
