"""Field types that several resources share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from common.strict import InstantText

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""What a person calls something."""

Secret = Annotated[SecretStr, StringConstraints(min_length=1, max_length=4096)]
"""Taken in, sealed, and never given out again."""

Moment = Annotated[
    AwareDatetime,
    InstantText,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]
"""An instant with its offset, far from where calendars end: every zone's clock can show it."""

UNSET: Any = None
"""Default of a field that may be left out but not be null; see `Patch`."""


class Input(BaseModel):
    """A request body: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid")


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class Patch(Input):
    """A partial change. A field that is left out stays as it is; null is a value like any other."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    def given(self) -> dict[str, Any]:
        """The fields the request holds."""
        return {name: getattr(self, name) for name in self.model_fields_set}
