"""Webhook events: their bodies, and the signature that proves who sent them."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from sandbox.world.dice import throw
from sandbox.world.recorded_meetings import Recording
from sandbox.zoom.tokens import Tokens
from sandbox.zoom.views import meeting

URL_VALIDATION = "endpoint.url_validation"
TRANSCRIPT_COMPLETED = "recording.transcript_completed"
RECORDING_EVENTS = (
    "recording.completed",
    TRANSCRIPT_COMPLETED,
    "recording.started",
    "recording.stopped",
    "recording.trashed",
    "recording.deleted",
    "recording.recovered",
)


@dataclass(frozen=True, slots=True)
class Event:
    """What is posted to the app."""

    body: bytes
    headers: dict[str, str]


def url_validation(plain_token: str, secret: str, timestamp: int) -> Event:
    """The question whether the receiver knows the secret."""
    return _signed(URL_VALIDATION, {"payload": {"plainToken": plain_token}}, secret, timestamp)


def about_recording(
    name: str,
    recording: Recording,
    tokens: Tokens,
    secret: str,
    *,
    now: float,
    timestamp: int,
    base_url: str,
    account_id: str,
    size_difference: int = 0,
) -> Event:
    """Something happened to a recording; the files are those that can be had at ``now``."""
    shown = {
        **meeting(recording, now, base_url, account_id, size_difference),
        "password": recording.passcode,
        "on_prem": False,
    }
    if name == TRANSCRIPT_COMPLETED:
        shown["recording_files"] = [
            file for file in shown["recording_files"] if file["file_type"] == "TRANSCRIPT"
        ]
    members = {
        "payload": {"account_id": account_id, "object": shown},
        "download_token": tokens.download(recording.uuid),
    }
    return _signed(name, members, secret, timestamp)


def encrypted_token(secret: str, plain_token: str) -> str:
    """What a receiver that knows the secret answers to a validation."""
    return hmac.new(secret.encode(), plain_token.encode(), hashlib.sha256).hexdigest()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The header `x-zm-signature`."""
    content = b":".join((b"v0", timestamp.encode(), body))
    return "v0=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def new_plain_token(seed: int, now: float) -> str:
    """A token to validate with."""
    return "".join(f"{int(part * 2**32):08x}" for part in throw(seed, "plain token", now)[:3])


def _signed(name: str, members: dict[str, Any], secret: str, timestamp: int) -> Event:
    body = json.dumps(
        {"event": name, "event_ts": timestamp * 1_000, **members}, separators=(",", ":")
    ).encode()
    headers = {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "Zoom Marketplace/1.0a",
        "clientid": "sandbox",
        "x-zm-request-timestamp": str(timestamp),
        "x-zm-signature": signature(secret, str(timestamp), body),
    }
    return Event(body, headers)
