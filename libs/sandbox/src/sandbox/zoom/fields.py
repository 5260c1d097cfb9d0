"""Reading the members of a JSON object one by one; what is left over is an error."""

import json
from datetime import datetime
from typing import Any

from starlette.requests import Request

from sandbox.control import BadRequest

_YEARS = (2000, 2999)


class Fields:
    """The members of one object."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members
        self._read: set[str] = set()

    @classmethod
    async def of(cls, request: Request) -> "Fields":
        """The body of a request, or `BadRequest`."""
        try:
            document = json.loads(await request.body())
        except ValueError:
            raise BadRequest("body", "must be JSON") from None
        if not isinstance(document, dict):
            raise BadRequest("body", "must be a JSON object")
        return cls(document)

    def take(self, name: str) -> Any:
        """The member as it is; None when there is none."""
        self._read.add(name)
        return self.members.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise BadRequest(name, "must be text")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadRequest(name, f"must be a whole number from {low} to {high}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise BadRequest(name, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def instant(self, name: str, default: float) -> float:
        """Unix seconds of an ISO 8601 time with an offset."""
        value = self.take(name)
        if value is None:
            return default
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise BadRequest(name, "must be an ISO 8601 time") from None
        if moment.tzinfo is None:
            raise BadRequest(name, "must say its offset from UTC")
        if not _YEARS[0] <= moment.year <= _YEARS[1]:
            raise BadRequest(name, f"must be in the years {_YEARS[0]} to {_YEARS[1]}")
        return moment.timestamp()

    def finish(self) -> None:
        """Raises `BadRequest` for an unknown member."""
        if left := sorted(self.members.keys() - self._read):
            raise BadRequest(left[0], "is not known")
