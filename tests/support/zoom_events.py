"""Events as Zoom sends them, signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.support.recordings import document

SECRET = "zoom-secret-token"
TOKEN = "canary-download-token"


def event(name: str, meeting: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """An event about a recorded meeting."""
    shown = {"host_id": "uET9c2fCR06UoPbeqKed4A", **(document("a") if meeting is None else meeting)}
    return {
        "event": name,
        "event_ts": int(datetime.now(UTC).timestamp() * 1_000),
        "download_token": TOKEN,
        "payload": {"account_id": "wTJw8LgeT8GlOSjLjOU9Hw", "object": shown},
        **members,
    }


def headers(body: bytes, secret: str = SECRET, *, at: datetime | None = None) -> dict[str, str]:
    """What proves who sent a body."""
    timestamp = str(int((at or datetime.now(UTC)).timestamp()))
    signed = b":".join((b"v0", timestamp.encode(), body))
    return {
        "content-type": "application/json; charset=utf-8",
        "x-zm-request-timestamp": timestamp,
        "x-zm-signature": "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(),
    }


async def send(
    client: httpx.AsyncClient,
    connection_id: object,
    told: Mapping[str, Any] | bytes,
    *,
    secret: str = SECRET,
    age: timedelta = timedelta(0),
) -> httpx.Response:
    """Post an event to a connection's address; `age` is how long ago it was signed."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    signed = headers(body, secret, at=datetime.now(UTC) - age)
    return await client.post(f"/hooks/zoom/{connection_id}", content=body, headers=signed)
