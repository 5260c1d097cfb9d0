"""A Graph API request after its path and token were understood."""

import json
from dataclasses import dataclass
from typing import Any

from sandbox.facebook.errors import invalid_parameter
from sandbox.facebook.tokens import Identity


@dataclass(slots=True)
class GraphRequest:
    """One call, or one part of a batch."""

    method: str
    version: str
    """What the client asked for, such as "v26.0"; empty without a version."""
    segments: list[str]
    params: dict[str, str]
    base_url: str
    token: str
    identity: Identity

    @property
    def path(self) -> str:
        return "/".join(self.segments)

    def url(self, path: str) -> str:
        """The absolute address of ``path`` on the host and version this request came by."""
        prefix = f"{self.base_url}/{self.version}" if self.version else self.base_url
        return f"{prefix}/{path}"

    def fields(self) -> list[str]:
        """The names in ``fields``, split at top level only, expansions kept."""
        raw = self.params.get("fields", "")
        if raw.startswith("["):
            return [str(name) for name in self.json("fields", list)]
        return split_fields(raw)

    def json(self, name: str, kind: type) -> Any:
        """The parameter decoded from JSON; raises code 100 when it is not a ``kind``."""
        raw = self.params.get(name, "")
        try:
            value = json.loads(raw)
        except ValueError:
            value = None
        if not isinstance(value, kind):
            expected = "an array" if kind is list else "a JSON object"
            raise invalid_parameter(f"param {name} must be {expected}.")
        return value

    def names(self, name: str) -> list[str]:
        """A list given as a JSON array or comma-separated."""
        raw = self.params.get(name, "").strip()
        if not raw:
            return []
        if raw.startswith("["):
            return [str(item) for item in self.json(name, list)]
        return [part.strip().strip("\"'") for part in raw.split(",") if part.strip()]

    def integer(self, name: str, default: int) -> int:
        """A whole number, or code 100."""
        raw = self.params.get(name)
        if raw is None or raw == "":
            return default
        try:
            return int(raw)
        except ValueError:
            raise invalid_parameter(f"Param {name} must be an integer") from None

    def flag(self, name: str) -> bool:
        """True for what Facebook takes as true."""
        return self.params.get(name, "").lower() in {"1", "true"}


def split_fields(raw: str) -> list[str]:
    """Split at commas that are outside braces and parentheses."""
    parts: list[str] = []
    depth = 0
    part = ""
    for char in raw:
        depth += (char in "{(") - (char in "})")
        if depth < 0:
            raise invalid_parameter("Syntax error: unexpected end of fields parameter")
        if char == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    if depth:
        raise invalid_parameter("Syntax error: Expected end of string instead of end of fields parameter")
    parts.append(part)
    return [part.strip() for part in parts if part.strip()]
