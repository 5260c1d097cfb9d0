"""A Business API call after its route was found, and reading its parameters."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from sandbox.tiktok_business.errors import invalid, missing
from sandbox.tiktok_business.tokens import Identity


@dataclass(slots=True)
class BusinessRequest:
    """Parameters come by query, where lists and objects are JSON, or as members of a JSON body."""

    path: str
    params: dict[str, object]
    identity: Identity
    base_url: str
    directive: str = ""

    def has(self, name: str) -> bool:
        """Whether the parameter came with a value."""
        return self.params.get(name) not in (None, "")

    def need(self, *names: str) -> list[str]:
        """The texts of these parameters; raises code 40002 naming all that are missing."""
        if absent := [name for name in names if not self.has(name)]:
            raise missing(*absent)
        return [self.text(name) for name in names]

    def text(self, name: str, default: str = "") -> str:
        """A text or number as text."""
        value = self.params.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise invalid(name, "Must be a string.")
        return str(value)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """A value of an enumeration."""
        value = self.text(name, default)
        if value not in allowed:
            raise invalid(name, f"Must be one of: {', '.join(allowed)}.")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        try:
            number = int(self.text(name, str(default)))
        except ValueError:
            raise invalid(name, "Must be a number.") from None
        if not low <= number <= high:
            raise invalid(name, f"Must be between {low} and {high}.")
        return number

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean, given as JSON or as text."""
        value = self.params.get(name, default)
        return value is True or str(value).lower() == "true"

    def day(self, name: str) -> date:
        """A calendar day; raises code 40002."""
        (raw,) = self.need(name)
        try:
            if len(raw) != 10:
                raise ValueError
            return date.fromisoformat(raw)
        except ValueError:
            raise invalid(name, "Time format should be YYYY-MM-DD.") from None

    def strings(self, name: str) -> list[str]:
        """A list of texts, empty when it did not come."""
        values = self._json(name, list, [])
        if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
            raise invalid(name, "Must be a list of strings.")
        return [str(value) for value in values]

    def objects(self, name: str) -> list[dict[str, Any]]:
        """A list of objects, empty when it did not come."""
        values = self._json(name, list, [])
        if not all(isinstance(value, dict) for value in values):
            raise invalid(name, "Must be a list of objects.")
        return list(values)

    def object(self, name: str) -> dict[str, Any]:
        """An object, empty when it did not come."""
        return dict(self._json(name, dict, {}))

    def _json(self, name: str, kind: type, default: Any) -> Any:
        value = self.params.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if not isinstance(value, kind):
            raise invalid(name, f"Must be {'a list' if kind is list else 'an object'}.")
        return value
