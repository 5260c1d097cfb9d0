"""Verifying a Standard Webhooks signature, from the receiver's side."""

import base64
import binascii
import hmac

TOLERANCE = 300
"""Seconds the signed timestamp may differ from now, either way."""
_PREFIX = "whsec_"


class InvalidSecret(Exception):
    """The signing secret is not ``whsec_`` and base64."""


def decode_secret(secret: str) -> bytes:
    """The key inside ``secret``; raises `InvalidSecret`."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret("the part after whsec_ must be base64") from None
    if not key:
        raise InvalidSecret("the secret is empty")
    return key


def judge(keys: list[bytes], headers: dict[str, str], body: bytes, now: float) -> str:
    """What is to be said about a delivery's signature.

    One of "unchecked" (no secret is set), "missing", "malformed", "expired", "invalid" and "valid".
    """
    if not keys:
        return "unchecked"
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    offered = headers.get("webhook-signature", "")
    if not (message_id and timestamp and offered):
        return "missing"
    if not (timestamp.isascii() and timestamp.isdigit()) or "." in message_id:
        return "malformed"
    if abs(now - int(timestamp)) > TOLERANCE:
        return "expired"
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    expected = [base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys]
    matched = False
    for signature in offered.split(" "):
        version, _, value = signature.partition(",")
        if version == "v1":
            for candidate in expected:
                matched |= hmac.compare_digest(value.encode(), candidate)
    return "valid" if matched else "invalid"
