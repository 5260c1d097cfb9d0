"""A sink for webhooks that checks signatures and notices what it has had before."""

import base64
import contextlib
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.signatures import decode_secret, judge

_KEPT_IDS = 100_000
_PREFIX = "/hooks/"
_SHOWN_BODY = 1024 * 1024
_FILE = "carillon-file"
"""With this header the body is a file, and the signature is over the document in it, which has its hash."""


@dataclass(slots=True)
class Hook:
    """One address of the sink and what happened there."""

    secrets: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    status: int = 200
    retry_after: int = 0
    reject_invalid: bool = False
    attempts: int = 0
    accepted: int = 0
    duplicates: int = 0
    signatures: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The hook as the control API shows it, its secret only as a fact."""
        return {
            "has_secret": bool(self.keys),
            "status": self.status,
            "retry_after": self.retry_after,
            "reject_invalid": self.reject_invalid,
            "attempts": self.attempts,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "signatures": self.signatures,
        }


class Webhooks:
    """Takes whatever is posted to /hooks/{name}."""

    name = "webhook"
    parses_bodies = False

    def __init__(self, clock: Clock, inbox: Inbox) -> None:
        self._clock = clock
        self._inbox = inbox
        self.hooks: dict[str, Hook] = {}
        self._accepted_ids: OrderedDict[tuple[str, str], int] = OrderedDict()

    def hook(self, name: str) -> Hook:
        """The hook of that name, made when it is first used."""
        return self.hooks.setdefault(name, Hook())

    def configure(
        self, name: str, secrets: list[str], status: int, retry_after: int, *, reject_invalid: bool
    ) -> Hook:
        """Set how a hook behaves; raises `InvalidSecret`."""
        keys = [decode_secret(secret) for secret in secrets]
        hook = self.hook(name)
        hook.secrets, hook.keys = secrets, keys
        hook.status, hook.retry_after, hook.reject_invalid = status, retry_after, reject_invalid
        return hook

    def claims(self, method: str, path: str) -> bool:
        return path.startswith(_PREFIX) and len(path) > len(_PREFIX)

    def label(self, path: str) -> str:
        return "/hooks/{name}"

    def traits(self, call: Call) -> Traits:
        return Traits(hook=call.path[len(_PREFIX) :])

    def answer(self, call: Call) -> Answer:
        if call.method not in ("POST", "PUT"):
            return Answer(405, b"", "text/plain", [("allow", "POST")])
        hook = self.hook(call.path[len(_PREFIX) :])
        if hook.reject_invalid and self._judge(hook, call) not in ("valid", "unchecked"):
            return Answer.of_json(401, {"error": "invalid signature"})
        headers = [("retry-after", str(hook.retry_after))] if hook.retry_after else []
        return Answer.of_json(hook.status, {"received": 200 <= hook.status < 300}, headers)

    def unreadable(self, detail: str) -> Answer:
        return Answer.of_json(400, {"error": detail})

    def refuse(self, fault: Fault, call: Call) -> Answer:
        if fault.kind == "rate_limit":
            return Answer.of_json(429, {"error": "slow down"}, [("retry-after", str(fault.retry_after))])
        if fault.kind == "code":
            return Answer.of_json(fault.status or 400, {"error": fault.message or fault.code})
        status = 401 if fault.kind == "expired_token" else 503
        return Answer.of_json(status, {"error": fault.kind})

    def observe(self, call: Call, status: int, fault: str) -> None:
        name = call.path[len(_PREFIX) :]
        hook = self.hook(name)
        signature = self._judge(hook, call)
        message_id = call.headers.get("webhook-id", "")
        seen_before = self._accepted_ids.get((name, message_id), 0) if message_id else 0
        hook.attempts += 1
        hook.signatures[signature] = hook.signatures.get(signature, 0) + 1
        if 200 <= status < 300:
            hook.accepted += 1
            if message_id:
                hook.duplicates += seen_before > 0
                self._accepted_ids[name, message_id] = seen_before + 1
                if len(self._accepted_ids) > _KEPT_IDS:
                    self._accepted_ids.popitem(last=False)
        detail: dict[str, object] = {
            "hook": name,
            "status": status,
            "signature": signature,
            "webhook_id": message_id,
            "duplicate": seen_before > 0,
            "times_accepted": seen_before + (200 <= status < 300),
            "headers": call.headers,
            **_body(call.body),
        }
        if fault:
            detail["fault"] = fault
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add("webhook", name, detail, len(call.body))

    def reset(self) -> None:
        self.hooks.clear()
        self._accepted_ids.clear()

    def _judge(self, hook: Hook, call: Call) -> str:
        described = call.headers.get(_FILE)
        if described is None:
            return judge(hook.keys, call.headers, call.body, self._clock.now())
        verdict = judge(hook.keys, call.headers, described.encode(), self._clock.now())
        return verdict if verdict != "valid" or _is_as_described(call.body, described) else "invalid"


def _is_as_described(body: bytes, described: str) -> bool:
    """Whether a file is the one whose description was signed in its place."""
    with contextlib.suppress(ValueError):
        document = json.loads(described)
        if isinstance(document, dict):
            digest = hashlib.sha256(body).hexdigest()
            return document.get("sha256") == digest and document.get("bytes") == len(body)
    return False


def _body(raw: bytes) -> dict[str, object]:
    """The raw body as text (or base64 when it is none), and decoded when it is JSON."""
    shown: dict[str, object] = {"size": len(raw)}
    raw = raw[:_SHOWN_BODY]
    try:
        shown["body"] = raw.decode()
    except UnicodeDecodeError:
        shown["body_base64"] = base64.b64encode(raw).decode()
        return shown
    with contextlib.suppress(ValueError):
        shown["json"] = json.loads(raw)
    return shown
