"""Trouble on demand: which calls go wrong, how, and how often."""

import fnmatch
import random
import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sandbox.exchange import Call

DONE_BY_PLATFORM = frozenset({"rate_limit", "server_error", "expired_token", "code"})
"""Kinds each platform words in its own way."""
_REPORT_STARTS = ("*/insights", "*/report/task/create/")
DIRECTIVES = {"report_failed": ("POST", _REPORT_STARTS), "report_skipped": ("POST", _REPORT_STARTS)}
"""Kinds that change what the platform does instead of its answer, and the calls they are about."""
KINDS = frozenset({"slow", "reset", "truncated", "html", "status", *DONE_BY_PLATFORM, *DIRECTIVES})
_MATCHERS = ("platform", "path", "method", "token", "chat", "hook")
_LONGEST_SLEEP = 600.0
_CODE = re.compile(r"-?\d{1,9}(/\d{1,9})?|[a-zA-Z_]{1,64}")
_WHOLE = re.compile(r"-?\d+")


class InvalidFault(Exception):
    """The description of a fault cannot be used; ``member`` names what is wrong."""

    def __init__(self, member: str, detail: str) -> None:
        super().__init__(f"{member}: {detail}")
        self.member = member
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Traits:
    """What a fault can be matched by, beside method and path."""

    token: str = ""
    chat: str = ""
    hook: str = ""


@dataclass(slots=True)
class Fault:
    """One kind of trouble and the calls it befalls."""

    id: int
    kind: str
    match: dict[str, str]
    times: int | None
    """How often it still strikes; None for ever."""
    probability: float
    stage: str
    """"request": the call has no effect. "answer": it takes effect, and only the answer suffers."""
    seconds: float
    retry_after: int
    status: int
    """The HTTP status; of the kind "code" 0 leaves it to the platform."""
    body: str
    headers: dict[str, str]
    code: str = ""
    """The platform's own error code, of the kind "code": "40105", "190/463", "access_token_invalid"."""
    message: str = ""
    """What the platform says about ``code``; empty for its usual words."""
    struck: int = 0
    chance: random.Random = field(default_factory=random.Random)

    @property
    def number(self) -> int:
        """``code`` as a number; 0 where it is a word, which only some platforms know."""
        head = self.code.partition("/")[0]
        return int(head) if _WHOLE.fullmatch(head) else 0

    def concerns(self, platform: str, call: Call, traits: Traits) -> bool:
        """Whether the call is one of those this fault is meant for."""
        wanted = self.match
        if self.kind in DIRECTIVES:
            method, patterns = DIRECTIVES[self.kind]
            if call.method != method or not any(_path_matches(pattern, call.path) for pattern in patterns):
                return False
        return (
            wanted.get("platform") in (None, platform)
            and wanted.get("method") in (None, call.method)
            and ("path" not in wanted or _path_matches(wanted["path"], call.path))
            and wanted.get("token") in (None, traits.token)
            and wanted.get("chat") in (None, traits.chat)
            and wanted.get("hook") in (None, traits.hook)
        )

    def as_json(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "match": self.match,
            "times": self.times,
            "probability": self.probability,
            "stage": self.stage,
            "seconds": self.seconds,
            "retry_after": self.retry_after,
            "status": self.status,
            "code": self.code,
            "struck": self.struck,
        }


class Faults:
    """The faults that are switched on, in the order they were added; the first that strikes wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = count(1)

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __iter__(self) -> Any:
        return iter(self._faults)

    def add(self, description: dict[str, Any]) -> Fault:
        """Switch a fault on; raises `InvalidFault`."""
        fault = _parse(description, next(self._ids))
        self._faults.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """Switch one off; False when it is not on."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Switch all off."""
        self._faults.clear()

    def strike(self, platform: str, call: Call, traits: Traits) -> Fault | None:
        """The fault that befalls this call, counted; used-up faults disappear."""
        for fault in self._faults:
            if not fault.concerns(platform, call, traits):
                continue
            if fault.probability < 1 and fault.chance.random() >= fault.probability:
                continue
            fault.struck += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault
        return None


def _path_matches(pattern: str, path: str) -> bool:
    return re.match(fnmatch.translate(pattern), path) is not None


def _parse(description: dict[str, Any], fault_id: int) -> Fault:
    known = {
        "match",
        "kind",
        "times",
        "probability",
        "seed",
        "stage",
        "seconds",
        "retry_after",
        "status",
        "code",
        "body",
        "headers",
        "message",
        *_MATCHERS,
    }
    if unknown := sorted(description.keys() - known):
        raise InvalidFault(unknown[0], "is not known")
    kind = description.get("kind")
    if kind not in KINDS:
        raise InvalidFault("kind", f"must be one of {', '.join(sorted(KINDS))}")
    stage = description.get("stage", "answer" if kind == "truncated" else "request")
    if stage not in ("request", "answer"):
        raise InvalidFault("stage", "must be request or answer")
    if kind == "truncated" and stage == "request":
        raise InvalidFault("stage", "must be answer for a truncated body")
    times = description.get("times")
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise InvalidFault("times", "must be a whole number of at least 1")
    body, message = _text(description, "body"), _text(description, "message")
    headers = description.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise InvalidFault("headers", "must map names to text")
    return Fault(
        id=fault_id,
        kind=str(kind),
        match=_match(description),
        times=times,
        probability=_number(description, "probability", 1.0, 0.0, 1.0),
        stage=stage,
        seconds=_number(description, "seconds", 5.0, 0.0, _LONGEST_SLEEP),
        retry_after=int(_number(description, "retry_after", 5.0, 0.0, 86_400.0)),
        status=_status(description),
        body=body,
        headers={name.lower(): value for name, value in headers.items()},
        code=_code(description) if kind == "code" else "",
        message=message,
        chance=random.Random(description.get("seed", fault_id)),
    )


def _text(description: dict[str, Any], name: str) -> str:
    value = description.get(name, "")
    if not isinstance(value, str):
        raise InvalidFault(name, "must be text")
    return value


def _code(description: dict[str, Any]) -> str:
    """The code a fault of the kind "code" is about: a number, a number with a subcode, or a word."""
    value = description.get("code")
    if isinstance(value, bool) or not isinstance(value, str | int) or not _CODE.fullmatch(str(value)):
        raise InvalidFault("code", "must be a platform's error code, such as 40105, 190/463 or invalid_grant")
    return str(value)


def _status(description: dict[str, Any]) -> int:
    if description["kind"] == "code":
        return int(_number(description, "status", 0, 200, 599)) if "status" in description else 0
    return int(_number(description, "code" if "code" in description else "status", 503, 200, 599))


def _match(description: dict[str, Any]) -> dict[str, str]:
    nested = description.get("match", {})
    if not isinstance(nested, dict):
        raise InvalidFault("match", "must be an object")
    if unknown := sorted(nested.keys() - set(_MATCHERS)):
        raise InvalidFault(f"match.{unknown[0]}", "is not known")
    match: dict[str, str] = {}
    for name in _MATCHERS:
        value = nested.get(name, description.get(name))
        if value is None:
            continue
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise InvalidFault(f"match.{name}", "must be text")
        match[name] = str(value).upper() if name == "method" else str(value)
    return match


def _number(description: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = description.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidFault(name, f"must be a number from {low:g} to {high:g}")
    return float(value)
